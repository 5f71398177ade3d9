package io.sluice.control.agent.hubble;

import com.google.protobuf.BoolValue;
import com.google.protobuf.Timestamp;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowSummary;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.L7Message;
import io.sluice.control.agent.PolicyAuthor;
import io.sluice.control.agent.hubble.wire.FlowProto;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsResponse;
import java.time.Instant;
import java.util.List;

/**
 * Flows as messages of Hubble's flow.proto: field by field what {@link
 * io.sluice.control.agent.api.FlowJson} writes as JSON.
 */
final class FlowMessages {
    private static final int ICMP = 1;
    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final int ICMPV6 = 58;
    private static final int SCTP = 132;

    private FlowMessages() {}

    static GetFlowsResponse response(final Flow flow) {
        return GetFlowsResponse.newBuilder()
                .setFlow(of(flow))
                .setNodeName(flow.nodeName())
                .setTime(timestamp(flow.time()))
                .build();
    }

    /** What a follower gets for flows that it was too slow for. */
    static GetFlowsResponse lost(final long count, final String nodeName, final Instant time) {
        return GetFlowsResponse.newBuilder()
                .setLostEvents(
                        FlowProto.LostEvent.newBuilder()
                                .setSource(FlowProto.LostEventSource.HUBBLE_RING_BUFFER)
                                .setNumEventsLost(count))
                .setNodeName(nodeName)
                .setTime(timestamp(time))
                .build();
    }

    private static Timestamp timestamp(final Instant time) {
        return Timestamp.newBuilder()
                .setSeconds(time.getEpochSecond())
                .setNanos(time.getNano())
                .build();
    }

    private static FlowProto.Flow of(final Flow flow) {
        final FlowProto.Flow.Builder message =
                FlowProto.Flow.newBuilder()
                        .setTime(timestamp(flow.time()))
                        .setUuid(flow.uuid())
                        .setVerdictValue(flow.verdict().number())
                        .setSource(endpoint(flow.source()))
                        .setDestination(endpoint(flow.destination()))
                        .setType(
                                flow.l7().isPresent()
                                        ? FlowProto.FlowType.L7
                                        : FlowProto.FlowType.L3_L4)
                        .setNodeName(flow.nodeName())
                        .addAllSourceNames(flow.source().names())
                        .addAllDestinationNames(flow.destination().names())
                        .setEventType(eventType(flow))
                        .setTrafficDirectionValue(flow.direction().number())
                        .setIsReply(BoolValue.of(flow.reply()))
                        .setSummary(FlowSummary.of(flow));
        if (flow.totals().isPresent()) {
            message.setFlowEnd(flowEnd(flow.totals().get()));
        } else {
            message.setEthernet(
                    FlowProto.Ethernet.newBuilder()
                            .setSource(flow.source().mac())
                            .setDestination(flow.destination().mac()));
        }
        if (flow.dropReason() != 0) {
            message.setDropReason(flow.dropReason()).setDropReasonDescValue(flow.dropReason());
        }
        if (flow.ipVersion() != 0) {
            message.setIP(
                    FlowProto.IP
                            .newBuilder()
                            .setSource(flow.source().address())
                            .setDestination(flow.destination().address())
                            .setIpVersion(
                                    flow.ipVersion() == 4
                                            ? FlowProto.IPVersion.IPv4
                                            : FlowProto.IPVersion.IPv6));
        }
        addL4(message, flow);
        flow.l7().ifPresent(l7 -> message.setL7(layer7(l7)));
        if (flow.kind() == Flow.Kind.POLICY_VERDICT) {
            message.setPolicyMatchType(flow.match().number());
        }
        final List<FlowProto.Policy> egress = policies(flow.egressBy(), flow);
        final List<FlowProto.Policy> ingress = policies(flow.ingressBy(), flow);
        if (flow.isDeniedIn(Flow.Direction.EGRESS)) {
            message.addAllEgressDeniedBy(egress);
        } else {
            message.addAllEgressAllowedBy(egress);
        }
        if (flow.isDeniedIn(Flow.Direction.INGRESS)) {
            message.addAllIngressDeniedBy(ingress);
        } else {
            message.addAllIngressAllowedBy(ingress);
        }
        return message.build();
    }

    private static FlowProto.FlowEnd flowEnd(final FlowTotals totals) {
        return FlowProto.FlowEnd.newBuilder()
                .setReasonValue(totals.end().code())
                .setFirstSeen(timestamp(totals.firstSeen()))
                .setLastSeen(timestamp(totals.lastSeen()))
                .setInitiatorPackets(totals.initiatorPackets())
                .setInitiatorBytes(totals.initiatorBytes())
                .setResponderPackets(totals.responderPackets())
                .setResponderBytes(totals.responderBytes())
                .setCutReasonDescValue(totals.cutReason())
                .build();
    }

    private static FlowProto.Endpoint endpoint(final FlowPeer peer) {
        return FlowProto.Endpoint.newBuilder()
                .setID(peer.endpointId())
                .setIdentity(peer.identity())
                .setNamespace(peer.namespace())
                .addAllLabels(peer.labels())
                .setPodName(peer.podName())
                .build();
    }

    private static FlowProto.CiliumEventType eventType(final Flow flow) {
        final FlowProto.CiliumEventType.Builder type =
                FlowProto.CiliumEventType.newBuilder().setType(flow.kind().number());
        switch (flow.kind()) {
            case DROP -> type.setSubType(flow.dropReason());
            case END -> flow.totals().ifPresent(totals -> type.setSubType(totals.end().code()));
            case POLICY_VERDICT, L7 -> {
                // Hubble leaves it out here.
            }
        }
        return type.build();
    }

    private static void addL4(final FlowProto.Flow.Builder message, final Flow flow) {
        final int sourcePort = flow.source().port();
        final int destinationPort = flow.destination().port();
        final FlowProto.Layer4.Builder l4 = FlowProto.Layer4.newBuilder();
        switch (flow.protocol()) {
            case TCP ->
                    l4.setTCP(
                            FlowProto.TCP
                                    .newBuilder()
                                    .setSourcePort(sourcePort)
                                    .setDestinationPort(destinationPort)
                                    .setFlags(flags(flow.tcpFlags())));
            case UDP ->
                    l4.setUDP(
                            FlowProto.UDP
                                    .newBuilder()
                                    .setSourcePort(sourcePort)
                                    .setDestinationPort(destinationPort));
            case SCTP ->
                    l4.setSCTP(
                            FlowProto.SCTP
                                    .newBuilder()
                                    .setSourcePort(sourcePort)
                                    .setDestinationPort(destinationPort));
            case ICMP ->
                    l4.setICMPv4(
                            FlowProto.ICMPv4.newBuilder()
                                    .setType(flow.icmpType())
                                    .setCode(flow.icmpCode()));
            case ICMPV6 ->
                    l4.setICMPv6(
                            FlowProto.ICMPv6.newBuilder()
                                    .setType(flow.icmpType())
                                    .setCode(flow.icmpCode()));
            default -> {
                // Hubble knows no other protocol; the flow then has no l4.
                return;
            }
        }
        message.setL4(l4);
    }

    /** RFC 9293 section 3.1 and RFC 3168, from the lowest bit. */
    private static FlowProto.TCPFlags flags(final int flags) {
        return FlowProto.TCPFlags.newBuilder()
                .setFIN((flags & 0x01) != 0)
                .setSYN((flags & 0x02) != 0)
                .setRST((flags & 0x04) != 0)
                .setPSH((flags & 0x08) != 0)
                .setACK((flags & 0x10) != 0)
                .setURG((flags & 0x20) != 0)
                .setECE((flags & 0x40) != 0)
                .setCWR((flags & 0x80) != 0)
                .build();
    }

    private static FlowProto.Layer7 layer7(final L7Message message) {
        final FlowProto.Layer7.Builder l7 =
                FlowProto.Layer7.newBuilder()
                        .setType(
                                message.isRequest()
                                        ? FlowProto.L7FlowType.REQUEST
                                        : FlowProto.L7FlowType.RESPONSE);
        if (!message.isRequest()) {
            l7.setLatencyNs(message.latencyNs());
        }
        switch (message.content()) {
            case final L7Message.Http http -> l7.setHttp(http(http));
            case final L7Message.Kafka kafka ->
                    l7.setKafka(
                            FlowProto.Kafka.newBuilder()
                                    .setErrorCode(kafka.errorCode())
                                    .setApiVersion(kafka.apiVersion())
                                    .setApiKey(kafka.apiKey())
                                    .setCorrelationId(kafka.correlationId())
                                    .setTopic(kafka.topic()));
            case final L7Message.Dns dns -> l7.setDns(dns(dns, message.isRequest()));
            case final L7Message.Tls tls ->
                    l7.setTls(FlowProto.TLSHandshake.newBuilder().setServerName(tls.serverName()));
        }
        return l7.build();
    }

    private static FlowProto.HTTP http(final L7Message.Http http) {
        final FlowProto.HTTP.Builder message =
                FlowProto.HTTP
                        .newBuilder()
                        .setCode(http.code())
                        .setMethod(http.method())
                        .setUrl(http.url())
                        .setProtocol(http.protocol());
        for (final L7Message.Header header : http.headers()) {
            message.addHeaders(
                    FlowProto.HTTPHeader.newBuilder()
                            .setKey(header.key())
                            .setValue(header.value()));
        }
        return message.build();
    }

    private static FlowProto.DNS dns(final L7Message.Dns dns, final boolean isRequest) {
        final FlowProto.DNS.Builder message =
                FlowProto.DNS
                        .newBuilder()
                        .setQuery(dns.query())
                        .setObservationSource("proxy")
                        .addQtypes(dns.type());
        if (!isRequest) {
            message.addAllIps(dns.addresses())
                    .setTtl(dns.ttlSeconds())
                    .addAllCnames(dns.aliases())
                    .setRcode(dns.rcode());
        }
        return message.build();
    }

    private static List<FlowProto.Policy> policies(
            final List<PolicyAuthor> authors, final Flow flow) {
        return authors.stream().map(author -> policy(author, flow)).toList();
    }

    private static FlowProto.Policy policy(final PolicyAuthor author, final Flow flow) {
        final FlowProto.Policy.Builder policy =
                FlowProto.Policy.newBuilder()
                        .setName(author.title())
                        .setNamespace(author.namespace())
                        .setRevision(flow.policyRevision())
                        .setKind(author.kind())
                        .setTier(author.tier());
        if (author.rule() >= 0) {
            policy.setRule(author.rule());
        }
        if (!author.file().isEmpty()) {
            policy.setFile(author.file()).setLine(author.line());
        }
        return policy.build();
    }
}
