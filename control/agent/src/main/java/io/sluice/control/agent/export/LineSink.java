package io.sluice.control.agent.export;

import java.io.IOException;

/**
 * Where lines go.
 *
 * <p>Thread: the exporter's.
 */
interface LineSink extends AutoCloseable {
    /**
     * Writes lines.
     *
     * @param lines whole ones, each with its end
     * @throws IOException when none of them is written
     */
    void write(byte[] lines) throws IOException;

    @Override
    void close() throws IOException;
}
