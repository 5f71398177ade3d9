package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

final class OpenChecksumTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;
    private static final int L4 = L3 + Ipv4.BYTES_MIN;
    private static final long SEED = 1071;

    private final OpenChecksum checksums = new OpenChecksum();

    @Test
    void fieldWithTheSumOfThePseudoHeaderIsOpen() {
        final MemorySegment frame = udp(100);
        openUdp(frame, 108);
        checksums.describe(frame, 0, (int) frame.byteSize());

        assertThat(VnetHeader.needsChecksum(frame, 0)).isTrue();
        assertThat(VnetHeader.checksumStart(frame, 0)).isEqualTo(Ethernet.BYTES + 20);
        assertThat(VnetHeader.checksumOffset(frame, 0)).isEqualTo(Udp.CHECKSUM);
    }

    @Test
    void finishedChecksumsOfOtherProgramsAreLeftAlone() {
        for (final String sample :
                new String[] {Samples.UDP4, Samples.TCP4_SYN, Samples.ICMP4_ECHO}) {
            final MemorySegment frame = Samples.frame(sample);
            final String before = Samples.hex(frame, (int) frame.byteSize());
            checksums.describe(frame, 0, (int) frame.byteSize());
            assertThat(Samples.hex(frame, (int) frame.byteSize())).isEqualTo(before);
            assertThat(VnetHeader.flags(frame, 0)).isZero();
        }
    }

    @Test
    void whateverWasFinishedIsStillRightAfterAReceiverCompletedIt() {
        final Random random = new Random(SEED);
        int open = 0;
        for (int round = 0; round < 300_000; round++) {
            // Two bytes of payload run through all sums, so that some finished ones look open.
            final MemorySegment frame = udp(2);
            BigEndian.put16(frame, L4 + Udp.BYTES, random.nextInt());
            Udp.writeChecksum(frame, L4, Ipv4.pseudoHeaderSum(frame, L3, 10));
            final int right = BigEndian.u16(frame, L4 + Udp.CHECKSUM);
            checksums.describe(frame, 0, (int) frame.byteSize());
            if (VnetHeader.needsChecksum(frame, 0)) {
                open++;
                assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize()))
                        .isEqualTo(WireFault.NONE);
            }
            assertThat(BigEndian.u16(frame, L4 + Udp.CHECKSUM)).isEqualTo(right);
        }
        assertThat(open).as("seed %d met the case", SEED).isPositive();
    }

    @Test
    void datagramWithoutChecksumAndFragmentsHaveNoneOpen() {
        final MemorySegment without = udp(100);
        BigEndian.put16(without, L4 + Udp.CHECKSUM, 0);
        checksums.describe(without, 0, (int) without.byteSize());
        assertThat(VnetHeader.flags(without, 0)).isZero();

        final MemorySegment fragment = udp(104);
        openUdp(fragment, 112);
        Ipv4.setFragment(fragment, L3, 20, 132, 0, true);
        checksums.describe(fragment, 0, (int) fragment.byteSize());
        assertThat(VnetHeader.flags(fragment, 0)).isZero();
    }

    @Test
    void crcOfSctpIsComputedWhereItWasLeftOut() {
        final byte[] bytes = new byte[L4 + Sctp.BYTES + 37];
        new Random(SEED).nextBytes(bytes);
        final MemorySegment frame = MemorySegment.ofArray(bytes);
        Ethernet.setType(frame, VnetHeader.BYTES, Ethernet.IPV4);
        Ipv4.write(frame, L3, 0, bytes.length - L3, 64, IpProtocol.SCTP, 0x0a00_0001, 0x0a00_0002);
        BigEndian.put32(frame, L4 + 8, 0);
        final CRC32C crc = new CRC32C();
        crc.update(ByteBuffer.wrap(bytes, L4, bytes.length - L4));
        checksums.describe(frame, 0, bytes.length);

        assertThat(BigEndian.u32(frame, L4 + 8))
                .isEqualTo(Integer.reverseBytes((int) crc.getValue()));
        checksums.describe(frame, 0, bytes.length);
        assertThat(BigEndian.u32(frame, L4 + 8))
                .isEqualTo(Integer.reverseBytes((int) crc.getValue()));
    }

    @Test
    void framesOfAnyBytesAreReadWithinTheirBounds() {
        final Random random = new Random(SEED);
        for (int round = 0; round < 20_000; round++) {
            final byte[] bytes = new byte[VnetHeader.BYTES + random.nextInt(120)];
            random.nextBytes(bytes);
            if (bytes.length > L3) {
                Ethernet.setType(
                        MemorySegment.ofArray(bytes),
                        VnetHeader.BYTES,
                        random.nextBoolean() ? Ethernet.IPV4 : Ethernet.IPV6);
                bytes[L3] = (byte) (random.nextBoolean() ? 0x45 : 0x60);
            }
            checksums.describe(MemorySegment.ofArray(bytes), 0, bytes.length);
        }
    }

    private static MemorySegment udp(final int payloadBytes) {
        final byte[] bytes = new byte[L4 + Udp.BYTES + payloadBytes];
        final MemorySegment frame = MemorySegment.ofArray(bytes);
        Ethernet.setType(frame, VnetHeader.BYTES, Ethernet.IPV4);
        Ipv4.write(frame, L3, 0, bytes.length - L3, 64, IpProtocol.UDP, 0x0a00_0001, 0x0a00_0002);
        Udp.setSourcePort(frame, L4, 1000);
        Udp.setDestinationPort(frame, L4, 9);
        Udp.setLength(frame, L4, Udp.BYTES + payloadBytes);
        return frame;
    }

    private static void openUdp(final MemorySegment frame, final int upperBytes) {
        BigEndian.put16(frame, L4 + Udp.CHECKSUM, Ipv4.pseudoHeaderSum(frame, L3, upperBytes));
    }
}
