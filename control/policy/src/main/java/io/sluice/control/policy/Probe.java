package io.sluice.control.policy;

import java.util.Map;

/**
 * A question: may this packet, the first of a connection, pass?
 *
 * @param from {@code namespace/pod} or an IP address
 * @param to {@code namespace/pod} or an IP address
 * @param protocol TCP, UDP, SCTP, ICMP, ICMPv6, or a protocol number
 * @param port destination port: a number or the name of one on the destination; empty if the
 *     protocol has none
 * @param sourcePort source port, 1 to 65535, or {@link #NOT_GIVEN}, which means some port that
 *     systems give to clients
 * @param icmpType 0 to 255, or {@link #NOT_GIVEN}, which means echo request
 * @param icmpCode 0 to 255, or {@link #NOT_GIVEN}, which means 0
 * @param l7 fields about the request: {@code http.method}, {@code http.path}, {@code http.host},
 *     {@code http.headers.NAME}, {@code kafka.api}, {@code kafka.topic}, {@code kafka.clientId},
 *     {@code dns}, {@code sni}; and {@code toName}, a name that the destination was learned from
 */
public record Probe(
        String from,
        String to,
        String protocol,
        String port,
        int sourcePort,
        int icmpType,
        int icmpCode,
        Map<String, String> l7) {
    public static final int NOT_GIVEN = -1;

    public static Probe of(
            final String from, final String to, final String protocol, final String port) {
        return new Probe(from, to, protocol, port, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, Map.of());
    }

    /** The same packet with a request in it. */
    public Probe with(final Map<String, String> request) {
        return new Probe(from, to, protocol, port, sourcePort, icmpType, icmpCode, request);
    }
}
