package io.sluice.control.agent.export;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowCursor;
import io.sluice.control.agent.FlowQuery;
import io.sluice.control.agent.SluiceConfig;
import io.sluice.control.agent.StartupException;
import io.sluice.control.agent.api.FlowJson;
import io.sluice.control.agent.hubble.ExportFilter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes every flow that is wanted as a line of JSON, to a file or a stream.
 *
 * <p>Theory of operation. The exporter is a follower of the flow ring like any other: nobody waits
 * for it, and what the ring overtakes before it was read is counted exactly ({@code lost}, cause
 * {@code slow}). It takes at most 1,024 flows at a time, makes lines of those that the filters
 * take, and gives them to the sink in one piece. Lines that the sink does not take (file system
 * full, stream closed) are lost and counted (cause {@code failed}); the next ones are tried again,
 * and the log says when it begins and when it ends. So the flows that it was there for are those
 * written, lost, or left out by a filter.
 *
 * <p>A stop writes what the ring has and ends. A kill loses what was not yet written: the last
 * {@link #WAIT} at most, unless it was behind.
 *
 * <p>Thread: its own, {@code sluice-flow-export}; {@link #start} and {@link #close} whoever
 * composes the daemon.
 */
public final class FlowExporter implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(FlowExporter.class);

    /** How long the exporter waits for a flow before it looks whether it is to end. */
    static final Duration WAIT = Duration.ofMillis(100);

    private static final int MEBIBYTE = 1 << 20;

    private final FlowCursor cursor;
    private final LineSink sink;
    private final FieldMask mask;
    private final ExportCounts counts;
    private final Thread thread;
    private volatile boolean stopping;
    private boolean failing;
    private long lostReported;

    /**
     * @param cursor closed by this
     * @param sink closed by this
     */
    FlowExporter(
            final FlowCursor cursor,
            final LineSink sink,
            final FieldMask mask,
            final ExportCounts counts) {
        this.cursor = cursor;
        this.sink = sink;
        this.mask = mask;
        this.counts = counts;
        this.thread = Thread.ofPlatform().name("sluice-flow-export").daemon().unstarted(this::run);
    }

    /**
     * Begins to export where the configuration says so, with the flows of this daemon from its
     * first on.
     *
     * @throws StartupException when the configuration's filters cannot be read
     */
    public static AutoCloseable start(
            final SluiceConfig config, final ControlPlane control, final ExportCounts counts)
            throws StartupException {
        final SluiceConfig.FlowExport export = config.flowExport();
        final Optional<String> file = export.file();
        if (file.isEmpty()) {
            return () -> {};
        }
        final LineSink sink =
                file.get().equals(SluiceConfig.FlowExport.STDOUT)
                        ? new StreamSink(System.out)
                        : new RotatingFile(
                                Path.of(file.get()),
                                (long) export.fileMaxSizeMb() * MEBIBYTE,
                                export.fileMaxBackups(),
                                export.fileCompress(),
                                Clock.systemUTC(),
                                RotatingFile::open);
        // Those of a predecessor are the predecessor's to export; the time keeps the question from
        // reading all that is stored.
        final long first = control.flowActivity().firstSequence();
        final Predicate<Flow> filter = ExportFilter.of(export);
        final FlowQuery wanted =
                new FlowQuery(
                        flow -> flow.sequence() >= first && filter.test(flow),
                        List.of(),
                        ProcessHandle.current()
                                .info()
                                .startInstant()
                                .orElse(control.status().startedAt()),
                        Instant.MAX,
                        FlowQuery.End.FIRST,
                        Integer.MAX_VALUE);
        final FlowExporter exporter =
                new FlowExporter(
                        control.follow(wanted), sink, new FieldMask(export.fieldMask()), counts);
        exporter.begin();
        return exporter;
    }

    void begin() {
        thread.start();
    }

    private void run() {
        try {
            while (turn()) {
                // Until there is nothing more to come.
            }
        } catch (final InterruptedException e) {
            // Nobody interrupts this thread but to end it.
            Thread.currentThread().interrupt();
        }
    }

    /** Exports what there is; says whether to go on. */
    boolean turn() throws InterruptedException {
        final boolean isLast = stopping;
        final List<Flow> flows = cursor.next(isLast ? Duration.ZERO : WAIT);
        final long lost = cursor.lost();
        counts.lostSlow(lost - lostReported);
        lostReported = lost;
        if (flows.isEmpty()) {
            return !isLast && !cursor.ended();
        }
        export(flows);
        return true;
    }

    private void export(final List<Flow> flows) {
        final String lines = mask.paths().isEmpty() ? FlowJson.lines(flows) : masked(flows);
        try {
            sink.write(lines.getBytes(StandardCharsets.UTF_8));
            counts.written(flows.size());
            if (failing) {
                LOG.info("flows.export: goes on; {} lines were lost", counts.lostFailed());
            }
            failing = false;
        } catch (final IOException e) {
            counts.lostFailed(flows.size());
            if (!failing) {
                LOG.warn("flows.export: cannot be written, lines are lost: {}", e.toString());
            }
            failing = true;
        }
    }

    private String masked(final List<Flow> flows) {
        final StringBuilder lines = new StringBuilder();
        for (final Flow flow : flows) {
            final ObjectNode response = FlowJson.response(flow);
            if (response.path("flow") instanceof final ObjectNode whole) {
                response.set("flow", mask.of(whole));
            }
            lines.append(response).append('\n');
        }
        return lines.toString();
    }

    /** Exports what is there and ends. */
    @Override
    public void close() throws IOException {
        stopping = true;
        try {
            thread.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        cursor.close();
        sink.close();
    }
}
