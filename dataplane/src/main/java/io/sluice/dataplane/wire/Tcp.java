package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * TCP header (RFC 9293 section 3.1).
 *
 * <p>Any thread that owns the segment.
 */
public final class Tcp {
    /** Length without options, in bytes. */
    public static final int BYTES_MIN = 20;

    public static final int FIN = 0x01;
    public static final int SYN = 0x02;
    public static final int RST = 0x04;
    public static final int PSH = 0x08;
    public static final int ACK = 0x10;
    public static final int URG = 0x20;
    public static final int ECE = 0x40;
    public static final int CWR = 0x80;

    /** Where the checksum lies, in bytes: the offset that a virtio-net header names. */
    public static final int CHECKSUM = 16;

    private static final int SOURCE_PORT = 0;
    private static final int DESTINATION_PORT = 2;
    private static final int SEQUENCE = 4;
    private static final int ACKNOWLEDGMENT = 8;
    private static final int DATA_OFFSET = 12;
    private static final int FLAGS = 13;
    private static final int WINDOW = 14;

    // Kinds of options (RFC 9293 section 3.1, RFC 7323 section 2.2).
    private static final int OPTION_END = 0;
    private static final int OPTION_NOP = 1;
    private static final int OPTION_WINDOW_SCALE = 3;
    private static final int OPTION_WINDOW_SCALE_BYTES = 3;

    private Tcp() {}

    /**
     * After NONE every accessor below is safe and the header with its options lies within {@code
     * availableBytes}. The checksum is not looked at.
     */
    public static WireFault check(
            final MemorySegment frame, final long l4, final int availableBytes) {
        if (availableBytes < BYTES_MIN) {
            return WireFault.TRUNCATED;
        }
        final int headerLength = headerLength(frame, l4);
        if (headerLength < BYTES_MIN) {
            return WireFault.BAD_HEADER_LENGTH;
        }
        return headerLength > availableBytes ? WireFault.TRUNCATED : WireFault.NONE;
    }

    /** Safe in a quoted packet as well: {@link Icmp#QUOTED_TRANSPORT_BYTES}. */
    public static int sourcePort(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + SOURCE_PORT);
    }

    /** Safe in a quoted packet as well: {@link Icmp#QUOTED_TRANSPORT_BYTES}. */
    public static int destinationPort(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + DESTINATION_PORT);
    }

    /**
     * Writes the source port of a whole packet.
     *
     * @param isChecksumPartial whether the checksum field holds the sum of the pseudo header only,
     *     which ports are no part of ({@link VnetHeader#needsChecksum}); else it is kept right
     */
    public static void setSourcePort(
            final MemorySegment frame,
            final long l4,
            final int port,
            final boolean isChecksumPartial) {
        setPort(frame, l4, l4 + SOURCE_PORT, port, isChecksumPartial);
    }

    /** Writes the destination port, as {@link #setSourcePort} does the other. */
    public static void setDestinationPort(
            final MemorySegment frame,
            final long l4,
            final int port,
            final boolean isChecksumPartial) {
        setPort(frame, l4, l4 + DESTINATION_PORT, port, isChecksumPartial);
    }

    private static void setPort(
            final MemorySegment frame,
            final long l4,
            final long at,
            final int port,
            final boolean isChecksumPartial) {
        if (!isChecksumPartial) {
            final int checksum = BigEndian.u16(frame, l4 + CHECKSUM);
            BigEndian.put16(
                    frame,
                    l4 + CHECKSUM,
                    Checksum.update(checksum, BigEndian.u16(frame, at), port));
        }
        BigEndian.put16(frame, at, port);
    }

    /** Sequence number, unsigned; safe in a quoted packet as well. */
    public static int sequence(final MemorySegment frame, final long l4) {
        return BigEndian.u32(frame, l4 + SEQUENCE);
    }

    /** Acknowledgment number, unsigned. */
    public static int acknowledgment(final MemorySegment frame, final long l4) {
        return BigEndian.u32(frame, l4 + ACKNOWLEDGMENT);
    }

    /** Header with options, in bytes, 20 to 60. */
    public static int headerLength(final MemorySegment frame, final long l4) {
        return BigEndian.u8(frame, l4 + DATA_OFFSET) >>> 4 << 2;
    }

    /** Window as it stands in the header, 0 to 65535. */
    public static int window(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + WINDOW);
    }

    /**
     * Shift of the window scale option, 0 to 255, or -1 without one. Options that are not well
     * formed end the search: receivers read no further either.
     */
    public static int windowScale(final MemorySegment frame, final long l4) {
        final long end = l4 + headerLength(frame, l4);
        long at = l4 + BYTES_MIN;
        while (at < end) {
            final int kind = BigEndian.u8(frame, at);
            if (kind == OPTION_NOP) {
                at++;
                continue;
            }
            if (kind == OPTION_END || at + 1 >= end) {
                return -1;
            }
            final int length = BigEndian.u8(frame, at + 1);
            if (length < 2 || at + length > end) {
                return -1;
            }
            if (kind == OPTION_WINDOW_SCALE) {
                return length == OPTION_WINDOW_SCALE_BYTES ? BigEndian.u8(frame, at + 2) : -1;
            }
            at += length;
        }
        return -1;
    }

    /** The eight flags, {@link #FIN} to {@link #CWR}. */
    public static int flags(final MemorySegment frame, final long l4) {
        return BigEndian.u8(frame, l4 + FLAGS);
    }

    /** Writes what differs between the segments of one super-frame; not the checksum. */
    static void setSegment(
            final MemorySegment frame, final long l4, final int sequence, final int flags) {
        BigEndian.put32(frame, l4 + SEQUENCE, sequence);
        BigEndian.put8(frame, l4 + FLAGS, flags);
    }
}
