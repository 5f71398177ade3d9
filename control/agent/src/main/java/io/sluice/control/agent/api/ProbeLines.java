package io.sluice.control.agent.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.sluice.control.agent.RequestException;
import io.sluice.control.policy.Evaluation;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.Probe;
import io.sluice.control.policy.ProbeException;
import io.sluice.control.policy.VerdictProgram;
import java.io.IOException;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Probe lines answered one after the other, as {@link ProbeJson} answers each, but faster: no tree
 * is built of a line that is as it should be, and what an author looks like in JSON is written
 * once.
 *
 * <p>A line that the quick reader does not take, for whatever reason, goes the strict reader's way,
 * and so the words of an error are written in one place only.
 *
 * <p>Thread: one.
 */
final class ProbeLines {
    /** A port has at most five digits, which an int holds. */
    private static final int NUMBER_DIGITS_MAX = 5;

    private static final int BYTE_MAX = 255;

    /** More different answers than a cluster's policies give; 200 bytes each. */
    private static final int SIDES_MAX = 65_536;

    private static final JsonFactory JSON =
            JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private final PolicyEvaluator evaluator;
    private final ProbeJson.Detail detail;
    private final IdentityHashMap<PolicyEntry, String> sides = new IdentityHashMap<>();
    private final StringBuilder answers = new StringBuilder();
    private int errors;

    ProbeLines(final PolicyEvaluator evaluator, final ProbeJson.Detail detail) {
        this.evaluator = evaluator;
        this.detail = detail;
    }

    /** The answers to all lines of a text. */
    ProbeJson.Answers answer(final char[] text, final int length) {
        answers.setLength(0);
        errors = 0;
        int start = 0;
        for (int end = 0; end <= length; end++) {
            if (end == length || text[end] == '\n' || text[end] == '\r') {
                answerLine(text, start, end - start);
                start = end + 1;
            }
        }
        return new ProbeJson.Answers(answers.toString(), errors);
    }

    private void answerLine(final char[] text, final int start, final int length) {
        try {
            final Optional<Probe> probe = quickProbe(text, start, length);
            if (probe.isPresent() && detail == ProbeJson.Detail.VERDICT) {
                append(evaluator.evaluate(probe.get()));
            } else {
                answerStrictly(new String(text, start, length));
            }
        } catch (final ProbeException | RequestException e) {
            answers.append(ProbeJson.error(String.valueOf(e.getMessage()))).append('\n');
            errors++;
        }
    }

    private void answerStrictly(final String line) throws ProbeException {
        if (!line.isBlank()) {
            answers.append(ProbeJson.answer(ProbeJson.read(line), evaluator, detail)).append('\n');
        }
    }

    // Writing: the same as ProbeJson.answer.

    private void append(final Evaluation evaluation) {
        answers.append("{\"allowed\":").append(evaluation.allowed());
        answers.append(",\"verdict\":\"").append(evaluation.verdict().name()).append('"');
        if (evaluation.verdict() == Evaluation.Verdict.DROPPED) {
            answers.append(",\"reason\":\"").append(evaluation.reason().name()).append('"');
        }
        answers.append(",\"egress\":").append(side(evaluation.egress()));
        answers.append(",\"ingress\":").append(side(evaluation.ingress()));
        if (evaluation.request().isPresent()) {
            answers.append(",\"l7\":").append(ProbeJson.request(evaluation.request().get()));
        }
        if (evaluation.pending().isPresent()) {
            answers.append(",\"staged\":").append(ProbeJson.staged(evaluation.pending().get()));
        }
        answers.append("}\n");
    }

    /** By identity: the entries of compiled maps are few, and shared. */
    private String side(final PolicyEntry entry) {
        if (sides.size() > SIDES_MAX) {
            // Entries that were made for one answer, as those of a name just learned.
            sides.clear();
        }
        return sides.computeIfAbsent(entry, _ -> ProbeJson.side(entry).toString());
    }

    // Reading: a probe that has nothing wrong with it.

    /** Empty for a line that is anything but a probe in order. */
    private static Optional<Probe> quickProbe(
            final char[] text, final int start, final int length) {
        if (length == 0 || text[start] != '{') {
            return Optional.empty();
        }
        try (JsonParser json = JSON.createParser(text, start, length)) {
            json.nextToken();
            final QuickReader reader = new QuickReader(json);
            return reader.readsProbe() && json.nextToken() == null
                    ? Optional.of(reader.probe())
                    : Optional.empty();
        } catch (final IOException e) {
            return Optional.empty();
        }
    }

    /** Reads one probe; every method answers whether all is in order so far. */
    private static final class QuickReader {
        private final JsonParser json;
        private final Map<String, String> l7 = new LinkedHashMap<>(0);
        private String from = "";
        private String to = "";
        private String protocol = "";
        private String port = "";
        private int sourcePort = Probe.NOT_GIVEN;
        private int icmpType = Probe.NOT_GIVEN;
        private int icmpCode = Probe.NOT_GIVEN;

        QuickReader(final JsonParser json) {
            this.json = json;
        }

        Probe probe() {
            return new Probe(from, to, protocol, port, sourcePort, icmpType, icmpCode, l7);
        }

        boolean readsProbe() throws IOException {
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                final String name = json.currentName();
                final JsonToken value = json.nextToken();
                final boolean right =
                        switch (name) {
                            case "icmp" -> value == JsonToken.START_OBJECT && readsIcmp();
                            case "http" -> value == JsonToken.START_OBJECT && readsHttp();
                            case "kafka" -> value == JsonToken.START_OBJECT && readsKafka();
                            case "port" -> readsPort(value);
                            case "sourcePort" -> readsSourcePort(value);
                            default -> value == JsonToken.VALUE_STRING && readsText(name);
                        };
                if (!right) {
                    return false;
                }
            }
            return !from.isEmpty() && !to.isEmpty() && !protocol.isEmpty();
        }

        private boolean readsText(final String name) throws IOException {
            final String text = json.getText();
            switch (name) {
                case "from" -> from = text;
                case "to" -> to = text;
                case "protocol" -> protocol = text;
                case "dns", "sni", "toName" -> put(name, text);
                default -> {
                    return false;
                }
            }
            return true;
        }

        private void put(final String name, final String text) {
            if (!text.isEmpty()) {
                l7.put(name, text);
            }
        }

        private boolean readsPort(final JsonToken value) throws IOException {
            if (value != JsonToken.VALUE_STRING && !isSmallNumber(value)) {
                return false;
            }
            port = json.getText();
            return true;
        }

        private boolean readsSourcePort(final JsonToken value) throws IOException {
            if (!isSmallNumber(value) || json.getIntValue() > VerdictProgram.PORT_MAX) {
                return false;
            }
            sourcePort = json.getIntValue();
            return true;
        }

        private boolean isSmallNumber(final JsonToken value) throws IOException {
            return value == JsonToken.VALUE_NUMBER_INT
                    && json.getTextLength() <= NUMBER_DIGITS_MAX
                    && json.getTextCharacters()[json.getTextOffset()] != '-';
        }

        private boolean readsIcmp() throws IOException {
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                final String name = json.currentName();
                if (!isSmallNumber(json.nextToken()) || json.getIntValue() > BYTE_MAX) {
                    return false;
                }
                switch (name) {
                    case "type" -> icmpType = json.getIntValue();
                    case "code" -> icmpCode = json.getIntValue();
                    default -> {
                        return false;
                    }
                }
            }
            return true;
        }

        private boolean readsHttp() throws IOException {
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                final String name = json.currentName();
                final JsonToken value = json.nextToken();
                switch (name) {
                    case "method", "path", "host" -> {
                        if (value != JsonToken.VALUE_STRING) {
                            return false;
                        }
                        put("http." + name, json.getText());
                    }
                    case "headers" -> {
                        if (value != JsonToken.START_OBJECT || !readsTexts("http.headers.")) {
                            return false;
                        }
                    }
                    default -> {
                        return false;
                    }
                }
            }
            return true;
        }

        private boolean readsKafka() throws IOException {
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                final String name = json.currentName();
                final boolean known =
                        name.equals("api") || name.equals("topic") || name.equals("clientId");
                if (!known || json.nextToken() != JsonToken.VALUE_STRING) {
                    return false;
                }
                put("kafka." + name, json.getText());
            }
            return true;
        }

        private boolean readsTexts(final String prefix) throws IOException {
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                final String name = json.currentName();
                if (json.nextToken() != JsonToken.VALUE_STRING) {
                    return false;
                }
                put(prefix + name, json.getText());
            }
            return true;
        }
    }
}
