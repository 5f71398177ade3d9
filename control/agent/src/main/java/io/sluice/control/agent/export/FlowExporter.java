package io.sluice.control.agent.export;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowCursor;
import io.sluice.control.agent.api.FlowJson;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Gives every flow that is wanted to a destination, as a line of JSON.
 *
 * <p>Theory of operation. The exporter is a follower of the flow ring like any other: nobody waits
 * for it, and what the ring overtakes before it was read is counted exactly (cause {@code slow}).
 * It takes at most 1,024 flows at a time, and makes lines of those that the filters take. What
 * becomes of these the destination counts. So the flows that it was there for are those written,
 * lost, on their way, or left out by a filter.
 *
 * <p>A stop exports what the ring has and ends. A kill loses what was not yet written: of a file
 * the last {@link #WAIT} at most, unless it was behind.
 *
 * <p>Thread: its own; {@link #begin} and {@link #close} whoever composes the daemon.
 */
final class FlowExporter implements AutoCloseable {
    /** How long the exporter waits for a flow before it looks whether it is to end. */
    static final Duration WAIT = Duration.ofMillis(100);

    private final FlowCursor cursor;
    private final Destination destination;
    private final FieldMask mask;
    private final ExportCounts counts;
    private final Thread thread;
    private volatile boolean stopping;
    private long lostReported;

    /**
     * @param name of the thread
     * @param cursor closed by this
     * @param destination closed by this
     */
    FlowExporter(
            final String name,
            final FlowCursor cursor,
            final Destination destination,
            final FieldMask mask,
            final ExportCounts counts) {
        this.cursor = cursor;
        this.destination = destination;
        this.mask = mask;
        this.counts = counts;
        this.thread = Thread.ofPlatform().name(name).daemon().unstarted(this::run);
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
        counts.offered(lost - lostReported);
        counts.lost(ExportCounts.Cause.SLOW, lost - lostReported);
        lostReported = lost;
        if (flows.isEmpty()) {
            return !isLast && !cursor.ended();
        }
        export(flows);
        return true;
    }

    private void export(final List<Flow> flows) {
        final List<byte[]> lines = new ArrayList<>(flows.size());
        for (final Flow flow : flows) {
            lines.add(line(flow).getBytes(StandardCharsets.UTF_8));
        }
        counts.offered(lines.size());
        destination.take(lines);
    }

    private String line(final Flow flow) {
        if (mask.paths().isEmpty()) {
            return FlowJson.line(flow);
        }
        final ObjectNode response = FlowJson.response(flow);
        if (response.path("flow") instanceof final ObjectNode whole) {
            response.set("flow", mask.of(whole));
        }
        return response.toString();
    }

    /** Exports what is there and ends. */
    @Override
    public void close() {
        stopping = true;
        try {
            thread.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        cursor.close();
        destination.close();
    }
}
