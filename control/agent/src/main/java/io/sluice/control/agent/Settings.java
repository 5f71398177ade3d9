package io.sluice.control.agent;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;

/**
 * The settings of a configuration file, flattened to dotted keys, each with its place.
 *
 * <p>Reading a key makes it known: whatever the file has beside the keys that were read is unknown.
 * So the list of accepted keys is nowhere kept twice. Problems are collected, not thrown, so that
 * one start-up shows all of them.
 *
 * <p>Thread: one.
 */
final class Settings {
    private record Setting(String text, int line, int column) {}

    private final String file;
    private final Map<String, Setting> settings = new LinkedHashMap<>();
    private final TreeSet<String> known = new TreeSet<>();
    private final List<String> problems = new ArrayList<>();

    private Settings(final String file) {
        this.file = file;
    }

    /** No settings at all: every key has its default. */
    static Settings none() {
        return new Settings("");
    }

    /**
     * @param file name for messages
     * @param text YAML
     */
    static Settings parse(final String file, final String text) {
        final Settings parsed = new Settings(file);
        try {
            final Optional<Node> root =
                    new Compose(LoadSettings.builder().setLabel(file).build()).composeString(text);
            root.ifPresent(node -> parsed.flatten("", node));
        } catch (final MarkedYamlEngineException e) {
            final Optional<Mark> mark = e.getProblemMark();
            parsed.problems.add(
                    "%s:%d:%d: %s"
                            .formatted(
                                    file,
                                    mark.map(Mark::getLine).orElse(0) + 1,
                                    mark.map(Mark::getColumn).orElse(0) + 1,
                                    e.getProblem()));
        } catch (final YamlEngineException e) {
            parsed.problems.add(file + ": " + oneLine(e));
        }
        return parsed;
    }

    private static String oneLine(final Exception e) {
        return String.valueOf(e.getMessage()).replace('\n', ' ').strip();
    }

    private void flatten(final String key, final Node node) {
        switch (node) {
            case final MappingNode mapping -> {
                for (final NodeTuple tuple : mapping.getValue()) {
                    if (tuple.getKeyNode() instanceof final ScalarNode name) {
                        final String path =
                                key.isEmpty() ? name.getValue() : key + "." + name.getValue();
                        flatten(path, tuple.getValueNode());
                    } else {
                        problem(tuple.getKeyNode(), key, "a key must be a word");
                    }
                }
            }
            case final ScalarNode scalar -> put(key, scalar.getValue(), node);
            case final SequenceNode sequence -> {
                final List<String> elements = new ArrayList<>();
                for (final Node element : sequence.getValue()) {
                    if (element instanceof final ScalarNode scalar) {
                        elements.add(scalar.getValue());
                    } else {
                        problem(element, key, "a list of plain words is expected here");
                    }
                }
                put(key, String.join(",", elements), node);
            }
            default -> problem(node, key, "an alias is not accepted here: write the value out");
        }
    }

    private void put(final String key, final String text, final Node node) {
        if (key.isEmpty()) {
            problem(node, "", "keys with values are expected, such as \"mtu: 1500\"");
            return;
        }
        final Setting setting = new Setting(text, line(node), column(node));
        final Setting before = settings.putIfAbsent(key, setting);
        if (before != null) {
            problem(node, key, "set twice, first in line " + before.line());
        }
    }

    private void problem(final Node node, final String key, final String what) {
        final String field = key.isEmpty() ? "" : key + ": ";
        problems.add("%s:%d:%d: %s%s".formatted(file, line(node), column(node), field, what));
    }

    private static int line(final Node node) {
        return node.getStartMark().map(Mark::getLine).orElse(0) + 1;
    }

    private static int column(final Node node) {
        return node.getStartMark().map(Mark::getColumn).orElse(0) + 1;
    }

    /**
     * The value of a key, or the fallback when the key is absent or wrong.
     *
     * @param parser throws IllegalArgumentException, its message says what is accepted
     */
    <T> T value(final String key, final T fallback, final Function<String, T> parser) {
        known.add(key);
        final Setting setting = settings.get(key);
        if (setting == null) {
            return fallback;
        }
        try {
            return parser.apply(setting.text());
        } catch (final IllegalArgumentException e) {
            wrong(key, String.valueOf(e.getMessage()));
            return fallback;
        }
    }

    String text(final String key, final String fallback) {
        return value(key, fallback, Function.identity());
    }

    int number(final String key, final int fallback) {
        return value(
                key,
                fallback,
                text -> {
                    try {
                        return Integer.parseInt(text);
                    } catch (final NumberFormatException e) {
                        throw new IllegalArgumentException(
                                "\"" + text + "\" is not a whole number", e);
                    }
                });
    }

    boolean flag(final String key, final boolean fallback) {
        return value(
                key,
                fallback,
                text ->
                        switch (text) {
                            case "true" -> true;
                            case "false" -> false;
                            default ->
                                    throw new IllegalArgumentException(
                                            "\"" + text + "\": true or false");
                        });
    }

    /** One of an enum's constants, written in lower case. */
    <E extends Enum<E>> E choice(final String key, final E fallback) {
        final Class<E> type = fallback.getDeclaringClass();
        return value(
                key,
                fallback,
                text -> {
                    for (final E constant : type.getEnumConstants()) {
                        if (word(constant).equals(text)) {
                            return constant;
                        }
                    }
                    final String words =
                            Arrays.stream(type.getEnumConstants())
                                    .map(Settings::word)
                                    .collect(Collectors.joining(" or "));
                    throw new IllegalArgumentException("\"%s\": %s".formatted(text, words));
                });
    }

    private static String word(final Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    /** Reports a value that was read but is not accepted. */
    void wrong(final String key, final String what) {
        final Setting setting = settings.get(key);
        problems.add(
                setting == null
                        ? "%s: %s".formatted(key, what)
                        : "%s:%d:%d: %s: %s"
                                .formatted(file, setting.line(), setting.column(), key, what));
    }

    /** All problems, unknown keys included; call after every key was read. */
    List<String> problems() {
        final List<String> all = new ArrayList<>(problems);
        settings.forEach(
                (key, setting) -> {
                    if (!known.contains(key)) {
                        all.add(
                                "%s:%d:%d: %s: no such key: did you mean %s?"
                                        .formatted(
                                                file,
                                                setting.line(),
                                                setting.column(),
                                                key,
                                                nearest(key)));
                    }
                });
        return all;
    }

    /** The keys that were read. */
    List<String> knownKeys() {
        return List.copyOf(known);
    }

    private String nearest(final String key) {
        String best = "";
        int bestDistance = Integer.MAX_VALUE;
        for (final String candidate : known) {
            final int distance = editDistance(key, candidate);
            if (distance < bestDistance) {
                bestDistance = distance;
                best = candidate;
            }
        }
        return best;
    }

    /** Levenshtein distance: fewest insertions, deletions and replacements. */
    private static int editDistance(final String a, final String b) {
        int[] previous = new int[b.length() + 1];
        Arrays.setAll(previous, j -> j);
        for (int i = 1; i <= a.length(); i++) {
            final int[] current = new int[b.length() + 1];
            current[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                final int replaced = previous[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                current[j] = Math.min(replaced, Math.min(previous[j], current[j - 1]) + 1);
            }
            previous = current;
        }
        return previous[b.length()];
    }
}
