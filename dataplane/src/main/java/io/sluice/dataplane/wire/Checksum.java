package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The Internet checksum (RFC 1071, RFC 1624).
 *
 * <p>A <i>sum</i> here is a ones' complement sum of 16-bit words folded to 16 bits, 0 to 0xffff,
 * not complemented, so that sums of several ranges add up; {@link #finish} makes the field's value
 * of it. Every range but the last must have an even length.
 *
 * <p>The sum is taken over little-endian words as wide as loads get, and its two bytes are
 * exchanged once at the end instead of in every word: the sum does not depend on byte order
 * otherwise (RFC 1071 section 2(B)). The accumulator cannot overflow: 65,535 bytes are 8,192 words
 * of less than 2^33 each.
 *
 * <p>Any thread that owns the segment.
 */
public final class Checksum {
    private static final ValueLayout.OfLong WORD_64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt WORD_32 =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort WORD_16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long LOW_32 = 0xffff_ffffL;

    private Checksum() {}

    /**
     * Sum over {@code lengthBytes} bytes from {@code offset}; an odd last byte is padded with 0.
     */
    public static int sum(final MemorySegment frame, final long offset, final int lengthBytes) {
        long sum = 0;
        int i = 0;
        for (; i <= lengthBytes - 32; i += 32) {
            final long a = frame.get(WORD_64, offset + i);
            final long b = frame.get(WORD_64, offset + i + 8);
            final long c = frame.get(WORD_64, offset + i + 16);
            final long d = frame.get(WORD_64, offset + i + 24);
            sum +=
                    (a & LOW_32)
                            + (a >>> 32)
                            + (b & LOW_32)
                            + (b >>> 32)
                            + (c & LOW_32)
                            + (c >>> 32)
                            + (d & LOW_32)
                            + (d >>> 32);
        }
        for (; i <= lengthBytes - 4; i += 4) {
            sum += Integer.toUnsignedLong(frame.get(WORD_32, offset + i));
        }
        if (i <= lengthBytes - 2) {
            sum += Short.toUnsignedLong(frame.get(WORD_16, offset + i));
            i += 2;
        }
        if (i < lengthBytes) {
            sum += Byte.toUnsignedLong(frame.get(ValueLayout.JAVA_BYTE, offset + i));
        }
        return Short.toUnsignedInt(Short.reverseBytes((short) fold(sum)));
    }

    /**
     * The same for 20 bytes, an IPv4 header without options, which nearly every packet has: three
     * loads and no loop.
     */
    static int sumOf20(final MemorySegment frame, final long offset) {
        final long sum =
                halves(frame.get(WORD_64, offset))
                        + halves(frame.get(WORD_64, offset + 8))
                        + Integer.toUnsignedLong(frame.get(WORD_32, offset + 16));
        return Short.toUnsignedInt(Short.reverseBytes((short) fold(sum)));
    }

    /** The sum of two sums. */
    public static int add(final int sumA, final int sumB) {
        return fold((long) sumA + sumB);
    }

    /** The field's value for a sum over everything else that the checksum covers. */
    public static int finish(final int sum) {
        return ~sum & 0xffff;
    }

    /**
     * Whether a range whose sum, checksum field included, is {@code sum} carries a right checksum.
     */
    public static boolean isValid(final int sum) {
        return sum == 0xffff;
    }

    /**
     * The checksum field after one 16-bit word that it covers has changed (RFC 1624 equation 3,
     * which unlike RFC 1141 is right for every value).
     */
    public static int update(final int checksum, final int oldWord, final int newWord) {
        return finish(fold((long) (~checksum & 0xffff) + (~oldWord & 0xffff) + newWord));
    }

    /**
     * Sum of the pseudo header of IPv4 (RFC 9293 section 3.1).
     *
     * @param lengthBytes upper-layer header and payload, 0 to 65535
     */
    public static int pseudoHeader(
            final int source, final int destination, final int protocol, final int lengthBytes) {
        return fold(
                Integer.toUnsignedLong(source)
                        + Integer.toUnsignedLong(destination)
                        + protocol
                        + lengthBytes);
    }

    /**
     * Sum of the pseudo header of IPv6 (RFC 8200 section 8.1).
     *
     * @param lengthBytes upper-layer header and payload, 0 to 65535
     */
    public static int pseudoHeader(
            final long sourceHigh,
            final long sourceLow,
            final long destinationHigh,
            final long destinationLow,
            final int protocol,
            final int lengthBytes) {
        return fold(
                halves(sourceHigh)
                        + halves(sourceLow)
                        + halves(destinationHigh)
                        + halves(destinationLow)
                        + protocol
                        + lengthBytes);
    }

    private static long halves(final long word) {
        return (word & LOW_32) + (word >>> 32);
    }

    private static int fold(final long sum) {
        long folded = halves(sum);
        folded = (folded & 0xffff) + ((folded >>> 16) & 0xffff) + (folded >>> 32);
        folded = (folded & 0xffff) + (folded >>> 16);
        return (int) ((folded & 0xffff) + (folded >>> 16));
    }
}
