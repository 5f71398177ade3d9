package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * ICMP for IPv4 (RFC 792).
 *
 * <p>Any thread that owns the segment.
 */
public final class Icmp {
    /** Header of the messages the switch reads, in bytes. */
    public static final int BYTES = 8;

    /**
     * What an ICMP error quotes behind the quoted IP header at least (RFC 792), in bytes. Ports of
     * TCP, UDP and SCTP and the type, code and identifier of an ICMP echo all lie within; a check
     * of a quoted upper header asks for just this.
     */
    public static final int QUOTED_TRANSPORT_BYTES = 8;

    public static final int ECHO_REPLY = 0;
    public static final int UNREACHABLE = 3;
    public static final int SOURCE_QUENCH = 4;
    public static final int REDIRECT = 5;
    public static final int ECHO_REQUEST = 8;
    public static final int TIME_EXCEEDED = 11;
    public static final int PARAMETER_PROBLEM = 12;
    public static final int TIMESTAMP_REQUEST = 13;
    public static final int TIMESTAMP_REPLY = 14;

    /** Code of {@link #UNREACHABLE}. */
    public static final int CODE_NET = 0;

    /** Code of {@link #UNREACHABLE}. */
    public static final int CODE_HOST = 1;

    /** Code of {@link #UNREACHABLE}. */
    public static final int CODE_PORT = 3;

    /** Code of {@link #UNREACHABLE}; carries the MTU of the next hop (RFC 1191). */
    public static final int CODE_FRAGMENTATION_NEEDED = 4;

    /** Code of {@link #UNREACHABLE} (RFC 1812 section 5.2.7.1). */
    public static final int CODE_ADMINISTRATIVELY_PROHIBITED = 13;

    static final int CHECKSUM = 2;
    private static final int TYPE = 0;
    private static final int CODE = 1;
    private static final int ECHO_ID = 4;
    private static final int ECHO_SEQUENCE = 6;
    private static final int MTU = 6;

    private Icmp() {}

    /**
     * After NONE every accessor below is safe. The checksum is not looked at: {@link
     * #isChecksumValid}.
     */
    public static WireFault check(
            final MemorySegment frame, final long l4, final int availableBytes) {
        return availableBytes < BYTES ? WireFault.TRUNCATED : WireFault.NONE;
    }

    public static int type(final MemorySegment frame, final long l4) {
        return BigEndian.u8(frame, l4 + TYPE);
    }

    public static int code(final MemorySegment frame, final long l4) {
        return BigEndian.u8(frame, l4 + CODE);
    }

    /** Identifier of an echo or timestamp message. */
    public static int echoId(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + ECHO_ID);
    }

    public static int echoSequence(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + ECHO_SEQUENCE);
    }

    /** MTU of the next hop in "fragmentation needed", in bytes. */
    public static int mtu(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + MTU);
    }

    /** Whether the message, whole and unfragmented, has a right checksum. */
    public static boolean isChecksumValid(
            final MemorySegment frame, final long l4, final int lengthBytes) {
        return Checksum.isValid(Checksum.sum(frame, l4, lengthBytes));
    }

    /** Whether a message of this type quotes the packet that caused it. */
    public static boolean isError(final int type) {
        return switch (type) {
            case UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM -> true;
            default -> false;
        };
    }

    /** Where the packet that an error quotes starts. */
    public static long quotedOffset(final long l4) {
        return l4 + BYTES;
    }

    /** Makes another type of the message and updates its checksum. */
    static void setType(final MemorySegment frame, final long l4, final int type) {
        final int oldWord = BigEndian.u16(frame, l4 + TYPE);
        final int newWord = (type << 8) | (oldWord & 0xff);
        final int checksum = BigEndian.u16(frame, l4 + CHECKSUM);
        BigEndian.put16(frame, l4 + TYPE, newWord);
        BigEndian.put16(frame, l4 + CHECKSUM, Checksum.update(checksum, oldWord, newWord));
    }

    /** Writes the eight header bytes with a checksum of 0. */
    static void write(
            final MemorySegment frame,
            final long l4,
            final int type,
            final int code,
            final int restOfHeader) {
        BigEndian.put8(frame, l4 + TYPE, type);
        BigEndian.put8(frame, l4 + CODE, code);
        BigEndian.put16(frame, l4 + CHECKSUM, 0);
        BigEndian.put32(frame, l4 + BYTES - 4, restOfHeader);
    }

    static void setChecksum(final MemorySegment frame, final long l4, final int checksum) {
        BigEndian.put16(frame, l4 + CHECKSUM, checksum);
    }
}
