package io.sluice.control.agent;

import java.util.List;

/**
 * Answer to a {@link FlowQuery}, piece by piece: a month of flows is never in memory as a whole.
 *
 * <p>Thread: one reader, any thread.
 */
public interface FlowReader extends AutoCloseable {
    /**
     * The next flows, oldest first.
     *
     * @return empty at the end
     */
    List<Flow> next();

    @Override
    void close();
}
