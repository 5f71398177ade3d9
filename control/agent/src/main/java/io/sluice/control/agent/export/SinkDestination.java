package io.sluice.control.agent.export;

import io.sluice.control.agent.ExportCounts;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file or a stream. Lines that it does not take (file system full, stream closed) are lost; the
 * next ones are tried again, and the log says when that begins and when it ends.
 *
 * <p>Thread: the exporter's.
 */
final class SinkDestination implements Destination {
    private static final Logger LOG = LoggerFactory.getLogger(SinkDestination.class);

    private final LineSink sink;
    private final ExportCounts counts;
    private boolean failing;

    /**
     * @param sink closed by this
     */
    SinkDestination(final LineSink sink, final ExportCounts counts) {
        this.sink = sink;
        this.counts = counts;
    }

    @Override
    public void take(final List<byte[]> lines) {
        final ByteArrayOutputStream together = new ByteArrayOutputStream();
        for (final byte[] line : lines) {
            together.writeBytes(line);
            together.write('\n');
        }
        try {
            sink.write(together.toByteArray());
            counts.written(lines.size());
            if (failing) {
                LOG.info(
                        "flows.export: goes on; {} lines were lost",
                        counts.lost(ExportCounts.Cause.FAILED));
                counts.trouble("");
            }
            failing = false;
        } catch (final IOException e) {
            counts.lost(ExportCounts.Cause.FAILED, lines.size());
            if (!failing) {
                LOG.warn("flows.export: cannot be written, lines are lost: {}", e.toString());
                counts.trouble("cannot be written, lines are lost: " + e);
            }
            failing = true;
        }
    }

    @Override
    public void close() {
        try {
            sink.close();
        } catch (final IOException e) {
            LOG.warn("flows.export: {}", e.toString());
        }
    }
}
