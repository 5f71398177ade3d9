package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

final class Ipv6ExtensionsTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;

    /** UDP header and no data. */
    private static final String UDP = "0005000600080000";

    private final Ipv6Extensions extensions = new Ipv6Extensions();

    @Test
    void aPacketWithoutExtensionsHasItsUpperHeaderAtOnce() {
        assertThat(extensions.walk(Samples.frame(Samples.TCP6), L3)).isEqualTo(WireFault.NONE);

        assertThat(extensions.protocol).isEqualTo(IpProtocol.TCP);
        assertThat(extensions.upperOffset).isEqualTo(L3 + 40);
        assertThat(extensions.upperBytes).isEqualTo(23);
        assertThat(extensions.isFragment()).isFalse();
        assertThat(extensions.fragmentProtocol).isEqualTo(-1);
    }

    @Test
    void optionsHeadersAreWalkedOver() {
        final MemorySegment frame = Samples.frame(Samples.UDP6_EXTENSIONS);

        assertThat(extensions.walk(frame, L3)).isEqualTo(WireFault.NONE);

        assertThat(extensions.protocol).isEqualTo(IpProtocol.UDP);
        assertThat(Udp.destinationPort(frame, extensions.upperOffset)).isEqualTo(547);
        assertThat(extensions.upperBytes).isEqualTo(10);
    }

    @Test
    void aFirstFragmentShowsItsUpperHeader() {
        final MemorySegment frame = Samples.frame(Samples.UDP6_FIRST_FRAGMENT);

        assertThat(extensions.walk(frame, L3)).isEqualTo(WireFault.NONE);

        assertThat(extensions.isFragment()).isTrue();
        assertThat(extensions.moreFragments).isTrue();
        assertThat(extensions.fragmentOffsetBytes).isZero();
        assertThat(extensions.fragmentId).isEqualTo(0xcafe);
        assertThat(extensions.fragmentProtocol).isEqualTo(IpProtocol.UDP);
        assertThat(extensions.protocol).isEqualTo(IpProtocol.UDP);
        assertThat(Udp.sourcePort(frame, extensions.upperOffset)).isEqualTo(5);
    }

    @Test
    void aLaterFragmentHasAProtocolButNoUpperHeader() {
        assertThat(extensions.walk(Samples.frame(Samples.UDP6_LAST_FRAGMENT), L3))
                .isEqualTo(WireFault.NONE);

        assertThat(extensions.fragmentOffsetBytes).isEqualTo(72);
        assertThat(extensions.moreFragments).isFalse();
        assertThat(extensions.fragmentId).isEqualTo(0xcafe);
        assertThat(extensions.protocol).isEqualTo(IpProtocol.UDP);
        assertThat(extensions.upperBytes).isEqualTo(13);
    }

    @Test
    void aLaterFragmentIsNotReadAsAnExtensionHeader() {
        // Next header 60 names what the first fragment starts with; here is its middle.
        assertThat(walk(44, "3c00 0048 0000cafe ffffffffffffffff")).isEqualTo(WireFault.NONE);

        assertThat(extensions.protocol).isEqualTo(IpProtocol.DESTINATION_OPTIONS);
        assertThat(extensions.fragmentProtocol).isEqualTo(IpProtocol.DESTINATION_OPTIONS);
        assertThat(extensions.upperBytes).isEqualTo(8);
    }

    @Test
    void anAtomicFragmentIsAWholePacket() {
        assertThat(walk(44, "1100 0000 0000cafe" + UDP)).isEqualTo(WireFault.NONE);

        assertThat(extensions.isFragment()).isFalse();
        assertThat(extensions.protocol).isEqualTo(IpProtocol.UDP);
    }

    @Test
    void anAuthenticationHeaderIsCountedInFourByteUnits() {
        assertThat(walk(51, "1104 0000 00000001 00000001 000000000000000000000000" + UDP))
                .isEqualTo(WireFault.NONE);

        assertThat(extensions.upperOffset).isEqualTo(L3 + 40 + 24);
        assertThat(extensions.protocol).isEqualTo(IpProtocol.UDP);
    }

    @Test
    void encryptedAndUnknownHeadersAreTheUpperProtocol() {
        for (final int protocol : new int[] {50, 59, 135, 253}) {
            assertThat(walk(protocol, "ffffffffffffffff")).isEqualTo(WireFault.NONE);
            assertThat(extensions.protocol).isEqualTo(protocol);
            assertThat(extensions.upperOffset).isEqualTo(L3 + 40);
        }
    }

    @Test
    void aRoutingHeaderThatIsDoneIsWalkedOver() {
        assertThat(walk(43, "1100 0400 00000000" + UDP)).isEqualTo(WireFault.NONE);
        assertThat(extensions.protocol).isEqualTo(IpProtocol.UDP);
    }

    @Test
    void routingHeadersThatLeadElsewhereAreRefused() {
        final String address = "fd000000000000000000000000000042";
        assertThat(walk(43, "1102 0401 00000000" + address + UDP))
                .isEqualTo(WireFault.SOURCE_ROUTE);
        assertThat(walk(43, "1102 0000 00000000" + address + UDP))
                .isEqualTo(WireFault.SOURCE_ROUTE);
    }

    @Test
    void hopByHopOptionsStandFirstOrNotAtAll() {
        assertThat(walk(60, "0000010400000000" + "1100010400000000" + UDP))
                .isEqualTo(WireFault.BAD_EXTENSION);
        assertThat(walk(0, "0000010400000000" + "1100010400000000" + UDP))
                .isEqualTo(WireFault.BAD_EXTENSION);
    }

    @Test
    void aSecondFragmentHeaderIsRefused() {
        assertThat(walk(44, "2c00 0000 0000cafe" + "1100 0000 0000cafe" + UDP))
                .isEqualTo(WireFault.BAD_EXTENSION);
    }

    @Test
    void eightHeadersAreWalkedAndANinthIsNot() {
        final String options = "3c00010400000000";
        final String lastOptions = "1100010400000000";
        assertThat(walk(60, options.repeat(7) + lastOptions + UDP)).isEqualTo(WireFault.NONE);
        assertThat(walk(60, options.repeat(8) + lastOptions + UDP))
                .isEqualTo(WireFault.TOO_MANY_EXTENSIONS);
    }

    @Test
    void aHeaderPastTheEndIsTruncated() {
        assertThat(walk(60, "1101010c000000000000000000")).isEqualTo(WireFault.TRUNCATED);
        assertThat(walk(60, "11000104")).isEqualTo(WireFault.TRUNCATED);
        assertThat(walk(44, "3c00 0001 0000cafe 1105010c00000000")).isEqualTo(WireFault.TRUNCATED);
    }

    @Test
    void fragmentsThatCannotBePartOfAValidPacketAreRefused() {
        assertThat(walk(44, "1100 0001 0000cafe 00050006000800")).isEqualTo(WireFault.BAD_FRAGMENT);
        assertThat(walk(44, "1100 0048 0000cafe")).isEqualTo(WireFault.BAD_FRAGMENT);
        assertThat(walk(44, "1100 fff8 0000cafe 00000000000000")).isEqualTo(WireFault.NONE);
        assertThat(walk(44, "1100 fff8 0000cafe 0000000000000000"))
                .isEqualTo(WireFault.BAD_FRAGMENT);
    }

    @Test
    void aQuotedFragmentMayBeCutShort() {
        final MemorySegment frame = packet(44, "1100 0001 0000cafe 000500060008000000");
        assertThat(extensions.walkQuoted(frame, L3, 40 + 8 + 8)).isEqualTo(WireFault.NONE);
        assertThat(extensions.upperBytes).isEqualTo(8);
        assertThat(extensions.moreFragments).isTrue();
    }

    @Test
    void nothingIsLeftOverFromTheWalkBefore() {
        assertThat(extensions.walk(Samples.frame(Samples.UDP6_LAST_FRAGMENT), L3))
                .isEqualTo(WireFault.NONE);
        assertThat(extensions.walk(Samples.frame(Samples.TCP6), L3)).isEqualTo(WireFault.NONE);

        assertThat(extensions.isFragment()).isFalse();
        assertThat(extensions.fragmentId).isZero();
        assertThat(extensions.fragmentProtocol).isEqualTo(-1);
    }

    private WireFault walk(final int nextHeader, final String payload) {
        final MemorySegment frame = packet(nextHeader, payload);
        final int packetBytes = (int) frame.byteSize() - L3;
        assertThat(Ipv6.check(frame, L3, packetBytes)).isEqualTo(WireFault.NONE);
        return extensions.walk(frame, L3);
    }

    private static MemorySegment packet(final int nextHeader, final String payload) {
        final int payloadBytes = Samples.bytes(payload).length;
        return Samples.frame(
                "02534c000001 020000000005 86dd"
                        + "60000000%04x%02x40".formatted(payloadBytes, nextHeader)
                        + "fd000000000000000000000000000005"
                        + "fd000000000000000000000000000009"
                        + payload);
    }
}
