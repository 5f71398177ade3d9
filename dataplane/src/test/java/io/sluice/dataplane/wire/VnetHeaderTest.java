package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

final class VnetHeaderTest {
    private static final int L3 = VnetHeader.BYTES + Ethernet.BYTES;
    private static final int UDP4_START = Ethernet.BYTES + 20;

    @Test
    void readsTheLittleEndianFields() {
        final MemorySegment header =
                MemorySegment.ofArray(Samples.bytes("01 84 4200 b405 2200 1000"));

        assertThat(VnetHeader.check(header, 0, 10)).isEqualTo(WireFault.NONE);
        assertThat(VnetHeader.needsChecksum(header, 0)).isTrue();
        assertThat(VnetHeader.vouchesForChecksum(header, 0)).isTrue();
        assertThat(VnetHeader.gsoType(header, 0))
                .isEqualTo(VnetHeader.GSO_TCPV6 | VnetHeader.GSO_ECN);
        assertThat(VnetHeader.isSuperFrame(header, 0)).isTrue();
        assertThat(VnetHeader.headerLength(header, 0)).isEqualTo(66);
        assertThat(VnetHeader.gsoSize(header, 0)).isEqualTo(1460);
        assertThat(VnetHeader.checksumStart(header, 0)).isEqualTo(34);
        assertThat(VnetHeader.checksumOffset(header, 0)).isEqualTo(16);
    }

    @Test
    void nineBytesAreTooFew() {
        assertThat(VnetHeader.check(MemorySegment.ofArray(new byte[9]), 0, 9))
                .isEqualTo(WireFault.TRUNCATED);
    }

    @Test
    void theEcnBitAloneIsNoSuperFrame() {
        final MemorySegment header = MemorySegment.ofArray(new byte[10]);
        VnetHeader.setSegmentation(header, 0, VnetHeader.GSO_ECN, 0);

        assertThat(VnetHeader.isSuperFrame(header, 0)).isFalse();
    }

    @Test
    void clearLeavesTenZeroBytesAndNothingElseTouched() {
        final byte[] bytes = new byte[12];
        Arrays.fill(bytes, (byte) 0x55);

        VnetHeader.clear(MemorySegment.ofArray(bytes), 1);

        assertThat(bytes).containsExactly(0x55, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x55);
    }

    @Test
    void completesAPartialChecksumToWhatTheSenderWouldHaveWritten() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);
        final String whole = Samples.hex(frame, (int) frame.byteSize());
        makePartial(frame);

        assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize()))
                .isEqualTo(WireFault.NONE);

        assertThat(Samples.hex(frame, (int) frame.byteSize())).isEqualTo(whole);
        assertThat(VnetHeader.needsChecksum(frame, 0)).isFalse();
        assertThat(VnetHeader.checksumStart(frame, 0)).isZero();
    }

    @Test
    void paddingBehindThePacketIsNotSummed() {
        final MemorySegment frame = Samples.frame(Samples.UDP4, 13);
        frame.asSlice(frame.byteSize() - 13).fill((byte) 0x77);
        makePartial(frame);

        assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize() - 13))
                .isEqualTo(WireFault.NONE);

        assertThat(BigEndian.u16(frame, L3 + 20 + Udp.CHECKSUM)).isEqualTo(0x0b7f);
    }

    @Test
    void aCompletedChecksumOfZeroIsSentAsItsOtherZero() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);
        makePartial(frame);
        // The last two bytes of "hello" take what is missing to a sum of 0xffff, for which the
        // checksum would be 0; the odd byte behind them is made 0.
        BigEndian.put8(frame, frame.byteSize() - 1, 0);
        BigEndian.put16(frame, frame.byteSize() - 3, 0);
        final int sum = Checksum.sum(frame, L3 + 20, 13);
        BigEndian.put16(frame, frame.byteSize() - 3, Checksum.finish(sum));

        assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize()))
                .isEqualTo(WireFault.NONE);

        assertThat(BigEndian.u16(frame, L3 + 20 + Udp.CHECKSUM)).isEqualTo(0xffff);
    }

    @Test
    void aChecksumPlaceOutsideTheFrameIsRefusedAndNothingWritten() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);
        VnetHeader.setNeedsChecksum(frame, 0, UDP4_START, 12);
        final byte[] before = frame.toArray(ValueLayout.JAVA_BYTE);

        assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize()))
                .isEqualTo(WireFault.BAD_CHECKSUM_START);
        assertThat(frame.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(before);

        VnetHeader.setNeedsChecksum(frame, 0, 0xffff, 0xffff);
        assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize()))
                .isEqualTo(WireFault.BAD_CHECKSUM_START);
        VnetHeader.setNeedsChecksum(frame, 0, 0, 6);
        assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize()))
                .isEqualTo(WireFault.BAD_CHECKSUM_START);
    }

    @Test
    void aChecksumFieldAtTheVeryEndOfTheFrameIsCompleted() {
        final MemorySegment frame = Samples.frame(Samples.UDP4);
        VnetHeader.setNeedsChecksum(frame, 0, UDP4_START, 11);

        assertThat(VnetHeader.completeChecksum(frame, 0, (int) frame.byteSize()))
                .isEqualTo(WireFault.NONE);
    }

    /** As the kernel hands a datagram over: the field holds the sum of the pseudo header. */
    static void makePartial(final MemorySegment frame) {
        VnetHeader.setNeedsChecksum(frame, 0, UDP4_START, Udp.CHECKSUM);
        BigEndian.put16(frame, L3 + 20 + Udp.CHECKSUM, Ipv4.pseudoHeaderSum(frame, L3, 13));
    }
}
