package io.sluice.control.policy.recommend;

import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * YAML as people write manifests: block style, two blanks, list items at the indent of their key,
 * comments. Thread: one.
 */
final class YamlLines {
    /** Text that means itself, unless it is a word that means something else. */
    private static final Pattern PLAIN =
            Pattern.compile("[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)?|(\\d+\\.){3}\\d+/\\d+");

    private static final Set<String> WORDS =
            Set.of("true", "false", "null", "yes", "no", "on", "off", "y", "n");

    private final StringBuilder text = new StringBuilder();

    /** A line at an indent. */
    YamlLines line(final int indent, final String content) {
        text.repeat(' ', indent).append(content).append('\n');
        return this;
    }

    YamlLines comment(final int indent, final String content) {
        return line(indent, "# " + printable(content));
    }

    /** Keys and values of a map, each on its line. */
    YamlLines map(final int indent, final Map<String, String> map) {
        map.forEach((key, value) -> line(indent, scalar(key) + ": " + scalar(value)));
        return this;
    }

    /**
     * A label selector as a map that begins at an indent; nothing where it is empty.
     *
     * @param more labels of the selector besides
     */
    YamlLines selector(
            final int indent, final Map<String, String> more, final WorkloadSelector selector) {
        final NavigableMap<String, String> labels = selector.labels();
        if (!labels.isEmpty() || !more.isEmpty()) {
            line(indent, "matchLabels:").map(indent + 2, more).map(indent + 2, labels);
        }
        final NavigableSet<String> absent = selector.absent();
        if (!absent.isEmpty()) {
            line(indent, "matchExpressions:");
            absent.forEach(
                    key -> line(indent, "- {key: " + scalar(key) + ", operator: DoesNotExist}"));
        }
        return this;
    }

    /**
     * A map as the item of a list.
     *
     * @param map lines of the map, at an indent of two at least
     * @param indent theirs
     */
    YamlLines item(final YamlLines map, final int indent) {
        final StringBuilder item = map.text;
        item.setCharAt(indent - 2, '-');
        text.append(item);
        return this;
    }

    /** {@code [a, b]}. */
    static String list(final Collection<String> scalars) {
        return "[" + String.join(", ", scalars.stream().map(YamlLines::scalar).toList()) + "]";
    }

    /** A string, in quotes where it would be taken for something else. */
    static String scalar(final String value) {
        if (PLAIN.matcher(value).matches() && !WORDS.contains(value.toLowerCase(Locale.ROOT))) {
            return value;
        }
        if (value.chars().allMatch(YamlLines::isPrintable)) {
            return "'" + value.replace("'", "''") + "'";
        }
        final StringBuilder quoted = new StringBuilder("\"");
        for (int i = 0; i < value.length(); i++) {
            final char c = value.charAt(i);
            if (isPrintable(c) && c != '"' && c != '\\') {
                quoted.append(c);
            } else {
                quoted.append("\\u%04x".formatted((int) c));
            }
        }
        return quoted.append('"').toString();
    }

    /** ASCII: what else there is may end a line for one reader and not for another. */
    private static boolean isPrintable(final int c) {
        return c >= ' ' && c < 0x7f;
    }

    private static String printable(final String text) {
        final StringBuilder printable = new StringBuilder();
        text.chars().forEach(c -> printable.append(isPrintable(c) ? (char) c : '?'));
        return printable.toString();
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
