package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import picocli.CommandLine.Option;

/** The option {@code -l}: kubectl's equality selectors. */
final class LabelOption {
    @Option(
            names = {"-l", "--selector"},
            paramLabel = "SELECTOR",
            description = "Labels: key=value, key!=value, key, !key; several with commas between.")
    private String selector = "";

    LabelOption() {}

    /** Whether a {@code labels} object satisfies every part of the selector. */
    Predicate<JsonNode> filter() {
        final List<Predicate<JsonNode>> parts = new ArrayList<>();
        for (final String part : selector.split(",", -1)) {
            if (!part.isBlank()) {
                parts.add(part(part.strip()));
            }
        }
        return labels -> parts.stream().allMatch(part -> part.test(labels));
    }

    private static Predicate<JsonNode> part(final String part) {
        final int differs = part.indexOf("!=");
        if (differs > 0) {
            final String key = part.substring(0, differs).strip();
            final String value = part.substring(differs + 2).strip();
            // As in Kubernetes, an object without the label differs from every value.
            return labels -> !labels.path(key).asText().equals(value) || !labels.has(key);
        }
        if (part.startsWith("!")) {
            final String key = part.substring(1).strip();
            return labels -> !labels.has(key);
        }
        final int equal = part.indexOf('=');
        if (equal == 0 || part.contains("(")) {
            throw CommandError.usage(
                    "-l " + part + ": not a selector: key=value, key!=value, key or !key");
        }
        if (equal < 0) {
            return labels -> labels.has(part);
        }
        final String key = part.substring(0, equal).strip();
        final String value = part.substring(equal + 1).replaceFirst("^=", "").strip();
        return labels -> labels.has(key) && labels.path(key).asText().equals(value);
    }
}
