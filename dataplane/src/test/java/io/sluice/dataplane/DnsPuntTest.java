package io.sluice.dataplane;

import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A6;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.B6;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Datagrams of flows under DNS rules: to the agent, back, and to their end. */
class DnsPuntTest {
    private static final byte[] NOTHING = {};
    private static final byte[] DATA =
            "other data".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    private static final int FLAGS_PARTIAL_CHECKSUM = 1;

    private final TestSwitch sluice = new TestSwitch();

    @BeforeEach
    void aMayAskB() {
        underDnsRules();
    }

    /** Checks that every packet met its end. */
    @AfterEach
    void close() {
        sluice.close();
    }

    private void underDnsRules() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        sluice.publish(PolicyMap.always(PolicyEntry.punt(5)), all, all, all);
    }

    private Punt query() {
        sluice.fromA(Frames.udp(A, 4000, B, 53, 40));
        return onlyPunt();
    }

    private Punt onlyPunt() {
        final List<Punt> punted = sluice.punted();
        assertThat(punted).hasSize(1);
        return punted.getFirst();
    }

    private void giveBack(
            final Punt punt, final PuntRing.Step step, final DropReason reason, final byte[] data) {
        assertThat(sluice.punts().giveBack(punt, step, reason, data)).isTrue();
        sluice.run();
    }

    private void release(final Punt punt) {
        giveBack(punt, PuntRing.Step.RELEASE, DropReason.NONE, NOTHING);
    }

    @Test
    void aQueryWaitsForTheAgentAndThenGoesOnAsItCame() {
        final byte[] frame = Frames.udp(A, 4000, B, 53, 40);
        sluice.fromA(frame);

        assertThat(sluice.sentTo(sluice.b)).as("before the agent has judged").isEmpty();
        final Punt punt = onlyPunt();
        assertThat(punt.way()).isEqualTo(Punt.Way.TO_RESPONDER);
        assertThat(punt.initiatorPort()).isEqualTo(4000);
        assertThat(punt.responderPort()).isEqualTo(53);
        assertThat(punt.dataLength()).isEqualTo(40);
        assertThat(punt.dataOffset()).isEqualTo(PacketBatch.VNET_HEADER_BYTES + 14 + 20 + 8);
        assertThat(sluice.events).containsExactly("opened 256->257");

        release(punt);
        final byte[] sent = sluice.sentTo(sluice.b).getFirst();
        assertThat(Frames.ttl(sent)).isEqualTo(63);
        assertThat(Arrays.copyOfRange(sent, 26, sent.length))
                .isEqualTo(Arrays.copyOfRange(frame, 26, frame.length));
    }

    @Test
    void anAnswerWaitsAsWellAndIsToldFromWhoAsked() {
        release(query());
        sluice.fromB(Frames.udp(B, 53, A, 4000, 100));

        assertThat(sluice.sentTo(sluice.a)).isEmpty();
        final Punt punt = onlyPunt();
        assertThat(punt.way()).isEqualTo(Punt.Way.TO_INITIATOR);
        assertThat(punt.initiatorPort()).isEqualTo(4000);
        assertThat(punt.responderPort()).isEqualTo(53);
        release(punt);
        assertThat(sluice.sentTo(sluice.a)).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void theAgentsAnswerGoesBackToWhoAsked(final boolean isIpv4) {
        sluice.fromA(isIpv4 ? Frames.udp(A, 4000, B, 53, 41) : Frames.udp(A6, 4000, B6, 53, 41));
        giveBack(onlyPunt(), PuntRing.Step.ANSWER, DropReason.NONE, DATA);

        assertThat(sluice.sentTo(sluice.b)).isEmpty();
        final byte[] answer = sluice.sentTo(sluice.a).getFirst();
        final byte[] expected =
                isIpv4 ? Frames.udp(B, 53, A, 4000, DATA) : Frames.udp(B6, 53, A6, 4000, DATA);
        assertThat(Frames.destinationMac(answer)).isEqualTo(A.mac());
        assertThat(Arrays.copyOfRange(answer, 14, answer.length))
                .as("addresses, ports, lengths and checksums")
                .isEqualTo(Arrays.copyOfRange(expected, 14, expected.length));
        assertThat(sluice.counters.answeredPackets()).isEqualTo(1);
    }

    @Test
    void theAgentsAnswerReplacesOneThatMayNotPass() {
        release(query());
        sluice.fromB(Frames.udp(B, 53, A, 4000, 100));
        sluice.sentTo(sluice.b);
        giveBack(onlyPunt(), PuntRing.Step.REPLACE, DropReason.NONE, DATA);

        final byte[] sent = sluice.sentTo(sluice.a).getFirst();
        final byte[] expected = Frames.udp(B, 53, A, 4000, DATA);
        assertThat(Arrays.copyOfRange(sent, 34, sent.length))
                .isEqualTo(Arrays.copyOfRange(expected, 34, expected.length));
        assertThat(Frames.ttl(sent)).isEqualTo(63);
    }

    @Test
    void aPartialChecksumTravelsWithTheFrame() {
        final byte[] frame = Frames.udp(A, 4000, B, 53, 40);
        final byte[] partial =
                ByteBuffer.allocate(PacketBatch.VNET_HEADER_BYTES + frame.length)
                        .put((byte) FLAGS_PARTIAL_CHECKSUM)
                        .put(new byte[5])
                        .put(new byte[] {34, 0, 6, 0})
                        .put(frame)
                        .array();
        sluice.a.injectWithHeader(partial);
        sluice.run();
        release(onlyPunt());

        assertThat(sluice.b.takeSentWithHeader()).startsWith(Arrays.copyOf(partial, 10));
    }

    @Test
    void whatTheAgentDropsIsCountedUnderItsReason() {
        giveBack(query(), PuntRing.Step.DROP, DropReason.DNS_MALFORMED, NOTHING);

        assertThat(sluice.sentTo(sluice.b)).isEmpty();
        assertThat(sluice.drops(DropReason.DNS_MALFORMED)).isEqualTo(1);
        assertThat(sluice.events).contains("dropped DNS_MALFORMED rule 0");
    }

    @Test
    void aFullRingDropsTheQueryAndLosesNothingSilently() {
        final int queries = 2 * PuntRing.RING_BYTES / 20_000;
        for (int i = 0; i < queries; i++) {
            sluice.fromA(Frames.udp(A, 4000, B, 53, 20_000));
        }

        final int waiting = sluice.punted().size();
        assertThat(waiting).isPositive().isLessThan(queries);
        assertThat(sluice.drops(DropReason.DNS_RING_FULL)).isEqualTo(queries - waiting);
        assertThat(sluice.counters.puntedPackets()).isEqualTo(waiting);
        sluice.fromA(Frames.udp(A, 4000, B, 53, 40));
        assertThat(sluice.punted()).as("once there is room again").hasSize(1);
    }

    @Test
    void aFragmentIsNoMessage() {
        sluice.fromA(Frames.udpFragment(A, B, 53, 9, 0, true, 1000));

        assertThat(sluice.punted()).isEmpty();
        assertThat(sluice.drops(DropReason.DNS_NOT_WHOLE)).isEqualTo(1);
    }

    @Test
    void aPolicyThatChangedMeanwhileHasItsSay() {
        final Punt punt = query();
        sluice.nobodyReachesB();
        release(punt);

        assertThat(sluice.sentTo(sluice.b)).isEmpty();
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(1);
    }

    @Test
    void aMessageWhoseFlowIsGoneGoesNowhere() {
        final Punt punt = query();
        sluice.nowNs += TimeUnit.HOURS.toNanos(1);
        release(punt);

        assertThat(sluice.sentTo(sluice.b)).isEmpty();
        assertThat(sluice.drops(DropReason.DNS_FLOW_GONE)).isEqualTo(1);
    }

    @Test
    void aFlowThatComesUnderDnsRulesIsPuntedFromTheNextDatagramOn() {
        sluice.allowAll();
        sluice.fromA(Frames.udp(A, 4000, B, 53, 40));
        assertThat(sluice.sentTo(sluice.b)).hasSize(1);

        underDnsRules();
        sluice.fromB(Frames.udp(B, 53, A, 4000, 100));
        assertThat(sluice.sentTo(sluice.a)).isEmpty();
        assertThat(onlyPunt().way()).isEqualTo(Punt.Way.TO_INITIATOR);
    }

    @Test
    void aSleepingAgentIsWokenAndAnAwakeOneIsNot() {
        final int[] wakes = new int[1];
        sluice.punts().onWake(() -> wakes[0]++);
        query();
        assertThat(wakes[0]).isZero();

        sluice.punts().setAgentSleeps(true);
        query();
        assertThat(wakes[0]).isEqualTo(1);
    }

    @Test
    void aSleepingAgentIsWokenOnceForABatch() {
        final int[] wakes = new int[1];
        sluice.punts().onWake(() -> wakes[0]++);
        sluice.punts().setAgentSleeps(true);
        sluice.fromA(Frames.udp(A, 4000, B, 53, 40), Frames.udp(A, 4001, B, 53, 40));

        assertThat(sluice.punted()).hasSize(2);
        assertThat(wakes[0]).isEqualTo(1);
    }

    @Test
    void aSleepingLaneIsWokenOnceForAllThatWasGivenBackAndAnAwakeOneIsNot() {
        final int[] wakes = new int[1];
        final PuntRing ring = new PuntRing(() -> wakes[0]++);
        final Punt punt = query();
        ring.giveBack(punt, PuntRing.Step.RELEASE, DropReason.NONE, NOTHING);
        ring.wakeLane();
        assertThat(wakes[0]).as("awake").isZero();

        ring.setLaneSleeps(true);
        ring.wakeLane();
        assertThat(wakes[0]).as("nothing given back since").isZero();

        ring.giveBack(punt, PuntRing.Step.RELEASE, DropReason.NONE, NOTHING);
        ring.giveBack(punt, PuntRing.Step.RELEASE, DropReason.NONE, NOTHING);
        ring.wakeLane();
        assertThat(wakes[0]).isEqualTo(1);
        assertThat(ring.hasReturned()).isTrue();
    }
}
