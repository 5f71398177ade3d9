package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * IPv6 header (RFC 8200). Addresses are two longs, high and low. What follows it is found by {@link
 * Ipv6Extensions}.
 *
 * <p>Any thread that owns the segment.
 */
public final class Ipv6 {
    /** Length, in bytes. */
    public static final int BYTES = 40;

    /** Every link carries packets of this size whole (RFC 8200 section 5), in bytes. */
    public static final int MTU_MIN = 1280;

    private static final int VERSION_CLASS_LABEL = 0;
    private static final int PAYLOAD_LENGTH = 4;
    private static final int NEXT_HEADER = 6;
    private static final int HOP_LIMIT = 7;
    private static final int SOURCE = 8;
    private static final int DESTINATION = 24;

    private static final long MAPPED_PREFIX_LOW = 0xffffL;

    private Ipv6() {}

    /**
     * After NONE no accessor below reads outside {@code availableBytes} from {@code l3}, and {@code
     * BYTES + payloadLength <= availableBytes}; bytes behind that are padding.
     *
     * <p>IPv4-mapped addresses never appear on the wire (RFC 4291 section 2.5.5.2 gives them to
     * hosts' own use). Here they must not: past parsing they stand for IPv4 addresses, and an IPv6
     * packet would be judged as somebody else's.
     */
    public static WireFault check(
            final MemorySegment frame, final long l3, final int availableBytes) {
        final WireFault fault = checkQuoted(frame, l3, availableBytes);
        if (fault != WireFault.NONE) {
            return fault;
        }
        final int payloadLength = payloadLength(frame, l3);
        if (payloadLength > availableBytes - BYTES) {
            return WireFault.BAD_TOTAL_LENGTH;
        }
        // RFC 2675: the length is 0 and the real one in a hop-by-hop option.
        if (payloadLength == 0 && nextHeader(frame, l3) == IpProtocol.HOP_BY_HOP) {
            return WireFault.JUMBO_PAYLOAD;
        }
        return WireFault.NONE;
    }

    /**
     * Like {@link #check} for the start of a packet that an ICMPv6 error quotes: the header must be
     * there whole, the payload need not.
     */
    public static WireFault checkQuoted(
            final MemorySegment frame, final long l3, final int availableBytes) {
        if (availableBytes < BYTES) {
            return WireFault.TRUNCATED;
        }
        if (BigEndian.u8(frame, l3 + VERSION_CLASS_LABEL) >>> 4 != 6) {
            return WireFault.BAD_VERSION;
        }
        if (isMapped(sourceHigh(frame, l3), sourceLow(frame, l3))
                || isMapped(destinationHigh(frame, l3), destinationLow(frame, l3))) {
            return WireFault.MAPPED_ADDRESS;
        }
        return WireFault.NONE;
    }

    /** Everything behind the header, extension headers included, in bytes. */
    public static int payloadLength(final MemorySegment frame, final long l3) {
        return BigEndian.u16(frame, l3 + PAYLOAD_LENGTH);
    }

    public static int nextHeader(final MemorySegment frame, final long l3) {
        return BigEndian.u8(frame, l3 + NEXT_HEADER);
    }

    public static int hopLimit(final MemorySegment frame, final long l3) {
        return BigEndian.u8(frame, l3 + HOP_LIMIT);
    }

    public static long sourceHigh(final MemorySegment frame, final long l3) {
        return BigEndian.u64(frame, l3 + SOURCE);
    }

    public static long sourceLow(final MemorySegment frame, final long l3) {
        return BigEndian.u64(frame, l3 + SOURCE + 8);
    }

    public static long destinationHigh(final MemorySegment frame, final long l3) {
        return BigEndian.u64(frame, l3 + DESTINATION);
    }

    public static long destinationLow(final MemorySegment frame, final long l3) {
        return BigEndian.u64(frame, l3 + DESTINATION + 8);
    }

    /** ff00::/8. */
    public static boolean isMulticast(final long high) {
        return high >>> 56 == 0xff;
    }

    /** fe80::/10. */
    public static boolean isLinkLocal(final long high) {
        return high >>> 54 == 0xfe80 >>> 6;
    }

    /** {@code ::}. */
    public static boolean isUnspecified(final long high, final long low) {
        return (high | low) == 0;
    }

    /** {@code ::1}. */
    public static boolean isLoopback(final long high, final long low) {
        return high == 0 && low == 1;
    }

    /** ::ffff:0:0/96. */
    public static boolean isMapped(final long high, final long low) {
        return high == 0 && low >>> 32 == MAPPED_PREFIX_LOW;
    }

    /**
     * Sum of the pseudo header of what this packet carries.
     *
     * @param protocol the upper protocol, not the next header of the IPv6 header
     * @param lengthBytes upper header and payload
     */
    public static int pseudoHeaderSum(
            final MemorySegment frame, final long l3, final int protocol, final int lengthBytes) {
        return Checksum.pseudoHeader(
                sourceHigh(frame, l3),
                sourceLow(frame, l3),
                destinationHigh(frame, l3),
                destinationLow(frame, l3),
                protocol,
                lengthBytes);
    }

    /** Sets the length of all that follows the header, in bytes. */
    static void setPayloadLength(final MemorySegment frame, final long l3, final int lengthBytes) {
        BigEndian.put16(frame, l3 + PAYLOAD_LENGTH, lengthBytes);
    }

    public static void setHopLimit(final MemorySegment frame, final long l3, final int hopLimit) {
        BigEndian.put8(frame, l3 + HOP_LIMIT, hopLimit);
    }

    /** Lowers a hop limit of at least 1 by one. */
    public static void decrementHopLimit(final MemorySegment frame, final long l3) {
        setHopLimit(frame, l3, hopLimit(frame, l3) - 1);
    }

    /** Exchanges the addresses; no checksum that covers both changes. */
    static void swapAddresses(final MemorySegment frame, final long l3) {
        final long high = sourceHigh(frame, l3);
        final long low = sourceLow(frame, l3);
        BigEndian.put64(frame, l3 + SOURCE, destinationHigh(frame, l3));
        BigEndian.put64(frame, l3 + SOURCE + 8, destinationLow(frame, l3));
        BigEndian.put64(frame, l3 + DESTINATION, high);
        BigEndian.put64(frame, l3 + DESTINATION + 8, low);
    }

    /** Writes a header with traffic class and flow label 0. */
    static void write(
            final MemorySegment frame,
            final long l3,
            final int payloadLength,
            final int nextHeader,
            final int hopLimit,
            final long sourceHigh,
            final long sourceLow,
            final long destinationHigh,
            final long destinationLow) {
        BigEndian.put32(frame, l3 + VERSION_CLASS_LABEL, 0x6000_0000);
        BigEndian.put16(frame, l3 + PAYLOAD_LENGTH, payloadLength);
        BigEndian.put8(frame, l3 + NEXT_HEADER, nextHeader);
        BigEndian.put8(frame, l3 + HOP_LIMIT, hopLimit);
        BigEndian.put64(frame, l3 + SOURCE, sourceHigh);
        BigEndian.put64(frame, l3 + SOURCE + 8, sourceLow);
        BigEndian.put64(frame, l3 + DESTINATION, destinationHigh);
        BigEndian.put64(frame, l3 + DESTINATION + 8, destinationLow);
    }
}
