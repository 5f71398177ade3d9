package io.sluice.control.agent.api;

import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.replay.FlowEvent;
import io.sluice.control.policy.replay.FlowTally;
import io.sluice.control.policy.replay.FlowTally.Skipped;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads what {@link FlowJson} writes, and Hubble's own exports: JSON lines of {@code
 * GetFlowsResponse}, or of {@code Flow} alone, as older {@code hubble observe -o json} printed
 * them. A field that it does not know is passed over, as in any reader of protobuf's JSON.
 *
 * <p><b>Theory of operation.</b> Of a million lines of a kilobyte each most of the time was looking
 * at characters and making objects of them that are equal to those of other lines. So:
 *
 * <ul>
 *   <li>a line goes through {@link PlainTokens} into one {@link FlowEvent} that is used again and
 *       again; one that is not of the plain form begins anew with {@link JacksonTokens}, which
 *       reads all that is JSON and decides what is none. Both give the same values, so which of
 *       them reads a line cannot be seen;
 *   <li>source and destination, half of a line, are nearly always written as they were before:
 *       {@link KnownSides} knows them by their bytes;
 *   <li>times have a reader of their own ({@link FlowTime}).
 * </ul>
 *
 * <p>Thread: one; a reader for each.
 */
public final class FlowJsonReader {
    private final FlowTally tally;
    private final FlowEvent event = new FlowEvent();
    private final PlainTokens plain = new PlainTokens();
    private final KnownSides sides = new KnownSides();

    /** Events that the line at hand says were lost. */
    private long lostEvents;

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
        final Line line = readPlain(text, from, to);
        return count(line == Line.NOT_PLAIN ? readAny(text, from, to) : line);
    }

    private Line readPlain(final byte[] text, final int from, final int to) {
        plain.begin(text, from, to);
        clear();
        try {
            final Line line = plain.enterObject() ? response(plain) : Line.NOT_PLAIN;
            return plain.failed() ? Line.NOT_PLAIN : line;
        } catch (final IOException | DateTimeException e) {
            return Line.NOT_PLAIN;
        }
    }

    private Line readAny(final byte[] text, final int from, final int to) {
        clear();
        try (JacksonTokens tokens = new JacksonTokens(text, from, to)) {
            if (!tokens.begin()) {
                return Line.BLANK;
            }
            return tokens.isObject() && tokens.enterObject() ? response(tokens) : Line.NOTHING;
        } catch (final IOException | DateTimeException e) {
            return Line.NOTHING;
        }
    }

    private void clear() {
        event.clear();
        lostEvents = 0;
    }

    private boolean count(final Line line) {
        switch (line) {
            case FLOW -> event.countIn(tally);
            case OTHER -> tally.skip(Skipped.NOT_JUDGED, 1);
            case NOTHING, NOT_PLAIN -> tally.skip(Skipped.UNREADABLE, 1);
            case LOST -> tally.skip(Skipped.LOST, lostEvents);
            case BLANK -> {
                // Nothing to count.
            }
        }
        return line != Line.NOTHING;
    }

    /** What a line is. */
    private enum Line {
        FLOW,
        /** A count of events that were lost. */
        LOST,
        /** Another event of Hubble's stream. */
        OTHER,
        /** Nothing but blanks. */
        BLANK,
        /** No JSON, or none of these. */
        NOTHING,
        /** To be read by Jackson. */
        NOT_PLAIN
    }

    private Line response(final LineTokens tokens) throws IOException {
        Line line = Line.NOTHING;
        while (tokens.nextField()) {
            final String field = tokens.field();
            switch (field) {
                case "flow" -> {
                    line = Line.FLOW;
                    fields(tokens, this::field);
                }
                case "lost_events" -> {
                    line = Line.LOST;
                    fields(tokens, this::lost);
                }
                case "node_status", "agent_event", "debug_event" -> {
                    line = Line.OTHER;
                    tokens.skip();
                }
                default -> {
                    if (field.equals("verdict")) {
                        line = Line.FLOW;
                    }
                    field(tokens, field);
                }
            }
        }
        return line;
    }

    /** What is done about a field whose value is at hand. */
    @FunctionalInterface
    private interface FieldReader {
        void read(LineTokens tokens, String field) throws IOException;
    }

    /** Reads the fields of an object; what is no object is passed over, as null is. */
    private static void fields(final LineTokens tokens, final FieldReader reader)
            throws IOException {
        if (tokens.enterObject()) {
            while (tokens.nextField()) {
                reader.read(tokens, tokens.field());
            }
        }
    }

    private void lost(final LineTokens tokens, final String field) throws IOException {
        if (field.equals("num_events_lost")) {
            lostEvents += tokens.count();
        } else {
            tokens.skip();
        }
    }

    private void field(final LineTokens tokens, final String field) throws IOException {
        switch (field) {
            case "time" -> {
                // Hubble's envelope says it once more.
                if (event.time.equals(Instant.EPOCH)) {
                    event.time = FlowTime.parse(tokens.text());
                } else {
                    tokens.skip();
                }
            }
            case "verdict" -> event.verdict = tokens.text();
            case "drop_reason" -> event.dropReason = tokens.number();
            case "drop_reason_desc" -> event.dropReasonName = tokens.text();
            case "node_name" -> event.nodeName = tokens.text();
            case "traffic_direction" -> event.ingress = "INGRESS".equals(tokens.text());
            case "is_reply" -> event.reply = tokens.isTrue();
            case "IP" -> fields(tokens, this::address);
            case "l4" -> fields(tokens, this::l4);
            case "source" -> side(tokens, event.source);
            case "destination" -> side(tokens, event.destination);
            case "destination_names" -> event.names = strings(tokens);
            case "l7" -> {
                // Some writers say that there is none.
                if (tokens.isObject()) {
                    event.type = FlowEvent.L7;
                }
                fields(tokens, this::l7);
            }
            case "event_type" -> fields(tokens, this::eventType);
            default -> tokens.skip();
        }
    }

    private void address(final LineTokens tokens, final String field) throws IOException {
        switch (field) {
            case "source" -> event.source.address = tokens.text();
            case "destination" -> event.destination.address = tokens.text();
            default -> tokens.skip();
        }
    }

    private void l4(final LineTokens tokens, final String protocol) throws IOException {
        event.protocol = IpProtocol.parse(protocol);
        fields(tokens, this::port);
    }

    private void port(final LineTokens tokens, final String field) throws IOException {
        switch (field) {
            case "destination_port" -> event.port = tokens.number();
            case "type" -> event.port |= tokens.number() << 8;
            case "code" -> event.port |= tokens.number();
            default -> tokens.skip();
        }
    }

    private void side(final LineTokens tokens, final FlowEvent.Side side) throws IOException {
        if (tokens == plain && plain.isObject()) {
            final int from = plain.position();
            plain.skip();
            if (!plain.failed()) {
                knownSide(from, plain.position(), side);
            }
        } else {
            newSide(tokens, side);
        }
    }

    private void knownSide(final int from, final int to, final FlowEvent.Side side)
            throws IOException {
        final FlowEvent.Side known = sides.find(plain.bytes(), from, to);
        if (known != null) {
            side.name(known);
            return;
        }
        plain.back(from);
        newSide(plain, side);
        if (!plain.failed()) {
            sides.put(plain.bytes(), from, to, side);
        }
    }

    private static void newSide(final LineTokens tokens, final FlowEvent.Side side)
            throws IOException {
        side.unname();
        fields(tokens, (at, name) -> side(at, name, side));
    }

    private static void side(final LineTokens tokens, final String field, final FlowEvent.Side side)
            throws IOException {
        switch (field) {
            case "namespace" -> side.namespace = tokens.text();
            case "pod_name" -> side.pod = tokens.text();
            case "labels" -> side.labels = strings(tokens);
            default -> tokens.skip();
        }
    }

    private static List<String> strings(final LineTokens tokens) throws IOException {
        if (!tokens.enterArray()) {
            return List.of();
        }
        final List<String> strings = new ArrayList<>();
        while (tokens.nextText()) {
            strings.add(tokens.text());
        }
        return List.copyOf(strings);
    }

    private void eventType(final LineTokens tokens, final String field) throws IOException {
        switch (field) {
            case "type" -> event.type = tokens.number();
            case "sub_type" -> event.subType = tokens.number();
            default -> tokens.skip();
        }
    }

    private void l7(final LineTokens tokens, final String field) throws IOException {
        switch (field) {
            case "type" -> event.isRequest = "REQUEST".equals(tokens.text());
            case "http" -> fields(tokens, this::http);
            case "kafka" -> fields(tokens, this::kafka);
            case "dns" -> fields(tokens, this::dns);
            case "tls" -> {
                // A handshake without a name is judged, too.
                event.serverName("");
                fields(tokens, this::tls);
            }
            default -> tokens.skip();
        }
    }

    private void dns(final LineTokens tokens, final String field) throws IOException {
        if (field.equals("query")) {
            event.put("dns", tokens.text());
        } else {
            tokens.skip();
        }
    }

    private void tls(final LineTokens tokens, final String field) throws IOException {
        if (field.equals("server_name")) {
            event.serverName(tokens.text());
        } else {
            tokens.skip();
        }
    }

    private void kafka(final LineTokens tokens, final String field) throws IOException {
        switch (field) {
            case "api_key" -> event.put("kafka.api", tokens.text());
            case "topic" -> event.put("kafka.topic", tokens.text());
            default -> tokens.skip();
        }
    }

    private void http(final LineTokens tokens, final String field) throws IOException {
        switch (field) {
            case "method" -> event.put("http.method", tokens.text());
            case "url" -> event.url(tokens.text());
            case "headers" -> headers(tokens);
            default -> tokens.skip();
        }
    }

    private void headers(final LineTokens tokens) throws IOException {
        if (!tokens.enterArray()) {
            return;
        }
        while (tokens.nextObject()) {
            String key = "";
            String value = "";
            while (tokens.nextField()) {
                switch (tokens.field()) {
                    case "key" -> key = tokens.text();
                    case "value" -> value = tokens.text();
                    default -> tokens.skip();
                }
            }
            event.put("http.headers." + key, value);
        }
    }
}
