package io.sluice.dataplane;

import static io.sluice.dataplane.Frames.ACK;
import static io.sluice.dataplane.Frames.RST;
import static io.sluice.dataplane.Frames.SYN;
import static io.sluice.dataplane.Frames.SYN_ACK;
import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A6;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.B6;
import static io.sluice.dataplane.TestSwitch.NODE;
import static io.sluice.dataplane.TestSwitch.OUTSIDER;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.Frames.Host;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What happens to packets, from frame to frame. */
class DatapathTest {
    private static final int TCP = 6;
    private static final int ICMP = 1;

    private TestSwitch sluice = new TestSwitch();

    @AfterEach
    void everyPacketMetItsEnd() {
        sluice.close();
    }

    @Test
    void forwardsBetweenPodsWithTheGatewaysMacAndOneHopLess() {
        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));

        final List<byte[]> sent = sluice.sentTo(sluice.b);
        assertThat(sent).hasSize(1);
        assertThat(Frames.destinationMac(sent.getFirst())).isEqualTo(B.mac());
        assertThat(Frames.ttl(sent.getFirst())).isEqualTo(63);
    }

    @Test
    void aSuspendedLaneTouchesNeitherPortsNorFlowsUntilItHasPortsAgain() {
        sluice.fromA(Frames.udp(A, 4000, B, 53, 100));
        assertThat(sluice.sentTo(sluice.b)).hasSize(1);

        sluice.suspend();
        sluice.nowNs += TimeUnit.HOURS.toNanos(1);
        sluice.fromA(Frames.udp(A, 4001, B, 53, 100));
        assertThat(sluice.sentTo(sluice.b)).isEmpty();
        assertThat(sluice.flows()).as("flows whose time is over").isEqualTo(1);

        sluice.resume();
        sluice.run();
        assertThat(sluice.sentTo(sluice.b)).as("the frame that waited").hasSize(1);
    }

    @Test
    void forwardsIpv6AsWell() {
        sluice.fromA(Frames.udp(A6, 4000, B6, 53, 100));

        final List<byte[]> sent = sluice.sentTo(sluice.b);
        assertThat(sent).hasSize(1);
        assertThat(Frames.destinationMac(sent.getFirst())).isEqualTo(B.mac());
        assertThat(Frames.ttl(sent.getFirst())).isEqualTo(63);
    }

    @Test
    void letsRepliesOfAnAllowedConnectionPassWhateverTheOtherDirectionsPolicySays() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        final PolicyMap none = PolicyMap.always(PolicyEntry.deny(TestSwitch.POLICY_DENIED, 1));
        sluice.publish(all, none, none, all);

        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        sluice.fromB(Frames.tcp(B, 80, A, 4000, SYN_ACK, 0));

        assertThat(sluice.sentTo(sluice.a)).hasSize(1);
        assertThat(sluice.counters.policyVerdictPackets()).as("policy was asked once").isEqualTo(1);
    }

    @Test
    void dropsWhatTheReceiversIngressDoesNotAllowAndNamesTheRule() {
        sluice.ingressOfBAllowsFromA(TCP, 80);

        sluice.fromA(Frames.tcp(A, 4000, B, 81, SYN, 0));

        assertThat(sluice.sentTo(sluice.b)).isEmpty();
        assertThat(
                        sluice.counters.droppedPackets(
                                DropReason.POLICY_DENIED, TrafficDirection.INGRESS))
                .isEqualTo(1);
        assertThat(sluice.events).contains("dropped POLICY_DENIED rule 7");
        assertThat(sluice.sentTo(sluice.a)).as("a denied packet is dropped in silence").isEmpty();
        assertThat(sluice.flows()).as("a denied packet opens no flow").isZero();
    }

    @Test
    void dropsWhatTheSendersEgressDenies() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        final PolicyMap none = PolicyMap.always(PolicyEntry.deny(DropReason.POLICY_DENY.code(), 4));
        sluice.publish(none, all, all, all);

        sluice.fromA(Frames.udp(A, 4000, B, 53, 10));

        assertThat(sluice.counters.droppedPackets(DropReason.POLICY_DENY, TrafficDirection.EGRESS))
                .isEqualTo(1);
    }

    @Test
    void cutsAnOpenConnectionInBothDirectionsWhenThePolicyChangesAndOpensItAgain() {
        open();
        sluice.nobodyReachesB();

        sluice.fromB(Frames.tcp(B, 80, A, 4000, ACK, 100));
        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 100));
        assertThat(sluice.sentTo(sluice.a)).as("the responder's data").isEmpty();
        assertThat(sluice.sentTo(sluice.b)).as("the initiator's data").isEmpty();
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(2);
        assertThat(sluice.events).endsWith("dropped POLICY_DENIED rule 9");

        sluice.allowAll();
        sluice.fromB(Frames.tcp(B, 80, A, 4000, ACK, 100));
        assertThat(sluice.sentTo(sluice.a)).as("policy allows it again").hasSize(1);
    }

    @Test
    void keepsAnOpenConnectionThatTheNewPolicyStillAllows() {
        open();
        sluice.ingressOfBAllowsFromA(TCP, 80);

        sluice.fromB(Frames.tcp(B, 80, A, 4000, ACK, 100));
        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 100));

        assertThat(sluice.sentTo(sluice.a)).hasSize(1);
        assertThat(sluice.sentTo(sluice.b)).hasSize(1);
    }

    private void open() {
        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        sluice.fromB(Frames.tcp(B, 80, A, 4000, SYN_ACK, 0));
        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 0));
        sluice.sentTo(sluice.a);
        sluice.sentTo(sluice.b);
    }

    @Test
    void answersArpForEveryAddressButTheAskersOwn() {
        sluice.fromA(
                Frames.arpRequest(A, "169.254.1.1"),
                Frames.arpRequest(A, "10.244.0.77"),
                Frames.arpRequest(A, A.address()));

        final List<byte[]> sent = sluice.sentTo(sluice.a);
        assertThat(sent).hasSize(2);
        assertThat(Frames.destinationMac(sent.getFirst())).isEqualTo(A.mac());
        assertThat(sluice.counters.answeredPackets()).isEqualTo(2);
    }

    @Test
    void answersTheNodesArpForPodsOnly() {
        sluice.fromUplink(
                Frames.arpRequest(NODE, A.address()), Frames.arpRequest(NODE, "198.51.100.1"));

        assertThat(sluice.sentTo(sluice.uplink)).hasSize(1);
    }

    @Test
    void answersNeighborSolicitationsForTheGateway() {
        final Host linkLocal = new Host(A.mac(), "fe80::53:4cff:fe00:a01");
        sluice.fromA(Frames.neighborSolicitation(linkLocal, "fe80::1"));

        final List<byte[]> sent = sluice.sentTo(sluice.a);
        assertThat(sent).hasSize(1);
        assertThat(Frames.icmpType(sent.getFirst())).isEqualTo(136);
    }

    @Test
    void answersPingToTheGateway() {
        sluice.nobodyReachesB();
        final Host gateway = new Host(Gateway.DEFAULT.mac(), "169.254.1.1");
        final Host gateway6 = new Host(Gateway.DEFAULT.mac(), "fe80::1");
        sluice.fromA(Frames.echoRequest(A, gateway, 1, 64), Frames.echoRequest(A6, gateway6, 1, 1));

        final List<byte[]> sent = sluice.sentTo(sluice.a);
        assertThat(sent).extracting(Frames::icmpType).containsExactly(0, 129);
    }

    @Test
    void dropsAForeignSourceAddressAndAForeignMac() {
        final Host liar = new Host(A.mac(), "10.244.0.99");
        sluice.fromA(
                Frames.udp(liar, 4000, B, 53, 10),
                Frames.udp(new Host(A.mac(), B.address()), 4000, B, 53, 10),
                Frames.withSourceMac(Frames.udp(A, 4000, B, 53, 10), 0x0253_4c00_ffffL));

        assertThat(sluice.drops(DropReason.INVALID_SOURCE_IP)).isEqualTo(2);
        assertThat(sluice.drops(DropReason.INVALID_SOURCE_MAC)).isEqualTo(1);
        assertThat(sluice.sentTo(sluice.b)).isEmpty();
    }

    @Test
    void dropsAPodsAddressThatComesFromTheUplinkEvenOnAnOpenFlow() {
        open();

        sluice.fromUplink(
                Frames.tcp(new Host(NODE.mac(), A.address()), 4000, B, 80, ACK, 10),
                Frames.udp(new Host(NODE.mac(), "127.0.0.1"), 1, B, 53, 10));

        assertThat(sluice.drops(DropReason.INVALID_SOURCE_IP)).isEqualTo(2);
        assertThat(sluice.sentTo(sluice.b)).isEmpty();
    }

    @Test
    void dropsWhatTheUplinkSendsFromTheGatewaysOrAnUnusedPoolAddress() {
        sluice.fromUplink(
                Frames.udp(new Host(NODE.mac(), "169.254.1.1"), 1, B, 53, 10),
                Frames.udp(new Host(NODE.mac(), "10.244.0.77"), 1, B, 53, 10));

        assertThat(sluice.drops(DropReason.INVALID_SOURCE_IP)).isEqualTo(2);
        assertThat(sluice.sentTo(sluice.b)).isEmpty();
    }

    @Test
    void dropsWhatIsForAnAddressThatEveryHostTakesForItsOwn() {
        sluice.fromA(
                Frames.udp(A, 1, new Host(0, "127.0.0.1"), 53, 10),
                Frames.udp(A, 1, new Host(0, "0.0.0.0"), 53, 10),
                Frames.udp(A6, 1, new Host(0, "::1"), 53, 10),
                Frames.udp(A6, 1, new Host(0, "fe80::53:4cff:fe00:2"), 53, 10));

        assertThat(sluice.drops(DropReason.STALE_OR_UNROUTABLE_IP)).isEqualTo(4);
        assertThat(sluice.sentTo(sluice.uplink)).isEmpty();
    }

    @Test
    void letsTheMetadataAddressTravel() {
        sluice.fromA(Frames.udp(A, 1, new Host(0, "169.254.169.254"), 80, 10));

        assertThat(sluice.sentTo(sluice.uplink)).hasSize(1);
    }

    @Test
    void carriesTheWorldThroughTheUplinkBothWays() {
        sluice.fromA(Frames.tcp(A, 4000, OUTSIDER, 443, SYN, 0));
        final List<byte[]> out = sluice.sentTo(sluice.uplink);
        assertThat(out).hasSize(1);
        assertThat(Frames.destinationMac(out.getFirst())).isEqualTo(NODE.mac());

        sluice.fromUplink(Frames.tcp(OUTSIDER, 443, A, 4000, SYN_ACK, 0));
        assertThat(sluice.sentTo(sluice.a)).hasSize(1);
        assertThat(sluice.events).containsExactly("opened 256->2");
    }

    @Test
    void hasNoWayToAPoolAddressWithoutEndpointNorBackOutOfTheUplink() {
        sluice.fromA(Frames.udp(A, 4000, new Host(0, "10.244.0.200"), 53, 10));
        sluice.fromUplink(Frames.udp(OUTSIDER, 4000, new Host(0, "203.0.113.5"), 53, 10));

        assertThat(sluice.drops(DropReason.STALE_OR_UNROUTABLE_IP)).isEqualTo(2);
    }

    @Test
    void tellsTheSenderWhenTheHopLimitRunsOut() {
        sluice.nobodyReachesB();
        sluice.fromA(Frames.echoRequest(A, B, 1, 1), Frames.echoRequest(A6, B6, 1, 1));

        final List<byte[]> sent = sluice.sentTo(sluice.a);
        assertThat(sent).extracting(Frames::icmpType).containsExactly(11, 3);
        assertThat(sluice.drops(DropReason.TTL_EXCEEDED)).isEqualTo(2);
    }

    @Test
    void limitsTheRateOfErrors() {
        for (int i = 0; i < 200; i++) {
            sluice.fromA(Frames.echoRequest(A, B, i, 1));
        }
        assertThat(sluice.sentTo(sluice.a)).hasSize(50);

        sluice.nowNs += TimeUnit.SECONDS.toNanos(1);
        sluice.fromA(Frames.echoRequest(A, B, 1, 1));
        assertThat(sluice.sentTo(sluice.a)).hasSize(1);
    }

    @Test
    void tellsTheMtuWhenAPacketDoesNotFitAndMustNotBeCut() {
        sluice.withMtuOfB(1400);
        sluice.fromA(Frames.udp(A, 4000, B, 53, 1450), Frames.udp(A6, 4000, B6, 53, 1450));

        final List<byte[]> sent = sluice.sentTo(sluice.a);
        assertThat(sent).extracting(Frames::icmpType).containsExactly(3, 2);
        assertThat(sent).extracting(Frames::icmpMtu).containsExactly(1400, 1400);
        assertThat(sluice.drops(DropReason.FRAGMENTATION_NEEDED)).isEqualTo(2);
    }

    @Test
    void cutsAnIpv4PacketThatAllowsItIntoFragments() {
        sluice.withMtuOfB(600);
        sluice.fromA(Frames.udpThatMayBeFragmented(A, B, 53, 1400));

        final List<byte[]> sent = sluice.sentTo(sluice.b);
        assertThat(sent).hasSize(3);
        assertThat(sent).allSatisfy(frame -> assertThat(Frames.ipBytes(frame)).isBetween(28, 600));
        assertThat(sent.stream().mapToInt(frame -> Frames.ipBytes(frame) - 20).sum())
                .isEqualTo(1408);
        assertThat(sluice.counters.forwardedPackets()).isEqualTo(1);
        assertThat(sluice.counters.fragmentsSentPackets()).isEqualTo(3);
    }

    @Test
    void judgesFragmentsAsPartsOfTheirDatagram() {
        sluice.ingressOfBAllowsFromA(17, 9000);
        for (final boolean ipv4 : new boolean[] {true, false}) {
            final Host from = ipv4 ? A : A6;
            final Host to = ipv4 ? B : B6;
            sluice.fromA(
                    Frames.udpFragment(from, to, 9000, 77, 0, true, 1400),
                    Frames.udpFragment(from, to, 0, 77, 1400, true, 1400),
                    Frames.udpFragment(from, to, 0, 77, 2800, false, 100));
            assertThat(sluice.sentTo(sluice.b)).as("allowed port, ipv4=" + ipv4).hasSize(3);

            sluice.fromA(
                    Frames.udpFragment(from, to, 9001, 78, 0, true, 1400),
                    Frames.udpFragment(from, to, 0, 78, 1400, false, 100));
            assertThat(sluice.sentTo(sluice.b)).as("denied port, ipv4=" + ipv4).isEmpty();
        }
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(4);
    }

    @Test
    void dropsASuperFrameThatClaimsToBeAFragment() {
        final byte[] fragment = Frames.udpFragment(A, B, 9000, 5, 0, true, 1400);
        final byte[] superFrame = new byte[PacketBatch.VNET_HEADER_BYTES + fragment.length];
        System.arraycopy(fragment, 0, superFrame, PacketBatch.VNET_HEADER_BYTES, fragment.length);
        superFrame[1] = 1;
        sluice.a.injectWithHeader(superFrame);
        sluice.run();

        assertThat(sluice.drops(DropReason.FRAGMENT_MALFORMED)).isEqualTo(1);
    }

    @Test
    void dropsALaterFragmentWithoutItsFirst() {
        sluice.fromA(Frames.udpFragment(A, B, 0, 5, 1400, false, 100));

        assertThat(sluice.drops(DropReason.FRAGMENT_NOT_FOUND)).isEqualTo(1);
    }

    @Test
    void letsEchoRepliesPassToWhoAskedAndNobodyElse() {
        sluice.ingressOfBAllowsFromA(ICMP, 8 << 8);
        sluice.fromA(Frames.echoRequest(A, B, 7, 64));
        sluice.fromB(Frames.echoReply(B, A, 7), Frames.echoReply(B, A, 8));

        assertThat(sluice.sentTo(sluice.b)).hasSize(1);
        assertThat(sluice.sentTo(sluice.a)).hasSize(1);
        assertThat(sluice.drops(DropReason.UNKNOWN_CONNECTION_TRACKING_STATE)).isEqualTo(1);
    }

    @Test
    void judgesAPingInTheOtherDirectionOnItsOwnThoughTheIdentifierIsTheSame() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        final PolicyMap none = PolicyMap.always(PolicyEntry.deny(TestSwitch.POLICY_DENIED, 1));
        sluice.publish(all, none, all, all);

        sluice.fromA(Frames.echoRequest(A, B, 7, 64));
        sluice.fromB(Frames.echoRequest(B, A, 7, 64));

        assertThat(sluice.sentTo(sluice.a)).isEmpty();
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(1);
    }

    @Test
    void judgesAnIcmpMessageThatStandsAloneThoughAnEchoWithIdentifierZeroIsOpen() {
        sluice.ingressOfBAllowsFromA(ICMP, 8 << 8);
        sluice.fromA(Frames.echoRequest(A, B, 0, 64), Frames.timestampRequest(A, B));

        assertThat(sluice.sentTo(sluice.b)).hasSize(1);
        assertThat(sluice.drops(DropReason.POLICY_DENIED)).isEqualTo(1);
    }

    @Test
    void letsAnIcmpErrorPassIfItIsAboutAFlowAndGoesToTheRightSide() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        final PolicyMap none = PolicyMap.always(PolicyEntry.deny(TestSwitch.POLICY_DENIED, 1));
        sluice.publish(all, none, none, all);
        final byte[] question = Frames.udp(A, 4000, B, 53, 10);
        sluice.fromA(question);

        sluice.fromB(Frames.icmpError(B, A, 3, 3, question));
        assertThat(sluice.sentTo(sluice.a)).as("port unreachable of a flow").hasSize(1);

        sluice.fromB(Frames.icmpError(B, A, 3, 3, Frames.udp(A, 4001, B, 53, 10)));
        sluice.fromB(Frames.icmpError(B, NODE, 3, 3, question));
        assertThat(sluice.drops(DropReason.UNKNOWN_CONNECTION_TRACKING_STATE)).isEqualTo(2);
    }

    @Test
    void dropsAnIcmpErrorOfAWorkloadAboutSomebodyElsesFlow() {
        final byte[] question = Frames.udp(B, 4000, OUTSIDER, 53, 10);
        sluice.fromB(question);

        sluice.fromA(Frames.icmpError(A, B, 3, 4, question));
        assertThat(sluice.sentTo(sluice.b)).isEmpty();

        sluice.fromUplink(Frames.icmpError(NODE, B, 11, 0, question));
        assertThat(sluice.sentTo(sluice.b)).as("a router on the way").hasSize(1);
    }

    @Test
    void tellsOfAFlowOnlyWhenItsPacketHasLeft() {
        sluice.withMtuOfB(1400);
        sluice.fromA(Frames.udp(A, 4000, B, 53, 1450));

        assertThat(sluice.events).containsExactly("dropped FRAGMENTATION_NEEDED rule 0");
    }

    @Test
    void dropsAStrayResetAndImpossibleFlags() {
        sluice.fromA(Frames.tcp(A, 4000, B, 80, RST, 0), Frames.tcp(A, 4000, B, 80, 0x03, 0));

        assertThat(sluice.drops(DropReason.UNKNOWN_CONNECTION_TRACKING_STATE)).isEqualTo(2);
    }

    @Test
    void failsClosedWhenTheConntrackTableIsFullAndKeepsOpenFlowsGoing() {
        sluice.close();
        sluice = new TestSwitch(64);
        open();
        for (int port = 1000; port < 1500; port++) {
            sluice.fromA(Frames.udp(A, port, B, 53, 10));
            // Unanswered flows would make way.
            sluice.fromB(Frames.udp(B, 53, A, port, 10));
        }
        assertThat(sluice.drops(DropReason.CT_MAP_INSERTION_FAILED)).isPositive();
        sluice.sentTo(sluice.b);

        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 10));
        assertThat(sluice.sentTo(sluice.b)).hasSize(1);
    }

    @Test
    void keepsMulticastOfAPodToItself() {
        final Host group = new Host(0, "224.0.0.251");
        sluice.fromA(Frames.udp(A, 5353, group, 5353, 10));

        assertThat(sluice.drops(DropReason.MULTICAST_NOT_FORWARDED)).isEqualTo(1);
    }

    @Test
    void dropsEveryTruncationOfAPacketWithoutReadingPastIt() {
        final byte[] whole = Frames.tcp(A, 4000, B, 80, SYN, 20);
        for (int length = 0; length < whole.length; length++) {
            sluice.fromA(Arrays.copyOf(whole, length));
        }
        assertThat(sluice.sentTo(sluice.b)).isEmpty();
    }

    @Test
    void saysSoWhenThePortIsNotOpen() {
        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        sluice.sentTo(sluice.b);
        sluice.b.removeDevice();
        sluice.run();
        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 0));

        assertThat(sluice.gone).containsExactly(TestSwitch.B_PORT);
        assertThat(sluice.drops(DropReason.EP_NOT_READY)).isEqualTo(1);
    }
}
