package io.sluice.control.agent;

import java.util.ArrayList;
import java.util.List;

/** A flow in Hubble's words: what stands in brackets at the end of a line of {@code observe}. */
public final class FlowSummary {
    private static final int ICMP = 1;
    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final int ICMPV6 = 58;
    private static final int SCTP = 132;

    /** RFC 9293 section 3.1 and RFC 3168, from the lowest bit. */
    private static final String[] TCP_FLAGS = {
        "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"
    };

    private FlowSummary() {}

    /**
     * Names of TCP flags, from the lowest bit.
     *
     * @param flags low eight bits of the flags
     */
    public static List<String> tcpFlags(final int flags) {
        final List<String> names = new ArrayList<>();
        for (int bit = 0; bit < TCP_FLAGS.length; bit++) {
            if ((flags >> bit & 1) != 0) {
                names.add(TCP_FLAGS[bit]);
            }
        }
        return names;
    }

    private static String of(final L7Message message) {
        return switch (message.content()) {
            case final L7Message.Http http ->
                    message.isRequest()
                            ? "%s %s %s".formatted(http.protocol(), http.method(), http.url())
                            : "%s %d %dms (%s %s)"
                                    .formatted(
                                            http.protocol(),
                                            http.code(),
                                            message.latencyNs() / 1_000_000,
                                            http.method(),
                                            http.url());
            case final L7Message.Kafka kafka -> of(kafka, message);
            case final L7Message.Dns dns ->
                    message.isRequest()
                            ? "DNS Query %s %s".formatted(dns.query(), dns.type())
                            : "DNS Answer %sTTL: %d (Proxy %s %s)"
                                    .formatted(
                                            dns.rcode() != 0
                                                    ? "RCode: " + rcode(dns.rcode()) + " "
                                                    : dns.addresses().isEmpty()
                                                            ? ""
                                                            : "\""
                                                                    + String.join(
                                                                            ",", dns.addresses())
                                                                    + "\" ",
                                            dns.ttlSeconds(),
                                            dns.query(),
                                            dns.type());
            case final L7Message.Tls tls ->
                    "TLS " + (tls.serverName().isEmpty() ? "without SNI" : tls.serverName());
        };
    }

    private static String of(final L7Message.Kafka kafka, final L7Message message) {
        final String request =
                "%s v%d %d %s"
                        .formatted(
                                kafka.apiKey(),
                                kafka.apiVersion(),
                                kafka.correlationId(),
                                kafka.topic());
        return message.isRequest()
                ? "Kafka " + request.strip()
                : "Kafka %d %dms (%s)"
                        .formatted(
                                kafka.errorCode(),
                                message.latencyNs() / 1_000_000,
                                request.strip());
    }

    /** Hubble's words, those of Go's DNS library for the codes of RFC 1035 section 4.1.1. */
    private static String rcode(final int rcode) {
        return switch (rcode) {
            case 1 -> "FormErr";
            case 2 -> "Server Failure";
            case 3 -> "Non-Existent Domain";
            case 4 -> "Not Implemented";
            case 5 -> "Query Refused";
            default -> String.valueOf(rcode);
        };
    }

    /** In a few words: {@code TCP Flags: SYN}. */
    public static String of(final Flow flow) {
        if (flow.l7().isPresent()) {
            return of(flow.l7().get());
        }
        if (flow.totals().isPresent()) {
            return of(flow, flow.totals().get());
        }
        return switch (flow.protocol()) {
            case TCP -> "TCP Flags: " + flags(flow.tcpFlags());
            case UDP -> "UDP";
            case SCTP -> "SCTP";
            case ICMP -> "ICMPv4 " + icmp(flow, 8, 0);
            case ICMPV6 -> "ICMPv6 " + icmp(flow, 128, 129);
            default -> flow.ipVersion() == 0 ? "" : "IP protocol " + flow.protocol();
        };
    }

    /** {@code TCP: 6 packets, 534 bytes; back: 5 packets, 1270 bytes; 0.532 s}. */
    private static String of(final Flow flow, final FlowTotals totals) {
        final String protocol =
                switch (flow.protocol()) {
                    case TCP -> "TCP";
                    case UDP -> "UDP";
                    case SCTP -> "SCTP";
                    case ICMP -> "ICMPv4 EchoRequest";
                    case ICMPV6 -> "ICMPv6 EchoRequest";
                    default -> "IP protocol " + flow.protocol();
                };
        return "%s: %d packets, %d bytes; back: %d packets, %d bytes; %.3f s"
                .formatted(
                        protocol,
                        totals.initiatorPackets(),
                        totals.initiatorBytes(),
                        totals.responderPackets(),
                        totals.responderBytes(),
                        totals.duration().toNanos() / 1e9);
    }

    private static String icmp(final Flow flow, final int echoRequest, final int echoReply) {
        if (flow.icmpType() == echoRequest) {
            return "EchoRequest";
        }
        return flow.icmpType() == echoReply
                ? "EchoReply"
                : "type " + flow.icmpType() + " code " + flow.icmpCode();
    }

    /** Hubble's order: SYN before ACK before the rest. */
    private static String flags(final int flags) {
        final StringBuilder text = new StringBuilder();
        for (final int bit : new int[] {1, 4, 0, 2, 3, 5, 6, 7}) {
            if ((flags >> bit & 1) != 0) {
                text.append(text.isEmpty() ? "" : ", ").append(TCP_FLAGS[bit]);
            }
        }
        return text.toString();
    }
}
