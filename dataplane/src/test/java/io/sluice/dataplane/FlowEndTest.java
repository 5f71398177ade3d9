package io.sluice.dataplane;

import static io.sluice.dataplane.Frames.ACK;
import static io.sluice.dataplane.Frames.FIN_ACK;
import static io.sluice.dataplane.Frames.RST;
import static io.sluice.dataplane.Frames.SYN;
import static io.sluice.dataplane.Frames.SYN_ACK;
import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A6;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.B6;
import static io.sluice.dataplane.TestSwitch.OUTSIDER;
import static io.sluice.dataplane.TrafficDirection.EGRESS;
import static io.sluice.dataplane.TrafficDirection.INGRESS;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.Frames.Host;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** How flows end, what is told of it, and which direction forwarded packets count for. */
class FlowEndTest {
    private static final int FRAME_BYTES_BEFORE_IP = 14;

    private static void passes(final TestSwitch sluice, final long seconds) {
        sluice.nowNs += TimeUnit.SECONDS.toNanos(seconds);
        // A turn without packets looks at half of the slots.
        for (int i = 0; i < 4; i++) {
            sluice.turn();
        }
    }

    private static void connect(final TestSwitch sluice) {
        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        sluice.fromB(Frames.tcp(B, 80, A, 4000, SYN_ACK, 0));
        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 0));
    }

    @Test
    void aClosedConnectionIsToldOfWhenNothingMoreCanCome() {
        try (TestSwitch sluice = new TestSwitch()) {
            connect(sluice);
            passes(sluice, 2);
            sluice.fromA(Frames.tcp(A, 4000, B, 80, FIN_ACK, 0));
            sluice.fromB(Frames.tcp(B, 80, A, 4000, FIN_ACK, 0));
            sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 0));
            passes(sluice, 9);
            assertThat(sluice.ends).isEmpty();
            passes(sluice, 1);
            assertThat(sluice.ends)
                    .containsExactly("CLOSED 256->257 4 packets, 2 packets back, 2000 ms");
            assertThat(sluice.counters.endedFlows(FlowEnd.CLOSED)).isEqualTo(1);
        }
    }

    @Test
    void aRefusedConnectionIsToldOfAlsoWhenTheNextTakesItsPlace() {
        try (TestSwitch sluice = new TestSwitch()) {
            sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
            sluice.fromB(Frames.tcp(B, 80, A, 4000, RST | ACK, 0));
            assertThat(sluice.ends).isEmpty();
            sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
            assertThat(sluice.ends)
                    .containsExactly("RESET 256->257 1 packets, 1 packets back, 0 ms");
        }
    }

    @Test
    void aSilentFlowTimesOutAndItsLastPacketIsNotItsEnd() {
        try (TestSwitch sluice = new TestSwitch()) {
            sluice.fromA(Frames.udp(A6, 4000, B6, 9, 100));
            passes(sluice, 1);
            sluice.fromB(Frames.udp(B6, 9, A6, 4000, 100));
            passes(sluice, 119);
            assertThat(sluice.ends).isEmpty();
            passes(sluice, 1);
            assertThat(sluice.ends)
                    .containsExactly("TIMED_OUT 256->257 1 packets, 1 packets back, 1000 ms");
            assertThat(sluice.counters.endedFlows(FlowEnd.TIMED_OUT)).isEqualTo(1);
        }
    }

    @Test
    void aFlowThatPolicyCutsIsToldOfAsCutWhenItsSidesHaveGivenUp() {
        try (TestSwitch sluice = new TestSwitch()) {
            connect(sluice);
            sluice.nobodyReachesB();
            passes(sluice, 5);
            sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 10));
            sluice.fromB(Frames.tcp(B, 80, A, 4000, ACK, 10));
            assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(2);
            passes(sluice, 8_000);
            assertThat(sluice.ends)
                    .as("what passed, not what was dropped")
                    .containsExactly("CUT 256->257 2 packets, 1 packets back, 5000 ms");
        }
    }

    @Test
    void aCutFlowInWhosePlaceAnotherOpensIsToldOf() {
        try (TestSwitch sluice = new TestSwitch()) {
            connect(sluice);
            sluice.nobodyReachesB();
            sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 10));
            sluice.allowAll();
            sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
            assertThat(sluice.ends).containsExactly("CUT 256->257 2 packets, 1 packets back, 0 ms");
        }
    }

    @Test
    void flowsThatMakeWayInAFullTableAreToldOf() {
        try (TestSwitch sluice = new TestSwitch(64)) {
            for (int i = 0; i < 200; i++) {
                sluice.fromA(Frames.udp(A, 4000 + i, B, 9, 100));
            }
            final long evicted = sluice.conntrack().evictedCount();
            assertThat(evicted).isPositive();
            assertThat(sluice.ends)
                    .hasSize((int) evicted)
                    .containsOnly("EVICTED 256->257 1 packets, 0 packets back, 0 ms");
            assertThat(sluice.counters.endedFlows(FlowEnd.EVICTED)).isEqualTo(evicted);
        }
    }

    @Test
    void flowsOfAnEndpointThatIsGoneAreToldOfAsSuch() {
        try (TestSwitch sluice = new TestSwitch()) {
            sluice.fromA(Frames.udp(A, 4000, B, 9, 100));
            sluice.fromA(Frames.udp(A, 4001, B, 9, 100));
            sluice.removeB();
            sluice.fromA(Frames.udp(A, 4001, B, 9, 100));
            assertThat(sluice.drops(DropReason.EP_NOT_READY)).isEqualTo(1);
            passes(sluice, 30);
            assertThat(sluice.ends)
                    .as("with packets after the removal and without")
                    .hasSize(2)
                    .allMatch(end -> end.startsWith("ENDPOINT_REMOVED 256->"));
            assertThat(sluice.counters.endedFlows(FlowEnd.ENDPOINT_REMOVED)).isEqualTo(2);
        }
    }

    @Test
    void aRedirectedConnectionIsOneFlowAndItsLegNone() {
        try (TestSwitch sluice = new TestSwitch()) {
            sluice.ingressOfBRedirects();
            sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
            sluice.fromProxy(Frames.tcp(B, ProxyLegs.FIRST_LISTENER, A, 4000, SYN_ACK, 0));
            sluice.fromProxy(Frames.tcp(A, 4000, B, 80, SYN, 0));
            sluice.fromB(Frames.tcp(B, 80, A, 4000, SYN_ACK, 0));
            assertThat(sluice.flows()).as("flow and leg").isEqualTo(2);
            passes(sluice, 8_001);
            assertThat(sluice.flows()).isZero();
            assertThat(sluice.ends)
                    .as("the client's connection")
                    .containsExactly("TIMED_OUT 256->257 1 packets, 1 packets back, 0 ms");
        }
    }

    @Test
    void aQueryThatTheAgentAnswersIsAFlowOfWhichNothingWasForwarded() {
        try (TestSwitch sluice = new TestSwitch()) {
            final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
            sluice.publish(PolicyMap.always(PolicyEntry.punt(5)), all, all, all);
            sluice.fromA(Frames.udp(A, 4000, B, 53, 40));
            final Punt punt = sluice.punted().getFirst();
            assertThat(
                            sluice.punts()
                                    .giveBack(
                                            punt,
                                            PuntRing.Step.ANSWER,
                                            DropReason.NONE,
                                            new byte[20]))
                    .isTrue();
            sluice.run();
            passes(sluice, 30);
            assertThat(sluice.ends)
                    .containsExactly("TIMED_OUT 256->257 0 packets, 0 packets back, 0 ms");
            assertThat(sluice.counters.forwardedPackets()).isZero();
        }
    }

    @Test
    void everyForwardedPacketCountsForTheEndpointThatSentItAndForTheOneThatGetsIt() {
        try (TestSwitch sluice = new TestSwitch()) {
            final int bytes = Frames.udp(A, 4000, B, 9, 100).length;
            sluice.fromA(Frames.udp(A, 4000, B, 9, 100));
            assertForwarded(sluice, 1, 1);
            sluice.fromA(Frames.udp(A, 4000, OUTSIDER, 9, 100));
            assertForwarded(sluice, 2, 1);
            sluice.fromUplink(Frames.udp(OUTSIDER, 4000, B, 9, 100));
            assertForwarded(sluice, 2, 2);
            assertThat(sluice.counters.forwardedPackets()).isEqualTo(3);
            assertThat(sluice.counters.forwardedBytes(EGRESS)).isEqualTo(2L * bytes);
            assertThat(sluice.counters.forwardedBytes(INGRESS)).isEqualTo(2L * bytes);

            sluice.nobodyReachesB();
            sluice.fromA(Frames.udp(A, 4000, B, 9, 100));
            assertForwarded(sluice, 2, 2);
        }
    }

    @Test
    void onlyTheSecondHopThroughTheProxyCounts() {
        try (TestSwitch sluice = new TestSwitch()) {
            sluice.ingressOfBRedirects();
            sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
            assertForwarded(sluice, 0, 0);
            sluice.fromProxy(Frames.tcp(A, 4000, B, 80, SYN, 0));
            assertForwarded(sluice, 0, 1);
            assertThat(sluice.counters.forwardedPackets()).isEqualTo(2);
        }
    }

    private static void assertForwarded(
            final TestSwitch sluice, final long egress, final long ingress) {
        assertThat(sluice.counters.forwardedPackets(EGRESS)).as("egress").isEqualTo(egress);
        assertThat(sluice.counters.forwardedPackets(INGRESS)).as("ingress").isEqualTo(ingress);
    }

    /** Random packets, policies and times; a failure names its seed. */
    @Test
    void endsAndOpenFlowsAddUpToWhatWasForwarded() {
        for (long seed = 0; seed < 12; seed++) {
            final Random random = new Random(seed);
            try (TestSwitch sluice = new TestSwitch(64)) {
                sluice.recordsEvents = false;
                for (int step = 0; step < 3_000; step++) {
                    step(random, sluice);
                }
                final long[] live = new long[2];
                sluice.run();
                sluice.conntrack()
                        .forEach(
                                sluice.nowNs,
                                flow -> {
                                    live[0] += flow.initiatorPackets() + flow.responderPackets();
                                    live[1] += flow.initiatorBytes() + flow.responderBytes();
                                });
                final long forwarded = sluice.counters.forwardedPackets();
                assertThat(sluice.endedPackets + live[0]).as("seed %d", seed).isEqualTo(forwarded);
                assertThat(sluice.endedBytes + live[1] + forwarded * FRAME_BYTES_BEFORE_IP)
                        .as("seed %d: A and B send all there is", seed)
                        .isEqualTo(sluice.counters.forwardedBytes(EGRESS));
                long ends = 0;
                for (final FlowEnd end : FlowEnd.values()) {
                    ends += sluice.counters.endedFlows(end);
                }
                assertThat(ends + sluice.flows())
                        .as("seed %d", seed)
                        .isEqualTo(sluice.conntrack().createdCount());
            }
        }
    }

    private static void step(final Random random, final TestSwitch sluice) {
        switch (random.nextInt(60)) {
            case 0 -> sluice.nobodyReachesB();
            case 1, 2 -> sluice.allowAll();
            case 3, 4, 5 -> passes(sluice, random.nextInt(12));
            default -> {
                final int[] flags = {SYN, SYN_ACK, ACK, FIN_ACK, RST};
                final boolean isIpv4 = random.nextBoolean();
                final Host a = isIpv4 ? A : A6;
                final Host b = isIpv4 ? B : B6;
                final boolean fromA = random.nextBoolean();
                final Host from = fromA ? a : b;
                final Host to = fromA ? b : a;
                final int fromPort = random.nextInt(5);
                final int toPort = random.nextInt(5);
                final byte[] frame =
                        switch (random.nextInt(3)) {
                            case 0 -> Frames.udp(from, fromPort, to, toPort, random.nextInt(900));
                            case 1 -> Frames.echoRequest(from, to, fromPort, 64);
                            default ->
                                    Frames.tcp(
                                            from,
                                            fromPort,
                                            to,
                                            toPort,
                                            flags[random.nextInt(flags.length)],
                                            random.nextInt(900));
                        };
                if (fromA) {
                    sluice.fromA(frame);
                } else {
                    sluice.fromB(frame);
                }
                sluice.sentTo(sluice.a);
                sluice.sentTo(sluice.b);
            }
        }
    }
}
