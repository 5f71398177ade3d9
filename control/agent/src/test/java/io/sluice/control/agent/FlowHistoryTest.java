package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.api.FlowFilter;
import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.agent.flowlog.LogLimits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class FlowHistoryTest {
    private static final LogLimits LIMITS = new LogLimits(64L << 20, Duration.ofDays(7));
    private static final int RING = 100;

    @TempDir private Path folder;

    @Test
    void flowsThatTheRingHasForgottenComeFromTheFiles() throws Exception {
        final List<Flow> appended = new ArrayList<>();
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            appendRandom(store, 20_000, 1, appended);

            assertThat(read(store, FlowQuery.ALL)).isEqualTo(appended);
            for (final int count : new int[] {0, 1, RING, RING + 1, 5_000, 19_999, 30_000}) {
                assertThat(read(store, Flows.latest(flow -> true, count)))
                        .as("the last %d", count)
                        .isEqualTo(appended.subList(Math.max(0, 20_000 - count), 20_000));
                assertThat(read(store, first(count)))
                        .as("the first %d", count)
                        .isEqualTo(appended.subList(0, Math.min(count, 20_000)));
            }
            assertThat(history.stored() + history.lost()).isEqualTo(history.offered());
        }
    }

    @Test
    void onlyMatchingFlowsCountTowardsTheLast() throws Exception {
        final List<Flow> appended = new ArrayList<>();
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            appendRandom(store, 10_000, 2, appended);
            final Predicate<Flow> rare = flow -> flow.sequence() % 333 == 0;
            final List<Flow> matching = appended.stream().filter(rare).toList();

            assertThat(read(store, Flows.latest(rare, 10)))
                    .isEqualTo(matching.subList(matching.size() - 10, matching.size()));
        }
    }

    @Test
    void aQuestionForATimeGetsTheFlowsOfThatTimeOnly() throws Exception {
        final List<Flow> appended = new ArrayList<>();
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            appendRandom(store, 12_000, 3, appended);
            final Instant since = appended.get(2_345).time();
            final Instant until = appended.get(9_876).time();

            assertThat(
                            read(
                                    store,
                                    new FlowQuery(
                                            flow -> true,
                                            List.of(),
                                            since,
                                            until,
                                            FlowQuery.End.LAST,
                                            Integer.MAX_VALUE)))
                    .isEqualTo(
                            appended.stream()
                                    .filter(flow -> !flow.time().isBefore(since))
                                    .filter(flow -> !flow.time().isAfter(until))
                                    .toList());
        }
    }

    /** Keys only save time: with them and without them the answer is the same. */
    @ParameterizedTest
    @EnumSource(Flow.Verdict.class)
    void keysDoNotChangeAnAnswer(final Flow.Verdict verdict) throws Exception {
        final List<Flow> appended = new ArrayList<>();
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            final FlowStore store = new FlowStore(1, flow -> {}, history);
            appendRandom(store, 9_000, 4, appended);
            final Predicate<Flow> filter =
                    flow -> flow.verdict() == verdict && flow.source().namespace().equals("ns3");
            final FlowQuery query =
                    new FlowQuery(
                            filter,
                            List.of(
                                    new long[] {FlowKeys.verdict(verdict)},
                                    new long[] {FlowKeys.namespace("ns3")}),
                            Instant.MIN,
                            Instant.MAX,
                            FlowQuery.End.LAST,
                            Integer.MAX_VALUE);

            assertThat(read(store, query)).isEqualTo(appended.stream().filter(filter).toList());
        }
    }

    /** What is asked for may be one flow, one block's, or of them all. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "pod=ns3/pod-",
                "pod=/pod-",
                "pod=ns3/nobody",
                "from-pod=ns2/pod&to-namespace=ns1",
                "ip=10.0.0.7",
                "to-ip=2001:db8::/112",
                "label=app=7",
                "label=app=7&label=app=8",
                "from-label=app",
                "fqdn=name1*",
                "identity=258",
                "to-identity=258&from-port=80",
                "port=80&pod=ns1/pod",
                "not-pod=ns1/pod",
                "verdict=DROPPED&namespace=ns0",
            })
    void filtersOfStoredFlowsAnswerAsOfFlowsInMemory(final String question) throws Exception {
        final Map<String, List<String>> values = new HashMap<>();
        for (final String parameter : question.split("&", -1)) {
            final String[] nameAndValue = parameter.split("=", 2);
            values.computeIfAbsent(nameAndValue[0], _ -> new ArrayList<>()).add(nameAndValue[1]);
        }
        final List<Flow> appended = new ArrayList<>();
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            final FlowStore store = new FlowStore(1, flow -> {}, history);
            appendRandom(store, 13_000, 12, appended);
            final FlowQuery all = FlowFilter.query(values, Integer.MAX_VALUE);
            final List<Flow> matching = appended.stream().filter(all.filter()).toList();

            assertThat(read(store, all)).isEqualTo(matching);
            for (final int count : new int[] {1, 40, 3_000}) {
                final FlowQuery last = FlowFilter.query(values, count);
                assertThat(read(store, last))
                        .as("the last %d", count)
                        .isEqualTo(
                                matching.subList(
                                        Math.max(0, matching.size() - count), matching.size()));
            }
        }
    }

    @Test
    void sequencesGoOnAfterARestart() throws Exception {
        final List<Flow> appended = new ArrayList<>();
        for (int run = 0; run < 5; run++) {
            try (FlowHistory history = open(FlowLog.Start.ALONE)) {
                assertThat(history.nextSequence()).isEqualTo(appended.size());
                final FlowStore store = new FlowStore(RING, flow -> {}, history);
                appendRandom(store, 700 + run * 2_000, run, appended);

                assertThat(read(store, FlowQuery.ALL)).isEqualTo(appended);
            }
        }
    }

    @Test
    void aFollowerBeginsInTheFilesAndGoesOnWithoutGap() throws Exception {
        final List<Flow> appended = new ArrayList<>();
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            appendRandom(store, 6_000, 5, appended);
            final List<Flow> followed = new ArrayList<>();
            try (FlowCursor cursor = store.follow(Flows.latest(flow -> true, 5_000))) {
                appendRandom(store, 50, 6, appended);
                while (followed.size() < 5_050) {
                    followed.addAll(cursor.next(Duration.ofDays(1)));
                }

                assertThat(cursor.lost()).isZero();
            }
            assertThat(followed).isEqualTo(appended.subList(1_000, 6_050));
        }
    }

    /** Nobody empties the queue, so it fills up. */
    @Test
    void whatTheQueueCannotTakeIsCounted() throws Exception {
        try (FlowHistory history =
                FlowHistory.open(folder, Optional.of(LIMITS), FlowLog.Start.ALONE)) {
            final int produced = FlowHistory.QUEUE_FLOWS + 1_234;
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            appendRandom(store, produced, 10, new ArrayList<>());
            history.start();
            flushWhole(history);

            final List<Flow> seen = readFiles(history);
            assertThat(history.lost()).isEqualTo(1_234);
            assertThat(seen.size() + history.lost()).isEqualTo(produced);
            assertThat(history.offered()).isEqualTo(produced);
            assertThat(history.stored()).isEqualTo(seen.size());
        }
    }

    @Test
    void threadsThatAppendAtOnceLoseNothingUncounted() throws Exception {
        final int each = 60_000;
        final long seen;
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            final List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                final int seed = i;
                threads.add(
                        Thread.ofPlatform()
                                .start(() -> appendRandom(store, each, seed, new ArrayList<>())));
            }
            for (final Thread thread : threads) {
                thread.join();
            }
            flushWhole(history);

            final List<Long> sequences = readFiles(history).stream().map(Flow::sequence).toList();
            seen = sequences.size();
            assertThat(sequences).isSorted().doesNotHaveDuplicates();
            assertThat(seen + history.lost()).isEqualTo(3L * each);
            assertThat(history.stored()).isEqualTo(seen);
        }
        try (FlowHistory history = open(FlowLog.Start.ALONE)) {
            assertThat(readFiles(history)).hasSize((int) seen);
        }
    }

    @Test
    void aHistoryThatIsOffCountsEverythingAsLost() throws Exception {
        try (FlowHistory history =
                FlowHistory.open(folder, Optional.empty(), FlowLog.Start.ALONE)) {
            history.start();
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            for (int i = 0; i < 2 * RING; i++) {
                store.append(Flows::withSequence);
            }

            assertThat(history.lost()).isEqualTo(2 * RING);
            assertThat(read(store, FlowQuery.ALL)).hasSize(RING);
        }
    }

    @Test
    void aFolderThatCannotBeOpenedLeavesTheFlowsInMemory() throws Exception {
        final Path file = Files.writeString(folder.resolve("file"), "");
        try (FlowHistory history =
                FlowHistory.open(file.resolve("flows"), Optional.of(LIMITS), FlowLog.Start.ALONE)) {
            history.start();
            final FlowStore store = new FlowStore(RING, flow -> {}, history);
            store.append(Flows::withSequence);

            assertThat(history.isKept()).isFalse();
            assertThat(history.lost()).isEqualTo(1);
            assertThat(read(store, FlowQuery.ALL)).hasSize(1);
        }
    }

    /** A successor reads what is there, writes beside, and has it all once the other has ended. */
    @Test
    void aSuccessorTakesTheFilesOver() throws Exception {
        final List<Flow> appended = new ArrayList<>();
        final FlowHistory predecessor = open(FlowLog.Start.ALONE);
        final FlowStore before = new FlowStore(RING, flow -> {}, predecessor);
        appendRandom(before, 5_000, 7, appended);
        flushWhole(predecessor);
        try (FlowHistory successor = open(FlowLog.Start.BESIDE)) {
            final FlowStore after = new FlowStore(RING, flow -> {}, successor);
            appendRandom(before, 6_000, 8, appended);
            final List<Flow> appendedAfter = new ArrayList<>();
            appendRandom(after, 6_000, 9, appendedAfter);
            flushWhole(successor);
            predecessor.close();
            successor.adopt();
            flushWhole(successor);

            appended.addAll(appendedAfter);
            assertThat(read(after, FlowQuery.ALL)).isEqualTo(appended);
        }
        try (FlowHistory next = open(FlowLog.Start.ALONE)) {
            assertThat(readFiles(next)).isEqualTo(appended);
        }
    }

    private FlowHistory open(final FlowLog.Start start) throws IOException {
        final FlowHistory history =
                new FlowHistory(
                        Optional.of(FlowLog.open(folder, LIMITS, Clock.systemUTC(), start)));
        history.start();
        return history;
    }

    private static void appendRandom(
            final FlowStore store, final int count, final long seed, final List<Flow> appended) {
        final Random random = new Random(seed);
        // Young enough to be kept.
        final Instant start = Instant.now().minusSeconds(3_600);
        for (int i = 0; i < count; i++) {
            store.append(
                    sequence -> {
                        final Flow flow = RandomFlows.next(random, sequence, start);
                        appended.add(flow);
                        return flow;
                    });
        }
    }

    private static FlowQuery first(final int count) {
        return new FlowQuery(
                flow -> true, List.of(), Instant.MIN, Instant.MAX, FlowQuery.End.FIRST, count);
    }

    private static List<Flow> read(final FlowStore store, final FlowQuery query) {
        return Flows.all(store.read(query));
    }

    private static List<Flow> readFiles(final FlowHistory history) {
        return Flows.all(history.read(FlowQuery.ALL, Long.MAX_VALUE));
    }

    /** However long a busy machine takes. */
    private static void flushWhole(final FlowHistory history) {
        boolean whole = false;
        while (!whole) {
            whole = history.flush();
        }
    }
}
