package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

final class IcmpErrorTest {
    private static final int ETHERNET = VnetHeader.BYTES;
    private static final int L3 = ETHERNET + Ethernet.BYTES;
    private static final int GATEWAY = 0xa9fe0101;
    private static final long FE80 = 0xfe80_0000_0000_0000L;

    private final MemorySegment out = MemorySegment.ofArray(new byte[IcmpError.FRAME_BYTES_MAX]);
    private final Ipv6Extensions extensions = new Ipv6Extensions();

    @Test
    void composesIpv4Errors() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);

        assertThat(written4(IcmpError.HOP_LIMIT_EXCEEDED, frame))
                .isEqualTo(Samples.hex(Samples.TTL_EXCEEDED4));
        assertThat(written4(IcmpError.PACKET_TOO_BIG, frame))
                .isEqualTo(Samples.hex(Samples.FRAGMENTATION_NEEDED4));
        assertThat(written4(IcmpError.PROHIBITED, frame))
                .isEqualTo(Samples.hex(Samples.PROHIBITED4));
    }

    @Test
    void composesIpv6Errors() {
        final MemorySegment frame = Samples.frame(Samples.TCP6);

        assertThat(written6(IcmpError.HOP_LIMIT_EXCEEDED, frame))
                .isEqualTo(Samples.hex(Samples.HOP_LIMIT_EXCEEDED6));
        assertThat(written6(IcmpError.PACKET_TOO_BIG, frame))
                .isEqualTo(Samples.hex(Samples.TOO_BIG6));
        assertThat(written6(IcmpError.PROHIBITED, frame))
                .isEqualTo(Samples.hex(Samples.PROHIBITED6));
    }

    @Test
    void unreachableErrorsHaveTheTypesAndCodesOfTheirFamily() {
        final MemorySegment ipv4 = Samples.frame(Samples.UDP4);
        final MemorySegment ipv6 = Samples.frame(Samples.TCP6);

        written4(IcmpError.NO_ROUTE, ipv4);
        assertTypeAndCode(L3 + 20, 3, 0);
        written4(IcmpError.HOST_UNREACHABLE, ipv4);
        assertTypeAndCode(L3 + 20, 3, 1);
        written6(IcmpError.NO_ROUTE, ipv6);
        assertTypeAndCode(L3 + 40, 1, 0);
        written6(IcmpError.HOST_UNREACHABLE, ipv6);
        assertTypeAndCode(L3 + 40, 1, 3);
    }

    @Test
    void theLinkAnswerGoesToTheSenderAndTheVnetHeaderIsClear() {
        out.fill((byte) 0xff);
        written4(IcmpError.PROHIBITED, Samples.frame(Samples.UDP4));

        assertThat(VnetHeader.flags(out, 0)).isZero();
        assertThat(VnetHeader.isSuperFrame(out, 0)).isFalse();
        assertThat(VnetHeader.checksumOffset(out, 0)).isZero();
        assertThat(Ethernet.destination(out, ETHERNET)).isEqualTo(Samples.POD_MAC);
        assertThat(Ethernet.source(out, ETHERNET)).isEqualTo(Samples.SWITCH_MAC);
    }

    @Test
    void anIpv4QuoteStopsAt576Bytes() {
        final MemorySegment large = MemorySegment.ofArray(new byte[L3 + 1500]);
        MemorySegment.copy(Samples.frame(Samples.UDP4), 0, large, 0, L3 + 33);
        Ipv4.setFragment(large, L3, 20, 1500, 0, false);

        final int frameBytes =
                IcmpError.PROHIBITED.writeIpv4(out, 0, large, L3, Samples.SWITCH_MAC, GATEWAY, 0);

        assertThat(frameBytes).isEqualTo(L3 + 576);
        assertThat(Ipv4.check(out, L3, 576)).isEqualTo(WireFault.NONE);
        assertThat(Ipv4.totalLength(out, L3)).isEqualTo(576);
        assertThat(Icmp.isChecksumValid(out, L3 + 20, 556)).isTrue();
        assertThat(out.asSlice(L3 + 28, 548).mismatch(large.asSlice(L3, 548))).isEqualTo(-1);
    }

    @Test
    void anIpv6QuoteStopsAt1280Bytes() {
        final MemorySegment large = MemorySegment.ofArray(new byte[L3 + 1500]);
        MemorySegment.copy(Samples.frame(Samples.TCP6), 0, large, 0, L3 + 63);
        BigEndian.put16(large, L3 + 4, 1460);

        final int frameBytes =
                IcmpError.PACKET_TOO_BIG.writeIpv6(
                        out, 0, large, L3, Samples.SWITCH_MAC, FE80, 1, 1400);

        assertThat(frameBytes).isEqualTo(IcmpError.FRAME_BYTES_MAX);
        assertThat(Ipv6.check(out, L3, 1280)).isEqualTo(WireFault.NONE);
        assertThat(Icmp6.isChecksumValid(out, L3, L3 + 40, 1240)).isTrue();
        assertThat(Icmp6.mtu(out, L3 + 40)).isEqualTo(1400);
    }

    @Test
    void ordinaryPacketsMayBeAnswered() {
        for (final String sample :
                new String[] {
                    Samples.UDP4,
                    Samples.TCP4_SYN,
                    Samples.ICMP4_ECHO,
                    Samples.SCTP4,
                    Samples.UDP4_FIRST_FRAGMENT
                }) {
            assertThat(IcmpError.mayAnswerIpv4(Samples.frame(sample), ETHERNET, L3)).isTrue();
        }
        for (final String sample :
                new String[] {
                    Samples.TCP6,
                    Samples.UDP6_EXTENSIONS,
                    Samples.ICMP6_ECHO,
                    Samples.UDP6_FIRST_FRAGMENT
                }) {
            assertThat(mayAnswer6(IcmpError.PROHIBITED, Samples.frame(sample))).isTrue();
        }
    }

    @Test
    void errorsAndLaterFragmentsAreNotAnswered() {
        assertThat(mayAnswer4(Samples.frame(Samples.ICMP4_UNREACHABLE))).isFalse();
        assertThat(mayAnswer4(Samples.frame(Samples.UDP4_LAST_FRAGMENT))).isFalse();
        for (final IcmpError error : IcmpError.values()) {
            assertThat(mayAnswer6(error, Samples.frame(Samples.ICMP6_TOO_BIG))).isFalse();
            assertThat(mayAnswer6(error, Samples.frame(Samples.UDP6_LAST_FRAGMENT))).isFalse();
        }
        final MemorySegment redirect = Samples.frame(Samples.ICMP6_ECHO);
        BigEndian.put8(redirect, L3 + 40, Icmp6.REDIRECT);
        assertThat(mayAnswer6(IcmpError.PROHIBITED, redirect)).isFalse();
    }

    @Test
    void anIcmpPacketWithoutATypeIsNotAnswered() {
        final MemorySegment ipv4 = Samples.frame(Samples.ICMP4_ECHO);
        Ipv4.setFragment(ipv4, L3, 20, 20, 0, false);
        final MemorySegment ipv6 = Samples.frame(Samples.ICMP6_ECHO);
        BigEndian.put16(ipv6, L3 + 4, 0);

        assertThat(mayAnswer4(ipv4)).isFalse();
        assertThat(mayAnswer6(IcmpError.PROHIBITED, ipv6)).isFalse();
    }

    @Test
    void packetsFromNoSingleHostAreNotAnswered() {
        for (final int source : new int[] {0, 0x7f000001, 0xe0000001, 0xffffffff}) {
            final MemorySegment frame = Samples.frame(Samples.UDP4);
            Ipv4.setSource(frame, L3, source);
            assertThat(mayAnswer4(frame)).isFalse();
        }
        final MemorySegment unspecified = Samples.frame(Samples.TCP6);
        BigEndian.put64(unspecified, L3 + 8, 0);
        BigEndian.put64(unspecified, L3 + 16, 0);
        assertThat(mayAnswer6(IcmpError.PROHIBITED, unspecified)).isFalse();
        final MemorySegment multicast = Samples.frame(Samples.TCP6);
        BigEndian.put8(multicast, L3 + 8, 0xff);
        assertThat(mayAnswer6(IcmpError.PROHIBITED, multicast)).isFalse();
    }

    @Test
    void packetsToManyAreNotAnsweredButForPathMtuOfIpv6() {
        final MemorySegment multicast4 = Samples.frame(Samples.UDP4);
        Ipv4.setDestination(multicast4, L3, 0xe00000fb);
        assertThat(mayAnswer4(multicast4)).isFalse();
        final MemorySegment broadcast4 = Samples.frame(Samples.UDP4);
        Ipv4.setDestination(broadcast4, L3, 0xffffffff);
        assertThat(mayAnswer4(broadcast4)).isFalse();
        final MemorySegment linkBroadcast = Samples.frame(Samples.UDP4);
        Ethernet.setDestination(linkBroadcast, ETHERNET, Ethernet.BROADCAST);
        assertThat(mayAnswer4(linkBroadcast)).isFalse();

        final MemorySegment multicast6 = Samples.frame(Samples.TCP6);
        BigEndian.put8(multicast6, L3 + 24, 0xff);
        assertThat(mayAnswer6(IcmpError.HOP_LIMIT_EXCEEDED, multicast6)).isFalse();
        assertThat(mayAnswer6(IcmpError.PACKET_TOO_BIG, multicast6)).isTrue();
    }

    private static boolean mayAnswer4(final MemorySegment frame) {
        return IcmpError.mayAnswerIpv4(frame, ETHERNET, L3);
    }

    private boolean mayAnswer6(final IcmpError error, final MemorySegment frame) {
        assertThat(extensions.walk(frame, L3)).isEqualTo(WireFault.NONE);
        return error.mayAnswerIpv6(frame, ETHERNET, L3, extensions);
    }

    private String written4(final IcmpError error, final MemorySegment frame) {
        final int frameBytes =
                error.writeIpv4(out, 0, frame, L3, Samples.SWITCH_MAC, GATEWAY, 1400);
        return Samples.hex(out, frameBytes);
    }

    private String written6(final IcmpError error, final MemorySegment frame) {
        final int frameBytes =
                error.writeIpv6(out, 0, frame, L3, Samples.SWITCH_MAC, FE80, 1, 1400);
        return Samples.hex(out, frameBytes);
    }

    private void assertTypeAndCode(final int l4, final int type, final int code) {
        assertThat(Icmp.type(out, l4)).isEqualTo(type);
        assertThat(Icmp.code(out, l4)).isEqualTo(code);
    }
}
