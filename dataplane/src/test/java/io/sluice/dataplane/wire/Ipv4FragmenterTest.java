package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class Ipv4FragmenterTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;
    private static final long SEED = 791;

    private final Ipv4Fragmenter fragmenter = new Ipv4Fragmenter();

    @Test
    void cutsAPacketAtEightByteUnits() {
        final MemorySegment frame = packet(1000);
        final MemorySegment out = MemorySegment.ofArray(new byte[L3 + 499]);

        // 479 bytes are left behind the header, 472 of them in whole units.
        assertThat(fragmenter.start(frame, 0, L3, 499, out, 0)).isTrue();
        assertThat(fragmenter.next()).isTrue();
        assertPart(out, 492, 0, true);
        assertThat(fragmenter.next()).isTrue();
        assertPart(out, 492, 472, true);
        assertThat(fragmenter.next()).isTrue();
        assertPart(out, 76, 944, false);
        assertThat(fragmenter.next()).isFalse();
    }

    @Test
    void fragmentsOfAnySizePutTogetherAreThePacket() {
        final Random random = new Random(SEED);
        for (int round = 0; round < 300; round++) {
            final int payloadBytes = 1 + random.nextInt(9000);
            final int mtu = 68 + random.nextInt(1500);
            final MemorySegment frame = packet(payloadBytes);
            final MemorySegment out = MemorySegment.ofArray(new byte[L3 + mtu]);
            final byte[] whole = new byte[payloadBytes];
            int done = 0;
            boolean more = true;

            assertThat(fragmenter.start(frame, 0, L3, mtu, out, 0)).isTrue();
            while (fragmenter.next()) {
                final int packetBytes = fragmenter.frameBytes() - L3;
                assertThat(more).as("nothing behind the last").isTrue();
                assertThat(packetBytes).isLessThanOrEqualTo(mtu);
                assertThat(Ipv4.check(out, L3, packetBytes)).isEqualTo(WireFault.NONE);
                assertThat(Ipv4.isChecksumValid(out, L3)).isTrue();
                assertThat(Ipv4.id(out, L3)).isEqualTo(Ipv4.id(frame, L3));
                assertThat(Ipv4.fragmentOffsetBytes(out, L3)).isEqualTo(done);
                final int partBytes = packetBytes - 20;
                MemorySegment.copy(out, ValueLayout.JAVA_BYTE, L3 + 20, whole, done, partBytes);
                done += partBytes;
                more = Ipv4.moreFragments(out, L3);
            }

            assertThat(more).as("seed %d round %d", SEED, round).isFalse();
            assertThat(MemorySegment.ofArray(whole).mismatch(frame.asSlice(L3 + 20))).isEqualTo(-1);
        }
    }

    @Test
    void theFirstFragmentKeepsAllOptionsAndLaterOnesTheCopied() {
        final MemorySegment frame = Samples.frame(Samples.UDP4_OPTIONS);
        final MemorySegment out = MemorySegment.ofArray(new byte[L3 + 120]);

        assertThat(fragmenter.start(frame, 0, L3, 120, out, 0)).isTrue();
        assertThat(fragmenter.next()).isTrue();
        assertThat(Samples.hex(out, L3 + 32).substring(28 + 40))
                .isEqualTo("070704000000009404000000");
        assertThat(Ipv4.headerLength(out, L3)).isEqualTo(32);
        assertThat(Ipv4.totalLength(out, L3)).isEqualTo(120);
        assertThat(Ipv4.isChecksumValid(out, L3)).isTrue();

        assertThat(fragmenter.next()).isTrue();
        assertThat(Ipv4.headerLength(out, L3)).isEqualTo(24);
        assertThat(Samples.hex(out, L3 + 24).substring(28 + 40)).isEqualTo("94040000");
        assertThat(Ipv4.fragmentOffsetBytes(out, L3)).isEqualTo(88);
        assertThat(Ipv4.isChecksumValid(out, L3)).isTrue();
    }

    @Test
    void aFragmentIsCutFurtherInItsPlace() {
        final MemorySegment frame = packet(160);
        Ipv4.setFragment(frame, L3, 20, 180, 800, true);
        final MemorySegment out = MemorySegment.ofArray(new byte[L3 + 120]);

        assertThat(fragmenter.start(frame, 0, L3, 120, out, 0)).isTrue();
        assertThat(fragmenter.next()).isTrue();
        assertThat(Ipv4.fragmentOffsetBytes(out, L3)).isEqualTo(800);
        assertThat(fragmenter.next()).isTrue();
        assertThat(Ipv4.fragmentOffsetBytes(out, L3)).isEqualTo(896);
        assertThat(Ipv4.moreFragments(out, L3)).isTrue();
        assertThat(fragmenter.next()).isFalse();
    }

    @Test
    void aPartialChecksumIsRightInTheFirstFragment() {
        final MemorySegment frame = Samples.frame(Samples.UDP4_OPTIONS);
        VnetHeader.setNeedsChecksum(frame, 0, Ethernet.BYTES + 32, Udp.CHECKSUM);
        BigEndian.put16(frame, L3 + 32 + Udp.CHECKSUM, Ipv4.pseudoHeaderSum(frame, L3, 208));
        final MemorySegment out = MemorySegment.ofArray(new byte[L3 + 120]);

        assertThat(fragmenter.start(frame, 0, L3, 120, out, 0)).isTrue();
        assertThat(fragmenter.next()).isTrue();

        assertThat(BigEndian.u16(out, L3 + 32 + Udp.CHECKSUM)).isEqualTo(0xdb2e);
        assertThat(VnetHeader.flags(out, 0)).isZero();
    }

    @Test
    void packetsThatMustNotBeCutAreRefused() {
        final MemorySegment out = MemorySegment.ofArray(new byte[L3 + 500]);
        assertThat(fragmenter.start(packet(1000), 0, L3, 500, out, 0)).isTrue();

        assertThat(fragmenter.start(packet(1000), 0, L3, 67, out, 0)).isFalse();
        assertThat(fragmenter.next()).isFalse();
        final MemorySegment whole = Samples.frame(Samples.TCP4_SYN);
        assertThat(fragmenter.start(whole, 0, L3, 500, out, 0)).isFalse();
        final MemorySegment superFrame = packet(1000);
        VnetHeader.setSegmentation(superFrame, 0, VnetHeader.GSO_UDP_L4, 100);
        assertThat(fragmenter.start(superFrame, 0, L3, 500, out, 0)).isFalse();
        final MemorySegment senseless = packet(1000);
        VnetHeader.setNeedsChecksum(senseless, 0, 5000, 6);
        assertThat(fragmenter.start(senseless, 0, L3, 500, out, 0)).isFalse();
        assertThat(fragmenter.next()).isFalse();
    }

    private void assertPart(
            final MemorySegment out,
            final int packetBytes,
            final int offsetBytes,
            final boolean more) {
        assertThat(fragmenter.frameBytes()).isEqualTo(L3 + packetBytes);
        assertThat(Ipv4.totalLength(out, L3)).isEqualTo(packetBytes);
        assertThat(Ipv4.fragmentOffsetBytes(out, L3)).isEqualTo(offsetBytes);
        assertThat(Ipv4.moreFragments(out, L3)).isEqualTo(more);
        assertThat(Ethernet.source(out, VnetHeader.BYTES)).isEqualTo(Samples.POD_MAC);
    }

    private static MemorySegment packet(final int payloadBytes) {
        final byte[] bytes = new byte[L3 + 20 + payloadBytes];
        new Random(payloadBytes).nextBytes(bytes);
        final MemorySegment frame = MemorySegment.ofArray(bytes);
        MemorySegment.copy(Samples.frame(Samples.UDP4), 0, frame, 0, L3 + 20);
        Ipv4.setFragment(frame, L3, 20, 20 + payloadBytes, 0, false);
        return frame;
    }
}
