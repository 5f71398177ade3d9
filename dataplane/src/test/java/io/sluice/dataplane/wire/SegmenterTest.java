package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class SegmenterTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;
    private static final int ALL_FLAGS = Tcp.CWR | Tcp.ACK | Tcp.PSH | Tcp.FIN;
    private static final long SEED = 9293;

    private final Segmenter segmenter = new Segmenter();

    @Test
    void tcpOverIpv4CountsOnInSequenceAndIdentification() {
        final MemorySegment frame = superFrame(true, true, 12, 2500, 1000, ALL_FLAGS);
        final MemorySegment out = MemorySegment.ofArray(new byte[2000]);
        final int l4 = L3 + Ipv4.BYTES_MIN;
        final int[] flags = {Tcp.CWR | Tcp.ACK, Tcp.ACK, Tcp.ACK | Tcp.PSH | Tcp.FIN};

        assertThat(segmenter.start(frame, 0, (int) frame.byteSize())).isTrue();
        for (int i = 0; i < 3; i++) {
            assertThat(segmenter.hasNext()).isTrue();
            final int payloadBytes = i < 2 ? 1000 : 500;
            assertThat(segmenter.nextBytes()).isEqualTo(l4 + 32 + payloadBytes);
            segmenter.next(out, 0);
            assertThat(Ipv4.totalLength(out, L3)).isEqualTo(20 + 32 + payloadBytes);
            assertThat(Ipv4.id(out, L3)).isEqualTo((0xffff + i) & 0xffff);
            assertThat(Ipv4.isChecksumValid(out, L3)).isTrue();
            assertThat(Tcp.sequence(out, l4)).isEqualTo(0xffff_ff00 + i * 1000);
            assertThat(Tcp.flags(out, l4)).isEqualTo(flags[i]);
            assertThat(VnetHeader.isSuperFrame(out, 0)).isFalse();
            assertThat(VnetHeader.checksumStart(out, 0)).isEqualTo(Ethernet.BYTES + 20);
            assertThat(VnetHeader.checksumOffset(out, 0)).isEqualTo(Tcp.CHECKSUM);
            assertThat(BigEndian.u16(out, l4 + Tcp.CHECKSUM))
                    .isEqualTo(Ipv4.pseudoHeaderSum(out, L3, 32 + payloadBytes));
        }
        assertThat(segmenter.hasNext()).isFalse();
    }

    @Test
    void packetsOfAnySuperFramePutTogetherAreItsPayloadAndCarryRightChecksums() {
        final Random random = new Random(SEED);
        for (int round = 0; round < 500; round++) {
            final boolean isIpv4 = random.nextBoolean();
            final boolean isTcp = random.nextBoolean();
            final int payloadBytes = 1 + random.nextInt(20_000);
            final int gsoSize = 1 + random.nextInt(1460);
            final int optionBytes = isTcp ? 4 * random.nextInt(11) : 0;
            final MemorySegment frame =
                    superFrame(isIpv4, isTcp, optionBytes, payloadBytes, gsoSize, Tcp.ACK);
            final MemorySegment out = MemorySegment.ofArray(new byte[3000]);
            final int l4 = L3 + (isIpv4 ? Ipv4.BYTES_MIN : Ipv6.BYTES);
            final int upperHeader = isTcp ? Tcp.BYTES_MIN + optionBytes : Udp.BYTES;
            final byte[] whole = new byte[payloadBytes];
            int done = 0;

            assertThat(segmenter.start(frame, 0, (int) frame.byteSize())).isTrue();
            while (segmenter.hasNext()) {
                final int length = segmenter.nextBytes();
                // At another place than it comes from.
                segmenter.next(out, 6);
                final MemorySegment packet = out.asSlice(6, length);
                final int upperBytes = length - l4;
                assertThat(
                                isIpv4
                                        ? Ipv4.check(packet, L3, length - L3)
                                        : Ipv6.check(packet, L3, length - L3))
                        .isEqualTo(WireFault.NONE);
                assertThat(VnetHeader.completeChecksum(packet, 0, length))
                        .isEqualTo(WireFault.NONE);
                final int pseudo =
                        isIpv4
                                ? Ipv4.pseudoHeaderSum(packet, L3, upperBytes)
                                : Ipv6.pseudoHeaderSum(
                                        packet,
                                        L3,
                                        isTcp ? IpProtocol.TCP : IpProtocol.UDP,
                                        upperBytes);
                assertThat(
                                Checksum.isValid(
                                        Checksum.add(pseudo, Checksum.sum(packet, l4, upperBytes))))
                        .as("seed %d round %d", SEED, round)
                        .isTrue();
                if (isTcp) {
                    assertThat(Tcp.sequence(packet, l4)).isEqualTo(0xffff_ff00 + done);
                } else {
                    assertThat(Udp.length(packet, l4)).isEqualTo(upperBytes);
                }
                final int part = upperBytes - upperHeader;
                assertThat(part).isBetween(1, gsoSize);
                MemorySegment.copy(
                        packet, ValueLayout.JAVA_BYTE, l4 + upperHeader, whole, done, part);
                done += part;
            }
            assertThat(done).isEqualTo(payloadBytes);
            assertThat(MemorySegment.ofArray(whole).mismatch(frame.asSlice(l4 + upperHeader)))
                    .isEqualTo(-1);
        }
    }

    @Test
    void whatIsNotWellFormedIsRefused() {
        final MemorySegment frame = superFrame(true, true, 0, 3000, 1000, Tcp.ACK);
        final int length = (int) frame.byteSize();
        assertThat(segmenter.start(frame, 0, length - 1)).as("cut short").isFalse();
        VnetHeader.setSegmentation(frame, 0, VnetHeader.GSO_TCPV6, 1000);
        assertThat(segmenter.start(frame, 0, length)).as("another family").isFalse();
        VnetHeader.setSegmentation(frame, 0, VnetHeader.GSO_UDP_L4, 1000);
        assertThat(segmenter.start(frame, 0, length)).as("another protocol").isFalse();
        VnetHeader.setSegmentation(frame, 0, VnetHeader.GSO_UDP, 1000);
        assertThat(segmenter.start(frame, 0, length)).as("UDP fragments").isFalse();
        VnetHeader.setSegmentation(frame, 0, VnetHeader.GSO_TCPV4, 0);
        assertThat(segmenter.start(frame, 0, length)).as("no size").isFalse();
        VnetHeader.setSegmentation(frame, 0, VnetHeader.GSO_TCPV4 | VnetHeader.GSO_ECN, 1000);
        assertThat(segmenter.start(frame, 0, length)).as("with ECN").isTrue();
    }

    /** A frame with an open checksum, as a TAP gives it, with payload from the seed. */
    private static MemorySegment superFrame(
            final boolean isIpv4,
            final boolean isTcp,
            final int optionBytes,
            final int payloadBytes,
            final int gsoSize,
            final int flags) {
        final int upperHeader = isTcp ? Tcp.BYTES_MIN + optionBytes : Udp.BYTES;
        final int l4 = L3 + (isIpv4 ? Ipv4.BYTES_MIN : Ipv6.BYTES);
        final byte[] bytes = new byte[l4 + upperHeader + payloadBytes];
        new Random(payloadBytes).nextBytes(bytes);
        final MemorySegment frame = MemorySegment.ofArray(bytes);
        VnetHeader.clear(frame, 0);
        Ethernet.setType(frame, VnetHeader.BYTES, isIpv4 ? Ethernet.IPV4 : Ethernet.IPV6);
        final int protocol = isTcp ? IpProtocol.TCP : IpProtocol.UDP;
        final int upperBytes = upperHeader + payloadBytes;
        if (isIpv4) {
            Ipv4.write(frame, L3, 0, 20 + upperBytes, 64, protocol, 0x0a00_0001, 0x0a00_0002);
            Ipv4.setId(frame, L3, 0xffff);
            Ipv4.writeChecksum(frame, L3);
        } else {
            Ipv6.write(frame, L3, upperBytes, protocol, 64, 0xfd00L << 48, 1, 0xfd00L << 48, 2);
        }
        if (isTcp) {
            BigEndian.put8(frame, l4 + 12, (upperHeader / 4) << 4);
            Tcp.setSegment(frame, l4, 0xffff_ff00, flags);
        } else {
            Udp.setLength(frame, l4, upperBytes);
        }
        final int type =
                isTcp
                        ? isIpv4 ? VnetHeader.GSO_TCPV4 : VnetHeader.GSO_TCPV6
                        : VnetHeader.GSO_UDP_L4;
        VnetHeader.setSegmentation(frame, 0, type, gsoSize);
        VnetHeader.setNeedsChecksum(
                frame, 0, l4 - VnetHeader.BYTES, isTcp ? Tcp.CHECKSUM : Udp.CHECKSUM);
        return frame;
    }
}
