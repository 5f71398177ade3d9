package io.sluice.conntrack;

/**
 * Conntrack tuple: protocol, two addresses and two ports, as one packet shows them.
 *
 * <p>Addresses are 128 bits in two big-endian longs; IPv4 addresses are mapped ({@code
 * ::ffff:a.b.c.d}, RFC 4291 section 2.5.5.2), so that every step after parsing exists once. For
 * ICMP and ICMPv6 echo both ports are the identifier, and {@link #echoReply} tells a reply from a
 * request; for protocols without ports both are 0.
 *
 * <p>A reused cursor, filled by the parser. Thread: owned by one lane.
 */
public final class Tuple {
    /** High half of every mapped IPv4 address. */
    public static final long IPV4_MAPPED_HIGH = 0L;

    /** Prefix of the low half of every mapped IPv4 address. */
    public static final long IPV4_MAPPED_LOW = 0x0000_ffff_0000_0000L;

    /** IP protocol number, 0 to 255. */
    public int protocol;

    public long sourceHigh;
    public long sourceLow;
    public long destinationHigh;
    public long destinationLow;

    /** Source port, 0 to 65535. */
    public int sourcePort;

    /** Destination port, 0 to 65535. */
    public int destinationPort;

    /**
     * Whether this is an ICMP or ICMPv6 echo reply; false for everything else. Without it a request
     * of the responder with the same identifier would look like a reply, and pass without policy.
     */
    public boolean echoReply;

    /** Whether both addresses are mapped IPv4 addresses. */
    public boolean isIpv4() {
        return sourceHigh == IPV4_MAPPED_HIGH && (sourceLow >>> 32) == 0xffffL;
    }

    /** The low half of a mapped IPv4 address. */
    public static long mapped(final int ipv4) {
        return IPV4_MAPPED_LOW | Integer.toUnsignedLong(ipv4);
    }
}
