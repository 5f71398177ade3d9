package io.sluice.control.agent.export;

import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.Exports;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowQuery;
import io.sluice.control.agent.SluiceConfig;
import io.sluice.control.agent.SluiceConfig.FlowExport;
import io.sluice.control.agent.StartupException;
import io.sluice.control.agent.hubble.ExportFilter;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * The exports that the configuration asks for: to a file or a stream, to a topic of Kafka. None
 * waits for another. Classes of Kafka's client are loaded for a topic, and not without one.
 */
public final class FlowExports {
    private static final int MEBIBYTE = 1 << 20;

    private FlowExports() {}

    /**
     * Begins to export where the configuration says so, with the flows of this daemon from its
     * first on.
     *
     * @return ends them all
     * @throws StartupException when filters cannot be read, or what Kafka's client needs
     */
    public static AutoCloseable start(
            final SluiceConfig config, final ControlPlane control, final Exports exports)
            throws StartupException {
        final FlowExport export = config.flowExport();
        final List<FlowExporter> exporters = new ArrayList<>();
        if (export.file().isPresent()) {
            exporters.add(toFile(export.file().get(), export, control, exports.file()));
        }
        if (!export.kafka().bootstrapServers().isEmpty()) {
            exporters.add(toTopic(config.nodeName(), export.kafka(), control, exports.kafka()));
        }
        exporters.forEach(FlowExporter::begin);
        return () -> exporters.forEach(FlowExporter::close);
    }

    private static FlowExporter toFile(
            final String file,
            final FlowExport export,
            final ControlPlane control,
            final ExportCounts counts)
            throws StartupException {
        final Predicate<Flow> filter = ExportFilter.of("flows.export.", export.selection());
        return new FlowExporter(
                "sluice-flow-export",
                control.follow(wanted(control, filter)),
                new SinkDestination(sink(file, export), counts),
                new FieldMask(export.selection().fieldMask()),
                counts);
    }

    private static FlowExporter toTopic(
            final String nodeName,
            final FlowExport.Kafka kafka,
            final ControlPlane control,
            final ExportCounts counts)
            throws StartupException {
        final Predicate<Flow> filter = ExportFilter.of("flows.export.kafka.", kafka.selection());
        final Destination topic = KafkaDestination.open(nodeName, kafka, counts);
        return new FlowExporter(
                "sluice-kafka-flows",
                control.follow(wanted(control, filter)),
                topic,
                new FieldMask(kafka.selection().fieldMask()),
                counts);
    }

    private static LineSink sink(final String file, final FlowExport export) {
        return file.equals(FlowExport.STDOUT)
                ? new StreamSink(System.out)
                : new RotatingFile(
                        Path.of(file),
                        (long) export.fileMaxSizeMb() * MEBIBYTE,
                        export.fileMaxBackups(),
                        export.fileCompress(),
                        Clock.systemUTC(),
                        RotatingFile::open);
    }

    /**
     * Those of a predecessor are the predecessor's to export; the time keeps the question from
     * reading all that is stored.
     */
    private static FlowQuery wanted(final ControlPlane control, final Predicate<Flow> filter) {
        final long first = control.flowActivity().firstSequence();
        return new FlowQuery(
                flow -> flow.sequence() >= first && filter.test(flow),
                List.of(),
                ProcessHandle.current().info().startInstant().orElse(control.status().startedAt()),
                Instant.MAX,
                FlowQuery.End.FIRST,
                Integer.MAX_VALUE);
    }
}
