package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class FlowStoreTest {
    private static final Duration NO_WAIT = Duration.ZERO;

    private final FlowStore store = new FlowStore(4, flow -> {}, new FlowHistory(Optional.empty()));

    @Test
    void theLastFlowsComeOldestFirst() {
        append(3);

        assertThat(Flows.last(store, flow -> true, 2))
                .extracting(Flow::sequence)
                .containsExactly(1L, 2L);
        assertThat(store.size()).isEqualTo(3);
    }

    @Test
    void onlyMatchingFlowsCountTowardsTheLast() {
        append(4);

        assertThat(Flows.last(store, flow -> flow.sequence() % 2 == 0, 2))
                .extracting(Flow::sequence)
                .containsExactly(0L, 2L);
    }

    @Test
    void aFullRingForgetsItsOldestFlow() {
        append(6);

        assertThat(Flows.last(store, flow -> true, 10))
                .extracting(Flow::sequence)
                .containsExactly(2L, 3L, 4L, 5L);
        assertThat(store.size()).isEqualTo(4);
    }

    @Test
    void aStoreThatIsOffTakesNothingAndSaysSo() {
        final FlowStore off = FlowStore.off(new FlowHistory(Optional.empty()));
        off.append(Flows::withSequence);
        off.append(batch(0, 2));

        assertThat(off.seen()).isZero();
        assertThat(off.size()).isZero();
        assertThatThrownBy(() -> off.read(FlowQuery.ALL))
                .isInstanceOf(RequestException.class)
                .hasMessageContaining("flows.enabled");
        assertThatThrownBy(() -> off.follow(FlowQuery.ALL)).isInstanceOf(RequestException.class);
    }

    @Test
    void theRateIsThatOfTheLastMinuteOrOfWhatTheRingHas() {
        final Instant start = Instant.parse("2026-03-01T10:00:00Z");
        assertThat(store.ratePerSecond(start)).isZero();

        appendAt(start);
        appendAt(start.plusSeconds(50));
        appendAt(start.plusSeconds(55));

        assertThat(store.ratePerSecond(start.plusSeconds(60))).isEqualTo(3 / 60.0);
        assertThat(store.ratePerSecond(start.plusSeconds(100))).isEqualTo(2 / 60.0);
        assertThat(store.ratePerSecond(start.plusSeconds(200))).isZero();

        // The ring holds four flows, all of the last two seconds.
        for (int i = 0; i < 6; i++) {
            appendAt(start.plusSeconds(98));
        }
        assertThat(store.ratePerSecond(start.plusSeconds(100))).isEqualTo(4 / 2.0);
        assertThat(store.seen()).isEqualTo(9);
    }

    private void appendAt(final Instant time) {
        store.append(sequence -> Flows.at(sequence, time));
    }

    @Test
    void aCursorBeginsWithRecentFlowsAndGoesOnWithoutGap() throws InterruptedException {
        append(2);
        try (FlowCursor cursor = follow(1)) {
            append(1);

            assertThat(sequences(cursor)).containsExactly(1L);
            assertThat(sequences(cursor)).containsExactly(2L);
            assertThat(sequences(cursor)).isEmpty();
            assertThat(cursor.lost()).isZero();
        }
    }

    @Test
    void aCursorThatIsOvertakenKnowsExactlyHowManyItMissed() throws InterruptedException {
        try (FlowCursor cursor = follow(0)) {
            append(7);

            assertThat(sequences(cursor)).containsExactly(3L, 4L, 5L, 6L);
            assertThat(cursor.lost()).isEqualTo(3);
        }
    }

    @Test
    void aCursorReadsWhatIsThereBeforeItEndsWithTheStore() throws InterruptedException {
        final FlowCursor cursor = follow(0);
        append(1);
        store.close();

        assertThat(cursor.ended()).isFalse();
        assertThat(sequences(cursor)).containsExactly(0L);
        assertThat(cursor.ended()).isTrue();
        assertThat(cursor.next(Duration.ofDays(1))).isEmpty();
    }

    @Test
    void aBatchGetsTheSequencesThatAreNextWhereAnotherWasFaster() throws InterruptedException {
        final List<Flow> batch = batch(store.nextSequence(), 2);
        store.append(Flows::withSequence);
        try (FlowCursor cursor = follow(1)) {
            store.append(batch);

            assertThat(sequences(cursor)).containsExactly(0L);
            final List<Flow> told = cursor.next(NO_WAIT);
            assertThat(told).extracting(Flow::sequence).containsExactly(1L, 2L);
            assertThat(told).extracting(flow -> flow.id().low()).containsExactly(1L, 2L);
        }
    }

    @Test
    void appendersOfBatchesAndOfFlowsLeaveNoGap() throws InterruptedException {
        final int rounds = 2_000;
        final AtomicLong counted = new AtomicLong();
        final FlowStore large =
                new FlowStore(
                        rounds * 9,
                        flow -> counted.incrementAndGet(),
                        new FlowHistory(Optional.empty()));
        final Runnable ofBatches =
                () -> {
                    for (int i = 0; i < rounds; i++) {
                        large.append(batch(large.nextSequence(), 4));
                    }
                };
        final List<Thread> appenders =
                List.of(
                        Thread.ofPlatform().start(ofBatches),
                        Thread.ofPlatform().start(ofBatches),
                        Thread.ofPlatform()
                                .start(
                                        () -> {
                                            for (int i = 0; i < rounds; i++) {
                                                large.append(Flows::withSequence);
                                            }
                                        }));
        for (final Thread appender : appenders) {
            appender.join();
        }

        final List<Flow> flows = Flows.last(large, any -> true, rounds * 9);
        assertThat(flows).hasSize(rounds * 9);
        for (int i = 0; i < flows.size(); i++) {
            assertThat(flows.get(i).sequence()).isEqualTo(i);
            if (flows.get(i).id().high() == 7) {
                assertThat(flows.get(i).id().low()).isEqualTo(i);
            }
        }
        assertThat(counted.get()).isEqualTo(rounds * 9);
    }

    private static List<Flow> batch(final long first, final int count) {
        final List<Flow> batch = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            batch.add(Flows.told(first + i));
        }
        return batch;
    }

    @Test
    void aWaitingCursorIsWokenByAFlow() throws Exception {
        final FlowCursor cursor = follow(0);
        final Thread writer = Thread.ofVirtual().start(() -> append(1));

        assertThat(cursor.next(Duration.ofDays(1))).hasSize(1);
        writer.join();
    }

    private FlowCursor follow(final int last) {
        return store.follow(Flows.latest(flow -> true, last));
    }

    private static List<Long> sequences(final FlowCursor cursor) throws InterruptedException {
        return cursor.next(NO_WAIT).stream().map(Flow::sequence).toList();
    }

    private void append(final int count) {
        for (int i = 0; i < count; i++) {
            store.append(Flows::withSequence);
        }
    }
}
