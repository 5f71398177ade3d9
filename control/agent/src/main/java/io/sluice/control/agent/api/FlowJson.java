package io.sluice.control.agent.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.util.TokenBuffer;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowSummary;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.L7Message;
import io.sluice.control.agent.PolicyAuthor;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.List;

/**
 * A flow in the JSON form of Hubble's {@code GetFlowsResponse} (api/v1/flow/flow.proto as protojson
 * prints it with the field names of the .proto), so that programs made for {@code hubble observe -o
 * json} read it.
 *
 * <p>Policies in {@code egress_allowed_by} and its siblings carry what Hubble has (kind, namespace,
 * name, revision) and what Sluice knows besides: tier, rule, file, line.
 *
 * <p>Lines are written as they go, without a tree of nodes in between: a million of them are one
 * answer.
 */
public final class FlowJson {
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final JsonFactory JSON = new JsonFactory();
    private static final SerializedString END_OF_LINE = new SerializedString("\n");

    private static final int ICMP = 1;
    private static final int TCP = 6;
    private static final int UDP = 17;
    private static final int ICMPV6 = 58;
    private static final int SCTP = 132;

    private FlowJson() {}

    /** One GetFlowsResponse. */
    public static ObjectNode response(final Flow flow) {
        try (TokenBuffer buffer = new TokenBuffer(MAPPER, false)) {
            response(buffer, flow);
            return MAPPER.readTree(buffer.asParser());
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** One GetFlowsResponse as a line, without its end. */
    public static String line(final Flow flow) {
        final StringWriter line = new StringWriter();
        try (JsonGenerator json = JSON.createGenerator(line)) {
            response(json, flow);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        return line.toString();
    }

    /** A line of GetFlowsResponse for each flow. */
    public static String lines(final List<Flow> flows) {
        final StringWriter lines = new StringWriter();
        try (JsonGenerator json = JSON.createGenerator(lines)) {
            json.setRootValueSeparator(END_OF_LINE);
            for (final Flow flow : flows) {
                response(json, flow);
            }
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        return flows.isEmpty() ? "" : lines.append('\n').toString();
    }

    /** What a follower gets for flows that it was too slow for. */
    static ObjectNode lost(final long count, final String nodeName, final Instant time) {
        final ObjectNode response = NODES.objectNode();
        response.putObject("lost_events")
                .put("source", "HUBBLE_RING_BUFFER")
                // protojson writes 64-bit integers as strings.
                .put("num_events_lost", Long.toString(count));
        response.put("node_name", nodeName);
        response.put("time", time.toString());
        return response;
    }

    private static void response(final JsonGenerator json, final Flow flow) throws IOException {
        final String time = flow.time().toString();
        json.writeStartObject();
        json.writeObjectFieldStart("flow");
        fields(json, flow, time);
        json.writeEndObject();
        json.writeStringField("node_name", flow.nodeName());
        json.writeStringField("time", time);
        json.writeEndObject();
    }

    private static void fields(final JsonGenerator json, final Flow flow, final String time)
            throws IOException {
        json.writeStringField("time", time);
        json.writeStringField("uuid", flow.uuid());
        json.writeStringField("verdict", flow.verdict().name());
        if (flow.dropReason() != 0) {
            json.writeNumberField("drop_reason", flow.dropReason());
            json.writeStringField("drop_reason_desc", flow.dropReasonName());
        }
        if (flow.totals().isEmpty()) {
            json.writeObjectFieldStart("ethernet");
            json.writeStringField("source", flow.source().mac());
            json.writeStringField("destination", flow.destination().mac());
            json.writeEndObject();
        }
        if (flow.ipVersion() != 0) {
            json.writeObjectFieldStart("IP");
            json.writeStringField("source", flow.source().address());
            json.writeStringField("destination", flow.destination().address());
            json.writeStringField("ipVersion", flow.ipVersion() == 4 ? "IPv4" : "IPv6");
            json.writeEndObject();
        }
        l4(json, flow);
        peer(json, "source", flow.source());
        peer(json, "destination", flow.destination());
        json.writeStringField("Type", flow.l7().isPresent() ? "L7" : "L3_L4");
        json.writeStringField("node_name", flow.nodeName());
        if (!flow.source().names().isEmpty()) {
            texts(json, "source_names", flow.source().names());
        }
        if (!flow.destination().names().isEmpty()) {
            texts(json, "destination_names", flow.destination().names());
        }
        if (flow.l7().isPresent()) {
            l7(json, flow.l7().get());
        }
        if (flow.totals().isPresent()) {
            totals(json, flow.totals().get());
        }
        eventType(json, flow);
        json.writeStringField(
                "traffic_direction",
                flow.direction() == Flow.Direction.UNKNOWN
                        ? "TRAFFIC_DIRECTION_UNKNOWN"
                        : flow.direction().name());
        if (flow.kind() == Flow.Kind.POLICY_VERDICT) {
            json.writeNumberField("policy_match_type", flow.match().number());
        }
        json.writeBooleanField("is_reply", flow.reply());
        json.writeStringField("Summary", FlowSummary.of(flow));
        policies(json, "egress", Flow.Direction.EGRESS, flow.egressBy(), flow);
        policies(json, "ingress", Flow.Direction.INGRESS, flow.ingressBy(), flow);
    }

    private static void texts(
            final JsonGenerator json, final String field, final List<String> texts)
            throws IOException {
        json.writeArrayFieldStart(field);
        for (final String text : texts) {
            json.writeString(text);
        }
        json.writeEndArray();
    }

    private static void l4(final JsonGenerator json, final Flow flow) throws IOException {
        switch (flow.protocol()) {
            case TCP -> {
                beginPorts(json, "TCP", flow);
                json.writeObjectFieldStart("flags");
                for (final String flag : FlowSummary.tcpFlags(flow.tcpFlags())) {
                    json.writeBooleanField(flag, true);
                }
                json.writeEndObject();
            }
            case UDP -> beginPorts(json, "UDP", flow);
            case SCTP -> beginPorts(json, "SCTP", flow);
            case ICMP -> beginMessage(json, "ICMPv4", flow);
            case ICMPV6 -> beginMessage(json, "ICMPv6", flow);
            default -> {
                // Hubble knows no other protocol; the flow then has no l4.
                return;
            }
        }
        json.writeEndObject();
        json.writeEndObject();
    }

    private static void beginPorts(final JsonGenerator json, final String protocol, final Flow flow)
            throws IOException {
        json.writeObjectFieldStart("l4");
        json.writeObjectFieldStart(protocol);
        json.writeNumberField("source_port", flow.source().port());
        json.writeNumberField("destination_port", flow.destination().port());
    }

    private static void beginMessage(
            final JsonGenerator json, final String protocol, final Flow flow) throws IOException {
        json.writeObjectFieldStart("l4");
        json.writeObjectFieldStart(protocol);
        json.writeNumberField("type", flow.icmpType());
        json.writeNumberField("code", flow.icmpCode());
    }

    private static void peer(final JsonGenerator json, final String field, final FlowPeer peer)
            throws IOException {
        json.writeObjectFieldStart(field);
        if (peer.endpointId() != 0) {
            json.writeNumberField("ID", peer.endpointId());
        }
        json.writeNumberField("identity", Integer.toUnsignedLong(peer.identity()));
        if (!peer.namespace().isEmpty()) {
            json.writeStringField("namespace", peer.namespace());
        }
        texts(json, "labels", peer.labels());
        if (!peer.podName().isEmpty()) {
            json.writeStringField("pod_name", peer.podName());
        }
        json.writeEndObject();
    }

    private static void eventType(final JsonGenerator json, final Flow flow) throws IOException {
        json.writeObjectFieldStart("event_type");
        json.writeNumberField("type", flow.kind().number());
        switch (flow.kind()) {
            case DROP -> json.writeNumberField("sub_type", flow.dropReason());
            case END ->
                    json.writeNumberField(
                            "sub_type", flow.totals().map(totals -> totals.end().code()).orElse(0));
            case POLICY_VERDICT, L7 -> {
                // Hubble leaves it out here.
            }
        }
        json.writeEndObject();
    }

    private static void totals(final JsonGenerator json, final FlowTotals totals)
            throws IOException {
        json.writeObjectFieldStart("flow_end");
        json.writeStringField("reason", totals.end().name());
        json.writeStringField("first_seen", totals.firstSeen().toString());
        json.writeStringField("last_seen", totals.lastSeen().toString());
        // protojson writes 64-bit integers as strings.
        json.writeStringField("initiator_packets", Long.toString(totals.initiatorPackets()));
        json.writeStringField("initiator_bytes", Long.toString(totals.initiatorBytes()));
        json.writeStringField("responder_packets", Long.toString(totals.responderPackets()));
        json.writeStringField("responder_bytes", Long.toString(totals.responderBytes()));
        if (totals.cutReason() != 0) {
            json.writeStringField("cut_reason_desc", totals.cutReasonName());
        }
        json.writeEndObject();
    }

    private static void l7(final JsonGenerator json, final L7Message message) throws IOException {
        json.writeObjectFieldStart("l7");
        json.writeStringField("type", message.isRequest() ? "REQUEST" : "RESPONSE");
        if (!message.isRequest()) {
            // protojson writes 64-bit integers as strings.
            json.writeStringField("latency_ns", Long.toUnsignedString(message.latencyNs()));
        }
        switch (message.content()) {
            case final L7Message.Http http -> {
                json.writeObjectFieldStart("http");
                if (http.code() != 0) {
                    json.writeNumberField("code", http.code());
                }
                json.writeStringField("method", http.method());
                json.writeStringField("url", http.url());
                json.writeStringField("protocol", http.protocol());
                json.writeArrayFieldStart("headers");
                for (final L7Message.Header header : http.headers()) {
                    json.writeStartObject();
                    json.writeStringField("key", header.key());
                    json.writeStringField("value", header.value());
                    json.writeEndObject();
                }
                json.writeEndArray();
            }
            case final L7Message.Kafka kafka -> {
                json.writeObjectFieldStart("kafka");
                json.writeNumberField("error_code", kafka.errorCode());
                json.writeNumberField("api_version", kafka.apiVersion());
                json.writeStringField("api_key", kafka.apiKey());
                json.writeNumberField("correlation_id", kafka.correlationId());
                json.writeStringField("topic", kafka.topic());
            }
            case final L7Message.Dns dns -> {
                json.writeObjectFieldStart("dns");
                json.writeStringField("query", dns.query());
                if (!message.isRequest()) {
                    texts(json, "ips", dns.addresses());
                    json.writeNumberField("ttl", dns.ttlSeconds());
                    texts(json, "cnames", dns.aliases());
                    json.writeNumberField("rcode", dns.rcode());
                }
                json.writeStringField("observation_source", "proxy");
                texts(json, "qtypes", List.of(dns.type()));
            }
            case final L7Message.Tls tls -> {
                json.writeObjectFieldStart("tls");
                json.writeStringField("server_name", tls.serverName());
            }
        }
        json.writeEndObject();
        json.writeEndObject();
    }

    private static void policies(
            final JsonGenerator json,
            final String side,
            final Flow.Direction direction,
            final List<PolicyAuthor> authors,
            final Flow flow)
            throws IOException {
        if (authors.isEmpty()) {
            return;
        }
        json.writeArrayFieldStart(
                side + (flow.isDeniedIn(direction) ? "_denied_by" : "_allowed_by"));
        for (final PolicyAuthor author : authors) {
            json.writeStartObject();
            json.writeStringField("name", author.title());
            if (!author.namespace().isEmpty()) {
                json.writeStringField("namespace", author.namespace());
            }
            json.writeStringField("revision", Long.toUnsignedString(flow.policyRevision()));
            json.writeStringField("kind", author.kind());
            json.writeStringField("tier", author.tier());
            if (author.rule() >= 0) {
                json.writeNumberField("rule", author.rule());
            }
            if (!author.file().isEmpty()) {
                json.writeStringField("file", author.file());
                json.writeNumberField("line", author.line());
            }
            json.writeEndObject();
        }
        json.writeEndArray();
    }
}
