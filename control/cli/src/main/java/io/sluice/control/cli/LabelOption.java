package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.LabelSelectorText;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Predicate;
import picocli.CommandLine.Option;

/** The option {@code -l}: kubectl's label selectors. */
final class LabelOption {
    @Option(
            names = {"-l", "--selector"},
            paramLabel = "SELECTOR",
            description =
                    "Labels: key=value, key!=value, key in (a,b), key notin (a,b), key, !key;"
                            + " several with commas between.")
    private String selector = "";

    LabelOption() {}

    /** Whether a {@code labels} object satisfies every part of the selector. */
    Predicate<JsonNode> filter() {
        final LabelSelector wanted;
        try {
            wanted = LabelSelectorText.parse(selector);
        } catch (final LabelSelectorText.SyntaxException e) {
            throw CommandError.usage("-l " + selector + ": " + e.getMessage());
        }
        return labels -> wanted.matches(map(labels));
    }

    private static Map<String, String> map(final JsonNode labels) {
        final Map<String, String> map = new HashMap<>();
        labels.properties().forEach(label -> map.put(label.getKey(), label.getValue().asText()));
        return map;
    }
}
