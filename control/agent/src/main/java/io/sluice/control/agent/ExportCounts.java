package io.sluice.control.agent;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What became of the flows for one destination of the export: offered = written + lost + waiting.
 *
 * <p>Thread: written by the destination's, read by any.
 */
public final class ExportCounts {
    /** Why a flow is lost. */
    public enum Cause {
        /** The ring went on without the exporter. */
        SLOW,
        /** There was no room to wait in. */
        FULL,
        /** The destination did not take it. */
        FAILED;

        /** Value of the label {@code cause}. */
        String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private final AtomicLong offered = new AtomicLong();
    private final AtomicLong written = new AtomicLong();
    private final Map<Cause, AtomicLong> lost = new EnumMap<>(Cause.class);
    private volatile String trouble = "";

    public ExportCounts() {
        for (final Cause cause : Cause.values()) {
            lost.put(cause, new AtomicLong());
        }
    }

    /** Flows that the filters took, and those that the ring overtook, which nobody could ask. */
    public void offered(final long flows) {
        offered.addAndGet(flows);
    }

    public void written(final long lines) {
        written.addAndGet(lines);
    }

    public void lost(final Cause cause, final long flows) {
        of(cause).addAndGet(flows);
    }

    /**
     * Says how the destination is.
     *
     * @param sentence what is wrong with it; empty when it takes lines
     */
    public void trouble(final String sentence) {
        trouble = sentence;
    }

    public long offered() {
        return offered.get();
    }

    public long written() {
        return written.get();
    }

    public long lost(final Cause cause) {
        return of(cause).get();
    }

    /** Every cause has one; the map does not change. */
    private AtomicLong of(final Cause cause) {
        return Objects.requireNonNull(lost.get(cause));
    }

    /** For any cause. */
    public long lost() {
        long sum = 0;
        for (final Cause cause : Cause.values()) {
            sum += lost(cause);
        }
        return sum;
    }

    public String trouble() {
        return trouble;
    }
}
