package io.sluice.control.agent.api;

import io.sluice.control.agent.PacketReport;
import io.sluice.control.agent.TraceCursor;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Lines of a trace: a packet each, and as the last one {@code {"ended": "count", "packets": 5,
 * "lost": 0}}.
 *
 * <p>Thread: the request's.
 */
final class TraceLines implements ApiReply.LineSource {
    private static final Duration WAIT = Duration.ofMillis(ApiLimits.STREAM_WAIT_MS);

    private final TraceCursor cursor;
    private long packets;
    private boolean isOver;

    TraceLines(final TraceCursor cursor) {
        this.cursor = cursor;
    }

    @Override
    public @Nullable String next() throws InterruptedException {
        if (isOver) {
            return null;
        }
        // Asked before the last look: what came until then is still read.
        final TraceCursor.Ended ended = cursor.ended();
        final StringBuilder lines = new StringBuilder();
        for (final PacketReport packet : cursor.next(WAIT)) {
            lines.append(ApiJson.write(packet)).append('\n');
            packets++;
        }
        if (ended != TraceCursor.Ended.NOT_YET) {
            isOver = true;
            final Map<String, Object> last = new LinkedHashMap<>();
            last.put("ended", ended.name().toLowerCase(Locale.ROOT));
            last.put("packets", packets);
            last.put("lost", cursor.lost());
            lines.append(ApiJson.write(last)).append('\n');
        }
        return lines.toString();
    }

    @Override
    public void close() {
        cursor.close();
    }
}
