package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.PersistentMap;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.Packet;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
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
