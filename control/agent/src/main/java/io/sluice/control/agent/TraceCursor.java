package io.sluice.control.agent;

import java.time.Duration;
import java.util.List;

/** A running trace. Thread: one reader, any thread. */
public interface TraceCursor extends AutoCloseable {
    /** Why a trace has ended. */
    enum Ended {
        /** It goes on. */
        NOT_YET,
        /** As many packets as were asked for have been seen, or are lost. */
        COUNT,
        /** Its time is over. */
        TIMEOUT
    }

    /**
     * The next packets, none if the wait is over first.
     *
     * @param wait longest wait
     * @throws InterruptedException when the reader's thread is interrupted
     */
    List<PacketReport> next(Duration wait) throws InterruptedException;

    /** Packets that matched but were not taken down, because the reader was too slow. */
    long lost();

    /** Whether and why no more packets will come; what {@link #next} has not given is gone. */
    Ended ended();

    /** Takes the trace from the lane. A second call does nothing. */
    @Override
    void close();
}
