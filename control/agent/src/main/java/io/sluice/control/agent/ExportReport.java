package io.sluice.control.agent;

/**
 * A destination of the export.
 *
 * @param destination {@code file} or {@code kafka}
 * @param target which file or topic
 * @param offered flows for it since the start: written, lost or waiting
 * @param written lines that are there
 * @param lost flows that are not, and will not be
 * @param waiting lines on their way
 * @param trouble what is wrong with it; empty when it takes lines
 */
public record ExportReport(
        String destination,
        String target,
        long offered,
        long written,
        long lost,
        long waiting,
        String trouble) {
    static ExportReport of(
            final String destination, final String target, final ExportCounts counts) {
        // Ends before beginnings: none is counted as waiting twice, or fewer than none.
        final long lost = counts.lost();
        final long written = counts.written();
        final long offered = counts.offered();
        return new ExportReport(
                destination,
                target,
                offered,
                written,
                lost,
                offered - written - lost,
                counts.trouble());
    }
}
