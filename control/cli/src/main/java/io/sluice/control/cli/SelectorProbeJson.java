package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.RequestException;
import io.sluice.control.agent.api.ApiJson;
import io.sluice.control.agent.api.ProbeJson;
import io.sluice.control.policy.CalicoSelector;
import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.LabelSelectorText;
import io.sluice.dnsproxy.rule.NamePattern;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * Selectors and FQDN patterns tried on labels and names, as JSON: one object in, one out, as
 * docs/cli.md describes them.
 */
final class SelectorProbeJson {
    private static final Set<String> SELECTOR_FIELDS = Set.of("selector", "labels");
    private static final Set<String> FQDN_FIELDS = Set.of("fqdn", "name");

    /** How a selector is written. */
    enum Syntax {
        /** projectcalico.org/v3's expressions. */
        CALICO,
        /** What kubectl's {@code -l} takes. */
        LABEL
    }

    private SelectorProbeJson() {}

    /** Answers every line; a blank line is skipped, and one that makes no sense is said so. */
    static ProbeJson.Answers answerAll(final String text, final Syntax type) {
        final StringBuilder lines = new StringBuilder();
        int errors = 0;
        for (final String line : text.lines().toList()) {
            if (line.isBlank()) {
                continue;
            }
            ObjectNode answer;
            try {
                answer = answer(ApiJson.read(line), type);
            } catch (final RequestException e) {
                answer = ApiJson.newObject().put("error", e.getMessage());
                errors++;
            }
            lines.append(answer).append('\n');
        }
        return new ProbeJson.Answers(lines.toString(), errors);
    }

    private static ObjectNode answer(final JsonNode probe, final Syntax type) {
        if (probe.has("fqdn")) {
            final JsonNode fields = ApiJson.object(probe, "probe", FQDN_FIELDS);
            return fqdn(required(fields, "fqdn"), required(fields, "name"));
        }
        final JsonNode fields = ApiJson.object(probe, "probe", SELECTOR_FIELDS);
        return selector(type, required(fields, "selector"), labels(fields.path("labels")));
    }

    private static String required(final JsonNode fields, final String field) {
        if (!fields.has(field)) {
            throw invalidProbe(
                    field + ": missing: accepted are selector and labels, or fqdn and name");
        }
        return ApiJson.text(fields, field, "");
    }

    private static RequestException invalidProbe(final String problem) {
        return new RequestException(RequestException.Reason.INVALID, problem);
    }

    private static Map<String, String> labels(final JsonNode object) {
        if (!object.isMissingNode() && !object.isObject()) {
            throw invalidProbe("labels: " + object + ": an object of strings");
        }
        final Map<String, String> labels = new HashMap<>();
        for (final Map.Entry<String, JsonNode> label : object.properties()) {
            labels.put(label.getKey(), ApiJson.text(object, label.getKey(), ""));
        }
        return labels;
    }

    static ObjectNode selector(
            final Syntax type, final String text, final Map<String, String> labels) {
        return switch (type) {
            case CALICO -> calico(text, labels);
            case LABEL -> label(text, labels);
        };
    }

    private static ObjectNode calico(final String text, final Map<String, String> labels) {
        try {
            final CalicoSelector selector = CalicoSelector.parse(text);
            // Nothing here says of which namespace the labels are, so they are of none.
            return valid(selector.toString(), selector.matchesOutsideNamespaces(labels));
        } catch (final CalicoSelector.SyntaxException e) {
            return invalid("column " + (e.position() + 1) + ": " + e.getMessage());
        }
    }

    private static ObjectNode label(final String text, final Map<String, String> labels) {
        try {
            final LabelSelector selector = LabelSelectorText.parse(text);
            return valid(selector.toString(), selector.matches(labels));
        } catch (final LabelSelectorText.SyntaxException e) {
            return invalid(String.valueOf(e.getMessage()));
        }
    }

    static ObjectNode fqdn(final String text, final String name) {
        try {
            final NamePattern pattern = NamePattern.parse(text);
            return valid(
                    pattern.toString(), pattern.matches(name.endsWith(".") ? name : name + "."));
        } catch (final IllegalArgumentException e) {
            return invalid(String.valueOf(e.getMessage()));
        }
    }

    private static ObjectNode valid(final String canonical, final boolean match) {
        return ApiJson.newObject()
                .put("valid", true)
                .put("canonical", canonical)
                .put("match", match);
    }

    private static ObjectNode invalid(final String error) {
        return ApiJson.newObject().put("valid", false).put("error", error);
    }
}
