package io.sluice.control.agent;

import java.util.ArrayList;
import java.util.List;

/**
 * Counts of the export's destinations, whether flows go there or not.
 *
 * @param file the file or standard output
 * @param kafka the topic
 */
public record Exports(ExportCounts file, ExportCounts kafka) {
    /** Nothing was exported yet. */
    public Exports() {
        this(new ExportCounts(), new ExportCounts());
    }

    /** The destinations that the configuration names. */
    List<ExportReport> reports(final SluiceConfig.FlowExport config) {
        final List<ExportReport> reports = new ArrayList<>();
        config.file().ifPresent(to -> reports.add(ExportReport.of("file", to, file)));
        final SluiceConfig.FlowExport.Kafka topic = config.kafka();
        if (!topic.bootstrapServers().isEmpty()) {
            reports.add(
                    ExportReport.of(
                            "kafka",
                            topic.topic() + " at " + String.join(",", topic.bootstrapServers()),
                            kafka));
        }
        return List.copyOf(reports);
    }
}
