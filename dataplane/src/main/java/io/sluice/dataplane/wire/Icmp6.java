package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * ICMPv6 (RFC 4443). The header has the layout of {@link Icmp}; the checksum covers a pseudo header
 * as well.
 *
 * <p>Any thread that owns the segment.
 */
public final class Icmp6 {
    /** Header of the messages the switch reads, in bytes. */
    public static final int BYTES = Icmp.BYTES;

    public static final int UNREACHABLE = 1;
    public static final int PACKET_TOO_BIG = 2;
    public static final int TIME_EXCEEDED = 3;
    public static final int PARAMETER_PROBLEM = 4;
    public static final int ECHO_REQUEST = 128;
    public static final int ECHO_REPLY = 129;
    public static final int LISTENER_QUERY = 130;
    public static final int LISTENER_REPORT = 131;
    public static final int LISTENER_DONE = 132;
    public static final int ROUTER_SOLICITATION = 133;
    public static final int ROUTER_ADVERTISEMENT = 134;
    public static final int NEIGHBOR_SOLICITATION = 135;
    public static final int NEIGHBOR_ADVERTISEMENT = 136;
    public static final int REDIRECT = 137;
    public static final int LISTENER_REPORT_V2 = 143;

    /** Code of {@link #UNREACHABLE}. */
    public static final int CODE_NO_ROUTE = 0;

    /** Code of {@link #UNREACHABLE}. */
    public static final int CODE_ADMINISTRATIVELY_PROHIBITED = 1;

    /** Code of {@link #UNREACHABLE}. */
    public static final int CODE_ADDRESS = 3;

    /** Code of {@link #UNREACHABLE}. */
    public static final int CODE_PORT = 4;

    private static final int MTU = 4;

    private Icmp6() {}

    /**
     * After NONE every accessor below is safe. The checksum is not looked at: {@link
     * #isChecksumValid}.
     */
    public static WireFault check(
            final MemorySegment frame, final long l4, final int availableBytes) {
        return Icmp.check(frame, l4, availableBytes);
    }

    public static int type(final MemorySegment frame, final long l4) {
        return Icmp.type(frame, l4);
    }

    public static int code(final MemorySegment frame, final long l4) {
        return Icmp.code(frame, l4);
    }

    public static int echoId(final MemorySegment frame, final long l4) {
        return Icmp.echoId(frame, l4);
    }

    public static int echoSequence(final MemorySegment frame, final long l4) {
        return Icmp.echoSequence(frame, l4);
    }

    /** MTU of the next hop in "packet too big", in bytes, unsigned. */
    public static int mtu(final MemorySegment frame, final long l4) {
        return BigEndian.u32(frame, l4 + MTU);
    }

    /**
     * Whether the message, whole and unfragmented, has a right checksum. Not to be asked where the
     * virtio-net header vouches for it.
     */
    public static boolean isChecksumValid(
            final MemorySegment frame, final long l3, final long l4, final int lengthBytes) {
        return Checksum.isValid(messageSum(frame, l3, l4, lengthBytes));
    }

    /**
     * Whether a message of this type quotes the packet that caused it: the types below 128 (RFC
     * 4443 section 2.1).
     */
    public static boolean isError(final int type) {
        return type < 128;
    }

    /** Whether the message is part of neighbour discovery (RFC 4861): never forwarded. */
    public static boolean isNeighborDiscovery(final int type) {
        return type >= ROUTER_SOLICITATION && type <= REDIRECT;
    }

    /** Where the packet that an error quotes starts. */
    public static long quotedOffset(final long l4) {
        return l4 + BYTES;
    }

    /** Writes the checksum anew; the IPv6 header must be in place. */
    static void writeChecksum(
            final MemorySegment frame, final long l3, final long l4, final int lengthBytes) {
        Icmp.setChecksum(frame, l4, 0);
        Icmp.setChecksum(frame, l4, Checksum.finish(messageSum(frame, l3, l4, lengthBytes)));
    }

    private static int messageSum(
            final MemorySegment frame, final long l3, final long l4, final int lengthBytes) {
        return Checksum.add(
                Ipv6.pseudoHeaderSum(frame, l3, IpProtocol.ICMP6, lengthBytes),
                Checksum.sum(frame, l4, lengthBytes));
    }
}
