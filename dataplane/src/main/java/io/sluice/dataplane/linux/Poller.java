package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.VarHandle;

/**
 * Sleeps until a port has frames or somebody calls {@link #wake}: poll(2) over the descriptors of a
 * lane's ports and one eventfd.
 *
 * <p>The set of descriptors is replaced whole by {@link #watch}, when ports come or go. A wake-up
 * that comes before {@link #await} is kept: the next await returns at once.
 *
 * <p>poll(2) and not epoll: a lane has tens of ports, sleeps only when all are empty and looks at
 * all of them when it wakes, so that the kernel's walk over the array costs less than what follows.
 *
 * <p>Thread: {@link #wake} any; the others belong to the lane.
 */
public final class Poller implements AutoCloseable {
    /** {@code struct pollfd} (include/uapi/asm-generic/poll.h). */
    private static final StructLayout POLLFD =
            MemoryLayout.structLayout(
                    JAVA_INT.withName("fd"),
                    JAVA_SHORT.withName("events"),
                    JAVA_SHORT.withName("revents"));

    private static final VarHandle FD = field("fd");
    private static final VarHandle EVENTS = field("events");
    private static final VarHandle READY_EVENTS = field("revents");

    private final EventFd wakeUp = new EventFd();
    private Arena arena = Arena.ofShared();
    private MemorySegment polled = arena.allocate(POLLFD);
    private int watched;

    public Poller() {
        watch();
    }

    /**
     * Replaces the descriptors that are watched.
     *
     * @param fds descriptors; -1 stands for a port without one and is never ready
     */
    public void watch(final int... fds) {
        arena.close();
        arena = Arena.ofShared();
        polled = arena.allocate(POLLFD, fds.length + 1L);
        watched = fds.length;
        for (int i = 0; i < fds.length; i++) {
            watch(i, fds[i]);
        }
        watch(fds.length, wakeUp.fd());
    }

    /**
     * Waits until a watched descriptor is ready or {@link #wake} was called.
     *
     * @param timeoutMs longest wait in milliseconds, 0 to only look
     * @return watched descriptors that are ready; 0 after the timeout, a wake-up or a signal, and
     *     while the kernel is out of memory
     */
    public int await(final int timeoutMs) {
        final int ready = Libc.poll(polled.address(), watched + 1L, timeoutMs);
        if (ready < 0) {
            if (Errno.EINTR.is(ready) || Errno.ENOMEM.is(ready)) {
                return 0;
            }
            throw LinuxException.of("poll " + watched + " ports", ready);
        }
        if ((short) READY_EVENTS.get(polled, 0L, (long) watched) != 0) {
            wakeUp.drain();
            return ready - 1;
        }
        return ready;
    }

    /**
     * Looks at the first descriptors only, without a wait.
     *
     * @param count how many, up to as many as are watched
     */
    public void look(final int count) {
        final int ready = Libc.poll(polled.address(), count, 0);
        if (ready < 0 && !Errno.EINTR.is(ready) && !Errno.ENOMEM.is(ready)) {
            throw LinuxException.of("poll " + count + " ports", ready);
        }
    }

    /**
     * Whether the descriptor had something at the last {@link #await}, or {@link #look} that looked
     * at it: frames, or the end of its device.
     *
     * @param index position among the descriptors given to {@link #watch}
     */
    public boolean isReady(final int index) {
        return (short) READY_EVENTS.get(polled, 0L, (long) index) != 0;
    }

    /** Ends the current or the next {@link #await}. */
    public void wake() {
        wakeUp.signal();
    }

    @Override
    public void close() {
        wakeUp.close();
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    private void watch(final int index, final int fd) {
        FD.set(polled, 0L, (long) index, fd);
        EVENTS.set(polled, 0L, (long) index, Libc.POLLIN);
    }

    private static VarHandle field(final String name) {
        return POLLFD.arrayElementVarHandle(PathElement.groupElement(name));
    }
}
