package io.sluice.control.agent;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Lines that the export wrote and lost.
 *
 * <p>Thread: written by the exporter's, read by any.
 */
public final class ExportCounts {
    private final AtomicLong written = new AtomicLong();
    private final AtomicLong lostSlow = new AtomicLong();
    private final AtomicLong lostFailed = new AtomicLong();

    public void written(final long lines) {
        written.addAndGet(lines);
    }

    /** The ring went on without the exporter. */
    public void lostSlow(final long flows) {
        lostSlow.addAndGet(flows);
    }

    /** The sink did not take them. */
    public void lostFailed(final long lines) {
        lostFailed.addAndGet(lines);
    }

    public long written() {
        return written.get();
    }

    public long lostSlow() {
        return lostSlow.get();
    }

    public long lostFailed() {
        return lostFailed.get();
    }
}
