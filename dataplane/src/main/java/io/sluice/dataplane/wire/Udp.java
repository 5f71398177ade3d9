package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * UDP header (RFC 768).
 *
 * <p>Any thread that owns the segment.
 */
public final class Udp {
    /** Length, in bytes. */
    public static final int BYTES = 8;

    /** Where the checksum lies, in bytes: the offset that a virtio-net header names. */
    public static final int CHECKSUM = 6;

    private static final int SOURCE_PORT = 0;
    private static final int DESTINATION_PORT = 2;
    private static final int LENGTH = 4;

    private Udp() {}

    /**
     * After NONE every accessor below is safe and the datagram lies within {@code availableBytes}.
     * The checksum is not looked at.
     */
    public static WireFault check(
            final MemorySegment frame, final long l4, final int availableBytes) {
        final WireFault fault = checkFirstFragment(frame, l4, availableBytes);
        if (fault == WireFault.NONE && length(frame, l4) > availableBytes) {
            return WireFault.BAD_TOTAL_LENGTH;
        }
        return fault;
    }

    /** Like {@link #check}, but the datagram goes on in further fragments. */
    public static WireFault checkFirstFragment(
            final MemorySegment frame, final long l4, final int availableBytes) {
        if (availableBytes < BYTES) {
            return WireFault.TRUNCATED;
        }
        return length(frame, l4) < BYTES ? WireFault.BAD_TOTAL_LENGTH : WireFault.NONE;
    }

    /** Safe in a quoted packet as well: {@link Icmp#QUOTED_TRANSPORT_BYTES}. */
    public static int sourcePort(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + SOURCE_PORT);
    }

    /** Safe in a quoted packet as well: {@link Icmp#QUOTED_TRANSPORT_BYTES}. */
    public static int destinationPort(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + DESTINATION_PORT);
    }

    /** Header and data, in bytes. */
    public static int length(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + LENGTH);
    }

    static void setSourcePort(final MemorySegment frame, final long l4, final int port) {
        BigEndian.put16(frame, l4 + SOURCE_PORT, port);
    }

    static void setDestinationPort(final MemorySegment frame, final long l4, final int port) {
        BigEndian.put16(frame, l4 + DESTINATION_PORT, port);
    }

    /** Sets the length of header and data, in bytes. */
    static void setLength(final MemorySegment frame, final long l4, final int lengthBytes) {
        BigEndian.put16(frame, l4 + LENGTH, lengthBytes);
    }

    /** Writes the checksum anew; 0 would mean "none" and goes as the other zero (RFC 768). */
    static void writeChecksum(final MemorySegment frame, final long l4, final int pseudoSum) {
        BigEndian.put16(frame, l4 + CHECKSUM, 0);
        final int sum = Checksum.add(pseudoSum, Checksum.sum(frame, l4, length(frame, l4)));
        BigEndian.put16(frame, l4 + CHECKSUM, sum == 0xffff ? 0xffff : Checksum.finish(sum));
    }
}
