package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** TCP, UDP, SCTP, ICMP and ICMPv6 headers. */
final class TransportTest {
    private static final int L4 = VnetHeader.BYTES + Ethernet.BYTES + 20;
    private static final int L4_IN_IPV6 = VnetHeader.BYTES + Ethernet.BYTES + 40;

    @Test
    void readsATcpHeader() {
        final MemorySegment frame = Samples.frame(Samples.TCP4_SYN);

        assertThat(Tcp.check(frame, L4, 40)).isEqualTo(WireFault.NONE);
        assertThat(Tcp.sourcePort(frame, L4)).isEqualTo(40_000);
        assertThat(Tcp.destinationPort(frame, L4)).isEqualTo(443);
        assertThat(Tcp.sequence(frame, L4)).isEqualTo(0x01020304);
        assertThat(Tcp.headerLength(frame, L4)).isEqualTo(40);
        assertThat(Tcp.flags(frame, L4)).isEqualTo(Tcp.SYN);

        final MemorySegment data = Samples.frame(Samples.TCP6);
        assertThat(Tcp.flags(data, L4_IN_IPV6)).isEqualTo(Tcp.PSH | Tcp.ACK);
        assertThat(Tcp.acknowledgment(data, L4_IN_IPV6)).isEqualTo(2);
    }

    @Test
    void aTcpHeaderMustHoldItsOptions() {
        final MemorySegment frame = Samples.frame(Samples.TCP4_SYN);

        assertThat(Tcp.check(frame, L4, 39)).isEqualTo(WireFault.TRUNCATED);
        assertThat(Tcp.check(frame, L4, 19)).isEqualTo(WireFault.TRUNCATED);
        BigEndian.put8(frame, L4 + 12, 0x40);
        assertThat(Tcp.check(frame, L4, 40)).isEqualTo(WireFault.BAD_HEADER_LENGTH);
    }

    @Test
    void readsAUdpHeader() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);

        assertThat(Udp.check(frame, L4, 13)).isEqualTo(WireFault.NONE);
        assertThat(Udp.sourcePort(frame, L4)).isEqualTo(40_000);
        assertThat(Udp.destinationPort(frame, L4)).isEqualTo(53);
        assertThat(Udp.length(frame, L4)).isEqualTo(13);
    }

    @Test
    void aUdpLengthBeyondThePacketIsForFirstFragmentsOnly() {
        final MemorySegment frame = Samples.frame(Samples.UDP4_FIRST_FRAGMENT);

        assertThat(Udp.check(frame, L4, 72)).isEqualTo(WireFault.BAD_TOTAL_LENGTH);
        assertThat(Udp.checkFirstFragment(frame, L4, 72)).isEqualTo(WireFault.NONE);
        assertThat(Udp.checkFirstFragment(frame, L4, 7)).isEqualTo(WireFault.TRUNCATED);
        BigEndian.put16(frame, L4 + 4, 7);
        assertThat(Udp.checkFirstFragment(frame, L4, 72)).isEqualTo(WireFault.BAD_TOTAL_LENGTH);
    }

    @Test
    void readsSctpPorts() {
        final MemorySegment frame = Samples.frame(Samples.SCTP4);

        assertThat(Sctp.check(frame, L4, 32)).isEqualTo(WireFault.NONE);
        assertThat(Sctp.check(frame, L4, 11)).isEqualTo(WireFault.TRUNCATED);
        assertThat(Sctp.sourcePort(frame, L4)).isEqualTo(40_000);
        assertThat(Sctp.destinationPort(frame, L4)).isEqualTo(2000);
    }

    @Test
    void readsAnEchoRequest() {
        final MemorySegment frame = Samples.frame(Samples.ICMP4_ECHO);

        assertThat(Icmp.check(frame, L4, 15)).isEqualTo(WireFault.NONE);
        assertThat(Icmp.check(frame, L4, 7)).isEqualTo(WireFault.TRUNCATED);
        assertThat(Icmp.type(frame, L4)).isEqualTo(Icmp.ECHO_REQUEST);
        assertThat(Icmp.code(frame, L4)).isZero();
        assertThat(Icmp.echoId(frame, L4)).isEqualTo(0x4d2);
        assertThat(Icmp.echoSequence(frame, L4)).isEqualTo(3);
        assertThat(Icmp.isChecksumValid(frame, L4, 15)).isTrue();
        assertThat(Icmp.isChecksumValid(frame, L4, 14)).isFalse();
    }

    @Test
    void readsAnEchoRequestOfIpv6() {
        final MemorySegment frame = Samples.frame(Samples.ICMP6_ECHO);
        final int l3 = L4_IN_IPV6 - 40;

        assertThat(Icmp6.check(frame, L4_IN_IPV6, 15)).isEqualTo(WireFault.NONE);
        assertThat(Icmp6.type(frame, L4_IN_IPV6)).isEqualTo(Icmp6.ECHO_REQUEST);
        assertThat(Icmp6.echoId(frame, L4_IN_IPV6)).isEqualTo(0x4d2);
        assertThat(Icmp6.echoSequence(frame, L4_IN_IPV6)).isEqualTo(3);
        assertThat(Icmp6.isChecksumValid(frame, l3, L4_IN_IPV6, 15)).isTrue();
        Ipv6.setHopLimit(frame, l3, 3);
        assertThat(Icmp6.isChecksumValid(frame, l3, L4_IN_IPV6, 15)).isTrue();
        BigEndian.put8(frame, l3 + 23, 6);
        assertThat(Icmp6.isChecksumValid(frame, l3, L4_IN_IPV6, 15)).isFalse();
    }

    @Test
    void readsWhatAnErrorQuotes() {
        final MemorySegment frame = Samples.frame(Samples.ICMP4_UNREACHABLE);
        final long quoted = Icmp.quotedOffset(L4);

        assertThat(Icmp.isError(Icmp.type(frame, L4))).isTrue();
        assertThat(Icmp.code(frame, L4)).isEqualTo(Icmp.CODE_FRAGMENTATION_NEEDED);
        assertThat(Icmp.mtu(frame, L4)).isEqualTo(1400);
        assertThat(Ipv4.checkQuoted(frame, quoted, 34)).isEqualTo(WireFault.NONE);
        assertThat(Ipv4.source(frame, quoted)).isEqualTo(0x0a000009);
        assertThat(Udp.destinationPort(frame, quoted + 20)).isEqualTo(40_000);
    }

    @Test
    void readsWhatAnErrorOfIpv6Quotes() {
        final MemorySegment frame = Samples.frame(Samples.ICMP6_TOO_BIG);
        final long quoted = Icmp6.quotedOffset(L4_IN_IPV6);
        final Ipv6Extensions extensions = new Ipv6Extensions();

        assertThat(Icmp6.isError(Icmp6.type(frame, L4_IN_IPV6))).isTrue();
        assertThat(Icmp6.code(frame, L4_IN_IPV6)).isZero();
        assertThat(Icmp6.mtu(frame, L4_IN_IPV6)).isEqualTo(1400);
        assertThat(Ipv6.checkQuoted(frame, quoted, 54)).isEqualTo(WireFault.NONE);
        assertThat(extensions.walkQuoted(frame, quoted, 54)).isEqualTo(WireFault.NONE);
        assertThat(Udp.sourcePort(frame, extensions.upperOffset)).isEqualTo(53);
    }

    @Test
    void echoesAndQueriesAreNoErrors() {
        assertThat(Icmp.isError(Icmp.ECHO_REPLY)).isFalse();
        assertThat(Icmp.isError(Icmp.ECHO_REQUEST)).isFalse();
        assertThat(Icmp.isError(Icmp.TIMESTAMP_REQUEST)).isFalse();
        assertThat(Icmp.isError(Icmp.TIME_EXCEEDED)).isTrue();
        assertThat(Icmp6.isError(Icmp6.ECHO_REQUEST)).isFalse();
        assertThat(Icmp6.isError(127)).isTrue();
        assertThat(Icmp6.isNeighborDiscovery(Icmp6.LISTENER_DONE)).isFalse();
        assertThat(Icmp6.isNeighborDiscovery(Icmp6.ROUTER_SOLICITATION)).isTrue();
        assertThat(Icmp6.isNeighborDiscovery(Icmp6.REDIRECT)).isTrue();
        assertThat(Icmp6.isNeighborDiscovery(138)).isFalse();
    }
}
