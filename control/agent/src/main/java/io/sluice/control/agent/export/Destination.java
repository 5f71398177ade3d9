package io.sluice.control.agent.export;

import java.util.List;

/**
 * Where lines of flows go. It counts what becomes of them.
 *
 * <p>Thread: the exporter's.
 */
interface Destination extends AutoCloseable {
    /**
     * Takes lines. Those that are not written, now or later, are counted as lost.
     *
     * @param lines a flow each, as JSON, without an end
     */
    void take(List<byte[]> lines);

    /** Ends; afterwards every line that was taken is written or lost. */
    @Override
    void close();
}
