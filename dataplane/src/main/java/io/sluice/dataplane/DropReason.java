package io.sluice.dataplane;

import org.jspecify.annotations.Nullable;

/**
 * Why a packet stopped. Each constant has a stable number, a name and one sentence; a retired
 * number is never used again.
 *
 * <p>Numbers below 300 are Cilium's, where the meaning is the same, so that dashboards and habits
 * carry over; Sluice's own begin at 300. The command line, the metrics and {@code
 * docs/drop-reasons.md} are made from this enum.
 */
public enum DropReason {
    /** The packet was not dropped. */
    NONE(0, Severity.NONE, "the packet went on"),

    INVALID_SOURCE_MAC(
            130, Severity.SPOOF, "the frame's source MAC is not the one of the endpoint's device"),
    INVALID_SOURCE_IP(
            132,
            Severity.SPOOF,
            "the source address does not belong to the endpoint or side that sent the packet"),
    POLICY_DENIED(133, Severity.POLICY, "no policy rule allows the connection"),
    INVALID_PACKET(
            134, Severity.MALFORMED, "an IP header is malformed, or lengths in it contradict"),
    CT_TRUNCATED_OR_INVALID_HEADER(
            135, Severity.MALFORMED, "the transport header is truncated or malformed"),
    FRAGMENTATION_NEEDED(
            136,
            Severity.PATH,
            "the packet is longer than the MTU of the port it has to leave through, and must not"
                    + " be fragmented; the sender was told the MTU"),
    UNSUPPORTED_L3_PROTOCOL(
            139, Severity.MALFORMED, "the frame carries neither IPv4, IPv6 nor ARP"),
    STALE_OR_UNROUTABLE_IP(
            151, Severity.PATH, "no endpoint has the destination address and no port leads to it"),
    CT_MAP_INSERTION_FAILED(
            155, Severity.LIMIT, "the conntrack table is full; established flows go on"),
    INVALID_IPV6_EXTENSION_HEADER(
            156, Severity.MALFORMED, "an IPv6 extension header is malformed or not allowed"),
    UNKNOWN_CONNECTION_TRACKING_STATE(
            163,
            Severity.MALFORMED,
            "the packet belongs to no tracked flow and cannot open one (a stray RST, FIN or ICMP"
                    + " error, or impossible TCP flags)"),
    UNSUPPORTED_L2_PROTOCOL(166, Severity.MALFORMED, "the frame is not plain Ethernet"),
    INVALID_IDENTITY(
            171, Severity.POLICY, "the peer's identity is not in the policy map (fail closed)"),
    FRAGMENT_NOT_FOUND(
            175,
            Severity.MALFORMED,
            "a later fragment came without its first fragment, which names the ports"),
    POLICY_DENY(181, Severity.POLICY, "a policy rule denies the connection"),
    AUTH_REQUIRED(
            189,
            Severity.POLICY,
            "the rule that matches asks for mutual authentication, which this version cannot do, so"
                    + " it allows nothing"),
    TTL_EXCEEDED(
            196, Severity.PATH, "the TTL or hop limit ran out at the switch; the sender was told"),
    EP_NOT_READY(
            203, Severity.LIMIT, "the endpoint's port is not open yet, or its device has gone"),

    MULTICAST_NOT_FORWARDED(
            300,
            Severity.QUIET,
            "multicast and broadcast end at the switch (neighbour discovery is answered)"),
    NO_SERVICE_AT_GATEWAY(
            301, Severity.QUIET, "the gateway address answers ARP, neighbour discovery and ping"),
    PORT_REFUSED_FRAME(302, Severity.LIMIT, "the kernel did not take the frame for the port"),
    L7_NOT_ENFORCEABLE(
            303,
            Severity.POLICY,
            "the rule that matches restricts requests (L7, SNI or TLS), which this version cannot"
                    + " check, so it allows nothing"),
    FRAGMENT_MALFORMED(
            304,
            Severity.MALFORMED,
            "a fragment that overlaps or cuts through the transport header (RFC 1858, RFC 3128)"),
    MALFORMED_NEIGHBOUR_MESSAGE(
            305, Severity.MALFORMED, "an ARP or neighbour discovery message breaks its RFC"),

    DNS_RING_FULL(
            320,
            Severity.LIMIT,
            "the ring to the DNS agent is full; other traffic and known names go on"),
    DNS_NOT_WHOLE(
            321,
            Severity.PATH,
            "a fragment or super-frame of a flow under DNS rules, whose message cannot be judged"),
    DNS_MALFORMED(322, Severity.MALFORMED, "a message of a flow under DNS rules breaks RFC 1035"),
    DNS_ANSWER_UNASKED(
            323,
            Severity.SPOOF,
            "a DNS answer that belongs to no open query: its flow, id or question is another"),
    DNS_QUERIES_FULL(
            324, Severity.LIMIT, "the endpoint has as many DNS queries open as it may have"),
    DNS_FLOW_GONE(
            325, Severity.PATH, "the flow of a DNS message ended while the message was judged"),
    NO_SERVICE_AT_RESOLVER(
            326,
            Severity.QUIET,
            "the switch's resolver answers at port 53: UDP, and TCP that is under DNS rules");

    /** How much a drop of this kind should worry someone who watches. */
    public enum Severity {
        NONE,
        /** Ordinary chatter: every Linux host sends some. */
        QUIET,
        /** What policies are for. */
        POLICY,
        /** The path does not carry the packet; the sender was told where the protocol allows. */
        PATH,
        /** A bug or an attack in the sender's stack. */
        MALFORMED,
        /** An endpoint pretends to be another. */
        SPOOF,
        /** A resource of the switch ran out. */
        LIMIT
    }

    /** Codes lie below this. */
    static final int CODES = 512;

    private static final @Nullable DropReason[] BY_CODE = new @Nullable DropReason[CODES];

    static {
        for (final DropReason reason : values()) {
            BY_CODE[reason.code] = reason;
        }
    }

    private final int code;
    private final Severity severity;
    private final String sentence;

    DropReason(final int code, final Severity severity, final String sentence) {
        this.code = code;
        this.severity = severity;
        this.sentence = sentence;
    }

    /** The stable number, 0 to 511. */
    public int code() {
        return code;
    }

    /** How much this should worry someone. */
    public Severity severity() {
        return severity;
    }

    /** One sentence for people. */
    public String sentence() {
        return sentence;
    }

    /**
     * The reason with this number.
     *
     * @throws IllegalArgumentException when no reason has it
     */
    public static DropReason ofCode(final int code) {
        final DropReason reason = code >= 0 && code < BY_CODE.length ? BY_CODE[code] : null;
        if (reason == null) {
            throw new IllegalArgumentException("no drop reason has the number " + code);
        }
        return reason;
    }
}
