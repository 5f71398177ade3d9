package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A Unix socket over which two processes pass messages of text and open file descriptors (unix(7),
 * {@code SOCK_SEQPACKET} and {@code SCM_RIGHTS}).
 *
 * <p>A message arrives whole or not at all. A descriptor that is passed is a second one for the
 * same open file: the sender keeps its own, and the file stays open until both are closed. The Java
 * library has Unix sockets, but passes no descriptors.
 *
 * <p>Thread: one at a time, but {@link #close} any: it ends a wait.
 */
public final class DescriptorSocket implements AutoCloseable {
    /** Longest text of a message in UTF-8: well below a socket's default buffer. */
    public static final int TEXT_BYTES_MAX = 128 << 10;

    /** Most descriptors of a message (SCM_MAX_FD in include/net/scm.h). */
    public static final int DESCRIPTORS_MAX = 253;

    /** Longest path of a socket (UNIX_PATH_MAX less the final zero). */
    private static final int PATH_BYTES_MAX = 107;

    private static final StructLayout SOCKADDR_UN =
            MemoryLayout.structLayout(
                    JAVA_SHORT.withName("sun_family"),
                    MemoryLayout.sequenceLayout(108, JAVA_BYTE).withName("sun_path"));

    // struct msghdr, struct iovec, struct cmsghdr (include/linux/socket.h), on 64 bits.
    private static final long MSG_IOV = 16;
    private static final long MSG_IOVLEN = 24;
    private static final long MSG_CONTROL = 32;
    private static final long MSG_CONTROLLEN = 40;
    private static final long MSG_FLAGS = 48;
    private static final long MSG_BYTES = 56;
    private static final long IOV_LEN = 8;
    private static final long IOV_BYTES = 16;
    private static final long CMSG_LEVEL = 8;
    private static final long CMSG_TYPE = 12;
    private static final long CMSG_DATA = 16;

    /** A pointer to a control message with the most descriptors. */
    private static final AddressLayout CONTROL =
            ADDRESS.withTargetLayout(
                    MemoryLayout.sequenceLayout(
                            CMSG_DATA + DESCRIPTORS_MAX * Integer.BYTES + Long.BYTES, JAVA_BYTE));

    // struct pollfd (include/uapi/asm-generic/poll.h).
    private static final long POLL_EVENTS = 4;
    private static final long POLL_BYTES = 8;

    private static final int BACKLOG = 1;

    /**
     * What came.
     *
     * @param text as it was sent
     * @param descriptors open, closed on exec, and the receiver's to close
     */
    public record Message(String text, List<Integer> descriptors) {
        public Message {
            descriptors = List.copyOf(descriptors);
        }
    }

    private final Path path;
    private final int fd;
    private final AtomicBoolean closed = new AtomicBoolean();

    private DescriptorSocket(final Path path, final int fd) {
        this.path = path;
        this.fd = fd;
    }

    /**
     * A socket that others connect to; nothing may be at the path.
     *
     * @throws LinuxException EADDRINUSE, ENOENT, EACCES
     */
    public static DescriptorSocket listen(final Path path) {
        final DescriptorSocket socket = open(path);
        try (Arena arena = Arena.ofConfined()) {
            socket.require(Libc.bind(socket.fd, address(path, arena)), "bind");
            socket.require(Libc.listen(socket.fd, BACKLOG), "listen");
            return socket;
        } catch (final LinuxException e) {
            socket.close();
            throw e;
        }
    }

    /** Connects to a socket that listens; empty where none does. */
    public static Optional<DescriptorSocket> connect(final Path path) {
        final DescriptorSocket socket = open(path);
        try (Arena arena = Arena.ofConfined()) {
            final int result = Libc.connect(socket.fd, address(path, arena));
            if (Errno.ENOENT.is(result) || Errno.ECONNREFUSED.is(result)) {
                socket.close();
                return Optional.empty();
            }
            socket.require(result, "connect");
            return Optional.of(socket);
        } catch (final LinuxException e) {
            socket.close();
            throw e;
        }
    }

    /** Waits for somebody to connect; empty once the socket is closed. */
    public Optional<DescriptorSocket> accept() {
        while (!closed.get()) {
            final int accepted = Libc.accept(fd, Libc.SOCK_CLOEXEC);
            if (accepted >= 0) {
                return Optional.of(new DescriptorSocket(path, accepted));
            }
            if (!Errno.EINTR.is(accepted) && !closed.get()) {
                throw LinuxException.of("accept on " + path, accepted);
            }
        }
        return Optional.empty();
    }

    /**
     * Sends one message, and waits while the peer's buffer is full.
     *
     * @param text at most {@link #TEXT_BYTES_MAX} bytes in UTF-8, not empty
     * @param descriptors at most {@link #DESCRIPTORS_MAX}; they stay open here
     * @throws LinuxException EPIPE and ECONNRESET when the peer has gone
     */
    public void send(final String text, final List<Integer> descriptors) {
        final byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length == 0 || bytes.length > TEXT_BYTES_MAX) {
            throw new IllegalArgumentException(
                    "a message of " + bytes.length + " bytes: 1 to " + TEXT_BYTES_MAX);
        }
        if (descriptors.size() > DESCRIPTORS_MAX) {
            throw new IllegalArgumentException(
                    descriptors.size() + " descriptors: at most " + DESCRIPTORS_MAX);
        }
        try (Arena arena = Arena.ofConfined()) {
            final MemorySegment message =
                    message(arena, arena.allocateFrom(JAVA_BYTE, bytes), descriptors.size());
            if (!descriptors.isEmpty()) {
                final MemorySegment control = message.get(CONTROL, MSG_CONTROL);
                control.set(JAVA_LONG, 0, CMSG_DATA + (long) descriptors.size() * Integer.BYTES);
                control.set(JAVA_INT, CMSG_LEVEL, Libc.SOL_SOCKET);
                control.set(JAVA_INT, CMSG_TYPE, Libc.SCM_RIGHTS);
                for (int i = 0; i < descriptors.size(); i++) {
                    control.set(JAVA_INT, CMSG_DATA + (long) i * Integer.BYTES, descriptors.get(i));
                }
            }
            long sent;
            do {
                sent = Libc.sendmsg(fd, message, Libc.MSG_NOSIGNAL);
            } while (Errno.EINTR.is(sent));
            require(sent, "send");
        }
    }

    /**
     * Waits for a message; empty when the peer has closed, or this socket was.
     *
     * @param timeoutMs longest wait in milliseconds
     * @throws LinuxException when nothing came in that time, the message is longer than any that
     *     {@link #send} sends, or its descriptors do not fit into this process (EMFILE)
     */
    public Optional<Message> receive(final int timeoutMs) {
        try (Arena arena = Arena.ofConfined()) {
            await(arena, timeoutMs);
            final MemorySegment text = arena.allocate(TEXT_BYTES_MAX);
            final MemorySegment message = message(arena, text, DESCRIPTORS_MAX);
            long received;
            do {
                received = Libc.recvmsg(fd, message, Libc.MSG_CMSG_CLOEXEC);
            } while (Errno.EINTR.is(received));
            if (received == 0 || closed.get() || Errno.ECONNRESET.is(received)) {
                return Optional.empty();
            }
            require(received, "receive");
            final List<Integer> descriptors = descriptors(message);
            if ((message.get(JAVA_INT, MSG_FLAGS) & (Libc.MSG_TRUNC | Libc.MSG_CTRUNC)) != 0) {
                descriptors.forEach(Libc::close);
                throw new LinuxException("receive from " + path + ": the message was cut");
            }
            final byte[] bytes = text.asSlice(0, received).toArray(JAVA_BYTE);
            return Optional.of(new Message(new String(bytes, StandardCharsets.UTF_8), descriptors));
        }
    }

    /** A signal, which a thread of the virtual machine seldom gets, begins the wait anew. */
    private void await(final Arena arena, final int timeoutMs) {
        final MemorySegment polled = arena.allocate(POLL_BYTES, Long.BYTES);
        polled.set(JAVA_INT, 0, fd);
        polled.set(JAVA_SHORT, POLL_EVENTS, Libc.POLLIN);
        int ready;
        do {
            ready = Libc.poll(polled.address(), 1, timeoutMs);
        } while (Errno.EINTR.is(ready));
        require(ready, "wait");
        if (ready == 0) {
            throw new LinuxException(
                    "receive on " + path + ": no message within " + timeoutMs + " ms");
        }
    }

    private static List<Integer> descriptors(final MemorySegment message) {
        final List<Integer> descriptors = new ArrayList<>();
        final long length = message.get(JAVA_LONG, MSG_CONTROLLEN);
        if (length < CMSG_DATA) {
            return descriptors;
        }
        // One control message: the kernel puts all descriptors into one, and nothing else was
        // asked.
        final MemorySegment control = message.get(CONTROL, MSG_CONTROL);
        if (control.get(JAVA_INT, CMSG_LEVEL) == Libc.SOL_SOCKET
                && control.get(JAVA_INT, CMSG_TYPE) == Libc.SCM_RIGHTS) {
            final long end = control.get(JAVA_LONG, 0);
            for (long at = CMSG_DATA; at < end; at += Integer.BYTES) {
                descriptors.add(control.get(JAVA_INT, at));
            }
        }
        return descriptors;
    }

    private static MemorySegment message(
            final Arena arena, final MemorySegment text, final int descriptors) {
        final MemorySegment vector = arena.allocate(IOV_BYTES, Long.BYTES);
        vector.set(ADDRESS, 0, text);
        vector.set(JAVA_LONG, IOV_LEN, text.byteSize());
        final MemorySegment message = arena.allocate(MSG_BYTES, Long.BYTES);
        message.set(ADDRESS, MSG_IOV, vector);
        message.set(JAVA_LONG, MSG_IOVLEN, 1);
        if (descriptors > 0) {
            // CMSG_SPACE: the data is padded to the size of a long.
            final long data = (long) descriptors * Integer.BYTES;
            final long space = CMSG_DATA + (data + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
            message.set(ADDRESS, MSG_CONTROL, arena.allocate(space, Long.BYTES));
            message.set(JAVA_LONG, MSG_CONTROLLEN, space);
        }
        return message;
    }

    private static DescriptorSocket open(final Path path) {
        final int fd = Libc.socket(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC);
        if (fd < 0) {
            throw LinuxException.of("make a Unix socket", fd);
        }
        return new DescriptorSocket(path, fd);
    }

    private static MemorySegment address(final Path path, final Arena arena) {
        final byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length > PATH_BYTES_MAX) {
            throw new LinuxException(
                    path + ": the path of a socket has at most " + PATH_BYTES_MAX + " bytes");
        }
        final MemorySegment address = arena.allocate(SOCKADDR_UN);
        address.set(JAVA_SHORT, 0, (short) Libc.AF_UNIX);
        MemorySegment.copy(name, 0, address, JAVA_BYTE, Short.BYTES, name.length);
        return address;
    }

    private void require(final long result, final String tried) {
        if (result < 0) {
            throw LinuxException.of(tried + " on " + path, result);
        }
    }

    /** Closes the socket and ends what waits on it; the path stays. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            Libc.shutdown(fd, Libc.SHUT_RDWR);
            Libc.close(fd);
        }
    }
}
