package io.sluice.control.agent.api;

import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowCursor;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Lines of a follower: every flow once, and a {@code lost_events} line where the ring overtook it.
 *
 * <p>Thread: the request's.
 */
final class FlowLines implements ApiReply.LineSource {
    private static final Duration WAIT = Duration.ofMillis(ApiLimits.STREAM_WAIT_MS);

    private final FlowCursor cursor;
    private final String nodeName;
    private final Clock clock;
    private long lostReported;

    FlowLines(final FlowCursor cursor, final String nodeName, final Clock clock) {
        this.cursor = cursor;
        this.nodeName = nodeName;
        this.clock = clock;
    }

    @Override
    public @Nullable String next() throws InterruptedException {
        final List<Flow> flows = cursor.next(WAIT);
        if (flows.isEmpty() && cursor.ended()) {
            return null;
        }
        final StringBuilder lines = new StringBuilder();
        final long lost = cursor.lost();
        if (lost != lostReported) {
            lines.append(FlowJson.lost(lost - lostReported, nodeName, clock.instant()))
                    .append('\n');
            lostReported = lost;
        }
        return lines.append(FlowJson.lines(flows)).toString();
    }

    @Override
    public void close() {
        cursor.close();
    }
}
