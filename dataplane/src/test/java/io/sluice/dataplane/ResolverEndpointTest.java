package io.sluice.dataplane;

import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A6;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.OUTSIDER;
import static io.sluice.dataplane.TestSwitch.POLICY_DENIED;
import static io.sluice.dataplane.TestSwitch.RESOLVER;
import static io.sluice.dataplane.TestSwitch.RESOLVER6;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.Frames.Host;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The switch's own resolver: an endpoint that no port leads to, and only the DNS agent answers. */
class ResolverEndpointTest {
    private static final PolicyMap ALL = PolicyMap.always(PolicyEntry.allow(0));
    private static final PolicyMap NONE = PolicyMap.always(PolicyEntry.deny(POLICY_DENIED, 9));
    private static final byte[] DATA = "the answer".getBytes(StandardCharsets.US_ASCII);

    private final TestSwitch sluice = new TestSwitch();

    @BeforeEach
    void everybodyMayAsk() {
        sluice.withResolver(ALL);
        sluice.publish(ALL, ALL, ALL, ALL);
    }

    /** Checks that every packet met its end. */
    @AfterEach
    void close() {
        sluice.close();
    }

    private void giveBack(final Punt punt, final byte[] data) {
        assertThat(sluice.punts().giveBack(punt, PuntRing.Step.ANSWER, DropReason.NONE, data))
                .isTrue();
        sluice.run();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aQueryIsPuntedWithoutDnsRulesAndItsFrameIsTurnedIntoTheAnswer(final boolean isIpv4) {
        final Host client = isIpv4 ? A : A6;
        final Host server = isIpv4 ? RESOLVER : RESOLVER6;
        sluice.fromA(Frames.udp(client, 4000, server, 53, 40));

        final List<Punt> punted = sluice.punted();
        assertThat(punted).hasSize(1);
        assertThat(punted.getFirst().way()).isEqualTo(Punt.Way.TO_RESPONDER);
        giveBack(punted.getFirst(), DATA);

        final byte[] answer = sluice.sentTo(sluice.a).getFirst();
        final byte[] expected = Frames.udp(server, 53, client, 4000, DATA);
        assertThat(Frames.destinationMac(answer)).isEqualTo(A.mac());
        assertThat(Arrays.copyOfRange(answer, 14, answer.length))
                .isEqualTo(Arrays.copyOfRange(expected, 14, expected.length));
        assertThat(sluice.sentTo(sluice.uplink)).isEmpty();
    }

    @Test
    void manyQueriesOfOneFlowAreEachAnswered() {
        for (int i = 0; i < 3; i++) {
            sluice.fromA(Frames.udp(A, 4000, RESOLVER, 53, 40 + i));
        }
        final List<Punt> punted = sluice.punted();
        assertThat(punted).hasSize(3);
        punted.reversed().forEach(punt -> giveBack(punt, DATA));

        assertThat(sluice.sentTo(sluice.a)).as("in whichever order").hasSize(3);
        assertThat(sluice.flows()).isEqualTo(1);
    }

    @Test
    void policyOfBothSidesHasItsSay() {
        sluice.publish(NONE, ALL, ALL, ALL);
        sluice.fromA(Frames.udp(A, 4000, RESOLVER, 53, 40));
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(1);

        sluice.withResolver(NONE);
        sluice.publish(ALL, ALL, ALL, ALL);
        sluice.fromA(Frames.udp(A, 4001, RESOLVER, 53, 40));
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(2);
        assertThat(sluice.punted()).isEmpty();
    }

    @Test
    void aPolicyThatComesBetweenQueriesCutsTheNextOne() {
        sluice.fromA(Frames.udp(A, 4000, RESOLVER, 53, 40));
        giveBack(sluice.punted().getFirst(), DATA);
        sluice.publish(NONE, ALL, ALL, ALL);
        sluice.fromA(Frames.udp(A, 4000, RESOLVER, 53, 40));

        assertThat(sluice.punted()).isEmpty();
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(1);
    }

    @Test
    void nothingElseIsServedThere() {
        sluice.fromA(
                Frames.udp(A, 4000, RESOLVER, 5353, 40),
                Frames.tcp(A, 4000, RESOLVER, 53, Frames.SYN, 0),
                Frames.tcp(A, 4001, RESOLVER, 80, Frames.SYN, 0),
                Frames.echoRequest(A, RESOLVER, 1, 64));

        assertThat(sluice.drops(DropReason.NO_SERVICE_AT_RESOLVER)).isEqualTo(4);
        assertThat(sluice.punted()).isEmpty();
        assertThat(sluice.sentTo(sluice.uplink)).isEmpty();
    }

    @Test
    void tcpUnderDnsRulesGoesToTheProxy() {
        sluice.publish(PolicyMap.always(PolicyEntry.redirect(5)), ALL, ALL, ALL);
        sluice.fromA(Frames.tcp(A, 4000, RESOLVER, 53, Frames.SYN, 0));

        assertThat(sluice.sentTo(sluice.proxy)).hasSize(1);
        assertThat(sluice.drops(DropReason.NO_SERVICE_AT_RESOLVER)).isZero();
    }

    @Test
    void nobodySpeaksForTheResolver() {
        sluice.fromB(Frames.udp(new Host(B.mac(), RESOLVER.address()), 53, A, 4000, 40));
        sluice.fromUplink(
                Frames.udp(new Host(OUTSIDER.mac(), RESOLVER.address()), 53, A, 4000, 40));

        assertThat(sluice.sentTo(sluice.a)).isEmpty();
        assertThat(sluice.drops(DropReason.INVALID_SOURCE_IP)).isEqualTo(2);
    }

    @Test
    void whoIsOutsideMayAskIfPolicyLetsIt() {
        sluice.fromUplink(Frames.udp(OUTSIDER, 4000, RESOLVER, 53, 40));
        final List<Punt> punted = sluice.punted();
        assertThat(punted).hasSize(1);
        giveBack(punted.getFirst(), DATA);

        assertThat(sluice.sentTo(sluice.uplink)).hasSize(1);
    }
}
