package io.sluice.control.agent.api;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowSummary;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.L7Message;
import io.sluice.control.agent.PolicyAuthor;
import java.time.Instant;
import java.util.List;

/**
 * A flow in the JSON form of Hubble's {@code GetFlowsResponse} (api/v1/flow/flow.proto as protojson
 * prints it with the field names of the .proto), so that programs made for {@code hubble observe -o
 * json} read it.
 *
 * <p>Policies in {@code egress_allowed_by} and its siblings carry what Hubble has (kind, namespace,
 * name, revision) and what Sluice knows besides: tier, rule, file, line.
 */
public final class FlowJson {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private static final int ICMP = 1;
    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final int ICMPV6 = 58;
    private static final int SCTP = 132;

    private FlowJson() {}

    /** One GetFlowsResponse. */
    public static ObjectNode response(final Flow flow) {
        final ObjectNode response = JSON.objectNode();
        response.set("flow", flow(flow));
        response.put("node_name", flow.nodeName());
        response.put("time", flow.time().toString());
        return response;
    }

    /** What a follower gets for flows that it was too slow for. */
    static ObjectNode lost(final long count, final String nodeName, final Instant time) {
        final ObjectNode response = JSON.objectNode();
        response.putObject("lost_events")
                .put("source", "HUBBLE_RING_BUFFER")
                // protojson writes 64-bit integers as strings.
                .put("num_events_lost", Long.toString(count));
        response.put("node_name", nodeName);
        response.put("time", time.toString());
        return response;
    }

    private static ObjectNode flow(final Flow flow) {
        final ObjectNode json = JSON.objectNode();
        json.put("time", flow.time().toString());
        json.put("uuid", flow.uuid());
        json.put("verdict", flow.verdict().name());
        if (flow.dropReason() != 0) {
            json.put("drop_reason", flow.dropReason());
            json.put("drop_reason_desc", flow.dropReasonName());
        }
        if (flow.totals().isEmpty()) {
            json.putObject("ethernet")
                    .put("source", flow.source().mac())
                    .put("destination", flow.destination().mac());
        }
        if (flow.ipVersion() != 0) {
            json.putObject("IP")
                    .put("source", flow.source().address())
                    .put("destination", flow.destination().address())
                    .put("ipVersion", flow.ipVersion() == 4 ? "IPv4" : "IPv6");
        }
        final ObjectNode l4 = l4(flow);
        if (!l4.isEmpty()) {
            json.set("l4", l4);
        }
        json.set("source", peer(flow.source()));
        json.set("destination", peer(flow.destination()));
        json.put("Type", flow.l7().isPresent() ? "L7" : "L3_L4");
        json.put("node_name", flow.nodeName());
        names(json, "source_names", flow.source());
        names(json, "destination_names", flow.destination());
        flow.l7().ifPresent(message -> json.set("l7", l7(message)));
        flow.totals().ifPresent(totals -> json.set("flow_end", totals(totals)));
        json.set("event_type", eventType(flow));
        json.put(
                "traffic_direction",
                flow.direction() == Flow.Direction.UNKNOWN
                        ? "TRAFFIC_DIRECTION_UNKNOWN"
                        : flow.direction().name());
        if (flow.kind() == Flow.Kind.POLICY_VERDICT) {
            json.put("policy_match_type", flow.match().number());
        }
        json.put("is_reply", flow.reply());
        json.put("Summary", FlowSummary.of(flow));
        policies(json, "egress", Flow.Direction.EGRESS, flow.egressBy(), flow);
        policies(json, "ingress", Flow.Direction.INGRESS, flow.ingressBy(), flow);
        return json;
    }

    private static void names(final ObjectNode json, final String field, final FlowPeer peer) {
        if (!peer.names().isEmpty()) {
            peer.names().forEach(json.putArray(field)::add);
        }
    }

    private static ObjectNode l4(final Flow flow) {
        final ObjectNode l4 = JSON.objectNode();
        switch (flow.protocol()) {
            case TCP -> {
                final ObjectNode flags = ports(l4, "TCP", flow).putObject("flags");
                for (final String flag : FlowSummary.tcpFlags(flow.tcpFlags())) {
                    flags.put(flag, true);
                }
            }
            case UDP -> ports(l4, "UDP", flow);
            case SCTP -> ports(l4, "SCTP", flow);
            case ICMP ->
                    l4.putObject("ICMPv4")
                            .put("type", flow.icmpType())
                            .put("code", flow.icmpCode());
            case ICMPV6 ->
                    l4.putObject("ICMPv6")
                            .put("type", flow.icmpType())
                            .put("code", flow.icmpCode());
            default -> {
                // Hubble knows no other protocol; the flow then has no l4.
            }
        }
        return l4;
    }

    private static ObjectNode ports(final ObjectNode l4, final String protocol, final Flow flow) {
        return l4.putObject(protocol)
                .put("source_port", flow.source().port())
                .put("destination_port", flow.destination().port());
    }

    private static ObjectNode peer(final FlowPeer peer) {
        final ObjectNode json = JSON.objectNode();
        if (peer.endpointId() != 0) {
            json.put("ID", peer.endpointId());
        }
        json.put("identity", Integer.toUnsignedLong(peer.identity()));
        if (!peer.namespace().isEmpty()) {
            json.put("namespace", peer.namespace());
        }
        final ArrayNode labels = json.putArray("labels");
        peer.labels().forEach(labels::add);
        if (!peer.podName().isEmpty()) {
            json.put("pod_name", peer.podName());
        }
        return json;
    }

    private static ObjectNode eventType(final Flow flow) {
        final ObjectNode type = JSON.objectNode().put("type", flow.kind().number());
        switch (flow.kind()) {
            case DROP -> type.put("sub_type", flow.dropReason());
            case END ->
                    type.put(
                            "sub_type", flow.totals().map(totals -> totals.end().code()).orElse(0));
            case POLICY_VERDICT, L7 -> {
                // Hubble leaves it out here.
            }
        }
        return type;
    }

    private static ObjectNode totals(final FlowTotals totals) {
        final ObjectNode json =
                JSON.objectNode()
                        .put("reason", totals.end().name())
                        .put("first_seen", totals.firstSeen().toString())
                        .put("last_seen", totals.lastSeen().toString())
                        // protojson writes 64-bit integers as strings.
                        .put("initiator_packets", Long.toString(totals.initiatorPackets()))
                        .put("initiator_bytes", Long.toString(totals.initiatorBytes()))
                        .put("responder_packets", Long.toString(totals.responderPackets()))
                        .put("responder_bytes", Long.toString(totals.responderBytes()));
        if (totals.cutReason() != 0) {
            json.put("cut_reason_desc", totals.cutReasonName());
        }
        return json;
    }

    private static ObjectNode l7(final L7Message message) {
        final ObjectNode l7 = JSON.objectNode();
        l7.put("type", message.isRequest() ? "REQUEST" : "RESPONSE");
        if (!message.isRequest()) {
            // protojson writes 64-bit integers as strings.
            l7.put("latency_ns", Long.toUnsignedString(message.latencyNs()));
        }
        switch (message.content()) {
            case final L7Message.Http http -> {
                final ObjectNode json = l7.putObject("http");
                if (http.code() != 0) {
                    json.put("code", http.code());
                }
                json.put("method", http.method());
                json.put("url", http.url());
                json.put("protocol", http.protocol());
                final ArrayNode headers = json.putArray("headers");
                http.headers()
                        .forEach(
                                header ->
                                        headers.addObject()
                                                .put("key", header.key())
                                                .put("value", header.value()));
            }
            case final L7Message.Kafka kafka ->
                    l7.putObject("kafka")
                            .put("error_code", kafka.errorCode())
                            .put("api_version", kafka.apiVersion())
                            .put("api_key", kafka.apiKey())
                            .put("correlation_id", kafka.correlationId())
                            .put("topic", kafka.topic());
            case final L7Message.Dns dns -> {
                final ObjectNode json = l7.putObject("dns");
                json.put("query", dns.query());
                if (!message.isRequest()) {
                    final ArrayNode ips = json.putArray("ips");
                    dns.addresses().forEach(ips::add);
                    json.put("ttl", dns.ttlSeconds());
                    final ArrayNode cnames = json.putArray("cnames");
                    dns.aliases().forEach(cnames::add);
                    json.put("rcode", dns.rcode());
                }
                json.put("observation_source", "proxy");
                json.putArray("qtypes").add(dns.type());
            }
            case final L7Message.Tls tls ->
                    l7.putObject("tls").put("server_name", tls.serverName());
        }
        return l7;
    }

    private static void policies(
            final ObjectNode json,
            final String side,
            final Flow.Direction direction,
            final List<PolicyAuthor> authors,
            final Flow flow) {
        if (authors.isEmpty()) {
            return;
        }
        final ArrayNode policies =
                json.putArray(side + (flow.isDeniedIn(direction) ? "_denied_by" : "_allowed_by"));
        for (final PolicyAuthor author : authors) {
            final ObjectNode policy = policies.addObject();
            policy.put("name", author.title());
            if (!author.namespace().isEmpty()) {
                policy.put("namespace", author.namespace());
            }
            policy.put("revision", Long.toUnsignedString(flow.policyRevision()));
            policy.put("kind", author.kind());
            policy.put("tier", author.tier());
            if (author.rule() >= 0) {
                policy.put("rule", author.rule());
            }
            if (!author.file().isEmpty()) {
                policy.put("file", author.file());
                policy.put("line", author.line());
            }
        }
    }
}
