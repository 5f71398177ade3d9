package io.sluice.dataplane.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ChecksumTest {
    private static final long SEED = 1071;

    @Test
    void sumsTheExampleOfRfc1071() {
        final MemorySegment bytes = MemorySegment.ofArray(Samples.bytes("0001f203f4f5f6f7"));

        assertThat(Checksum.sum(bytes, 0, 8)).isEqualTo(0xddf2);
    }

    @Test
    void updatesTheExampleOfRfc1624() {
        assertThat(Checksum.update(0xdd2f, 0x5555, 0x3285)).isZero();
    }

    @Test
    void sumsEveryLengthAndAlignmentAsWordByWordAdditionDoes() {
        final Random random = new Random(SEED);
        final byte[] bytes = new byte[160];
        for (int length = 0; length <= 150; length++) {
            for (int offset = 0; offset < 9; offset++) {
                random.nextBytes(bytes);
                assertThat(Checksum.sum(MemorySegment.ofArray(bytes), offset, length))
                        .as("offset %d, length %d", offset, length)
                        .isEqualTo(wordByWord(bytes, offset, length));
                assertThat(Checksum.sumOf20(MemorySegment.ofArray(bytes), offset))
                        .isEqualTo(wordByWord(bytes, offset, 20));
            }
        }
    }

    @Test
    void sumsTheLargestPacketOfOnesWithoutOverflow() {
        final byte[] bytes = new byte[65_535];
        Arrays.fill(bytes, (byte) 0xff);

        // 0xff00 pads the odd byte: ones' complement 0xffff + 0xff00 folds to 0xff00.
        assertThat(Checksum.sum(MemorySegment.ofArray(bytes), 0, bytes.length)).isEqualTo(0xff00);
    }

    @Test
    void anUpdatedChecksumIsAsValidAsOneComputedAnew() {
        final Random random = new Random(SEED);
        final byte[] bytes = new byte[40];
        for (int round = 0; round < 20_000; round++) {
            random.nextBytes(bytes);
            final MemorySegment header = MemorySegment.ofArray(bytes);
            BigEndian.put16(header, 10, 0);
            BigEndian.put16(header, 10, Checksum.finish(Checksum.sum(header, 0, 40)));
            // Words of 0 and 0xffff are where RFC 1141 went wrong: make them frequent.
            final int newWord =
                    switch (random.nextInt(4)) {
                        case 0 -> 0;
                        case 1 -> 0xffff;
                        default -> random.nextInt(0x1_0000);
                    };
            final int oldWord = BigEndian.u16(header, 20);
            BigEndian.put16(header, 20, newWord);
            BigEndian.put16(
                    header, 10, Checksum.update(BigEndian.u16(header, 10), oldWord, newWord));

            assertThat(Checksum.isValid(Checksum.sum(header, 0, 40)))
                    .as("seed %d round %d", SEED, round)
                    .isTrue();
        }
    }

    @Test
    void pseudoHeadersSumAsIfWrittenOut() {
        final MemorySegment ipv4 = MemorySegment.ofArray(Samples.bytes("0a0000050a0000090011000d"));
        final MemorySegment ipv6 =
                MemorySegment.ofArray(
                        Samples.bytes(
                                "fd000000000000000000000000000005"
                                        + "fd00ffffffffffffffffffffffffffff"
                                        + "0000ffff0000003a"));

        assertThat(Checksum.pseudoHeader(0x0a000005, 0x0a000009, 17, 13))
                .isEqualTo(Checksum.sum(ipv4, 0, 12));
        assertThat(
                        Checksum.pseudoHeader(
                                0xfd00_0000_0000_0000L, 5, 0xfd00_ffff_ffff_ffffL, -1L, 58, 0xffff))
                .isEqualTo(Checksum.sum(ipv6, 0, 40));
    }

    @Test
    void addsSumsOfAdjacentRanges() {
        final MemorySegment frame = Samples.frame(Samples.TCP6);

        assertThat(Checksum.add(Checksum.sum(frame, 24, 40), Checksum.sum(frame, 64, 23)))
                .isEqualTo(Checksum.sum(frame, 24, 63));
    }

    private static int wordByWord(final byte[] bytes, final int offset, final int length) {
        long sum = 0;
        for (int i = 0; i < length; i++) {
            final int octet = bytes[offset + i] & 0xff;
            sum += i % 2 == 0 ? octet << 8 : octet;
            while (sum > 0xffff) {
                sum = (sum & 0xffff) + (sum >>> 16);
            }
        }
        return (int) sum;
    }
}
