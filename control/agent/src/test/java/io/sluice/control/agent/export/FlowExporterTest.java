package io.sluice.control.agent.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.ExportCounts.Cause;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.NarrowFile;
import io.sluice.control.agent.SluiceConfig;
import io.sluice.control.agent.StartupException;
import io.sluice.control.agent.api.FlowJson;
import io.sluice.control.agent.hubble.ExportFilter;
import io.sluice.dataplane.FlowEnd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Predicate;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Lines of exported flows, and what is left of them when something goes wrong. */
class FlowExporterTest {
    private static final Instant START = Instant.parse("2026-03-01T10:00:00Z");

    @TempDir private Path folder;

    private final ExportCounts counts = new ExportCounts();
    private final RingOfPieces ring = new RingOfPieces(START);
    private long nowMs;

    private Path file() {
        return folder.resolve("flows.log");
    }

    private RotatingFile rotating(
            final long bytesMax, final int backupsMax, final boolean compress) {
        return new RotatingFile(
                file(), bytesMax, backupsMax, compress, clock(), RotatingFile::open);
    }

    /** A millisecond later each time it is asked. */
    private Clock clock() {
        return new Clock() {
            @Override
            public Instant instant() {
                return START.plusMillis(nowMs++);
            }

            @Override
            public java.time.ZoneId getZone() {
                return ZoneOffset.UTC;
            }

            @Override
            public Clock withZone(final java.time.ZoneId zone) {
                return this;
            }
        };
    }

    private FlowExporter exporter(
            final LineSink sink, final ExportCounts own, final String... mask) {
        return new FlowExporter(
                "export", ring, new SinkDestination(sink, own), new FieldMask(List.of(mask)), own);
    }

    private void export(final LineSink sink, final String... mask) throws Exception {
        final FlowExporter exporter = exporter(sink, counts, mask);
        while (exporter.turn()) {
            // Until nothing is left.
        }
    }

    private List<Flow> append(final int count) {
        return ring.append(count);
    }

    private static Flow end(final Flow flow) {
        return new Flow(
                flow.sequence(),
                flow.time(),
                flow.uuid(),
                flow.nodeName(),
                Flow.Kind.END,
                flow.verdict(),
                0,
                "",
                4,
                6,
                0,
                -1,
                -1,
                flow.source(),
                flow.destination(),
                flow.direction(),
                false,
                1,
                List.of(),
                List.of(),
                0,
                Optional.empty(),
                Optional.of(
                        new FlowTotals(
                                FlowEnd.RESET, flow.time(), flow.time(), 1, 60, 0, 0, 0, "")));
    }

    private static List<String> lines(final List<Flow> flows) {
        return flows.stream().map(flow -> FlowJson.response(flow).toString()).toList();
    }

    @Test
    void everyFlowIsALineAndALaterExportGoesOnBehindThem() throws Exception {
        final List<Flow> flows = new ArrayList<>(append(3));
        try (RotatingFile sink = rotating(1 << 20, 1, false)) {
            export(sink);
        }
        flows.addAll(append(2));
        try (RotatingFile sink = rotating(1 << 20, 1, false)) {
            export(sink);
        }

        assertThat(Files.readAllLines(file())).isEqualTo(lines(flows));
        assertThat(counts.written()).isEqualTo(5);
        assertThat(counts.lost()).isZero();
    }

    @Test
    void ofTheFlowThoseFieldsAreWrittenThatTheMaskNames() throws Exception {
        append(1);
        final ByteArrayOutputStream stream = new ByteArrayOutputStream();
        export(
                new StreamSink(new PrintStream(stream, true, StandardCharsets.UTF_8)),
                "source.namespace",
                "source.labels",
                "l4.TCP.flags.SYN",
                "verdict",
                "l7.http");

        assertThat(stream.toString(StandardCharsets.UTF_8))
                .isEqualTo(
                        """
                        {"flow":{"source":{"namespace":"shop","labels":["k8s:app=a"]},\
                        "l4":{"TCP":{"flags":{"SYN":true}}},"verdict":"FORWARDED"},\
                        "node_name":"node-1","time":"2026-03-01T10:00:00Z"}
                        """);
    }

    @Test
    void aFullFileMakesWayAndOfThoseBesideTheOldestGo() throws Exception {
        final List<Flow> flows = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            flows.addAll(append(5));
        }
        final int lineBytes = lines(flows).getFirst().length() + 1;
        try (RotatingFile sink = rotating(12L * lineBytes, 3, false)) {
            export(sink);
        }

        final List<Path> files = files();
        assertThat(files).hasSize(4);
        final List<String> left = new ArrayList<>();
        for (final Path one : files) {
            assertThat(Files.size(one)).isLessThanOrEqualTo(12L * (lineBytes + 4));
            left.addAll(Files.readAllLines(one));
        }
        // The latest, whole and in order.
        assertThat(left).isEqualTo(lines(flows.subList(flows.size() - left.size(), flows.size())));
        assertThat(left).hasSizeGreaterThan(30);
        assertThat(counts.written()).isEqualTo(200);
    }

    @Test
    void fullFilesAreDeflated() throws Exception {
        final List<Flow> flows = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            flows.addAll(append(5));
        }
        try (RotatingFile sink = rotating(2000, 100, true)) {
            export(sink);
        }

        final List<String> left = new ArrayList<>();
        for (final Path one : files()) {
            if (one.toString().endsWith(".log.gz")) {
                try (GZIPInputStream in = new GZIPInputStream(Files.newInputStream(one))) {
                    new String(in.readAllBytes(), StandardCharsets.UTF_8)
                            .lines()
                            .forEach(left::add);
                }
            } else {
                assertThat(one).isEqualTo(file());
                left.addAll(Files.readAllLines(one));
            }
        }
        assertThat(left).isEqualTo(lines(flows));
    }

    @Test
    void withoutBackupsOnlyTheFileItselfIsThere() throws Exception {
        for (int i = 0; i < 10; i++) {
            append(5);
        }
        try (RotatingFile sink = rotating(2000, 0, true)) {
            export(sink);
        }

        assertThat(files()).containsExactly(file());
    }

    /** By time; the file itself last. */
    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            final List<Path> sorted = new ArrayList<>(files.sorted().toList());
            if (sorted.remove(file())) {
                sorted.add(file());
            }
            return sorted;
        }
    }

    @Test
    void aLineThatAKillCutShortIsCutOff() throws Exception {
        final List<Flow> flows = new ArrayList<>(append(3));
        try (RotatingFile sink = rotating(1 << 20, 1, false)) {
            export(sink);
        }
        Files.writeString(file(), "{\"flow\":" + "x".repeat(20_000), StandardOpenOption.APPEND);
        flows.addAll(append(1));
        try (RotatingFile sink = rotating(1 << 20, 1, false)) {
            export(sink);
        }

        assertThat(Files.readAllLines(file())).isEqualTo(lines(flows));
    }

    @Test
    void aFileThatSomebodyMovedIsBegunAnew() throws Exception {
        try (RotatingFile sink = rotating(1 << 20, 1, false)) {
            append(1);
            export(sink);
            Files.move(file(), folder.resolve("moved"));
            final List<Flow> later = append(2);
            export(sink);

            assertThat(Files.readAllLines(file())).isEqualTo(lines(later));
        }
    }

    /** Sum of written and lost is what there was, and the file holds the written, whole. */
    @Test
    void aFullFileSystemLosesLinesExactlyAndTheExportGoesOnWhenThereIsRoom() throws Exception {
        final Random random = new Random(7);
        for (int round = 0; round < 50; round++) {
            final Path narrow = folder.resolve("narrow-" + round);
            final ExportCounts own = new ExportCounts();
            final long[] room = {random.nextInt(20_000)};
            final List<Flow> flows = new ArrayList<>();
            try (RotatingFile sink =
                    new RotatingFile(
                            narrow,
                            1 << 20,
                            1,
                            false,
                            clock(),
                            file -> new NarrowFile(RotatingFile.open(file), room))) {
                for (int i = 0; i < 10; i++) {
                    flows.addAll(append(1 + random.nextInt(9)));
                }
                final FlowExporter exporter = exporter(sink, own);
                while (exporter.turn()) {
                    // Until nothing is left.
                }
                assertThat(own.written() + own.lost(Cause.FAILED)).isEqualTo(flows.size());
                assertThat(Files.readAllLines(narrow)).hasSize((int) own.written());
                assertThat(lines(flows)).containsAll(Files.readAllLines(narrow));

                final long before = own.written();
                room[0] = 1 << 20;
                final List<Flow> later = append(3);
                while (exporter.turn()) {
                    // Until nothing is left.
                }
                assertThat(own.written()).isEqualTo(before + 3);
                final List<String> all = Files.readAllLines(narrow);
                assertThat(all.subList(all.size() - 3, all.size())).isEqualTo(lines(later));
            }
        }
    }

    @Test
    void aFolderThatIsNotThereLosesEverythingAndIsTriedAgain() throws Exception {
        final Path file = folder.resolve("none/flows.log");
        try (RotatingFile sink =
                new RotatingFile(file, 1 << 20, 1, false, clock(), RotatingFile::open)) {
            append(2);
            export(sink);
            assertThat(counts.lost(Cause.FAILED)).isEqualTo(2);

            Files.createDirectory(folder.resolve("none"));
            final List<Flow> later = append(1);
            export(sink);

            assertThat(Files.readAllLines(file)).isEqualTo(lines(later));
            assertThat(counts.written()).isEqualTo(1);
        }
    }

    @Test
    void aStreamThatTakesNothingMoreIsAFailureToo() {
        final PrintStream closed = new PrintStream(new ByteArrayOutputStream());
        closed.close();

        assertThatThrownBy(() -> new StreamSink(closed).write(new byte[] {'\n'}))
                .isInstanceOf(IOException.class);
    }

    private static Predicate<Flow> filtered(final String allow, final String deny)
            throws StartupException {
        return ExportFilter.of(
                "flows.export.", new SluiceConfig.FlowExport.Selection(List.of(), allow, deny));
    }

    @Test
    void filtersAreHubblesAsJson() throws Exception {
        final Flow flow = append(1).getFirst();

        assertThat(filtered("", "").test(flow)).isTrue();
        assertThat(filtered("{\"verdict\":[\"DROPPED\",\"FORWARDED\"]}", "").test(flow)).isTrue();
        assertThat(filtered("{\"verdict\":[\"DROPPED\"]},{\"source_pod\":[\"x/\"]}", "").test(flow))
                .isFalse();
        assertThat(filtered("", "{\"source_pod\":[\"shop/a\"]}").test(flow)).isFalse();
        final Flow end = end(flow);
        assertThat(filtered("", "").test(end)).isFalse();
        assertThat(filtered("{\"source_pod\":[\"shop/a\"]}", "").test(end)).isFalse();
        final String ends = "{},{\"event_type\":[{\"type\":200}]}";
        assertThat(filtered(ends, "").test(end)).isTrue();
        assertThat(filtered(ends, "").test(flow)).isTrue();
        assertThat(filtered(ends, "{\"source_pod\":[\"x/\"]}").test(end)).isTrue();
        assertThat(filtered(ends, "{\"source_pod\":[\"shop/\"]}").test(end)).isFalse();
        for (final String wrong :
                List.of(
                        "{\"verdict\":[\"NO\"]}",
                        "{\"sauce\":1}",
                        "x",
                        "{\"http_path\":[\"(\"]}")) {
            assertThatThrownBy(() -> filtered("", wrong))
                    .isInstanceOf(StartupException.class)
                    .hasMessageStartingWith("flows.export.denyList: ");
        }
    }

    @Test
    void whatTheRingOvertookIsCounted() throws Exception {
        append(2);
        ring.lose(5);
        export(rotating(1 << 20, 1, false));
        append(2);
        ring.lose(7);
        export(rotating(1 << 20, 1, false));

        assertThat(counts.written()).isEqualTo(4);
        assertThat(counts.lost(Cause.SLOW)).isEqualTo(5 + 12);
        assertThat(counts.offered()).isEqualTo(4 + 5 + 12);
    }
}
