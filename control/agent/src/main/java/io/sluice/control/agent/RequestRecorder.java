package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.DnsEvents;
import io.sluice.dnsproxy.DnsFlow;
import io.sluice.dnsproxy.wire.Address;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import io.sluice.l7proxy.rule.KafkaApi;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Puts what the L7 and the DNS proxy report into the flow store, with names.
 *
 * <p>Thread: any, the proxies' own; they wait for each other and for the handler of the lane's
 * events as long as an append takes.
 */
final class RequestRecorder implements L7Sink, DnsEvents {
    private static final int PROTOCOL_TCP = 6;
    private static final int PROTOCOL_UDP = 17;

    /**
     * Names of record types (IANA dns-parameters); others are {@code TYPE} and the number (RFC
     * 3597).
     */
    private static final Map<Integer, String> RECORD_TYPES =
            Map.ofEntries(
                    Map.entry(1, "A"),
                    Map.entry(2, "NS"),
                    Map.entry(5, "CNAME"),
                    Map.entry(6, "SOA"),
                    Map.entry(12, "PTR"),
                    Map.entry(15, "MX"),
                    Map.entry(16, "TXT"),
                    Map.entry(28, "AAAA"),
                    Map.entry(33, "SRV"),
                    Map.entry(64, "SVCB"),
                    Map.entry(65, "HTTPS"),
                    Map.entry(255, "ANY"));

    private static final int NO_ICMP = -1;

    private final String nodeName;
    private final FlowStore store;
    private final Supplier<LivePolicy> policy;
    private final FlowRedaction redaction;
    private final RuleCounts counts;
    private final Clock clock;
    private final long uuidHigh = UUID.randomUUID().getMostSignificantBits();

    /**
     * @param policy the newest
     * @param redaction of what is told
     * @param counts requests by rule
     */
    RequestRecorder(
            final String nodeName,
            final FlowStore store,
            final Supplier<LivePolicy> policy,
            final FlowRedaction redaction,
            final RuleCounts counts,
            final Clock clock) {
        this.nodeName = nodeName;
        this.store = store;
        this.policy = policy;
        this.redaction = redaction;
        this.counts = counts;
        this.clock = clock;
    }

    @Override
    public void report(final L7Event event) {
        final boolean isRequest = event.type() == L7Event.Type.REQUEST;
        if (isRequest) {
            counts.count(event);
        }
        append(
                new Exchange(
                        RedirectedFlows.address(event.flow().client().getAddress()),
                        event.flow().client().getPort(),
                        RedirectedFlows.address(event.flow().server().getAddress()),
                        event.flow().server().getPort(),
                        PROTOCOL_TCP),
                isRequest,
                verdict(event),
                event.revision(),
                by(event.by()),
                redaction.redact(message(event, isRequest)));
    }

    @Override
    public void asked(
            final DnsFlow flow,
            final String name,
            final int type,
            final @Nullable String matched,
            final boolean passed) {
        append(
                exchange(flow),
                true,
                !passed
                        ? Flow.Verdict.DROPPED
                        : matched == null ? Flow.Verdict.AUDIT : Flow.Verdict.FORWARDED,
                policy.get().revision(),
                by(matched == null ? "" : "pattern " + matched),
                new L7Message(
                        true,
                        0,
                        new L7Message.Dns(name, typeName(type), 0, List.of(), List.of(), 0)));
    }

    @Override
    public void answered(
            final DnsFlow flow,
            final String name,
            final int type,
            final int rcode,
            final List<Address> addresses,
            final List<String> aliases,
            final int ttlSeconds) {
        append(
                exchange(flow),
                false,
                Flow.Verdict.FORWARDED,
                policy.get().revision(),
                List.of(),
                new L7Message(
                        false,
                        0,
                        new L7Message.Dns(
                                name,
                                typeName(type),
                                rcode,
                                addresses.stream().map(Address::toString).toList(),
                                aliases,
                                ttlSeconds)));
    }

    private static String typeName(final int type) {
        return RECORD_TYPES.getOrDefault(type, "TYPE" + type);
    }

    private static Exchange exchange(final DnsFlow flow) {
        return new Exchange(
                new IpAddress(flow.client().high(), flow.client().low()),
                flow.clientPort(),
                new IpAddress(flow.server().high(), flow.server().low()),
                flow.serverPort(),
                flow.transport() == DnsFlow.Transport.TCP ? PROTOCOL_TCP : PROTOCOL_UDP);
    }

    /** Who talks to whom. */
    private record Exchange(
            IpAddress client, int clientPort, IpAddress server, int serverPort, int protocol) {}

    private void append(
            final Exchange exchange,
            final boolean isRequest,
            final Flow.Verdict verdict,
            final long revision,
            final List<PolicyAuthor> by,
            final L7Message message) {
        final LivePolicy names = policy.get();
        final FlowPeer client = peer(names, exchange.client(), exchange.clientPort());
        final FlowPeer server = peer(names, exchange.server(), exchange.serverPort());
        // Where the server is an endpoint of this node, its side of policy was asked last.
        final boolean isIngress = server.endpointId() != 0;
        store.append(
                sequence ->
                        new Flow(
                                sequence,
                                clock.instant(),
                                new FlowId(uuidHigh, sequence),
                                nodeName,
                                Flow.Kind.L7,
                                verdict,
                                0,
                                "",
                                exchange.client().isIpv4() ? 4 : 6,
                                exchange.protocol(),
                                0,
                                NO_ICMP,
                                NO_ICMP,
                                isRequest ? client : server,
                                isRequest ? server : client,
                                isIngress ? Flow.Direction.INGRESS : Flow.Direction.EGRESS,
                                !isRequest,
                                revision,
                                isIngress ? List.of() : by,
                                isIngress ? by : List.of(),
                                0,
                                Optional.of(message),
                                Optional.empty()));
    }

    private static Flow.Verdict verdict(final L7Event event) {
        return switch (event.verdict()) {
            case FORWARDED -> Flow.Verdict.FORWARDED;
            // The answer that the proxy gives in the server's place does reach the client.
            case DENIED ->
                    event.type() == L7Event.Type.REQUEST
                            ? Flow.Verdict.DROPPED
                            : Flow.Verdict.FORWARDED;
            case AUDITED -> Flow.Verdict.AUDIT;
            case ERROR -> Flow.Verdict.ERROR;
        };
    }

    private static L7Message message(final L7Event event, final boolean isRequest) {
        return switch (event.detail()) {
            case final L7Event.Http http ->
                    new L7Message(
                            isRequest,
                            http.latencyNs(),
                            new L7Message.Http(
                                    http.protocol(),
                                    http.method(),
                                    http.url(),
                                    http.status(),
                                    headers(http)));
            case final L7Event.Kafka kafka ->
                    new L7Message(
                            isRequest,
                            kafka.latencyNs(),
                            new L7Message.Kafka(
                                    kafka.errorCode(),
                                    kafka.apiVersion(),
                                    KafkaApi.name(kafka.apiKey()),
                                    kafka.correlationId(),
                                    String.join(",", kafka.topics())));
            case final L7Event.Tls tls ->
                    new L7Message(isRequest, 0, new L7Message.Tls(tls.serverName()));
        };
    }

    /**
     * Those that rules speak of, and the status of gRPC, for which flows have no place of its own.
     */
    private static List<L7Message.Header> headers(final L7Event.Http http) {
        final Stream<L7Message.Header> logged =
                Stream.concat(http.missing().stream(), http.rejected().stream())
                        .map(RequestRecorder::header);
        return http.grpcStatus() == L7Event.Http.NO_GRPC
                ? logged.toList()
                : Stream.concat(
                                logged,
                                Stream.of(
                                        new L7Message.Header(
                                                "grpc-status",
                                                Integer.toString(http.grpcStatus()))))
                        .toList();
    }

    private static L7Message.Header header(final LoggedHeader header) {
        return new L7Message.Header(header.name(), header.value());
    }

    /** Rules of requests have one sentence for all that decided. */
    private static List<PolicyAuthor> by(final String sentence) {
        return sentence.isEmpty()
                ? List.of()
                : List.of(new PolicyAuthor("", "", "", "", -1, "", 0, sentence));
    }

    private static FlowPeer peer(final LivePolicy policy, final IpAddress address, final int port) {
        return FlowPeer.of(policy, address, policy.identityOf(address), port, "");
    }
}
