package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.conntrack.Tuple;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.PersistentMap;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.Packet;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class FlowRecorderTest {
    private final Packet packet = new Packet();
    private final FlowStore store =
            new FlowStore(10, flow -> {}, new FlowHistory(Optional.empty()));

    @Test
    void aFullRingLosesEventsWithoutWaitingAndCountsEachOfThem() {
        final int sent = 50_000;
        final CountDownLatch handlerMayGoOn = new CountDownLatch(1);
        final LivePolicy nothing = nothing();
        final FlowRecorder recorder =
                new FlowRecorder(
                        "node-1",
                        1,
                        store,
                        revision -> {
                            await(handlerMayGoOn);
                            return nothing;
                        },
                        () -> 0);

        for (int i = 0; i < sent; i++) {
            recorder.dropped(packet, DropReason.INVALID_PACKET, 0);
        }
        assertThat(recorder.lost()).isPositive();
        handlerMayGoOn.countDown();
        recorder.close();

        assertThat(store.nextSequence() + recorder.lost()).isEqualTo(sent);
    }

    @Test
    void aFloodOfEndsLosesEndsExactlyAndNoOtherEvent() {
        final int ends = 1_000_000;
        final CountDownLatch handlerMayGoOn = new CountDownLatch(1);
        final LivePolicy nothing = nothing();
        final FlowRecorder recorder =
                new FlowRecorder(
                        "node-1",
                        1,
                        store,
                        revision -> {
                            await(handlerMayGoOn);
                            return nothing;
                        },
                        () -> 0);
        try (Conntrack table = Conntrack.open(ConntrackConfig.defaults(), 7)) {
            final int[] told = new int[1];
            table.tellEnds(
                    (flow, exit, nowNs) -> {
                        told[0]++;
                        recorder.ended(flow, FlowEnd.TIMED_OUT, nowNs);
                    });
            for (int i = 0; i < ends; i++) {
                open(table, i, 0);
            }
            int drops = 0;
            while (table.size() > 0) {
                table.expire(TimeUnit.SECONDS.toNanos(31), 4_096);
                if (drops < 5_000) {
                    recorder.dropped(packet, DropReason.INVALID_PACKET, 0);
                    drops++;
                }
            }
            assertThat(told[0]).isEqualTo(ends);
            final long lostEnds = recorder.lostEnds();
            assertThat(recorder.lost()).as("drops lost").isZero();
            assertThat(lostEnds).isPositive();
            handlerMayGoOn.countDown();
            recorder.close();

            assertThat(store.nextSequence() - drops + lostEnds)
                    .as("seen + lost = produced")
                    .isEqualTo(ends);
        }
    }

    @Test
    void aFloodOfSeveralLanesIsCountedExactly() throws InterruptedException {
        final int endsOfEach = 100_000;
        final int dropsOfEach = 50_000;
        final LivePolicy nothing = nothing();
        final FlowRecorder recorder =
                new FlowRecorder("node-1", 2, store, revision -> nothing, () -> 0);
        try (Conntrack table = Conntrack.open(ConntrackConfig.defaults(), 7)) {
            for (int i = 0; i < 2 * endsOfEach; i++) {
                open(table, i, 0);
            }
            final AtomicLong told = new AtomicLong();
            final List<Thread> lanes = new ArrayList<>();
            for (int number = 0; number < 2; number++) {
                final Conntrack view = table.ofLane(number, 2);
                view.tellEnds(
                        (flow, exit, nowNs) -> {
                            told.incrementAndGet();
                            recorder.ended(flow, FlowEnd.TIMED_OUT, nowNs);
                        });
                lanes.add(Thread.ofPlatform().start(() -> flood(recorder, view, dropsOfEach)));
            }
            for (final Thread lane : lanes) {
                lane.join();
            }
            recorder.close();

            assertThat(told).hasValue(2 * endsOfEach);
            assertThat(store.nextSequence() + recorder.lost() + recorder.lostEnds())
                    .as("seen + lost = produced")
                    .isEqualTo(2L * (endsOfEach + dropsOfEach));
        }
    }

    /** What a lane does: all its flows expire while it drops packets. */
    private static void flood(
            final FlowRecorder recorder, final Conntrack view, final int dropCount) {
        final Packet dropped = new Packet();
        int drops = 0;
        int quiet = 0;
        while (drops < dropCount || quiet < 2) {
            quiet =
                    view.expire(TimeUnit.SECONDS.toNanos(31), Integer.MAX_VALUE) == 0
                            ? quiet + 1
                            : 0;
            if (drops < dropCount) {
                recorder.dropped(dropped, DropReason.INVALID_PACKET, 0);
                drops++;
            }
        }
    }

    private static void open(final Conntrack table, final int number, final long nowNs) {
        final Tuple tuple = new Tuple();
        tuple.protocol = 17;
        tuple.sourceLow = Tuple.mapped(0x0a000000 + number);
        tuple.sourcePort = 4_000;
        tuple.destinationLow = Tuple.mapped(0x0a800001);
        tuple.destinationPort = 9;
        assertThat(table.create(tuple, 0, nowNs)).isNotNull();
        table.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1);
        table.advance(ConntrackState.NEW, 0, 128, 1, nowNs);
    }

    @Test
    void theEndOfAFlowHasItsTotalsAndTimes() {
        final LivePolicy nothing = nothing();
        final FlowRecorder recorder =
                new FlowRecorder("node-1", 1, store, revision -> nothing, () -> 31_000_000_000L);
        try (Conntrack table = Conntrack.open(ConntrackConfig.defaults(), 7)) {
            table.tellEnds((flow, exit, nowNs) -> recorder.ended(flow, FlowEnd.TIMED_OUT, nowNs));
            open(table, 1, 1_000_000_000L);
            table.expire(31_000_000_000L, Integer.MAX_VALUE);
        }
        // A slot that told of an end tells of a drop next.
        recorder.dropped(packet, DropReason.INVALID_PACKET, 31_000_000_000L);
        recorder.close();

        final List<Flow> flows = Flows.last(store, any -> true, 2);
        final Flow flow = flows.getFirst();
        assertThat(flow.kind()).isEqualTo(Flow.Kind.END);
        assertThat(flow.verdict()).isEqualTo(Flow.Verdict.FORWARDED);
        assertThat(flow.source().address()).isEqualTo("10.0.0.1");
        assertThat(flow.source().port()).isEqualTo(4_000);
        assertThat(flow.destination().port()).isEqualTo(9);
        assertThat(flow.protocol()).isEqualTo(17);
        final FlowTotals totals = flow.totals().orElseThrow();
        assertThat(totals.end()).isEqualTo(FlowEnd.TIMED_OUT);
        assertThat(totals.initiatorPackets()).isEqualTo(1);
        assertThat(totals.initiatorBytes()).isEqualTo(128);
        assertThat(totals.responderPackets()).isZero();
        assertThat(totals.duration()).isZero();
        assertThat(Duration.between(totals.lastSeen(), flow.time()))
                .isEqualTo(Duration.ofSeconds(30));
        assertThat(FlowSummary.of(flow))
                .isEqualTo("UDP: 1 packets, 128 bytes; back: 0 packets, 0 bytes; 0.000 s");
        assertThat(flows.getLast().kind()).isEqualTo(Flow.Kind.DROP);
        assertThat(flows.getLast().totals()).isEmpty();
    }

    @Test
    void aFrameThatWasNotUnderstoodClaimsNoAddresses() {
        final LivePolicy nothing = nothing();
        final FlowRecorder recorder =
                new FlowRecorder("node-1", 1, store, revision -> nothing, () -> 5_000_000_000L);
        // Whatever the frame before left behind.
        packet.tuple.sourceLow = 0xffff_0a00_0001L;
        packet.tuple.protocol = 6;
        packet.tcpFlags = 2;
        packet.knownUpTo = Packet.Known.ETHERNET;
        packet.sourceMac = 0x0200_0000_0001L;
        final Instant before = Instant.now().minus(Duration.ofSeconds(3));

        recorder.dropped(packet, DropReason.UNSUPPORTED_L3_PROTOCOL, 2_000_000_000L);
        recorder.close();

        final Flow flow = Flows.last(store, any -> true, 1).getFirst();
        assertThat(flow.source().address()).isEmpty();
        assertThat(flow.source().mac()).isEqualTo("02:00:00:00:00:01");
        assertThat(flow.ipVersion()).isZero();
        assertThat(flow.protocol()).isZero();
        assertThat(flow.tcpFlags()).isZero();
        assertThat(flow.lengthBytes()).isZero();
        assertThat(flow.reply()).isFalse();
        assertThat(flow.ingressBy()).isEmpty();
        assertThat(flow.dropReason()).isEqualTo(139);
        // The event was three seconds old by the lane's clock when it was named.
        assertThat(flow.time()).isBetween(before, before.plus(Duration.ofSeconds(60)));
    }

    @Test
    void anEventThatCannotBePutIntoWordsIsCountedAndTheNextOnesGoOn() {
        final LivePolicy nothing = nothing();
        final FlowRecorder recorder =
                new FlowRecorder(
                        "node-1",
                        1,
                        store,
                        revision -> {
                            if (revision == 1) {
                                throw new IllegalStateException("no such revision");
                            }
                            return nothing;
                        },
                        () -> 0);
        packet.policyRevision = 1;
        recorder.dropped(packet, DropReason.INVALID_PACKET, 0);
        packet.policyRevision = 2;
        recorder.dropped(packet, DropReason.INVALID_PACKET, 0);
        recorder.close();

        assertThat(recorder.lost()).isEqualTo(1);
        assertThat(store.nextSequence()).isEqualTo(1);
    }

    private static LivePolicy nothing() {
        final PolicySet policies =
                PolicyCompiler.compile(
                        World.EMPTY, new IdentityAllocator(), PolicyOptions.DEFAULTS);
        return new LivePolicy(
                1,
                Instant.EPOCH,
                0,
                World.EMPTY,
                policies,
                new PolicyEvaluator(World.EMPTY, policies),
                List.of(),
                Map.of(),
                PersistentMap.empty(),
                Map.of());
    }

    private static void await(final CountDownLatch latch) {
        try {
            latch.await();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
