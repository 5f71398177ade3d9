package io.sluice.control.policy;

import java.util.Locale;

/** IP protocol numbers that policy can name (IANA protocol numbers registry). */
public final class IpProtocol {
    public static final int ICMP = 1;
    public static final int TCP = 6;
    public static final int UDP = 17;
    public static final int ICMPV6 = 58;
    public static final int SCTP = 132;

    /** Answer of {@link #parse} for a name that is none. */
    public static final int UNKNOWN = -1;

    private IpProtocol() {}

    /** Number of a protocol name, of any case, or {@link #UNKNOWN}. */
    public static int parse(final String name) {
        return switch (name.toUpperCase(Locale.ROOT)) {
            case "ICMP", "ICMPV4" -> ICMP;
            case "TCP" -> TCP;
            case "UDP" -> UDP;
            case "ICMPV6" -> ICMPV6;
            case "SCTP" -> SCTP;
            default -> UNKNOWN;
        };
    }

    public static String nameOf(final int protocol) {
        return switch (protocol) {
            case ICMP -> "ICMP";
            case TCP -> "TCP";
            case UDP -> "UDP";
            case ICMPV6 -> "ICMPv6";
            case SCTP -> "SCTP";
            default -> Integer.toString(protocol);
        };
    }

    /** Whether packets of the protocol carry port numbers. */
    public static boolean hasPorts(final int protocol) {
        return protocol == TCP || protocol == UDP || protocol == SCTP;
    }

    /** Whether the "port" of the protocol is type * 256 + code. */
    public static boolean isIcmp(final int protocol) {
        return protocol == ICMP || protocol == ICMPV6;
    }
}
