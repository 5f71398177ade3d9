package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A flow in words, as {@code hubble observe} prints it (hubble CLI, pkg/printer).
 *
 * <p>Source and destination of a reply are swapped and joined by {@code <-}, so that both
 * directions of a connection read alike.
 *
 * <p>Immutable.
 */
final class FlowText {
    /** Go's time.StampMilli, Hubble's default. */
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("MMM ppd HH:mm:ss.SSS", Locale.ROOT);

    /** Reserved identities print their name in place of a number. */
    private static final String RESERVED = "reserved:";

    /** Numbers of event_type.type (pkg/monitor/api); all other flows are drops. */
    private static final int POLICY_VERDICT = 5;

    private static final int L7 = 129;

    /** Sluice's own. */
    private static final int END = 200;

    /** Hubble's words for policy_match_type. */
    private static final int MATCH_NONE = 0;

    private static final int MATCH_ALL = 4;

    private final ZoneId zone;
    private final boolean policyNames;
    private final boolean nodeNames;

    /**
     * @param zone zone of the printed times
     * @param policyNames whether a verdict names the policies that made it
     * @param nodeNames whether the node is printed
     */
    FlowText(final ZoneId zone, final boolean policyNames, final boolean nodeNames) {
        this.zone = zone;
        this.policyNames = policyNames;
        this.nodeNames = nodeNames;
    }

    /** {@code address:port}, with brackets around an IPv6 address (RFC 5952 section 6). */
    static String addressAndPort(final String address, final int port) {
        return (address.indexOf(':') >= 0 ? "[" + address + "]" : address) + ":" + port;
    }

    String time(final JsonNode response) {
        return TIME.format(Instant.parse(response.path("time").asText()).atZone(zone));
    }

    String compact(final JsonNode response) {
        if (response.has("lost_events")) {
            return time(response)
                    + ": EVENTS LOST: "
                    + response.path("lost_events").path("source").asText()
                    + " "
                    + response.path("lost_events").path("num_events_lost").asText();
        }
        final JsonNode flow = response.path("flow");
        final boolean reply = flow.path("is_reply").asBoolean();
        final String source = peer(flow, "source");
        final String destination = peer(flow, "destination");
        final String node = nodeNames ? " [" + response.path("node_name").asText() + "]" : "";
        return time(response)
                + node
                + ": "
                + (reply ? destination + " <- " + source : source + " -> " + destination)
                + " "
                + type(flow)
                + " "
                + verdict(flow)
                + summary(flow);
    }

    /** {@code KEY: VALUE} lines, one block for each flow. */
    String dict(final JsonNode response) {
        if (response.has("lost_events")) {
            return "  TIMESTAMP: "
                    + time(response)
                    + "\n   EVENTS LOST: "
                    + response.path("lost_events").path("num_events_lost").asText();
        }
        final JsonNode flow = response.path("flow");
        final List<String> lines = new ArrayList<>();
        lines.add("  TIMESTAMP: " + time(response));
        if (nodeNames) {
            lines.add("       NODE: " + response.path("node_name").asText());
        }
        lines.add("     SOURCE: " + peer(flow, "source"));
        lines.add("DESTINATION: " + peer(flow, "destination"));
        lines.add("       TYPE: " + type(flow));
        lines.add("    VERDICT: " + verdict(flow));
        lines.add("    SUMMARY: " + flow.path("Summary").asText());
        return String.join("\n", lines);
    }

    /** Cells of the table form: time, source, destination, type, verdict, summary. */
    String[] cells(final JsonNode response) {
        if (response.has("lost_events")) {
            return new String[] {
                time(response),
                "",
                "",
                "EVENTS LOST",
                "",
                response.path("lost_events").path("num_events_lost").asText()
            };
        }
        final JsonNode flow = response.path("flow");
        return new String[] {
            time(response),
            peer(flow, "source"),
            peer(flow, "destination"),
            type(flow),
            verdict(flow),
            flow.path("Summary").asText()
        };
    }

    private static String peer(final JsonNode flow, final String side) {
        final JsonNode peer = flow.path(side);
        final String pod = peer.path("pod_name").asText();
        final String address = flow.path("IP").path(side).asText();
        final int port = port(flow, side);
        final String name;
        if (!pod.isEmpty()) {
            final String qualified = peer.path("namespace").asText() + "/" + pod;
            name = port < 0 ? qualified : qualified + ":" + port;
        } else if (address.isEmpty()) {
            name = flow.path("ethernet").path(side).asText();
        } else {
            name = port < 0 ? address : addressAndPort(address, port);
        }
        return name + " " + identity(peer);
    }

    private static int port(final JsonNode flow, final String side) {
        for (final String protocol : new String[] {"TCP", "UDP", "SCTP"}) {
            final JsonNode l4 = flow.path("l4").path(protocol);
            if (!l4.isMissingNode()) {
                return l4.path(side + "_port").asInt();
            }
        }
        return -1;
    }

    private static String identity(final JsonNode peer) {
        for (final JsonNode label : peer.path("labels")) {
            if (label.asText().startsWith(RESERVED)) {
                return "(" + label.asText().substring(RESERVED.length()) + ")";
            }
        }
        return "(ID:" + peer.path("identity").asText() + ")";
    }

    private static String type(final JsonNode flow) {
        return switch (flow.path("event_type").path("type").asInt()) {
            case POLICY_VERDICT -> policyVerdict(flow);
            case L7 -> message(flow.path("l7"));
            case END -> end(flow.path("flow_end"));
            default -> dropText(flow.path("drop_reason_desc").asText());
        };
    }

    /** {@code http-request}, {@code http-response}. */
    private static String message(final JsonNode l7) {
        final String half = "-" + l7.path("type").asText().toLowerCase(Locale.ROOT);
        for (final String protocol : new String[] {"http", "kafka", "dns", "tls"}) {
            if (l7.has(protocol)) {
                return protocol + half;
            }
        }
        return "l7" + half;
    }

    /** {@code flow-end:closed}, and of a flow that was cut, why. */
    private static String end(final JsonNode end) {
        final String reason =
                end.path("reason").asText().toLowerCase(Locale.ROOT).replace('_', '-');
        final String cut = dropText(end.path("cut_reason_desc").asText());
        return "flow-end:" + reason + (cut.isEmpty() ? "" : " " + cut);
    }

    private static String policyVerdict(final JsonNode flow) {
        final String match =
                switch (flow.path("policy_match_type").asInt()) {
                    case MATCH_NONE -> "none";
                    case MATCH_ALL -> "all";
                    default -> "L3-L4";
                };
        return "policy-verdict:" + match + " " + flow.path("traffic_direction").asText();
    }

    private String verdict(final JsonNode flow) {
        final String verdict = flow.path("verdict").asText();
        if (flow.path("event_type").path("type").asInt() != POLICY_VERDICT) {
            return verdict;
        }
        return switch (verdict) {
            case "DROPPED" -> "DENIED" + policies(flow, "_denied_by");
            case "FORWARDED" -> "ALLOWED" + policies(flow, "_allowed_by");
            default -> verdict;
        };
    }

    private String policies(final JsonNode flow, final String outcome) {
        if (!policyNames) {
            return "";
        }
        final String direction = flow.path("traffic_direction").asText().toLowerCase(Locale.ROOT);
        final List<String> names = new ArrayList<>();
        for (final JsonNode policy : flow.path(direction + outcome)) {
            final String kind = policy.path("kind").asText();
            names.add(policy.path("name").asText() + (kind.isEmpty() ? "" : " (" + kind + ")"));
        }
        return names.isEmpty() ? "" : " BY " + String.join(", ", names);
    }

    private static String summary(final JsonNode flow) {
        final String summary = flow.path("Summary").asText();
        return summary.isEmpty() ? "" : " (" + summary + ")";
    }

    /** {@code POLICY_DENIED} as people read it: {@code Policy denied}. */
    static String dropText(final String reason) {
        if (reason.equals("POLICY_DENY")) {
            return "Policy denied by denylist";
        }
        final String words = reason.toLowerCase(Locale.ROOT).replace('_', ' ');
        return words.isEmpty()
                ? words
                : Character.toUpperCase(words.charAt(0)) + words.substring(1);
    }
}
