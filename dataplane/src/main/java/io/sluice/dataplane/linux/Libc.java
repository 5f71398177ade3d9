package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * The system calls of the switch, through the C library and the foreign-function API.
 *
 * <p>Every method answers as the kernel itself does: a result of 0 or more, or the negated error
 * number ({@code -11} for EAGAIN; see {@link Errno#is}). Nothing here throws on a refused call:
 * whoever called knows what was tried and says so in a {@link LinuxException}.
 *
 * <p>errno is captured by the linker directly behind the call, before the virtual machine can run
 * anything else on the thread, into four bytes of the calling thread. {@link #read} and {@link
 * #write} take addresses as numbers, so that no MemorySegment is made per call: they allocate
 * nothing after a thread's first call. They are not {@code Linker.Option.critical}: they copy up to
 * 64 KiB and may fault, which must not hold up a safepoint.
 *
 * <p>Thread: any.
 */
final class Libc {
    // include/uapi/asm-generic/fcntl.h, the same on x86-64 and AArch64 for these.
    static final int O_RDONLY = 0;
    static final int O_RDWR = 2;
    static final int O_NONBLOCK = 0x800;
    static final int O_CLOEXEC = 0x80000;

    // include/uapi/asm-generic/poll.h
    static final short POLLIN = 0x1;

    // include/uapi/linux/eventpoll.h
    private static final int EPOLL_CTL_ADD = 1;
    private static final int EPOLLIN = 0x1;

    /** include/linux/socket.h */
    static final int AF_UNIX = 1;

    static final int SOL_SOCKET = 1;
    static final int SCM_RIGHTS = 1;
    static final int MSG_CTRUNC = 0x8;
    static final int MSG_TRUNC = 0x20;
    static final int MSG_NOSIGNAL = 0x4000;
    static final int MSG_CMSG_CLOEXEC = 0x4000_0000;

    /** include/linux/net.h, the same on x86-64 and AArch64. */
    static final int SOCK_SEQPACKET = 5;

    static final int SOCK_CLOEXEC = 0x80000;
    static final int SOCK_NONBLOCK = 0x800;
    static final int SHUT_RDWR = 2;

    /** include/linux/socket.h, include/uapi/asm-generic/socket.h */
    static final int AF_XDP = 44;

    static final int SOCK_RAW = 3;
    static final int MSG_DONTWAIT = 0x40;
    static final int SO_SNDBUFFORCE = 32;
    static final int SO_BUSY_POLL = 46;
    static final int SO_PREFER_BUSY_POLL = 69;
    static final int SO_BUSY_POLL_BUDGET = 70;

    /** include/uapi/asm-generic/mman-common.h, the same on x86-64 and AArch64. */
    static final int PROT_READ = 0x1;

    static final int PROT_WRITE = 0x2;
    static final int MAP_SHARED = 0x01;
    static final int MAP_PRIVATE = 0x02;
    static final int MAP_ANONYMOUS = 0x20;
    static final int MAP_POPULATE = 0x8000;
    static final int MADV_HUGEPAGE = 14;

    /** include/uapi/linux/resource.h: of a process or thread. */
    static final int PRIO_PROCESS = 0;

    /** include/uapi/linux/sched.h: the kind of namespace that {@link #setns} enters. */
    static final int CLONE_NEWNET = 0x4000_0000;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final Linker.Option CAPTURE_ERRNO = Linker.Option.captureCallState("errno");
    private static final StructLayout CAPTURED = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = CAPTURED.varHandle(PathElement.groupElement("errno"));

    private static final ThreadLocal<MemorySegment> CAPTURE =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(CAPTURED));

    private static final MethodHandle OPEN =
            bind(
                    "open",
                    FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
                    Linker.Option.firstVariadicArg(2));
    private static final MethodHandle CLOSE =
            bind("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle READ =
            bind("read", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle WRITE =
            bind("write", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle IOCTL =
            bind(
                    "ioctl",
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG),
                    Linker.Option.firstVariadicArg(2));
    private static final MethodHandle POLL =
            bind("poll", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    private static final MethodHandle EPOLL_CREATE =
            bind("epoll_create1", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle EPOLL_CONTROL =
            bind(
                    "epoll_ctl",
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle EVENTFD =
            bind("eventfd", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle SETNS =
            bind("setns", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle UNSHARE =
            bind("unshare", FunctionDescriptor.of(JAVA_INT, JAVA_INT));

    private static final MethodHandle SOCKET =
            bind("socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle BIND =
            bind("bind", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle CONNECT =
            bind("connect", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle LISTEN =
            bind("listen", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle ACCEPT4 =
            bind(
                    "accept4",
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    private static final MethodHandle SHUTDOWN =
            bind("shutdown", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle SENDMSG =
            bind("sendmsg", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle RECVMSG =
            bind("recvmsg", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));

    private static final MethodHandle SOCKETPAIR =
            bind(
                    "socketpair",
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle GETPRIORITY =
            bind("getpriority", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle SETPRIORITY =
            bind("setpriority", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));

    private static final MethodHandle SCHED_SETAFFINITY =
            bind(
                    "sched_setaffinity",
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS));

    private static final MethodHandle SETSOCKOPT =
            bind(
                    "setsockopt",
                    FunctionDescriptor.of(
                            JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle GETSOCKOPT =
            bind(
                    "getsockopt",
                    FunctionDescriptor.of(
                            JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
    private static final MethodHandle SENDTO =
            bind(
                    "sendto",
                    FunctionDescriptor.of(
                            JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG,
                            JAVA_INT));
    private static final MethodHandle RECVFROM =
            bind(
                    "recvfrom",
                    FunctionDescriptor.of(
                            JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG,
                            JAVA_LONG));
    private static final MethodHandle MMAP =
            bind(
                    "mmap",
                    FunctionDescriptor.of(
                            JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
                            JAVA_LONG));
    private static final MethodHandle MUNMAP =
            bind("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle MADVISE =
            bind("madvise", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    private static final MethodHandle SYSCALL =
            bind(
                    "syscall",
                    FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT),
                    Linker.Option.firstVariadicArg(1));
    private static final MethodHandle UNAME =
            bind("uname", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    private static final MethodHandle IF_NAMETOINDEX =
            bind("if_nametoindex", FunctionDescriptor.of(JAVA_INT, ADDRESS));

    private Libc() {}

    /**
     * open(2) of an existing file.
     *
     * @return file descriptor; ENOENT, EACCES, EMFILE and the device's own errors
     */
    static int open(final String path, final int flags) {
        final MemorySegment capture = CAPTURE.get();
        try (Arena arena = Arena.ofConfined()) {
            return answer(
                    (int) OPEN.invokeExact(capture, arena.allocateFrom(path), flags), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /** close(2). The descriptor is gone whatever the answer would be, so there is none. */
    static void close(final int fd) {
        final MemorySegment capture = CAPTURE.get();
        try {
            final int _ = (int) CLOSE.invokeExact(capture, fd);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * read(2).
     *
     * @param address where the bytes go; {@code lengthBytes} bytes must stay allocated there
     * @return bytes read; EAGAIN where a non-blocking descriptor has nothing, EINTR
     */
    static long read(final int fd, final long address, final long lengthBytes) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((long) READ.invokeExact(capture, fd, address, lengthBytes), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * write(2).
     *
     * @param address where the bytes lie; {@code lengthBytes} bytes must stay allocated there
     * @return bytes written; EAGAIN where a non-blocking descriptor is full, EINTR
     */
    static long write(final int fd, final long address, final long lengthBytes) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((long) WRITE.invokeExact(capture, fd, address, lengthBytes), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * ioctl(2).
     *
     * @param argument number, or address of the structure that the request names
     * @return what the request answers; ENOTTY where the file does not know the request
     */
    static int ioctl(final int fd, final long request, final long argument) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) IOCTL.invokeExact(capture, fd, request, argument), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * poll(2).
     *
     * @param address of {@code count} structures pollfd
     * @param timeoutMs longest wait in milliseconds; 0 does not wait, -1 waits for ever
     * @return descriptors that are ready, 0 after the timeout; EINTR
     */
    static int poll(final long address, final long count, final int timeoutMs) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) POLL.invokeExact(capture, address, count, timeoutMs), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * epoll_create1(2), closed on exec.
     *
     * @return file descriptor; EMFILE, ENFILE
     */
    static int epollCreate() {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) EPOLL_CREATE.invokeExact(capture, O_CLOEXEC), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * epoll_ctl(2): the epoll descriptor polls readable while this one does.
     *
     * @return 0; ENOMEM, ENOSPC
     */
    static int epollAdd(final int epollFd, final int fd) {
        final MemorySegment capture = CAPTURE.get();
        try (Arena arena = Arena.ofConfined()) {
            // struct epoll_event: u32 events, u64 data (include/uapi/linux/eventpoll.h).
            final MemorySegment event = arena.allocate(16, 8);
            event.set(JAVA_INT, 0, EPOLLIN);
            return answer(
                    (int) EPOLL_CONTROL.invokeExact(capture, epollFd, EPOLL_CTL_ADD, fd, event),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * eventfd(2) with a counter of 0.
     *
     * @return file descriptor; EMFILE, ENFILE
     */
    static int eventfd(final int flags) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) EVENTFD.invokeExact(capture, 0, flags), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * unshare(2): moves the calling thread, and nobody else, into a new namespace.
     *
     * @param kind {@link #CLONE_NEWNET}
     * @return 0; EPERM without CAP_SYS_ADMIN, ENOSPC above the limit of namespaces
     */
    static int unshare(final int kind) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) UNSHARE.invokeExact(capture, kind), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * setns(2): moves the calling thread, and nobody else, into a namespace.
     *
     * @param kind {@link #CLONE_NEWNET}
     * @return 0; EPERM without CAP_SYS_ADMIN, EINVAL where the descriptor is no such namespace
     */
    static int setns(final int fd, final int kind) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) SETNS.invokeExact(capture, fd, kind), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * socket(2) of the default protocol.
     *
     * @return file descriptor; EMFILE, ENFILE
     */
    static int socket(final int family, final int type) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) SOCKET.invokeExact(capture, family, type, 0), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * socketpair(2) of the default protocol.
     *
     * @param pair two ints, the descriptors
     * @return 0; EMFILE, ENFILE
     */
    static int socketpair(final int family, final int type, final MemorySegment pair) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) SOCKETPAIR.invokeExact(capture, family, type, 0, pair), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * getpriority(2).
     *
     * @param which {@link #PRIO_PROCESS}
     * @param id of a thread, 0 for the calling one
     * @return nice value, -20 to 19; -1 also for a thread that has ended
     */
    static int getpriority(final int which, final int id) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return (int) GETPRIORITY.invokeExact(capture, which, id);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * sched_setaffinity(2) of the calling thread.
     *
     * @param processors bit n: processor n
     * @return 0; EINVAL where none of them is there and allowed by the thread's cpuset
     */
    static int setAffinity(final MemorySegment processors) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (int)
                            SCHED_SETAFFINITY.invokeExact(
                                    capture, 0, processors.byteSize(), processors),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * setpriority(2).
     *
     * @param which {@link #PRIO_PROCESS}
     * @param id of a thread, 0 for the calling one
     * @param nice -20 to 19
     * @return 0; ESRCH once the thread has ended, EACCES where a lower value needs CAP_SYS_NICE
     */
    static int setpriority(final int which, final int id, final int nice) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) SETPRIORITY.invokeExact(capture, which, id, nice), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * bind(2).
     *
     * @return 0; EADDRINUSE, ENOENT, EACCES
     */
    static int bind(final int fd, final MemorySegment address) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (int) BIND.invokeExact(capture, fd, address, (int) address.byteSize()),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * connect(2).
     *
     * @return 0; ENOENT, ECONNREFUSED, EACCES
     */
    static int connect(final int fd, final MemorySegment address) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (int) CONNECT.invokeExact(capture, fd, address, (int) address.byteSize()),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /** listen(2). */
    static int listen(final int fd, final int backlog) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) LISTEN.invokeExact(capture, fd, backlog), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * accept4(2) without the peer's address.
     *
     * @return file descriptor; EINVAL once the socket was shut down, EINTR
     */
    static int accept(final int fd, final int flags) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) ACCEPT4.invokeExact(capture, fd, 0L, 0L, flags), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /** shutdown(2): ends what waits on the socket, in this process and at the peer. */
    static int shutdown(final int fd, final int how) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) SHUTDOWN.invokeExact(capture, fd, how), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * sendmsg(2).
     *
     * @param message a {@code struct msghdr}
     * @return bytes sent; EPIPE, EMSGSIZE, EINTR
     */
    static long sendmsg(final int fd, final MemorySegment message, final int flags) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((long) SENDMSG.invokeExact(capture, fd, message, flags), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * recvmsg(2).
     *
     * @param message a {@code struct msghdr}, whose lengths and flags it sets
     * @return bytes received, 0 at the end; EINTR, ECONNRESET
     */
    static long recvmsg(final int fd, final MemorySegment message, final int flags) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((long) RECVMSG.invokeExact(capture, fd, message, flags), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * setsockopt(2).
     *
     * @return 0; ENOPROTOOPT, EINVAL, EPERM, and what the option says
     */
    static int setsockopt(
            final int fd, final int level, final int option, final MemorySegment value) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (int)
                            SETSOCKOPT.invokeExact(
                                    capture, fd, level, option, value, (int) value.byteSize()),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * getsockopt(2).
     *
     * @param value where it goes
     * @param length an int, the room there; the kernel writes how much it has used
     * @return 0; ENOPROTOOPT, EINVAL
     */
    static int getsockopt(
            final int fd,
            final int level,
            final int option,
            final MemorySegment value,
            final MemorySegment length) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (int) GETSOCKOPT.invokeExact(capture, fd, level, option, value, length),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * sendto(2) of nothing to nobody: what wakes the transmitter of a socket whose frames lie in a
     * ring.
     *
     * @return 0 or more; EAGAIN, EBUSY, ENOBUFS, ENETDOWN, ENXIO
     */
    static long sendNothing(final int fd, final int flags) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((long) SENDTO.invokeExact(capture, fd, 0L, 0L, flags, 0L, 0), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * recvfrom(2) of nothing from nobody: what wakes the receiver of such a socket.
     *
     * @return 0 or more; ENETDOWN, ENXIO
     */
    static long receiveNothing(final int fd, final int flags) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((long) RECVFROM.invokeExact(capture, fd, 0L, 0L, flags, 0L, 0L), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * mmap(2) at an address of the kernel's choice.
     *
     * @param fd -1 for anonymous memory
     * @return address; ENOMEM, EINVAL
     */
    static long mmap(
            final long lengthBytes,
            final int protection,
            final int flags,
            final int fd,
            final long offset) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (long)
                            MMAP.invokeExact(
                                    capture, 0L, lengthBytes, protection, flags, fd, offset),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /** munmap(2) of what {@link #mmap} gave. */
    static int munmap(final long address, final long lengthBytes) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer((int) MUNMAP.invokeExact(capture, address, lengthBytes), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /** madvise(2). */
    static int madvise(final long address, final long lengthBytes, final int advice) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (int) MADVISE.invokeExact(capture, address, lengthBytes, advice), capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * syscall(2) with a command and a structure of arguments, as bpf(2) has them.
     *
     * @param number of the system call on this machine
     * @return what the call answers
     */
    static long syscall(final long number, final int command, final MemorySegment arguments) {
        final MemorySegment capture = CAPTURE.get();
        try {
            return answer(
                    (long)
                            SYSCALL.invokeExact(
                                    capture,
                                    number,
                                    command,
                                    arguments,
                                    (int) arguments.byteSize()),
                    capture);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /** Hardware name of the machine as uname(2) tells it: {@code x86_64}, {@code aarch64}. */
    static String machine() {
        // struct new_utsname (include/uapi/linux/utsname.h): six fields of 65 bytes.
        final long field = 65;
        final MemorySegment capture = CAPTURE.get();
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment names = arena.allocate(6 * field);
            final int _ = (int) UNAME.invokeExact(capture, names);
            return names.getString(4 * field);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    /**
     * if_nametoindex(3) in the calling thread's namespace.
     *
     * @return index from 1 on; ENODEV
     */
    static int deviceIndex(final String device) {
        final MemorySegment capture = CAPTURE.get();
        try (Arena arena = Arena.ofConfined()) {
            final int index = (int) IF_NAMETOINDEX.invokeExact(capture, arena.allocateFrom(device));
            return index > 0 ? index : -(int) ERRNO.get(capture, 0L);
        } catch (final Throwable e) {
            throw unexpected(e);
        }
    }

    private static int answer(final int result, final MemorySegment capture) {
        return result >= 0 ? result : -(int) ERRNO.get(capture, 0L);
    }

    private static long answer(final long result, final MemorySegment capture) {
        return result >= 0 ? result : -(int) ERRNO.get(capture, 0L);
    }

    private static MethodHandle bind(
            final String name,
            final FunctionDescriptor descriptor,
            final Linker.Option... options) {
        final Linker.Option[] all = new Linker.Option[options.length + 1];
        System.arraycopy(options, 0, all, 0, options.length);
        all[options.length] = CAPTURE_ERRNO;
        return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor, all);
    }

    /**
     * Downcall handles declare Throwable and throw nothing but the virtual machine's own errors.
     */
    private static Error unexpected(final Throwable e) {
        return e instanceof Error error ? error : new AssertionError(e);
    }
}
