package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

final class NeighborDiscoveryTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;
    private static final int L4 = L3 + 40;

    @Test
    void readsASolicitation() {
        final MemorySegment frame = Samples.frame(Samples.SOLICITATION);

        assertThat(NeighborDiscovery.checkSolicitation(frame, 0, L3, L4, 32))
                .isEqualTo(WireFault.NONE);
        assertThat(NeighborDiscovery.targetHigh(frame, L4)).isEqualTo(0xfe80_0000_0000_0000L);
        assertThat(NeighborDiscovery.targetLow(frame, L4)).isEqualTo(1);
        assertThat(NeighborDiscovery.sourceLinkAddress(frame, L4, 32)).isEqualTo(Samples.POD_MAC);
        assertThat(NeighborDiscovery.isDuplicateAddressProbe(frame, L3)).isFalse();
    }

    @Test
    void aSolicitationBecomesItsAdvertisement() {
        final MemorySegment frame = Samples.frame(Samples.SOLICITATION);
        VnetHeader.setNeedsChecksum(frame, 0, 54, 2);

        final int frameBytes =
                NeighborDiscovery.turnIntoAdvertisement(frame, 0, L3, L4, Samples.SWITCH_MAC);

        assertThat(Samples.hex(frame, frameBytes)).isEqualTo(Samples.hex(Samples.ADVERTISEMENT));
        assertThat(frame.asSlice(0, 10).toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
    }

    @Test
    void aDuplicateProbeIsAnsweredToAllNodesAndGrowsByTheOption() {
        final MemorySegment frame = Samples.frame(Samples.DUPLICATE_PROBE, 8);

        assertThat(NeighborDiscovery.checkSolicitation(frame, 0, L3, L4, 24))
                .isEqualTo(WireFault.NONE);
        assertThat(NeighborDiscovery.isDuplicateAddressProbe(frame, L3)).isTrue();
        assertThat(NeighborDiscovery.sourceLinkAddress(frame, L4, 24))
                .isEqualTo(NeighborDiscovery.NO_LINK_ADDRESS);
        final int frameBytes =
                NeighborDiscovery.turnIntoAdvertisement(frame, 0, L3, L4, Samples.SWITCH_MAC);

        assertThat(frameBytes).isEqualTo((int) frame.byteSize());
        assertThat(Samples.hex(frame, frameBytes))
                .isEqualTo(Samples.hex(Samples.ADVERTISEMENT_TO_ALL));
    }

    @Test
    void aMessageThatCameThroughARouterIsRefused() {
        final MemorySegment frame = Samples.frame(Samples.SOLICITATION);
        Ipv6.setHopLimit(frame, L3, 254);

        assertThat(NeighborDiscovery.checkSolicitation(frame, 0, L3, L4, 32))
                .isEqualTo(WireFault.BAD_HOP_LIMIT);
    }

    @Test
    void aWrongChecksumIsRefusedUnlessTheKernelVouchesForIt() {
        final MemorySegment frame = Samples.frame(Samples.SOLICITATION);
        BigEndian.put16(frame, L4 + 2, 0);

        assertThat(NeighborDiscovery.checkSolicitation(frame, 0, L3, L4, 32))
                .isEqualTo(WireFault.BAD_CHECKSUM);
        VnetHeader.setNeedsChecksum(frame, 0, 54, 2);
        assertThat(NeighborDiscovery.checkSolicitation(frame, 0, L3, L4, 32))
                .isEqualTo(WireFault.NONE);
    }

    @Test
    void whatBreaksRfc4861IsRefused() {
        assertThat(faultAfter(Samples.SOLICITATION, 32, L4 + 1, 1))
                .as("code 1")
                .isEqualTo(WireFault.BAD_NEIGHBOR_SOLICITATION);
        assertThat(faultAfter(Samples.SOLICITATION, 32, L4 + 8, 0xff))
                .as("multicast target")
                .isEqualTo(WireFault.BAD_NEIGHBOR_SOLICITATION);
        assertThat(faultAfter(Samples.SOLICITATION, 32, L4 + 25, 0))
                .as("option of no length")
                .isEqualTo(WireFault.BAD_NEIGHBOR_SOLICITATION);
        assertThat(faultAfter(Samples.SOLICITATION, 32, L4 + 25, 2))
                .as("option past the end")
                .isEqualTo(WireFault.BAD_NEIGHBOR_SOLICITATION);
        assertThat(faultAfter(Samples.DUPLICATE_PROBE, 24, L3 + 24 + 12, 0))
                .as("probe to no solicited-node group")
                .isEqualTo(WireFault.BAD_NEIGHBOR_SOLICITATION);
        assertThat(faultAfter(Samples.SOLICITATION, 23, L4 + 1, 0))
                .as("23 bytes")
                .isEqualTo(WireFault.TRUNCATED);
    }

    @Test
    void aProbeWithALinkAddressIsRefused() {
        final MemorySegment frame = Samples.frame(Samples.SOLICITATION);
        BigEndian.put64(frame, L3 + 8, 0);
        BigEndian.put64(frame, L3 + 16, 0);
        Icmp6.writeChecksum(frame, L3, L4, 32);

        assertThat(NeighborDiscovery.checkSolicitation(frame, 0, L3, L4, 32))
                .isEqualTo(WireFault.BAD_NEIGHBOR_SOLICITATION);
    }

    @Test
    void aSolicitationBehindExtensionHeadersIsAnsweredWithoutThem() {
        // Eight bytes of destination options between IPv6 and ICMPv6.
        final MemorySegment plain = Samples.frame(Samples.SOLICITATION);
        final MemorySegment frame = MemorySegment.ofArray(new byte[104]);
        MemorySegment.copy(plain, 0, frame, 0, L4);
        BigEndian.put64(frame, L4, 0x3a00_0104_0000_0000L);
        MemorySegment.copy(plain, L4, frame, L4 + 8, 32);
        BigEndian.put16(frame, L3 + 4, 40);
        BigEndian.put8(frame, L3 + 6, IpProtocol.DESTINATION_OPTIONS);

        assertThat(NeighborDiscovery.checkSolicitation(frame, 0, L3, L4 + 8, 32))
                .isEqualTo(WireFault.NONE);
        final int frameBytes =
                NeighborDiscovery.turnIntoAdvertisement(frame, 0, L3, L4 + 8, Samples.SWITCH_MAC);

        assertThat(Samples.hex(frame, frameBytes)).isEqualTo(Samples.hex(Samples.ADVERTISEMENT));
    }

    /** The checksum is made right again, so that only the change itself is seen. */
    private static WireFault faultAfter(
            final String sample, final int lengthBytes, final int at, final int octet) {
        final MemorySegment frame = Samples.frame(sample);
        BigEndian.put8(frame, at, octet);
        Icmp6.writeChecksum(frame, L3, L4, lengthBytes);
        return NeighborDiscovery.checkSolicitation(frame, 0, L3, L4, lengthBytes);
    }
}
