package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.api.FlowJson;
import io.sluice.control.agent.api.FlowJsonReader;
import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.agent.flowlog.LogLimits;
import io.sluice.control.policy.replay.FlowTally;
import io.sluice.control.policy.replay.FlowTally.Skipped;
import io.sluice.dataplane.FlowEnd;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a daemon stored, read back by others: from its folder, and from its JSON lines. */
class StoredFlowsTest {
    private static final String OTHERS = "{}[]\",: \\truefalsnl0123456789-.eE\t\u00e9";

    private final Instant start = Instant.now().minusSeconds(1_000);

    @TempDir private Path state = Path.of("");

    private List<Flow> flows(final int count) {
        final Random random = new Random(3);
        final List<Flow> flows = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            flows.add(RandomFlows.next(random, i, start));
        }
        return flows;
    }

    private void store(final List<Flow> flows) throws IOException {
        try (FlowHistory history =
                FlowHistory.open(
                        state.resolve(StoredFlows.FOLDER),
                        Optional.of(new LogLimits(64 << 20, Duration.ofDays(365))),
                        FlowLog.Start.ALONE)) {
            history.start();
            flows.forEach(history::offer);
        }
    }

    private static FlowTally ofLines(final List<Flow> flows) {
        final FlowTally tally = new FlowTally();
        final FlowJsonReader reader = new FlowJsonReader(tally);
        for (final String line : FlowJson.lines(flows).split("\n", -1)) {
            assertThat(read(reader, line)).isTrue();
        }
        return tally;
    }

    @Test
    void theStoreAndItsJsonLinesCountAlike() throws IOException {
        final List<Flow> flows = flows(20_000);
        store(flows);

        final FlowTally stored = new FlowTally();
        assertThat(StoredFlows.count(state, Instant.MIN, stored)).isZero();

        final FlowTally lines = ofLines(flows);
        assertThat(stored.traffic()).containsExactlyInAnyOrderElementsOf(lines.traffic());
        assertThat(stored.skipped()).isEqualTo(lines.skipped());
        assertThat(stored.traffic()).isNotEmpty();
    }

    @Test
    void theEndOfAFlowIsNoSecondFlow() throws IOException {
        final List<Flow> flows =
                List.of(
                        Flows.at(0, start),
                        Flows.ended(1, start.plusSeconds(12), FlowEnd.CLOSED),
                        Flows.ended(2, start.plusSeconds(12), FlowEnd.CUT));
        store(flows);

        final FlowTally stored = new FlowTally();
        StoredFlows.count(state, Instant.MIN, stored);

        for (final FlowTally tally : List.of(stored, ofLines(flows))) {
            assertThat(tally.traffic()).hasSize(1);
            assertThat(tally.traffic().getFirst().times()).isEqualTo(1);
            assertThat(tally.skipped()).containsExactly(Map.entry(Skipped.END, 2L));
        }
    }

    @Test
    void linesAreTheFlowsOneByOne() {
        final List<Flow> flows = flows(2_000);

        assertThat(FlowJson.lines(flows))
                .isEqualTo(
                        flows.stream()
                                .map(flow -> FlowJson.response(flow) + "\n")
                                .collect(Collectors.joining()));
        assertThat(FlowJson.lines(List.of())).isEmpty();
    }

    @Test
    void flowsBeforeTheTimeAreLeftOut() throws IOException {
        final List<Flow> flows = flows(10_000);
        final Instant since = flows.get(7_000).time();
        store(flows);

        final FlowTally stored = new FlowTally();
        StoredFlows.count(state, since, stored);

        assertThat(stored.traffic())
                .containsExactlyInAnyOrderElementsOf(
                        ofLines(
                                        flows.stream()
                                                .filter(flow -> !flow.time().isBefore(since))
                                                .toList())
                                .traffic());
    }

    @Test
    void readingChangesNothing() throws IOException {
        store(flows(5_000));
        final Map<String, Long> before = sizes();

        final FlowTally stored = new FlowTally();
        StoredFlows.count(state, Instant.MIN, stored);

        assertThat(stored.traffic()).isNotEmpty();
        assertThat(sizes()).isEqualTo(before);
    }

    private Map<String, Long> sizes() throws IOException {
        final Map<String, Long> sizes = new TreeMap<>();
        try (Stream<Path> files = Files.walk(state)) {
            for (final Path file : files.filter(Files::isRegularFile).toList()) {
                sizes.put(file.toString(), Files.size(file));
            }
        }
        return sizes;
    }

    @Test
    void otherLinesOfTheStreamAreCountedForWhatTheyAre() {
        final FlowTally tally = new FlowTally();
        final FlowJsonReader reader = new FlowJsonReader(tally);

        assertThat(read(reader, "{\"lost_events\":{\"num_events_lost\":\"7\"}}")).isTrue();
        assertThat(read(reader, "{\"node_status\":{\"state_change\":\"NODE_CONNECTED\"}}"))
                .isTrue();
        assertThat(read(reader, "  ")).isTrue();
        assertThat(read(reader, "{\"some\":\"thing\"}")).isFalse();
        assertThat(read(reader, "[1]")).isFalse();
        assertThat(read(reader, "{\"flow\":{\"time\":\"yesterday\"}}")).isFalse();
        assertThat(read(reader, "{\"flow\":{\"verdict\":\"FORW")).isFalse();

        assertThat(tally.skipped())
                .containsExactlyInAnyOrderEntriesOf(
                        Map.of(
                                Skipped.LOST, 7L,
                                Skipped.NOT_JUDGED, 1L,
                                Skipped.UNREADABLE, 4L));
        assertThat(tally.traffic()).isEmpty();
    }

    @Test
    void aLineAsHubbleWritesItIsReadWithAndWithoutItsEnvelope() {
        final String flow =
                """
                {"time":"2026-03-01T12:00:00.5Z","verdict":"FORWARDED","IP":{"source":"10.0.0.1",
                "destination":"192.0.2.1","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":40000,
                "destination_port":443,"flags":{"SYN":true}}},"source":{"ID":7,"identity":300,
                "namespace":"shop","labels":["k8s:app=web"],"pod_name":"web-1",
                "workloads":[{"name":"web","kind":"Deployment"}]},"destination":{"identity":16777217,
                "labels":["cidr:192.0.2.1/32","reserved:world"]},"Type":"L3_L4","node_name":"n1",
                "destination_names":["api.example.com"],"event_type":{"type":4,"sub_type":3},
                "traffic_direction":"EGRESS","trace_observation_point":"TO_STACK","l7":null,
                "is_reply":false,"interface":{"index":3},"Summary":"TCP Flags: SYN"}"""
                        .replace("\n", "");
        final FlowTally bare = new FlowTally();
        final FlowTally enveloped = new FlowTally();

        assertThat(read(new FlowJsonReader(bare), flow)).isTrue();
        assertThat(read(new FlowJsonReader(enveloped), "{\"flow\":" + flow + "}")).isTrue();

        assertThat(enveloped.traffic()).isEqualTo(bare.traffic()).hasSize(1);
        assertThat(bare.traffic().getFirst().flow().names()).containsExactly("api.example.com");
        assertThat(bare.traffic().getFirst().flow().isRequest()).isFalse();
        assertThat(bare.traffic().getFirst().flow().to().labels())
                .containsExactly("reserved:world");
    }

    /**
     * A line that begins with a tab is not of the plain form, so Jackson reads it: which of the two
     * has read a line, whole or broken, cannot be seen.
     */
    @Test
    void thePlainFormIsReadAsJacksonReadsIt() {
        final Random random = new Random(5);
        final FlowTally one = new FlowTally();
        final FlowTally other = new FlowTally();
        final FlowJsonReader plain = new FlowJsonReader(one);
        final FlowJsonReader any = new FlowJsonReader(other);
        int unreadable = 0;
        for (int i = 0; i < 20_000; i++) {
            final String written = FlowJson.response(RandomFlows.next(random, i, start)).toString();
            final String line = mutated(ascii(written, random), random);
            final boolean expected = read(any, "\t" + line);

            assertThat(read(plain, line)).as("%s", line).isEqualTo(expected);
            unreadable += expected ? 0 : 1;
            if (i % 500 == 499) {
                assertThat(one.traffic())
                        .as("%d lines", i)
                        .containsExactlyInAnyOrderElementsOf(other.traffic());
                assertThat(one.skipped()).as("%d lines", i).isEqualTo(other.skipped());
            }
        }
        assertThat(unreadable).isBetween(1_000, 15_000);
    }

    /** Most lines of a record are ASCII: of the random ones three of four. */
    private static String ascii(final String line, final Random random) {
        return random.nextInt(4) == 0 ? line : line.replace('\u00fc', 'u');
    }

    /** Half as they are; of the others one to three bytes are something else. */
    private static String mutated(final String line, final Random random) {
        final StringBuilder text = new StringBuilder(line);
        for (int i = random.nextInt(4) * random.nextInt(2); i > 0; i--) {
            final int at = random.nextInt(text.length());
            final char other = OTHERS.charAt(random.nextInt(OTHERS.length()));
            switch (random.nextInt(6)) {
                case 0 -> text.deleteCharAt(at);
                case 1 -> text.insert(at, other);
                case 2 -> text.setLength(Math.max(1, at));
                case 3 -> text.insert(at, text.substring(at, Math.min(text.length(), at + 40)));
                case 4 -> text.insert(afterComma(text, at), random.nextBoolean() ? " " : "  ");
                default -> text.setCharAt(at, other);
            }
        }
        return text.toString();
    }

    private static int afterComma(final StringBuilder text, final int from) {
        return Math.max(0, text.indexOf(",", from) + 1);
    }

    private static boolean read(final FlowJsonReader reader, final String line) {
        final byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
        return reader.read(bytes, 0, bytes.length);
    }
}
