package io.sluice.control.agent.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.replay.FlowEvent;
import io.sluice.control.policy.replay.FlowTally;
import io.sluice.control.policy.replay.FlowTally.Skipped;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.List;

/**
 * Reads what {@link FlowJson} writes, and Hubble's own exports: JSON lines of {@code
 * GetFlowsResponse}, or of {@code Flow} alone, as older {@code hubble observe -o json} printed
 * them. A field that it does not know is passed over, as in any reader of protobuf's JSON.
 *
 * <p>A line goes through a streaming parser into one {@link FlowEvent} that is used again and
 * again: of a million lines of a kilobyte each most of the time is reading characters.
 *
 * <p>Thread: one; a reader for each.
 */
public final class FlowJsonReader {
    private static final JsonFactory JSON = new JsonFactory();

    private final FlowTally tally;
    private final FlowEvent event = new FlowEvent();

    /**
     * @param tally counts what is read
     */
    public FlowJsonReader(final FlowTally tally) {
        this.tally = tally;
    }

    /**
     * Reads one line, and counts it. A line of blanks is passed over.
     *
     * @param text bytes of UTF-8
     * @param from first of the line
     * @param to one past its last
     * @return false for a line that is no JSON object or a flow with a field of a wrong form; it is
     *     counted as unreadable
     */
    public boolean read(final byte[] text, final int from, final int to) {
        try (JsonParser parser = JSON.createParser(text, from, to - from)) {
            final JsonToken first = parser.nextToken();
            if (first == null) {
                return true;
            }
            event.clear();
            if (first == JsonToken.START_OBJECT) {
                switch (response(parser)) {
                    case FLOW -> {
                        event.countIn(tally);
                        return true;
                    }
                    case LOST -> {
                        return true;
                    }
                    case OTHER -> {
                        tally.skip(Skipped.NOT_JUDGED, 1);
                        return true;
                    }
                    case NOTHING -> {
                        // Counted below.
                    }
                }
            }
        } catch (final IOException | DateTimeException e) {
            // Counted below, as what is JSON and no flow is.
        }
        tally.skip(Skipped.UNREADABLE, 1);
        return false;
    }

    /** What a line is. */
    private enum Line {
        FLOW,
        /** A count of events that were lost. */
        LOST,
        /** Another event of Hubble's stream. */
        OTHER,
        NOTHING
    }

    private Line response(final JsonParser parser) throws IOException {
        Line line = Line.NOTHING;
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            final String field = parser.currentName();
            parser.nextToken();
            switch (field) {
                case "flow" -> {
                    line = Line.FLOW;
                    fields(parser, this::field);
                }
                case "lost_events" -> {
                    line = Line.LOST;
                    fields(parser, this::lost);
                }
                case "node_status", "agent_event", "debug_event" -> {
                    line = Line.OTHER;
                    parser.skipChildren();
                }
                default -> {
                    if (field.equals("verdict")) {
                        line = Line.FLOW;
                    }
                    field(parser, field);
                }
            }
        }
        return line;
    }

    /** What is done about a field whose value the parser is at, to its end. */
    @FunctionalInterface
    private interface FieldReader {
        void read(JsonParser parser, String field) throws IOException;
    }

    /** Reads the fields of an object; what is no object is passed over, as null is. */
    private static void fields(final JsonParser parser, final FieldReader reader)
            throws IOException {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            parser.skipChildren();
            return;
        }
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            final String field = parser.currentName();
            parser.nextToken();
            reader.read(parser, field);
        }
    }

    private void lost(final JsonParser parser, final String field) throws IOException {
        if (field.equals("num_events_lost")) {
            // protojson writes 64-bit integers as strings.
            tally.skip(Skipped.LOST, parser.getValueAsLong());
        } else {
            parser.skipChildren();
        }
    }

    private void field(final JsonParser parser, final String field) throws IOException {
        switch (field) {
            case "time" -> {
                // Hubble's envelope says it once more.
                if (event.time.equals(Instant.EPOCH)) {
                    event.time = Instant.parse(parser.getValueAsString(""));
                }
            }
            case "verdict" -> event.verdict = parser.getValueAsString("");
            case "drop_reason" -> event.dropReason = parser.getValueAsInt();
            case "drop_reason_desc" -> event.dropReasonName = parser.getValueAsString("");
            case "node_name" -> event.nodeName = parser.getValueAsString("");
            case "traffic_direction" -> event.ingress = "INGRESS".equals(parser.getText());
            case "is_reply" -> event.reply = parser.currentToken() == JsonToken.VALUE_TRUE;
            case "IP" -> fields(parser, this::address);
            case "l4" -> fields(parser, this::l4);
            case "source" -> side(parser, event.source);
            case "destination" -> side(parser, event.destination);
            case "destination_names" -> strings(parser, event.names);
            case "l7" -> {
                // Some writers say that there is none.
                if (parser.currentToken() == JsonToken.START_OBJECT) {
                    event.type = FlowEvent.L7;
                }
                fields(parser, this::l7);
            }
            case "event_type" -> fields(parser, this::eventType);
            default -> parser.skipChildren();
        }
    }

    private void address(final JsonParser parser, final String field) throws IOException {
        switch (field) {
            case "source" -> event.source.address = parser.getValueAsString("");
            case "destination" -> event.destination.address = parser.getValueAsString("");
            default -> parser.skipChildren();
        }
    }

    private void l4(final JsonParser parser, final String protocol) throws IOException {
        event.protocol = IpProtocol.parse(protocol);
        fields(parser, this::port);
    }

    private void port(final JsonParser parser, final String field) throws IOException {
        switch (field) {
            case "destination_port" -> event.port = parser.getValueAsInt();
            case "type" -> event.port |= parser.getValueAsInt() << 8;
            case "code" -> event.port |= parser.getValueAsInt();
            default -> parser.skipChildren();
        }
    }

    private static void side(final JsonParser parser, final FlowEvent.Side side)
            throws IOException {
        fields(parser, (at, name) -> side(at, name, side));
    }

    private static void side(final JsonParser parser, final String field, final FlowEvent.Side side)
            throws IOException {
        switch (field) {
            case "namespace" -> side.namespace = parser.getValueAsString("");
            case "pod_name" -> side.pod = parser.getValueAsString("");
            case "labels" -> strings(parser, side.labels);
            default -> parser.skipChildren();
        }
    }

    private static void strings(final JsonParser parser, final List<String> into)
            throws IOException {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            parser.skipChildren();
            return;
        }
        while (parser.nextToken() == JsonToken.VALUE_STRING) {
            into.add(parser.getText());
        }
    }

    private void eventType(final JsonParser parser, final String field) throws IOException {
        switch (field) {
            case "type" -> event.type = parser.getValueAsInt();
            case "sub_type" -> event.subType = parser.getValueAsInt();
            default -> parser.skipChildren();
        }
    }

    private void l7(final JsonParser parser, final String field) throws IOException {
        switch (field) {
            case "type" -> event.isRequest = "REQUEST".equals(parser.getText());
            case "http" -> fields(parser, this::http);
            case "kafka" -> fields(parser, this::kafka);
            case "dns" -> fields(parser, this::dns);
            case "tls" -> {
                // A handshake without a name is judged, too.
                event.serverName("");
                fields(parser, this::tls);
            }
            default -> parser.skipChildren();
        }
    }

    private void dns(final JsonParser parser, final String field) throws IOException {
        if (field.equals("query")) {
            event.put("dns", parser.getValueAsString(""));
        } else {
            parser.skipChildren();
        }
    }

    private void tls(final JsonParser parser, final String field) throws IOException {
        if (field.equals("server_name")) {
            event.serverName(parser.getValueAsString(""));
        } else {
            parser.skipChildren();
        }
    }

    private void kafka(final JsonParser parser, final String field) throws IOException {
        switch (field) {
            case "api_key" -> event.put("kafka.api", parser.getValueAsString(""));
            case "topic" -> event.put("kafka.topic", parser.getValueAsString(""));
            default -> parser.skipChildren();
        }
    }

    private void http(final JsonParser parser, final String field) throws IOException {
        switch (field) {
            case "method" -> event.put("http.method", parser.getValueAsString(""));
            case "url" -> event.url(parser.getValueAsString(""));
            case "headers" -> headers(parser);
            default -> parser.skipChildren();
        }
    }

    private void headers(final JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            parser.skipChildren();
            return;
        }
        while (parser.nextToken() == JsonToken.START_OBJECT) {
            String key = "";
            String value = "";
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                final String field = parser.currentName();
                parser.nextToken();
                switch (field) {
                    case "key" -> key = parser.getValueAsString("");
                    case "value" -> value = parser.getValueAsString("");
                    default -> parser.skipChildren();
                }
            }
            event.put("http.headers." + key, value);
        }
    }
}
