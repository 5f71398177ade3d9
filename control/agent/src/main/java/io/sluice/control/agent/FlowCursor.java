package io.sluice.control.agent;

import java.time.Duration;
import java.util.List;

/**
 * A reader's place in the flow ring. A reader that is too slow is overtaken: it goes on with the
 * oldest flow still there and is told exactly how many it missed.
 *
 * <p>Thread: one reader, any thread.
 */
public interface FlowCursor extends AutoCloseable {
    /**
     * The next flows that match, at least one unless the time runs out or the daemon stops.
     *
     * @param wait longest wait
     * @throws InterruptedException when the reader's thread is interrupted
     */
    List<Flow> next(Duration wait) throws InterruptedException;

    /** Flows that were overwritten before this reader saw them, since it began. */
    long lost();

    /** Whether no flow will come any more, because the daemon stops or the cursor was closed. */
    boolean ended();

    @Override
    void close();
}
