package io.sluice.conntrack;

import static io.sluice.conntrack.ConntrackState.ESTABLISHED;
import static io.sluice.conntrack.ConntrackState.INVALID;
import static io.sluice.conntrack.ConntrackState.NEW;
import static io.sluice.conntrack.ConntrackState.REPLY;
import static io.sluice.conntrack.Conversation.ACK;
import static io.sluice.conntrack.Conversation.FIN;
import static io.sluice.conntrack.Conversation.PSH;
import static io.sluice.conntrack.Conversation.RST;
import static io.sluice.conntrack.Conversation.SYN;
import static io.sluice.conntrack.Conversation.TCP;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The life of a TCP flow, packet by packet. */
final class TcpFlowTest {
    private static final Tuple CLIENT_TO_SERVER =
            Conversation.ipv4(TCP, 0x0a000001, 40_000, 0x0a000002, 80);

    private final Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 1);
    private final Conversation tcp = new Conversation(table, CLIENT_TO_SERVER);

    @AfterEach
    void close() {
        table.close();
    }

    @Test
    void aHandshakeLeadsFromSynSentThroughSynReceivedToEstablished() {
        assertThat(tcp.initiatorSends(SYN)).isEqualTo(NEW);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_SENT);
        assertThat(tcp.responderSends(SYN | ACK)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_RECEIVED);
        assertThat(tcp.responderSends(SYN | ACK)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_RECEIVED);
        assertThat(tcp.initiatorSends(ACK)).isEqualTo(ESTABLISHED);
        assertThat(tcp.state()).isEqualTo(FlowState.ESTABLISHED);
    }

    @Test
    void aRepeatedSynBelongsToItsFlow() {
        tcp.initiatorSends(SYN);
        assertThat(tcp.initiatorSends(SYN)).isEqualTo(ESTABLISHED);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_SENT);
        assertThat(table.createdCount()).isEqualTo(1);
    }

    @Test
    void aChallengeAckOfTheResponderPassesBeforeTheHandshake() {
        tcp.initiatorSends(SYN);
        assertThat(tcp.responderSends(ACK)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_SENT);
    }

    @Test
    void bothSidesMayOpenAtTheSameTime() {
        tcp.initiatorSends(SYN);
        assertThat(tcp.responderSends(SYN)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_RECEIVED);
        assertThat(tcp.responderSends(SYN | ACK)).isEqualTo(REPLY);
        assertThat(tcp.initiatorSends(SYN | ACK)).isEqualTo(ESTABLISHED);
        assertThat(tcp.state()).isEqualTo(FlowState.ESTABLISHED);
    }

    @Test
    void aSynInsideAConnectionDoesNotStartItAnew() {
        tcp.handshake();
        assertThat(tcp.initiatorSends(SYN)).isEqualTo(ESTABLISHED);
        assertThat(tcp.responderSends(SYN)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.ESTABLISHED);
    }

    @Test
    void aConnectionClosedByItsInitiatorFirstGoesThroughFinWait() {
        tcp.handshake();
        tcp.initiatorSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.FIN_WAIT);
        tcp.initiatorSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.FIN_WAIT);
        assertThat(tcp.responderSends(ACK | PSH)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.FIN_WAIT);
        tcp.responderSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSING);
        assertThat(tcp.initiatorSends(ACK)).isEqualTo(ESTABLISHED);
        assertThat(tcp.responderSends(FIN | ACK)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSING);
    }

    @Test
    void aConnectionClosedByItsResponderFirstGoesThroughCloseWait() {
        tcp.handshake();
        tcp.responderSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSE_WAIT);
        tcp.responderSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSE_WAIT);
        tcp.initiatorSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSING);
    }

    @Test
    void aFinEndsAConnectionWhoseHandshakeWasNotCompleted() {
        tcp.initiatorSends(SYN);
        tcp.responderSends(SYN | ACK);
        tcp.initiatorSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.FIN_WAIT);
    }

    @Test
    void anRstOfEitherSideClosesFromEveryState() {
        tcp.initiatorSends(SYN);
        tcp.responderSends(RST | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);

        tcp.initiatorSends(SYN);
        tcp.responderSends(SYN | ACK);
        tcp.initiatorSends(RST);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);

        tcp.handshake();
        tcp.responderSends(RST);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);

        tcp.handshake();
        tcp.initiatorSends(FIN | ACK);
        tcp.initiatorSends(RST);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);

        tcp.handshake();
        tcp.initiatorSends(FIN | ACK);
        tcp.responderSends(FIN | ACK);
        tcp.responderSends(RST);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void packetsAfterAnRstStillMatchAndReopenNothing() {
        tcp.handshake();
        tcp.responderSends(RST);
        assertThat(tcp.responderSends(RST)).isEqualTo(REPLY);
        assertThat(tcp.initiatorSends(ACK | PSH)).isEqualTo(ESTABLISHED);
        assertThat(tcp.responderSends(FIN | ACK)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aSynOfEitherSideOnAClosedFlowOpensAnotherInItsPlace() {
        tcp.handshake();
        tcp.initiatorSends(RST);
        assertThat(tcp.initiatorSends(SYN)).isEqualTo(NEW);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_SENT);
        assertThat(tcp.flow().initiatorPackets()).isEqualTo(1);

        tcp.responderSends(SYN | ACK);
        tcp.initiatorSends(FIN | ACK);
        tcp.responderSends(FIN | ACK);
        assertThat(tcp.responderSends(SYN)).isEqualTo(NEW);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_SENT);
        assertThat(tcp.flow().initiatorTransportPort()).isEqualTo(80);
        assertThat(table.size()).isEqualTo(1);
    }

    @Test
    void aSynAckOnAClosedFlowOpensNothing() {
        tcp.handshake();
        tcp.initiatorSends(RST);
        assertThat(tcp.responderSends(SYN | ACK)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aPlainAckWithoutAFlowIsPickedUpAndEstablishedByItsAnswer() {
        assertThat(tcp.initiatorSends(ACK | PSH)).isEqualTo(NEW);
        assertThat(tcp.state()).isEqualTo(FlowState.PICKED_UP);
        assertThat(tcp.initiatorSends(ACK)).isEqualTo(ESTABLISHED);
        assertThat(tcp.state()).isEqualTo(FlowState.PICKED_UP);
        assertThat(tcp.secondsLeft()).isEqualTo(60);
        assertThat(tcp.responderSends(ACK)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.ESTABLISHED);
        assertThat(tcp.secondsLeft()).isEqualTo(8000);
    }

    @Test
    void aPickedUpConnectionCanEnd() {
        tcp.initiatorSends(ACK);
        tcp.responderSends(FIN | ACK);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSE_WAIT);
        tcp.responderSends(RST);
        tcp.passes(10);
        tcp.initiatorSends(ACK);
        tcp.initiatorSends(RST);
        assertThat(tcp.state()).isEqualTo(FlowState.CLOSED);
    }

    @Test
    void aPlainAckWithoutAFlowIsInvalidWhenNotLoose() {
        try (Conntrack strict = Conntrack.open(strict(), 1)) {
            final Conversation other = new Conversation(strict, CLIENT_TO_SERVER);
            assertThat(other.initiatorSends(ACK)).isEqualTo(INVALID);
            assertThat(other.initiatorSends(SYN)).isEqualTo(NEW);
            assertThat(other.initiatorSends(ACK)).isEqualTo(ESTABLISHED);
        }
    }

    @Test
    void whatEndsOrAnswersAConnectionOpensNone() {
        assertThat(tcp.initiatorSends(SYN | ACK)).isEqualTo(INVALID);
        assertThat(tcp.initiatorSends(FIN | ACK)).isEqualTo(INVALID);
        assertThat(tcp.initiatorSends(RST)).isEqualTo(INVALID);
        assertThat(tcp.initiatorSends(RST | ACK)).isEqualTo(INVALID);
        assertThat(tcp.initiatorSends(Conntrack.TCP_FLAGS_ABSENT)).isEqualTo(INVALID);
        assertThat(table.size()).isZero();
    }

    @Test
    void impossibleFlagsAreInvalidWithAndWithoutAFlow() {
        final int[] impossible = {
            0,
            FIN,
            FIN | PSH,
            SYN | FIN,
            SYN | RST,
            SYN | RST | ACK,
            SYN | FIN | ACK,
            FIN | RST,
            FIN | PSH | 0x20,
            0xff
        };
        for (final int flags : impossible) {
            assertThat(tcp.initiatorSends(flags)).as("flags %x", flags).isEqualTo(INVALID);
        }
        tcp.handshake();
        for (final int flags : impossible) {
            assertThat(tcp.initiatorSends(flags)).as("flags %x", flags).isEqualTo(INVALID);
            assertThat(tcp.responderSends(flags)).as("flags %x", flags).isEqualTo(INVALID);
        }
        assertThat(tcp.state()).isEqualTo(FlowState.ESTABLISHED);
    }

    @Test
    void pushAndCongestionFlagsMakeNoDifference() {
        final int eceCwrAe = 0x1c0;
        assertThat(tcp.initiatorSends(SYN | eceCwrAe)).isEqualTo(NEW);
        assertThat(tcp.responderSends(SYN | ACK | 0x40)).isEqualTo(REPLY);
        tcp.initiatorSends(ACK | PSH);
        assertThat(tcp.state()).isEqualTo(FlowState.ESTABLISHED);
    }

    @Test
    void aLaterFragmentIsCountedAndMovesNoState() {
        tcp.initiatorSends(SYN);
        tcp.responderSends(SYN | ACK);
        assertThat(tcp.initiatorSends(Conntrack.TCP_FLAGS_ABSENT)).isEqualTo(ESTABLISHED);
        assertThat(tcp.responderSends(Conntrack.TCP_FLAGS_ABSENT)).isEqualTo(REPLY);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_RECEIVED);
        assertThat(tcp.flow().initiatorPackets()).isEqualTo(2);
        assertThat(tcp.flow().responderPackets()).isEqualTo(2);
    }

    @Test
    void eachStateHasItsTimeout() {
        tcp.initiatorSends(SYN);
        assertThat(tcp.secondsLeft()).isEqualTo(60);
        tcp.responderSends(SYN | ACK);
        assertThat(tcp.secondsLeft()).isEqualTo(60);
        tcp.initiatorSends(ACK);
        assertThat(tcp.secondsLeft()).isEqualTo(8000);
        tcp.initiatorSends(FIN | ACK);
        assertThat(tcp.secondsLeft()).isEqualTo(240);
        tcp.responderSends(FIN | ACK);
        assertThat(tcp.secondsLeft()).isEqualTo(10);
        tcp.responderSends(RST);
        assertThat(tcp.secondsLeft()).isEqualTo(10);
    }

    @Test
    void aFlowIsForgottenAtItsDeadlineAndNotBefore() {
        tcp.handshake();
        tcp.passes(8000);
        tcp.nowNs--;
        assertThat(table.lookup(CLIENT_TO_SERVER, ACK, tcp.nowNs)).isEqualTo(ESTABLISHED);
        tcp.nowNs++;
        assertThat(table.lookup(CLIENT_TO_SERVER, FIN | ACK, tcp.nowNs)).isEqualTo(INVALID);
        assertThat(tcp.flows()).isEmpty();
        assertThat(tcp.initiatorSends(SYN)).isEqualTo(NEW);
        assertThat(table.size()).isEqualTo(1);
        assertThat(table.expiredCount()).isEqualTo(1);
    }

    @Test
    void aCutFlowMatchesInBothDirectionsForAsLongAsItWouldHaveLived() {
        tcp.handshake();
        cut();
        tcp.passes(7999);
        assertThat(table.lookup(Conversation.reversed(CLIENT_TO_SERVER), ACK, tcp.nowNs))
                .isEqualTo(REPLY);
        assertThat(table.entry().verdict()).isEqualTo(FlowVerdict.DENY);
        assertThat(table.entry().dropReason()).isEqualTo(133);
        table.touchDenied(tcp.nowNs);
        tcp.passes(7999);
        assertThat(table.lookup(CLIENT_TO_SERVER, ACK, tcp.nowNs)).isEqualTo(ESTABLISHED);
        assertThat(tcp.flow().initiatorPackets()).isEqualTo(2);
        assertThat(table.entry().state()).isEqualTo(FlowState.ESTABLISHED);
        tcp.passes(1);
        assertThat(table.lookup(CLIENT_TO_SERVER, FIN | ACK, tcp.nowNs)).isEqualTo(INVALID);
    }

    @Test
    void aSynOnACutFlowIsJudgedForItself() {
        tcp.handshake();
        cut();
        assertThat(table.lookup(CLIENT_TO_SERVER, SYN, tcp.nowNs)).isEqualTo(NEW);
        // Policy said no again: nothing was created, the old flow stays cut.
        assertThat(table.lookup(CLIENT_TO_SERVER, ACK, tcp.nowNs)).isEqualTo(ESTABLISHED);
        assertThat(table.entry().verdict()).isEqualTo(FlowVerdict.DENY);
        // Policy said yes.
        assertThat(tcp.initiatorSends(SYN)).isEqualTo(NEW);
        assertThat(tcp.flow().verdict()).isEqualTo(FlowVerdict.ALLOW);
        assertThat(tcp.state()).isEqualTo(FlowState.SYN_SENT);
    }

    private void cut() {
        table.lookup(CLIENT_TO_SERVER, ACK, tcp.nowNs);
        table.entry().recordVerdict(FlowVerdict.DENY, 0, 133, 2);
    }

    private static ConntrackConfig strict() {
        final ConntrackConfig loose = ConntrackConfig.defaults();
        return new ConntrackConfig(
                loose.capacityFlows(),
                loose.capacityFlowsIpv6(),
                loose.tcpSynTimeoutNs(),
                loose.tcpEstablishedTimeoutNs(),
                loose.tcpFinWaitTimeoutNs(),
                loose.tcpClosingTimeoutNs(),
                loose.udpUnrepliedTimeoutNs(),
                loose.udpRepliedTimeoutNs(),
                loose.udpStreamTimeoutNs(),
                loose.icmpTimeoutNs(),
                loose.otherTimeoutNs(),
                false,
                true);
    }
}
