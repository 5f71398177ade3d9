package io.sluice.control.agent.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.Evaluation;
import io.sluice.control.policy.Explanation;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.Probe;
import io.sluice.control.policy.ProbeException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * Probe lines: one JSON object in, one out, as docs/cli.md describes them. The CLI and the API use
 * the same form.
 */
public final class ProbeJson {
    private static final Set<String> FIELDS =
            Set.of(
                    "from",
                    "to",
                    "protocol",
                    "port",
                    "sourcePort",
                    "icmp",
                    "http",
                    "kafka",
                    "dns",
                    "sni",
                    "toName");

    /** How much an answer says. */
    public enum Detail {
        /** Verdict and authors. */
        VERDICT,
        /**
         * Who nearly decided and the whole chain besides: as lines of text in {@code explanation},
         * as an object in {@code chain}.
         */
        EXPLAINED
    }

    /**
     * Answers to many probes.
     *
     * @param lines one JSON line each, in the order of the probes, each with its end
     * @param errors how many of them are {@code {"error": ...}}
     */
    public record Answers(String lines, int errors) {}

    private ProbeJson() {}

    /** Answers every line; a blank line is skipped, and one that makes no sense is said so. */
    public static Answers answerAll(
            final String text, final PolicyEvaluator evaluator, final Detail detail) {
        return new ProbeLines(evaluator, detail).answer(text.toCharArray(), text.length());
    }

    /**
     * Reads one line.
     *
     * @throws io.sluice.control.agent.RequestException INVALID for what is no probe; whether its
     *     ends exist is the evaluator's to say
     */
    public static Probe read(final String line) {
        final JsonNode json = ApiJson.object(ApiJson.read(line), "probe", FIELDS);
        final JsonNode icmp = json.path("icmp");
        if (!icmp.isMissingNode()) {
            ApiJson.object(icmp, "icmp", Set.of("type", "code"));
        }
        return new Probe(
                required(json, "from"),
                required(json, "to"),
                required(json, "protocol"),
                port(json.path("port")),
                ApiJson.number(json, "sourcePort", Probe.NOT_GIVEN, 65_535),
                ApiJson.number(icmp, "type", Probe.NOT_GIVEN, 255),
                ApiJson.number(icmp, "code", Probe.NOT_GIVEN, 255),
                requestFields(json));
    }

    private static String required(final JsonNode json, final String field) {
        final String value = ApiJson.text(json, field, "");
        if (value.isEmpty()) {
            throw ApiRequest.invalid(field + ": missing: from, to and protocol are required");
        }
        return value;
    }

    private static String port(final JsonNode port) {
        if (port.isMissingNode()) {
            return "";
        }
        if (port.isIntegralNumber() || port.isTextual()) {
            return port.asText();
        }
        throw ApiRequest.invalid("port: " + port + ": a number from 1 to 65535 or a port's name");
    }

    private static Map<String, String> requestFields(final JsonNode json) {
        final Map<String, String> fields = new LinkedHashMap<>();
        if (json.has("http")) {
            final JsonNode http =
                    ApiJson.object(
                            json.path("http"), "http", Set.of("method", "path", "host", "headers"));
            for (final String field : new String[] {"method", "path", "host"}) {
                put(fields, "http." + field, ApiJson.text(http, field, ""));
            }
            final JsonNode headers = http.path("headers");
            if (!headers.isMissingNode() && !headers.isObject()) {
                throw ApiRequest.invalid("http.headers: " + headers + ": an object of strings");
            }
            for (final Map.Entry<String, JsonNode> header : headers.properties()) {
                put(
                        fields,
                        "http.headers." + header.getKey(),
                        ApiJson.text(headers, header.getKey(), ""));
            }
        }
        if (json.has("kafka")) {
            final JsonNode kafka =
                    ApiJson.object(json.path("kafka"), "kafka", Set.of("api", "topic", "clientId"));
            for (final String field : new String[] {"api", "topic", "clientId"}) {
                put(fields, "kafka." + field, ApiJson.text(kafka, field, ""));
            }
        }
        for (final String field : new String[] {"dns", "sni", "toName"}) {
            put(fields, field, ApiJson.text(json, field, ""));
        }
        return fields;
    }

    private static void put(
            final Map<String, String> fields, final String name, final String value) {
        if (!value.isEmpty()) {
            fields.put(name, value);
        }
    }

    /**
     * The answer to one probe.
     *
     * @throws ProbeException if the probe makes no sense in the evaluator's world
     */
    public static ObjectNode answer(
            final Probe probe, final PolicyEvaluator evaluator, final Detail detail)
            throws ProbeException {
        final Evaluation evaluation = evaluator.evaluate(probe);
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("allowed", evaluation.allowed());
        json.put("verdict", evaluation.verdict().name());
        if (evaluation.verdict() == Evaluation.Verdict.DROPPED) {
            json.put("reason", evaluation.reason().name());
        }
        json.set("egress", side(evaluation.egress()));
        json.set("ingress", side(evaluation.ingress()));
        evaluation.request().ifPresent(answer -> json.set("l7", request(answer)));
        evaluation.pending().ifPresent(pending -> json.set("staged", staged(pending)));
        if (detail == Detail.EXPLAINED) {
            final Explanation explanation = evaluator.explain(probe);
            explanation.lines().forEach(json.putArray("explanation")::add);
            json.set("chain", ExplanationJson.of(explanation));
        }
        return json;
    }

    static ObjectNode staged(final Evaluation.Pending pending) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("allowed", pending.allowed());
        json.set("egress", side(pending.egress()));
        json.set("ingress", side(pending.ingress()));
        return json;
    }

    static ObjectNode request(final Evaluation.RequestAnswer answer) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("allowed", answer.allowed());
        if (!answer.allowed()) {
            json.put("answer", answer.answer());
        }
        return json;
    }

    /** The line of a probe that could not be answered. */
    static ObjectNode error(final String message) {
        return JsonNodeFactory.instance.objectNode().put("error", message);
    }

    static ObjectNode side(final PolicyEntry entry) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("allowed", entry.isAllowed());
        json.set("by", author(entry.by()));
        entry.audited().ifPresent(audited -> json.set("audited", side(audited)));
        entry.logs().forEach(log -> json.withArray("logs").add(author(log)));
        return json;
    }

    private static ObjectNode author(final Author by) {
        final ObjectNode author = JsonNodeFactory.instance.objectNode();
        author.put("origin", ApiJson.word(by.origin()));
        place(by, author);
        return author;
    }

    /** Policy, rule, file and line of an author, as far as it has them. */
    static void place(final Author by, final ObjectNode author) {
        if (!by.tier().isEmpty()) {
            author.put("tier", by.tier());
        }
        if (!by.kind().isEmpty()) {
            author.put("kind", by.simpleKind());
            if (!by.namespace().isEmpty()) {
                author.put("namespace", by.namespace());
            }
            author.put("name", by.name());
        }
        if (by.rule() != Author.NO_RULE) {
            author.put("rule", by.rule());
            author.put("list", by.list());
        }
        if (!by.file().isEmpty()) {
            author.put("file", by.file());
            author.put("line", by.line());
        }
    }
}
