package io.sluice.dataplane;

import static io.sluice.dataplane.Frames.ACK;
import static io.sluice.dataplane.Frames.RST;
import static io.sluice.dataplane.Frames.SYN;
import static io.sluice.dataplane.Frames.SYN_ACK;
import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A6;
import static io.sluice.dataplane.TestSwitch.A_PORT;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.B6;
import static io.sluice.dataplane.TestSwitch.B_PORT;
import static io.sluice.dataplane.TestSwitch.OUTSIDER;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.sluice.dataplane.FramePattern.Varies;
import io.sluice.dataplane.PacketFilter.Address;
import io.sluice.dataplane.PacketFilter.All;
import io.sluice.dataplane.PacketFilter.And;
import io.sluice.dataplane.PacketFilter.EtherType;
import io.sluice.dataplane.PacketFilter.Not;
import io.sluice.dataplane.PacketFilter.Or;
import io.sluice.dataplane.PacketFilter.PortNumber;
import io.sluice.dataplane.PacketFilter.Protocol;
import io.sluice.dataplane.PacketFilter.Side;
import io.sluice.dataplane.TraceRecord.Step;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.IpAddress;
import io.sluice.dataplane.wire.IpProtocol;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a trace takes down of packets: every end, every step, and no more than was asked for. */
class TraceTest {
    private static final byte[] NOTHING = {};

    /** Packets whose heap is looked at, and less than a byte for ten of them. */
    private static final int PACKETS = 1_000_000;

    private static final int BYTES_MAX = PACKETS / 10;

    private TestSwitch sluice = new TestSwitch();

    /** Checks that every packet met its end. */
    @AfterEach
    void close() {
        sluice.close();
    }

    private static List<TraceRecord> read(final TraceRing ring) {
        final List<TraceRecord> records = new ArrayList<>();
        ring.read(records::add);
        return records;
    }

    /** The one record since the last look. */
    private static TraceRecord only(final TraceRing ring) {
        final List<TraceRecord> records = read(ring);
        assertThat(records).hasSize(1);
        return records.getFirst();
    }

    private TraceRing traceAll() {
        return sluice.trace(new All(), TraceRing.PACKETS_MAX);
    }

    private static String steps(final TraceRecord record) {
        return record.end()
                + " at "
                + record.stoppedAt()
                + (record.reason() == DropReason.NONE ? "" : " " + record.reason())
                + (record.isTracked() ? " " + record.state() : "")
                + (record.hasSides()
                        ? " " + record.sourceIdentity() + "->" + record.destinationIdentity()
                        : "")
                + (record.isJudged() ? " judged" : "");
    }

    @Test
    void anOpeningPacketIsJudgedAndTheOthersFollowItsFlow() {
        sluice.ingressOfBAllowsFromA(IpProtocol.TCP, 80);
        final TraceRing ring = traceAll();

        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        final TraceRecord opening = only(ring);
        assertThat(steps(opening)).isEqualTo("FORWARDED at TRANSMIT NEW 256->257 judged");
        assertThat(opening.inPort()).isEqualTo(A_PORT);
        assertThat(opening.outPort()).isEqualTo(B_PORT);
        assertThat(PolicyEntry.rule(opening.ingressEntry())).isEqualTo(3);
        assertThat(opening.known()).isEqualTo(Packet.Known.POLICY);
        assertThat(opening.tcpFlags()).isEqualTo(SYN);
        assertThat(opening.sourcePort()).isEqualTo(4000);
        assertThat(opening.destinationPort()).isEqualTo(80);
        assertThat(opening.sourceMac()).isEqualTo(A.mac());
        assertThat(opening.ttl()).isEqualTo(64);
        assertThat(opening.revision()).isEqualTo(2);
        assertThat(opening.frameBytes()).isEqualTo(54);
        assertThat(opening.atNs()).isEqualTo(sluice.nowNs);
        assertThat(opening.isReturned()).isFalse();

        sluice.fromB(Frames.tcp(B, 80, A, 4000, SYN_ACK, 0));
        assertThat(steps(only(ring))).isEqualTo("FORWARDED at TRANSMIT REPLY 257->256");
        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 0));
        assertThat(steps(only(ring))).isEqualTo("FORWARDED at TRANSMIT ESTABLISHED 256->257");

        sluice.nobodyReachesB();
        sluice.fromA(Frames.tcp(A, 4000, B, 80, ACK, 10));
        assertThat(steps(only(ring)))
                .isEqualTo("DROPPED at POLICY POLICY_DENIED ESTABLISHED 256->257 judged");
    }

    @Test
    void aDropNamesTheStepThatStoppedThePacket() {
        sluice.ingressOfBAllowsFromA(IpProtocol.UDP, 53);
        final TraceRing ring = traceAll();

        sluice.fromA(Arrays.copyOf(Frames.tcp(A, 4000, B, 80, SYN, 0), 10));
        assertThat(steps(only(ring))).isEqualTo("DROPPED at PARSE UNSUPPORTED_L2_PROTOCOL");
        sluice.fromA(Arrays.copyOf(Frames.tcp(A, 4000, B, 80, SYN, 0), 40));
        assertThat(steps(only(ring))).isEqualTo("DROPPED at PARSE INVALID_PACKET");

        sluice.fromA(Frames.tcp(B, 4000, B, 80, SYN, 0));
        assertThat(steps(only(ring))).isEqualTo("DROPPED at GUARD INVALID_SOURCE_MAC");
        sluice.fromA(Frames.withSourceMac(Frames.tcp(B, 4000, B, 80, SYN, 0), A.mac()));
        assertThat(steps(only(ring))).isEqualTo("DROPPED at GUARD INVALID_SOURCE_IP");
        sluice.fromA(Frames.echoRequest(A, new Frames.Host(0, "127.0.0.1"), 1, 64));
        assertThat(steps(only(ring))).isEqualTo("DROPPED at GUARD STALE_OR_UNROUTABLE_IP");

        sluice.fromA(Frames.echoRequest(A, B, 1, 1));
        assertThat(steps(only(ring))).isEqualTo("DROPPED at HOP_LIMIT TTL_EXCEEDED");
        sluice.fromA(Frames.udpFragment(A, B, 0, 5, 1400, false, 100));
        assertThat(steps(only(ring))).isEqualTo("DROPPED at FRAGMENTS FRAGMENT_NOT_FOUND");
        sluice.fromA(Frames.tcp(A, 4000, B, 80, RST, 0));
        assertThat(steps(only(ring)))
                .isEqualTo("DROPPED at CONNTRACK UNKNOWN_CONNECTION_TRACKING_STATE INVALID");
        sluice.fromA(Frames.udp(A, 4000, new Frames.Host(0, "10.244.0.200"), 53, 10));
        assertThat(steps(only(ring)))
                .isEqualTo("DROPPED at IDENTITY STALE_OR_UNROUTABLE_IP NEW 256->2");
        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        assertThat(steps(only(ring)))
                .isEqualTo("DROPPED at POLICY POLICY_DENIED NEW 256->257 judged");

        sluice.withMtuOfB(1400);
        sluice.fromA(Frames.udp(A, 4000, B, 53, 1450));
        assertThat(steps(only(ring)))
                .isEqualTo("DROPPED at TRANSMIT FRAGMENTATION_NEEDED NEW 256->257 judged");
        sluice.b.removeDevice();
        sluice.run();
        sluice.fromA(Frames.udp(A, 4001, B, 53, 10));
        assertThat(steps(only(ring)))
                .isEqualTo("DROPPED at TRANSMIT EP_NOT_READY NEW 256->257 judged");
    }

    @Test
    void theReasonsOfAllStepsHaveAStep() {
        for (final DropReason reason : DropReason.values()) {
            assertThat(Step.dropping(reason, true, false)).as(reason.name()).isNotNull();
            assertThat(Step.dropping(reason, false, false)).as(reason.name()).isNotNull();
        }
        assertThat(Step.dropping(DropReason.EP_NOT_READY, false, false)).isEqualTo(Step.GUARD);
        assertThat(Step.dropping(DropReason.EP_NOT_READY, true, true)).isEqualTo(Step.POLICY);
    }

    @Test
    void whatTheSwitchAnswersIsTakenDownToo() {
        final TraceRing ring = traceAll();
        sluice.fromA(Frames.arpRequest(A, "10.244.0.1"));
        final TraceRecord arp = only(ring);
        assertThat(steps(arp)).isEqualTo("ANSWERED at ANSWER");
        assertThat(arp.etherType()).isEqualTo(Ethernet.ARP);

        sluice.fromA(Frames.echoRequest(A, new Frames.Host(0, "169.254.1.1"), 1, 64));
        assertThat(steps(only(ring))).isEqualTo("ANSWERED at ANSWER");
    }

    @Test
    void aRedirectedFlowGoesToTheProxyAndBack() {
        sluice.ingressOfBRedirects();
        final TraceRing ring = traceAll();

        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        final TraceRecord opening = only(ring);
        assertThat(steps(opening)).isEqualTo("REDIRECTED at TRANSMIT NEW 256->257 judged");
        assertThat(opening.destinationPort()).as("the server's, not the listener's").isEqualTo(80);

        sluice.fromProxy(Frames.tcp(B, ProxyLegs.FIRST_LISTENER, A, 4000, SYN_ACK, 0));
        final TraceRecord reply = only(ring);
        assertThat(steps(reply)).isEqualTo("FORWARDED at TRANSMIT REPLY 257->256");
        assertThat(reply.sourcePort()).isEqualTo(80);
        assertThat(reply.inPort()).isEqualTo(Tables.PROXY_PORT);
    }

    @Test
    void aDatagramUnderDnsRulesIsTakenDownWhenTheAgentGetsItAndWhenItComesBack() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        sluice.publish(PolicyMap.always(PolicyEntry.punt(5)), all, all, all);
        final TraceRing ring = traceAll();

        sluice.fromA(Frames.udp(A, 4000, B, 53, 40));
        assertThat(steps(only(ring))).isEqualTo("PUNTED at PUNT NEW 256->257 judged");
        giveBack(PuntRing.Step.RELEASE, DropReason.NONE);
        final TraceRecord released = only(ring);
        assertThat(steps(released)).isEqualTo("FORWARDED at TRANSMIT ESTABLISHED 256->257");
        assertThat(released.isReturned()).isTrue();

        sluice.fromA(Frames.udp(A, 4000, B, 53, 40));
        assertThat(steps(only(ring))).isEqualTo("PUNTED at PUNT ESTABLISHED 256->257");
        giveBack(PuntRing.Step.DROP, DropReason.DNS_MALFORMED);
        assertThat(steps(only(ring))).isEqualTo("DROPPED at PUNT DNS_MALFORMED");

        sluice.fromA(Frames.udp(A, 4000, B, 53, 40));
        only(ring);
        giveBack(PuntRing.Step.ANSWER, DropReason.NONE);
        assertThat(steps(only(ring))).isEqualTo("ANSWERED at PUNT");
    }

    private void giveBack(final PuntRing.Step step, final DropReason reason) {
        final List<Punt> punted = sluice.punted();
        assertThat(punted).hasSize(1);
        assertThat(sluice.punts().giveBack(punted.getFirst(), step, reason, NOTHING)).isTrue();
        sluice.run();
    }

    @Test
    void onlyWhatTheFilterTakesIsTakenDown() {
        final IpAddress a = IpAddress.parse(A.address());
        final PacketFilter fromA = new Address(Side.SOURCE, a.high(), a.low());
        final PacketFilter toA = new Address(Side.DESTINATION, a.high(), a.low());
        final PacketFilter ofA = new Address(Side.EITHER, a.high(), a.low());
        assertThat(countOf(new All())).isEqualTo(7);
        assertThat(countOf(fromA)).isEqualTo(4);
        assertThat(countOf(toA)).isEqualTo(1);
        assertThat(countOf(ofA)).isEqualTo(5);
        assertThat(countOf(new Protocol(IpProtocol.TCP))).isEqualTo(3);
        assertThat(countOf(new Protocol(IpProtocol.ICMP))).isEqualTo(1);
        assertThat(countOf(new EtherType(Ethernet.ARP))).isEqualTo(1);
        assertThat(countOf(new PortNumber(Side.DESTINATION, 80))).isEqualTo(2);
        assertThat(countOf(new PortNumber(Side.SOURCE, 80))).isEqualTo(1);
        assertThat(countOf(new PortNumber(Side.EITHER, 80))).isEqualTo(3);
        assertThat(countOf(new And(fromA, new PortNumber(Side.EITHER, 80)))).isEqualTo(1);
        assertThat(countOf(new Or(toA, new Protocol(IpProtocol.ICMP)))).isEqualTo(2);
        assertThat(countOf(new Not(new Protocol(IpProtocol.TCP)))).isEqualTo(4);
    }

    /** Packets of a small conversation that a filter takes. */
    private int countOf(final PacketFilter filter) {
        sluice.close();
        sluice = new TestSwitch();
        final TraceRing ring = sluice.trace(filter, TraceRing.PACKETS_MAX);
        sluice.fromA(Frames.tcp(A, 4000, B, 80, SYN, 0));
        sluice.fromB(Frames.tcp(B, 80, A, 4000, SYN_ACK, 0));
        sluice.fromA(Frames.tcp(A6, 4000, B6, 80, SYN, 0));
        sluice.fromA(Frames.udp(A, 4000, B, 53, 10), Frames.echoRequest(A, B, 80, 64));
        // A later fragment that lost its first one has no ports.
        sluice.fromA(Frames.udpFragment(A, B, 0, 5, 1400, false, 100));
        sluice.fromA(Frames.arpRequest(A, "10.244.0.1"));
        return read(ring).size();
    }

    @Test
    void endsAfterAsManyPacketsAsWereAskedForAndWhenItIsTold() {
        final TraceRing ring = sluice.trace(new All(), 2);
        sluice.fromA(Frames.udp(A, 1, B, 53, 10));
        assertThat(ring.isComplete()).isFalse();
        sluice.fromA(Frames.udp(A, 2, B, 53, 10), Frames.udp(A, 3, B, 53, 10));
        assertThat(ring.isComplete()).as("before they are read").isFalse();
        assertThat(read(ring)).hasSize(2);
        assertThat(ring.isComplete()).isTrue();

        final TraceRing second = traceAll();
        sluice.fromA(Frames.udp(A, 4, B, 53, 10));
        sluice.endTrace();
        sluice.fromA(Frames.udp(A, 5, B, 53, 10));
        assertThat(read(second)).hasSize(1);
        assertThat(read(ring)).isEmpty();
    }

    @Test
    void aRingThatNobodyReadsLosesRecordsAndCountsThem() {
        final int packets = 3 * TraceRing.RECORDS;
        final TraceRing ring = sluice.trace(new All(), packets);
        for (int i = 0; i < packets; i++) {
            sluice.fromA(Frames.udp(A, 1 + i, OUTSIDER, 53, 10));
            assertThat(sluice.sentTo(sluice.uplink)).as("none waits").hasSize(1);
        }

        final int read = read(ring).size();
        assertThat(read).isEqualTo(TraceRing.RECORDS);
        assertThat(read + ring.lost()).isEqualTo(packets);
        assertThat(ring.isComplete()).isTrue();
    }

    @Test
    void theLaneAllocatesNothingWhetherSomebodyTracesOrNot() {
        final FramePattern pattern =
                new FramePattern("a", Frames.tcp(A, 0, B, 0, ACK, 100), Varies.PORTS);
        sluice.recordsEvents = false;
        sluice.plug(A_PORT, pattern);
        sluice.plug(B_PORT, new FramePattern("b", Frames.tcp(B, 0, A, 0, ACK, 0), Varies.PORTS));

        assertThat(allocatedBy(pattern)).as("no trace").isLessThan(BYTES_MAX);
        sluice.trace(
                new And(new Protocol(IpProtocol.TCP), new Not(new PortNumber(Side.EITHER, 7))),
                TraceRing.PACKETS_MAX);
        assertThat(allocatedBy(pattern)).as("traced").isLessThan(BYTES_MAX);
    }

    /** Bytes of heap for {@link #PACKETS}, once everything was compiled. */
    private long allocatedBy(final FramePattern pattern) {
        final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        send(pattern);
        final long before = threads.getCurrentThreadAllocatedBytes();
        send(pattern);
        return threads.getCurrentThreadAllocatedBytes() - before;
    }

    private void send(final FramePattern pattern) {
        for (int sent = 0; sent < PACKETS; sent += 1000) {
            pattern.offer(0, 1000);
            for (int i = 0; i < 20; i++) {
                sluice.turn();
            }
        }
    }
}
