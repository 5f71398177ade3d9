package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Network byte order access, unaligned: a frame may begin anywhere, and headers behind options are
 * aligned to 4 bytes at best. Reads of unsigned 8- and 16-bit fields widen to int.
 *
 * <p>Any thread that owns the segment.
 */
final class BigEndian {
    private static final ValueLayout.OfShort U16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt U32 =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfLong U64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private BigEndian() {}

    static int u8(final MemorySegment frame, final long offset) {
        return Byte.toUnsignedInt(frame.get(ValueLayout.JAVA_BYTE, offset));
    }

    static int u16(final MemorySegment frame, final long offset) {
        return Short.toUnsignedInt(frame.get(U16, offset));
    }

    static int u32(final MemorySegment frame, final long offset) {
        return frame.get(U32, offset);
    }

    static long u48(final MemorySegment frame, final long offset) {
        return ((long) u16(frame, offset) << 32)
                | Integer.toUnsignedLong(frame.get(U32, offset + 2));
    }

    static long u64(final MemorySegment frame, final long offset) {
        return frame.get(U64, offset);
    }

    static void put8(final MemorySegment frame, final long offset, final int value) {
        frame.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
    }

    static void put16(final MemorySegment frame, final long offset, final int value) {
        frame.set(U16, offset, (short) value);
    }

    static void put32(final MemorySegment frame, final long offset, final int value) {
        frame.set(U32, offset, value);
    }

    static void put48(final MemorySegment frame, final long offset, final long value) {
        put16(frame, offset, (int) (value >>> 32));
        put32(frame, offset + 2, (int) value);
    }

    static void put64(final MemorySegment frame, final long offset, final long value) {
        frame.set(U64, offset, value);
    }
}
