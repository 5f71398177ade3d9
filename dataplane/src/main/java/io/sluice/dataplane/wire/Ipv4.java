package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * IPv4 header (RFC 791). Addresses are ints, first byte most significant.
 *
 * <p>Any thread that owns the segment.
 */
public final class Ipv4 {
    /** Length without options, in bytes. */
    public static final int BYTES_MIN = 20;

    /** Length with all options, in bytes. */
    public static final int BYTES_MAX = 60;

    /** Every link carries packets of this size whole (RFC 791 section 3.2), in bytes. */
    public static final int MTU_MIN = 68;

    public static final int PACKET_BYTES_MAX = 65_535;

    private static final int VERSION_IHL = 0;
    private static final int TYPE_OF_SERVICE = 1;
    private static final int TOTAL_LENGTH = 2;
    private static final int ID = 4;
    private static final int FRAGMENT = 6;
    private static final int TTL = 8;
    private static final int PROTOCOL = 9;
    private static final int CHECKSUM = 10;
    private static final int SOURCE = 12;
    private static final int DESTINATION = 16;

    private static final int DONT_FRAGMENT = 0x4000;
    private static final int MORE_FRAGMENTS = 0x2000;
    private static final int FRAGMENT_OFFSET = 0x1fff;

    static final int OPTION_END = 0;
    static final int OPTION_NO_OPERATION = 1;
    private static final int OPTION_LOOSE_SOURCE_ROUTE = 131;
    private static final int OPTION_STRICT_SOURCE_ROUTE = 137;

    private Ipv4() {}

    /**
     * After NONE no accessor below reads outside {@code availableBytes} from {@code l3}, {@code
     * headerLength <= totalLength <= availableBytes}, and the packet can be a whole one or part of
     * a valid one. Bytes behind {@code totalLength} are padding. The header checksum is not looked
     * at: {@link #isChecksumValid}.
     */
    public static WireFault check(
            final MemorySegment frame, final long l3, final int availableBytes) {
        final WireFault fault = checkQuoted(frame, l3, availableBytes);
        if (fault != WireFault.NONE) {
            return fault;
        }
        final int totalLength = totalLength(frame, l3);
        if (totalLength < headerLength(frame, l3) || totalLength > availableBytes) {
            return WireFault.BAD_TOTAL_LENGTH;
        }
        if ((BigEndian.u16(frame, l3 + FRAGMENT) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) != 0) {
            return checkFragment(frame, l3);
        }
        return WireFault.NONE;
    }

    /**
     * Like {@link #check} for the start of a packet that an ICMP error quotes: the header must be
     * there whole, the payload need not.
     */
    public static WireFault checkQuoted(
            final MemorySegment frame, final long l3, final int availableBytes) {
        if (availableBytes < BYTES_MIN) {
            return WireFault.TRUNCATED;
        }
        final int versionIhl = BigEndian.u8(frame, l3 + VERSION_IHL);
        if (versionIhl >>> 4 != 4) {
            return WireFault.BAD_VERSION;
        }
        final int headerLength = (versionIhl & 0xf) << 2;
        if (headerLength < BYTES_MIN) {
            return WireFault.BAD_HEADER_LENGTH;
        }
        return headerLength > availableBytes ? WireFault.TRUNCATED : WireFault.NONE;
    }

    private static WireFault checkFragment(final MemorySegment frame, final long l3) {
        final int payloadBytes = totalLength(frame, l3) - headerLength(frame, l3);
        final int offsetBytes = fragmentOffsetBytes(frame, l3);
        // All but the last carry whole 8-byte units; the sum must fit a packet ("ping of death").
        final boolean wholeUnits = !moreFragments(frame, l3) || (payloadBytes & 7) == 0;
        final boolean fits =
                headerLength(frame, l3) + offsetBytes + payloadBytes <= PACKET_BYTES_MAX;
        // Offset 8 would overwrite the flags of the TCP header that was judged (RFC 3128).
        final boolean hidesTcpFlags = offsetBytes == 8 && protocol(frame, l3) == IpProtocol.TCP;
        return payloadBytes > 0 && wholeUnits && fits && !hidesTcpFlags
                ? WireFault.NONE
                : WireFault.BAD_FRAGMENT;
    }

    /** Header with options, in bytes, 20 to 60. */
    public static int headerLength(final MemorySegment frame, final long l3) {
        return (BigEndian.u8(frame, l3 + VERSION_IHL) & 0xf) << 2;
    }

    public static boolean hasOptions(final MemorySegment frame, final long l3) {
        return headerLength(frame, l3) > BYTES_MIN;
    }

    /**
     * Whether a loose or strict source route option is there, or the options cannot be walked. Such
     * a packet may end elsewhere than at the destination that policy judges.
     */
    public static boolean hasSourceRoute(final MemorySegment frame, final long l3) {
        final int headerLength = headerLength(frame, l3);
        int at = BYTES_MIN;
        while (at < headerLength) {
            final int option = BigEndian.u8(frame, l3 + at);
            if (option == OPTION_END) {
                return false;
            }
            if (option == OPTION_LOOSE_SOURCE_ROUTE || option == OPTION_STRICT_SOURCE_ROUTE) {
                return true;
            }
            final int optionBytes = optionBytes(frame, l3, at, headerLength);
            if (optionBytes == 0) {
                return true;
            }
            at += optionBytes;
        }
        return false;
    }

    /** Length of the option at {@code at} bytes into the header, or 0 if it does not fit. */
    static int optionBytes(
            final MemorySegment frame, final long l3, final int at, final int headerLength) {
        if (BigEndian.u8(frame, l3 + at) == OPTION_NO_OPERATION) {
            return 1;
        }
        if (at + 2 > headerLength) {
            return 0;
        }
        final int optionBytes = BigEndian.u8(frame, l3 + at + 1);
        return optionBytes < 2 || at + optionBytes > headerLength ? 0 : optionBytes;
    }

    /** Differentiated services and ECN. */
    public static int typeOfService(final MemorySegment frame, final long l3) {
        return BigEndian.u8(frame, l3 + TYPE_OF_SERVICE);
    }

    /** Header and payload, in bytes. */
    public static int totalLength(final MemorySegment frame, final long l3) {
        return BigEndian.u16(frame, l3 + TOTAL_LENGTH);
    }

    public static int id(final MemorySegment frame, final long l3) {
        return BigEndian.u16(frame, l3 + ID);
    }

    public static boolean dontFragment(final MemorySegment frame, final long l3) {
        return (BigEndian.u16(frame, l3 + FRAGMENT) & DONT_FRAGMENT) != 0;
    }

    public static boolean moreFragments(final MemorySegment frame, final long l3) {
        return (BigEndian.u16(frame, l3 + FRAGMENT) & MORE_FRAGMENTS) != 0;
    }

    /** Place of this payload in the whole packet's, in bytes; 0 for the first or only one. */
    public static int fragmentOffsetBytes(final MemorySegment frame, final long l3) {
        return (BigEndian.u16(frame, l3 + FRAGMENT) & FRAGMENT_OFFSET) << 3;
    }

    public static boolean isFragment(final MemorySegment frame, final long l3) {
        return (BigEndian.u16(frame, l3 + FRAGMENT) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) != 0;
    }

    public static int ttl(final MemorySegment frame, final long l3) {
        return BigEndian.u8(frame, l3 + TTL);
    }

    public static int protocol(final MemorySegment frame, final long l3) {
        return BigEndian.u8(frame, l3 + PROTOCOL);
    }

    public static int checksum(final MemorySegment frame, final long l3) {
        return BigEndian.u16(frame, l3 + CHECKSUM);
    }

    public static boolean isChecksumValid(final MemorySegment frame, final long l3) {
        final int headerLength = headerLength(frame, l3);
        return Checksum.isValid(
                headerLength == BYTES_MIN
                        ? Checksum.sumOf20(frame, l3)
                        : Checksum.sum(frame, l3, headerLength));
    }

    public static int source(final MemorySegment frame, final long l3) {
        return BigEndian.u32(frame, l3 + SOURCE);
    }

    public static int destination(final MemorySegment frame, final long l3) {
        return BigEndian.u32(frame, l3 + DESTINATION);
    }

    /** 224.0.0.0/4. */
    public static boolean isMulticast(final int address) {
        return address >>> 28 == 0xe;
    }

    /** 127.0.0.0/8. */
    public static boolean isLoopback(final int address) {
        return address >>> 24 == 127;
    }

    /**
     * Whether no single host can have the address: 0.0.0.0/8, 127.0.0.0/8, multicast, 240.0.0.0/4
     * with broadcast (RFC 1122 section 3.2.1.3, RFC 1812 section 4.2.3.1). Never right as the
     * source of a packet on a link.
     */
    public static boolean isMartianSource(final int address) {
        final int first = address >>> 24;
        return first == 0 || first == 127 || first >= 224;
    }

    /** Sum of the pseudo header of what this packet carries, {@code lengthBytes} long. */
    public static int pseudoHeaderSum(
            final MemorySegment frame, final long l3, final int lengthBytes) {
        return Checksum.pseudoHeader(
                source(frame, l3), destination(frame, l3), protocol(frame, l3), lengthBytes);
    }

    /** Leaves the header checksum as it is: {@link #writeChecksum}. */
    public static void setSource(final MemorySegment frame, final long l3, final int address) {
        BigEndian.put32(frame, l3 + SOURCE, address);
    }

    /** Leaves the header checksum as it is: {@link #writeChecksum}. */
    public static void setDestination(final MemorySegment frame, final long l3, final int address) {
        BigEndian.put32(frame, l3 + DESTINATION, address);
    }

    /** Exchanges the addresses; no checksum that covers both changes. */
    static void swapAddresses(final MemorySegment frame, final long l3) {
        final int source = source(frame, l3);
        setSource(frame, l3, destination(frame, l3));
        setDestination(frame, l3, source);
    }

    /** Sets the TTL, 0 to 255, and updates the header checksum. */
    public static void setTtl(final MemorySegment frame, final long l3, final int ttl) {
        final int oldWord = BigEndian.u16(frame, l3 + TTL);
        final int newWord = (ttl << 8) | (oldWord & 0xff);
        BigEndian.put16(frame, l3 + TTL, newWord);
        BigEndian.put16(
                frame, l3 + CHECKSUM, Checksum.update(checksum(frame, l3), oldWord, newWord));
    }

    /** Lowers a TTL of at least 1 by one and updates the header checksum (RFC 1624). */
    public static void decrementTtl(final MemorySegment frame, final long l3) {
        setTtl(frame, l3, ttl(frame, l3) - 1);
    }

    /** Leaves the header checksum as it is: {@link #writeChecksum}. Only 16 bits of it count. */
    static void setId(final MemorySegment frame, final long l3, final int id) {
        BigEndian.put16(frame, l3 + ID, id);
    }

    /** Sets the length of header and payload, in bytes, and writes the header checksum anew. */
    static void setTotalLength(final MemorySegment frame, final long l3, final int lengthBytes) {
        BigEndian.put16(frame, l3 + TOTAL_LENGTH, lengthBytes);
        writeChecksum(frame, l3);
    }

    /** Writes the header checksum anew. */
    public static void writeChecksum(final MemorySegment frame, final long l3) {
        BigEndian.put16(frame, l3 + CHECKSUM, 0);
        BigEndian.put16(
                frame,
                l3 + CHECKSUM,
                Checksum.finish(Checksum.sum(frame, l3, headerLength(frame, l3))));
    }

    /** Makes the header one of a fragment, or of a whole packet. */
    static void setFragment(
            final MemorySegment frame,
            final long l3,
            final int headerLength,
            final int totalLength,
            final int offsetBytes,
            final boolean moreFragments) {
        BigEndian.put8(frame, l3 + VERSION_IHL, 0x40 | (headerLength >>> 2));
        BigEndian.put16(frame, l3 + TOTAL_LENGTH, totalLength);
        BigEndian.put16(
                frame, l3 + FRAGMENT, (offsetBytes >>> 3) | (moreFragments ? MORE_FRAGMENTS : 0));
        writeChecksum(frame, l3);
    }

    /** Writes a header of 20 bytes for a packet that is never fragmented (RFC 6864: id 0). */
    static void write(
            final MemorySegment frame,
            final long l3,
            final int typeOfService,
            final int totalLength,
            final int ttl,
            final int protocol,
            final int source,
            final int destination) {
        BigEndian.put8(frame, l3 + VERSION_IHL, 0x45);
        BigEndian.put8(frame, l3 + TYPE_OF_SERVICE, typeOfService);
        BigEndian.put16(frame, l3 + TOTAL_LENGTH, totalLength);
        BigEndian.put16(frame, l3 + ID, 0);
        BigEndian.put16(frame, l3 + FRAGMENT, DONT_FRAGMENT);
        BigEndian.put8(frame, l3 + TTL, ttl);
        BigEndian.put8(frame, l3 + PROTOCOL, protocol);
        setSource(frame, l3, source);
        setDestination(frame, l3, destination);
        writeChecksum(frame, l3);
    }
}
