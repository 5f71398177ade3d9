package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.rule.HttpOutcome.LoggedHeader;
import io.sluice.l7proxy.rule.KafkaApi;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Puts what the L7 proxy reports into the flow store, with names.
 *
 * <p>Thread: any, the proxy's event loops; they wait for each other and for the handler of the
 * lane's events as long as an append takes.
 */
final class RequestRecorder implements L7Sink {
    private static final int PROTOCOL_TCP = 6;
    private static final int NO_ICMP = -1;

    private final String nodeName;
    private final FlowStore store;
    private final Supplier<LivePolicy> policy;
    private final Clock clock;

    /**
     * @param policy the newest
     */
    RequestRecorder(
            final String nodeName,
            final FlowStore store,
            final Supplier<LivePolicy> policy,
            final Clock clock) {
        this.nodeName = nodeName;
        this.store = store;
        this.policy = policy;
        this.clock = clock;
    }

    @Override
    public void report(final L7Event event) {
        final LivePolicy names = policy.get();
        final IpAddress clientAddress = RedirectedFlows.address(event.flow().client().getAddress());
        final FlowPeer client = peer(names, clientAddress, event.flow().client().getPort());
        final FlowPeer server =
                peer(
                        names,
                        RedirectedFlows.address(event.flow().server().getAddress()),
                        event.flow().server().getPort());
        final boolean isRequest = event.type() == L7Event.Type.REQUEST;
        // Where the server is an endpoint of this node, its side of policy was asked last.
        final boolean isIngress = server.endpointId() != 0;
        final List<PolicyAuthor> by = by(event);
        store.append(
                sequence ->
                        new Flow(
                                sequence,
                                clock.instant(),
                                UUID.randomUUID().toString(),
                                nodeName,
                                Flow.Kind.L7,
                                verdict(event),
                                0,
                                "",
                                clientAddress.isIpv4() ? 4 : 6,
                                PROTOCOL_TCP,
                                0,
                                NO_ICMP,
                                NO_ICMP,
                                isRequest ? client : server,
                                isRequest ? server : client,
                                isIngress ? Flow.Direction.INGRESS : Flow.Direction.EGRESS,
                                !isRequest,
                                event.revision(),
                                isIngress ? List.of() : by,
                                isIngress ? by : List.of(),
                                0,
                                Optional.of(message(event, isRequest))));
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
                                    Stream.concat(http.missing().stream(), http.rejected().stream())
                                            .map(RequestRecorder::header)
                                            .toList()));
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

    private static L7Message.Header header(final LoggedHeader header) {
        return new L7Message.Header(header.name(), header.value());
    }

    /** Rules of requests have one sentence for all that decided. */
    private static List<PolicyAuthor> by(final L7Event event) {
        return event.by().isEmpty()
                ? List.of()
                : List.of(new PolicyAuthor("", "", "", "", -1, "", 0, event.by()));
    }

    private static FlowPeer peer(final LivePolicy policy, final IpAddress address, final int port) {
        return FlowPeer.of(policy, address, policy.identityOf(address), port, "");
    }
}
