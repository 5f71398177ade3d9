package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * An eventfd(2): a descriptor that polls readable from {@link #signal} until {@link #drain}.
 * Signals before a drain count as one.
 *
 * <p>Thread: {@link #signal} any; the others belong to the thread that waits. {@link #close} only
 * after the last signal.
 */
public final class EventFd implements AutoCloseable {
    private static final int EFD_NONBLOCK = Libc.O_NONBLOCK;
    private static final int EFD_CLOEXEC = Libc.O_CLOEXEC;

    /** What every signal adds. */
    private static final MemorySegment ONE = Arena.global().allocateFrom(JAVA_LONG, 1L);

    private final Arena arena = Arena.ofShared();
    private final MemorySegment counter = arena.allocate(JAVA_LONG);
    private final int fd;
    private boolean closed;

    /**
     * @throws LinuxException where the process has too many open files
     */
    public EventFd() {
        this.fd = Libc.eventfd(EFD_NONBLOCK | EFD_CLOEXEC);
        if (fd < 0) {
            arena.close();
            throw LinuxException.of("make an eventfd", fd);
        }
    }

    public int fd() {
        return fd;
    }

    /**
     * Makes the descriptor readable. A counter at its end (2^64 - 2 signals) is readable anyway.
     */
    public void signal() {
        final long result = Libc.write(fd, ONE.address(), Long.BYTES);
        assert result == Long.BYTES || Errno.EAGAIN.is(result) : result;
    }

    /** Makes the descriptor unreadable until the next signal. */
    public void drain() {
        final long result = Libc.read(fd, counter.address(), Long.BYTES);
        assert result == Long.BYTES || Errno.EAGAIN.is(result) : result;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            Libc.close(fd);
            arena.close();
        }
    }
}
