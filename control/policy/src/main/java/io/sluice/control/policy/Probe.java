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
 * @param icmpType 0 to 255, or {@link #NOT_GIVEN}, which means echo request
 * @param icmpCode 0 to 255, or {@link #NOT_GIVEN}, which means 0
 * @param l7 fields about the request ({@code http}, {@code dns}, {@code sni}, ...) as text; kept
 *     for the answer of a proxy
 */
public record Probe(
        String from,
        String to,
        String protocol,
        String port,
        int icmpType,
        int icmpCode,
        Map<String, String> l7) {
    public static final int NOT_GIVEN = -1;

    public static Probe of(
            final String from, final String to, final String protocol, final String port) {
        return new Probe(from, to, protocol, port, NOT_GIVEN, NOT_GIVEN, Map.of());
    }
}
