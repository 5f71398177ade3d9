package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.api.ApiJson;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Why policy drops a recorded flow, or would: the flow as a probe, asked of the daemon's live
 * policy. The engine is the daemon's; nothing is judged here.
 *
 * <p>The answer is that of the policy of now, which may have changed since the flow: then its
 * verdict says so. Of flows that are alike the daemon is asked once, unless a flow that follows can
 * meet another policy. Thread: the command's.
 */
final class FlowExplanations {
    /** Questions whose answers are kept. */
    private static final int KEPT_MAX = 512;

    /** Drops that a policy is the reason of. */
    private static final Set<String> BY_POLICY =
            Set.of("POLICY_DENIED", "POLICY_DENY", "AUTH_REQUIRED", "L7_NOT_ENFORCEABLE");

    private final ApiClient client;
    private final boolean keeps;
    private final Map<String, JsonNode> answers =
            new LinkedHashMap<>() {
                private static final long serialVersionUID = 1L;

                @Override
                protected boolean removeEldestEntry(final Map.Entry<String, JsonNode> eldest) {
                    return size() > KEPT_MAX;
                }
            };

    /**
     * @param keeps whether the policy is taken to be the same for all flows
     */
    FlowExplanations(final ApiClient client, final boolean keeps) {
        this.client = client;
        this.keeps = keeps;
    }

    /**
     * The daemon's answer about a flow that was dropped or audited: as {@code policy eval --live
     * --explain}, or with only {@code error} where no policy can be asked. Empty for other flows.
     */
    Optional<JsonNode> of(final JsonNode response) {
        final JsonNode flow = response.path("flow");
        final String verdict = flow.path("verdict").asText();
        if (!verdict.equals("DROPPED") && !verdict.equals("AUDIT")) {
            return Optional.empty();
        }
        final String reason = flow.path("drop_reason_desc").asText();
        if (!reason.isEmpty() && !BY_POLICY.contains(reason)) {
            return Optional.of(error("not a policy's doing: " + reason));
        }
        final Optional<String> probe = probe(flow);
        if (probe.isEmpty()) {
            return Optional.of(error("no policy can be asked about it: it has no addresses"));
        }
        if (!keeps) {
            return Optional.of(ask(probe.get()));
        }
        return Optional.of(answers.computeIfAbsent(probe.get(), this::ask));
    }

    private JsonNode ask(final String probe) {
        return ApiJson.read(
                client.text(
                        "POST",
                        "/v1/policy/eval?explain=true",
                        "application/x-ndjson",
                        probe + "\n"));
    }

    private static ObjectNode error(final String text) {
        return ApiJson.newObject().put("error", text);
    }

    /** The flow as its initiator opened it. */
    private static Optional<String> probe(final JsonNode flow) {
        final boolean isReply = flow.path("is_reply").asBoolean();
        final JsonNode ip = flow.path("IP");
        final String from = ip.path(isReply ? "destination" : "source").asText();
        final String to = ip.path(isReply ? "source" : "destination").asText();
        if (from.isEmpty() || to.isEmpty() || flow.path("l4").isEmpty()) {
            return Optional.empty();
        }
        final ObjectNode probe = ApiJson.newObject();
        probe.put("from", from).put("to", to);
        for (final Map.Entry<String, JsonNode> l4 : flow.path("l4").properties()) {
            final JsonNode numbers = l4.getValue();
            switch (l4.getKey()) {
                case "ICMPv4", "ICMPv6" -> {
                    probe.put("protocol", l4.getKey().equals("ICMPv4") ? "ICMP" : "ICMPv6");
                    probe.putObject("icmp")
                            .put("type", numbers.path("type").asInt())
                            .put("code", numbers.path("code").asInt());
                }
                default -> {
                    probe.put("protocol", l4.getKey());
                    probe.put(
                            "port",
                            numbers.path(isReply ? "source_port" : "destination_port").asInt());
                    probe.put(
                            "sourcePort",
                            numbers.path(isReply ? "destination_port" : "source_port").asInt());
                }
            }
        }
        addRequest(flow.path("l7"), probe);
        return Optional.of(probe.toString());
    }

    private static void addRequest(final JsonNode l7, final ObjectNode probe) {
        if (l7.has("http")) {
            final JsonNode http = l7.path("http");
            final ObjectNode request = probe.putObject("http");
            request.put("method", http.path("method").asText());
            request.put("path", path(http.path("url").asText()));
            final ObjectNode headers = ApiJson.newObject();
            for (final JsonNode header : http.path("headers")) {
                headers.put(header.path("key").asText(), header.path("value").asText());
            }
            request.set("headers", headers);
            final String host = authority(http.path("url").asText());
            if (!host.isEmpty()) {
                request.put("host", host);
            }
        } else if (l7.has("dns")) {
            probe.put("dns", l7.path("dns").path("query").asText());
        } else if (l7.has("kafka")) {
            final JsonNode kafka = l7.path("kafka");
            probe.putObject("kafka")
                    .put("api", kafka.path("api_key").asText())
                    .put("topic", kafka.path("topic").asText());
        } else if (l7.has("tls")) {
            probe.put("sni", l7.path("tls").path("server_name").asText());
        }
    }

    /** What follows the authority of {@code http://host/path?query}; the whole of a mere path. */
    private static String path(final String url) {
        final int scheme = url.indexOf("://");
        if (scheme < 0) {
            return url.isEmpty() ? "/" : url;
        }
        final int slash = url.indexOf('/', scheme + 3);
        return slash < 0 ? "/" : url.substring(slash);
    }

    private static String authority(final String url) {
        final int scheme = url.indexOf("://");
        if (scheme < 0) {
            return "";
        }
        final int slash = url.indexOf('/', scheme + 3);
        return url.substring(scheme + 3, slash < 0 ? url.length() : slash);
    }
}
