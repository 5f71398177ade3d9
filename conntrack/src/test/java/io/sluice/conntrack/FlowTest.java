package io.sluice.conntrack;

import static io.sluice.conntrack.ConntrackState.ESTABLISHED;
import static io.sluice.conntrack.ConntrackState.INVALID;
import static io.sluice.conntrack.ConntrackState.NEW;
import static io.sluice.conntrack.ConntrackState.RELATED;
import static io.sluice.conntrack.ConntrackState.REPLY;
import static io.sluice.conntrack.Conversation.ICMP;
import static io.sluice.conntrack.Conversation.ICMPV6;
import static io.sluice.conntrack.Conversation.SCTP;
import static io.sluice.conntrack.Conversation.UDP;
import static io.sluice.conntrack.Conversation.echoReply;
import static io.sluice.conntrack.Conversation.ipv4;
import static io.sluice.conntrack.Conversation.reversed;
import static io.sluice.conntrack.Conversation.tuple;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Flows of all protocols: direction, echo, related errors, what an entry holds. */
final class FlowTest {
    private static final int HOST_A = 0x0a000001;
    private static final int HOST_B = 0x0a000002;
    private static final Tuple DNS = ipv4(UDP, HOST_B, 40_000, HOST_A, 53);

    private final Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 7);
    private final Conversation dns = new Conversation(table, DNS);

    @AfterEach
    void close() {
        table.close();
    }

    @Test
    void aUdpFlowLivesLongerOnceItWasReplied() {
        assertThat(dns.initiatorSends(0)).isEqualTo(NEW);
        assertThat(dns.state()).isEqualTo(FlowState.UNREPLIED);
        assertThat(dns.initiatorSends(0)).isEqualTo(ESTABLISHED);
        assertThat(dns.state()).isEqualTo(FlowState.UNREPLIED);
        assertThat(dns.secondsLeft()).isEqualTo(30);
        assertThat(dns.responderSends(0)).isEqualTo(REPLY);
        assertThat(dns.state()).isEqualTo(FlowState.REPLIED);
        assertThat(dns.secondsLeft()).isEqualTo(120);
        dns.passes(2);
        assertThat(dns.initiatorSends(0)).isEqualTo(ESTABLISHED);
        assertThat(dns.state()).isEqualTo(FlowState.REPLIED);
        assertThat(dns.secondsLeft()).isEqualTo(120);
    }

    @Test
    void aUdpFlowThatGoesOnForMoreThanTwoSecondsIsAStream() {
        dns.initiatorSends(0);
        dns.passes(3);
        assertThat(dns.initiatorSends(0)).isEqualTo(ESTABLISHED);
        assertThat(dns.state()).isEqualTo(FlowState.UNREPLIED);
        assertThat(dns.responderSends(0)).isEqualTo(REPLY);
        assertThat(dns.state()).isEqualTo(FlowState.STREAM);
        assertThat(dns.secondsLeft()).isEqualTo(180);
    }

    @Test
    void countersAreWholeHoweverOftenTheyLeaveTheHotSlot() {
        long initiatorBytes = 0;
        long responderBytes = 0;
        for (int i = 0; i < 2000; i++) {
            final int length = 1 + i * 33;
            final ConntrackState toServer = table.lookup(DNS, 0, dns.nowNs);
            if (toServer == NEW) {
                table.create(DNS, 0, dns.nowNs);
            }
            table.advance(toServer, 0, length, 1, dns.nowNs);
            initiatorBytes += length;
            table.advance(table.lookup(reversed(DNS), 0, dns.nowNs), 0, 65_535, 45, dns.nowNs);
            responderBytes += 65_535;
        }
        assertThat(dns.flow().initiatorPackets()).isEqualTo(2000);
        assertThat(dns.flow().initiatorBytes()).isEqualTo(initiatorBytes);
        assertThat(dns.flow().responderPackets()).isEqualTo(90_000);
        assertThat(dns.flow().responderBytes()).isEqualTo(responderBytes);
    }

    @Test
    void everyPacketOfEitherSideSetsTheDeadlineAnew() {
        dns.initiatorSends(0);
        dns.passes(29);
        dns.initiatorSends(0);
        dns.passes(29);
        assertThat(dns.responderSends(0)).isEqualTo(REPLY);
        dns.passes(119);
        assertThat(dns.responderSends(0)).isEqualTo(REPLY);
    }

    @Test
    void theDirectionIsRightWhicheverSideIsTheSmaller() {
        final Tuple[] openers = {
            ipv4(UDP, HOST_A, 1, HOST_B, 2),
            ipv4(UDP, HOST_B, 1, HOST_A, 2),
            // The same host: the ports decide.
            ipv4(UDP, HOST_A, 5, HOST_A, 6),
            ipv4(UDP, HOST_A, 8, HOST_A, 7),
            // IPv6 with the sign bit set in a half.
            tuple(UDP, 0xfe80L << 48, 1, 9, 0x2001_0db8L << 32, 2, 10),
            tuple(UDP, 0x2001_0db8L << 32, 3, 9, 0xfe80L << 48, 1, 10),
            tuple(UDP, 0xfd00L << 48, -1, 9, 0xfd00L << 48, 1, 10),
            tuple(UDP, 0xfd00L << 48, 4, 9, 0xfd00L << 48, -2, 10),
        };
        for (final Tuple opener : openers) {
            final Conversation udp = new Conversation(table, opener);
            assertThat(udp.initiatorSends(0)).isEqualTo(NEW);
            assertThat(udp.responderSends(0)).isEqualTo(REPLY);
            assertThat(udp.initiatorSends(0)).isEqualTo(ESTABLISHED);
            final Tuple kept = new Tuple();
            table.entry().initiatorTuple(kept);
            assertThat(kept).usingRecursiveComparison().isEqualTo(opener);
        }
        assertThat(table.size()).isEqualTo(openers.length);
    }

    @Test
    void aHostThatTalksToItselfOnOnePortIsItsOwnInitiator() {
        final Conversation self = new Conversation(table, ipv4(UDP, HOST_A, 9, HOST_A, 9));
        assertThat(self.initiatorSends(0)).isEqualTo(NEW);
        assertThat(self.responderSends(0)).isEqualTo(ESTABLISHED);
        final Tuple ping = ipv4(ICMP, HOST_A, 9, HOST_A, 9);
        assertThat(self.send(ping, 0)).isEqualTo(NEW);
        assertThat(self.send(echoReply(ping), 0)).isEqualTo(ESTABLISHED);
    }

    @Test
    void everyPartOfTheTupleTellsFlowsApart() {
        final Tuple opener = tuple(UDP, 1, 2, 3, 4, 5, 6);
        new Conversation(table, opener).initiatorSends(0);
        // The table has 128 homes: among 2000 others of each kind some share the flow's.
        for (int i = 10; i < 2010; i++) {
            final Tuple[] others = {
                tuple(0x80 | (i & 0x7f), 1, 2, 3, 4, 5, 6),
                tuple(UDP, i, 2, 3, 4, 5, 6),
                tuple(UDP, 1, i, 3, 4, 5, 6),
                tuple(UDP, 1, 2, i, 4, 5, 6),
                tuple(UDP, 1, 2, 3, i, 5, 6),
                tuple(UDP, 1, 2, 3, 4, i, 6),
                tuple(UDP, 1, 2, 3, 4, 5, i),
            };
            for (final Tuple other : others) {
                assertThat(table.lookup(other, 0, dns.nowNs)).isSameAs(NEW);
            }
        }
        // Ports or addresses exchanged on their own are not a reply.
        assertThat(table.lookup(tuple(UDP, 1, 2, 6, 4, 5, 3), 0, dns.nowNs)).isEqualTo(NEW);
        assertThat(table.lookup(tuple(UDP, 4, 5, 3, 1, 2, 6), 0, dns.nowNs)).isEqualTo(NEW);
    }

    @Test
    void anEchoReplyBelongsToItsRequest() {
        for (final int protocol : new int[] {ICMP, ICMPV6}) {
            final Tuple request = ipv4(protocol, HOST_A, 77, HOST_B, 77);
            assertThat(dns.send(request, 0)).isEqualTo(NEW);
            assertThat(dns.send(echoReply(request), 0)).isEqualTo(REPLY);
            assertThat(dns.send(request, 0)).isEqualTo(ESTABLISHED);
            final Tuple fromTheLargerSide = ipv4(protocol, HOST_B, 78, HOST_A, 78);
            assertThat(dns.send(fromTheLargerSide, 0)).isEqualTo(NEW);
            assertThat(dns.send(echoReply(fromTheLargerSide), 0)).isEqualTo(REPLY);
        }
    }

    @Test
    void aRequestOfThePingedHostWithTheSameIdentifierIsAFlowOfItsOwn() {
        final Tuple request = ipv4(ICMP, HOST_A, 77, HOST_B, 77);
        dns.send(request, 0);
        dns.send(echoReply(request), 0);
        assertThat(dns.send(reversed(request), 0)).isEqualTo(NEW);
        assertThat(dns.send(echoReply(reversed(request)), 0)).isEqualTo(REPLY);
        assertThat(dns.send(request, 0)).isEqualTo(ESTABLISHED);
        assertThat(table.size()).isEqualTo(2);
    }

    @Test
    void anEchoReplyWithoutItsRequestIsInvalid() {
        final Tuple request = ipv4(ICMP, HOST_A, 77, HOST_B, 77);
        assertThat(table.lookup(echoReply(request), 0, dns.nowNs)).isEqualTo(INVALID);
        // The pinged host's own request is not the request of its reply.
        dns.send(reversed(request), 0);
        assertThat(table.lookup(echoReply(request), 0, dns.nowNs)).isEqualTo(INVALID);
    }

    @Test
    void echoAndOtherProtocolsHaveTheirTimeouts() {
        final Conversation echo = new Conversation(table, ipv4(ICMP, HOST_A, 7, HOST_B, 7));
        echo.initiatorSends(0);
        assertThat(echo.secondsLeft()).isEqualTo(30);
        table.close(table.entry());
        final Conversation sctp = new Conversation(table, ipv4(SCTP, HOST_A, 7, HOST_B, 8));
        sctp.initiatorSends(0);
        assertThat(sctp.secondsLeft()).isEqualTo(60);
        sctp.responderSends(0);
        assertThat(sctp.state()).isEqualTo(FlowState.REPLIED);
        assertThat(sctp.secondsLeft()).isEqualTo(60);
    }

    @Test
    void anErrorIsRelatedIfItQuotesAPacketOfAFlow() {
        dns.initiatorSends(0);
        assertThat(table.lookupRelated(DNS, dns.nowNs)).isEqualTo(RELATED);
        assertThat(table.entry().isReply()).isFalse();
        assertThat(table.lookupRelated(reversed(DNS), dns.nowNs)).isEqualTo(RELATED);
        assertThat(table.entry().isReply()).isTrue();
        assertThat(table.lookupRelated(ipv4(UDP, HOST_B, 40_001, HOST_A, 53), dns.nowNs))
                .isEqualTo(INVALID);
        dns.passes(30);
        assertThat(table.lookupRelated(DNS, dns.nowNs)).isEqualTo(INVALID);
    }

    @Test
    void lookingUpChangesNothing() {
        dns.initiatorSends(0);
        final FlowSnapshot before = dns.flow();
        table.lookup(reversed(DNS), 0, dns.nowNs);
        table.lookupRelated(reversed(DNS), dns.nowNs);
        assertThat(dns.flow()).isEqualTo(before);
    }

    @Test
    void anEntryHoldsWhatWasRecordedAndCountsPerDirection() {
        table.lookup(DNS, 0, dns.nowNs);
        table.create(DNS, 0, dns.nowNs);
        assertThat(table.entry().verdict()).isEqualTo(FlowVerdict.DENY);
        assertThat(table.entry().policyRevision()).isEqualTo(FlowEntry.NO_REVISION);
        assertThat(table.entry().initiatorPort()).isEqualTo(FlowEntry.NO_PORT);
        assertThat(table.entry().responderPort()).isEqualTo(FlowEntry.NO_PORT);

        table.entry().recordVerdict(FlowVerdict.REDIRECT, 65_535, 0, Integer.MAX_VALUE);
        table.entry().recordSides(32_767, -5, 0, 1 << 24);
        table.advance(NEW, 0, 1000, 1, dns.nowNs);
        table.advance(REPLY, 0, 65_000, 45, dns.nowNs);
        dns.passes(3);

        assertThat(dns.flow())
                .isEqualTo(
                        new FlowSnapshot(
                                UDP,
                                0,
                                Tuple.mapped(HOST_B),
                                40_000,
                                0,
                                Tuple.mapped(HOST_A),
                                53,
                                FlowState.REPLIED,
                                FlowVerdict.REDIRECT,
                                0,
                                65_535,
                                Integer.MAX_VALUE,
                                32_767,
                                0,
                                -5,
                                1 << 24,
                                1,
                                1000,
                                45,
                                65_000,
                                3_000_000_000L,
                                117_000_000_000L));
        assertThat(table.entry().deadlineNs() - dns.nowNs).isEqualTo(117_000_000_000L);
    }

    @Test
    void aFlowInAUsedSlotInheritsNothing() {
        dns.initiatorSends(0);
        table.entry().recordVerdict(FlowVerdict.REDIRECT, 15_001, 0, 9);
        table.entry().recordSides(1, 2, 3, 4);
        dns.responderSends(0);
        table.close(table.entry());
        assertThat(dns.flows()).isEmpty();

        table.create(DNS, 0, dns.nowNs);
        final FlowSnapshot fresh = dns.flow();
        assertThat(fresh.state()).isEqualTo(FlowState.UNREPLIED);
        assertThat(fresh.verdict()).isEqualTo(FlowVerdict.DENY);
        assertThat(fresh.proxyPort()).isZero();
        assertThat(fresh.policyRevision()).isEqualTo(FlowEntry.NO_REVISION);
        assertThat(fresh.initiatorPort()).isEqualTo(FlowEntry.NO_PORT);
        assertThat(fresh.responderIdentity()).isZero();
        assertThat(fresh.initiatorPackets()).isZero();
        assertThat(fresh.responderBytes()).isZero();
    }

    @Test
    void aClosedFlowIsGoneForBothDirections() {
        dns.initiatorSends(0);
        table.close(table.entry());
        assertThat(table.lookup(reversed(DNS), 0, dns.nowNs)).isEqualTo(NEW);
        assertThat(table.lookup(DNS, 0, dns.nowNs)).isEqualTo(NEW);
        assertThat(table.size()).isZero();
    }

    @Test
    void anEntryWithoutAFlowCannotBeReadOrChanged() {
        dns.initiatorSends(0);
        table.lookup(ipv4(UDP, HOST_A, 1, HOST_B, 1), 0, dns.nowNs);
        assertThatThrownBy(() -> table.entry().verdict())
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> table.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> table.advance(ESTABLISHED, 0, 1, 1, dns.nowNs))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> table.close(table.entry()))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThat(dns.flow().initiatorPackets()).isEqualTo(1);
    }

    @Test
    void whatDoesNotFitIsRefusedInOneLine() {
        dns.initiatorSends(0);
        final FlowEntry entry = table.entry();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> table.advance(RELATED, 0, 1, 1, dns.nowNs))
                .withMessage(
                        "advance by a packet that is RELATED: accepted are NEW, ESTABLISHED,"
                                + " REPLY");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> entry.recordVerdict(FlowVerdict.REDIRECT, 0, 0, 1))
                .withMessage("flow verdict's proxyPort 0: accepted is 1 to 65535");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> entry.recordVerdict(FlowVerdict.ALLOW, 0, 133, 1))
                .withMessage("flow verdict's dropReason 133: accepted is 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> entry.recordSides(0, 0, 32_768, 0))
                .withMessage("flow's responderPort 32768: accepted are -1 to 32767");
    }

    @Test
    void slotsKeepStatesAndVerdictsByTheirPlaceInTheList() {
        for (final FlowState state : FlowState.values()) {
            assertThat(FlowState.of(state.code)).isSameAs(state);
        }
        for (final FlowVerdict verdict : FlowVerdict.values()) {
            assertThat(FlowVerdict.of(verdict.code)).isSameAs(verdict);
        }
    }
}
