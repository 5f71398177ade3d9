package io.sluice.control.policy.recommend;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * HTTP requests, and the rules that let them pass.
 *
 * <p><b>Theory of operation.</b> A rule is a method and a regular expression (RE2) for the whole
 * path. A path is taken as it was seen. A segment of it becomes a class only where that is safe: at
 * least {@link #ALIKE_MIN} paths of one method differ in nothing but this segment, and all of its
 * values are numbers, UUIDs, or hexadecimal of {@link #HEX_MIN} digits and more: identifiers, of
 * which the next one will differ. Words are never put together, and no class crosses a slash. Query
 * strings are what users type: where one was seen, any passes.
 *
 * <p>Thread: the recommender's.
 */
final class HttpUse {
    /** A rule for {@code /orders/[0-9]+} from fewer than three orders would be a guess. */
    private static final int ALIKE_MIN = 3;

    /** Shorter ones can be words: {@code cafe}, {@code feed}. */
    private static final int HEX_MIN = 12;

    private static final String ANY_QUERY = "(\\?.*)?";

    /** Kinds of identifier, the narrowest first, each a class of RE2. */
    private static final List<Pattern> IDENTIFIERS =
            List.of(
                    Pattern.compile("[0-9]+"),
                    Pattern.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
                    Pattern.compile("[0-9a-f]{" + HEX_MIN + ",}"));

    /** A rule: a method, and a regular expression for path and query. */
    record Rule(String method, String path) implements Comparable<Rule> {
        @Override
        public int compareTo(final Rule other) {
            final int order = path.compareTo(other.path);
            return order == 0 ? method.compareTo(other.method) : order;
        }
    }

    /** A path, and whether it was seen with a query. */
    private final NavigableMap<Rule, Boolean> seen = new TreeMap<>();

    void add(final String method, final String pathAndQuery) {
        final int query = pathAndQuery.indexOf('?');
        final String path = query < 0 ? pathAndQuery : pathAndQuery.substring(0, query);
        seen.merge(new Rule(method, path), query >= 0, Boolean::logicalOr);
    }

    void addAll(final HttpUse other) {
        other.seen.forEach((path, query) -> seen.merge(path, query, Boolean::logicalOr));
    }

    boolean isEmpty() {
        return seen.isEmpty();
    }

    /**
     * A segment of a path.
     *
     * @param text as it was seen, or an expression
     * @param isClass whether it is an expression
     */
    private record Segment(String text, boolean isClass) implements Comparable<Segment> {
        @Override
        public int compareTo(final Segment other) {
            final int order = Boolean.compare(isClass, other.isClass);
            return order == 0 ? text.compareTo(other.text) : order;
        }

        String expression() {
            return isClass ? text : quoted(text);
        }
    }

    /** Rules that let pass what was seen. */
    NavigableSet<Rule> rules() {
        final NavigableMap<String, NavigableMap<List<Segment>, Boolean>> byMethod = new TreeMap<>();
        seen.forEach(
                (rule, query) ->
                        byMethod.computeIfAbsent(rule.method, _ -> newPaths())
                                .put(segments(rule.path), query));
        final NavigableSet<Rule> rules = new TreeSet<>();
        byMethod.forEach(
                (method, paths) ->
                        generalised(paths)
                                .forEach(
                                        (path, query) ->
                                                rules.add(
                                                        new Rule(
                                                                method, expression(path, query)))));
        return rules;
    }

    private static <V> NavigableMap<List<Segment>, V> newPaths() {
        return new TreeMap<>(
                (one, other) ->
                        Arrays.compare(one.toArray(new Segment[0]), other.toArray(new Segment[0])));
    }

    private static List<Segment> segments(final String path) {
        final List<Segment> segments = new ArrayList<>();
        for (final String text : path.split("/", -1)) {
            segments.add(new Segment(text, false));
        }
        return List.copyOf(segments);
    }

    private static String expression(final List<Segment> path, final boolean query) {
        return String.join("/", path.stream().map(Segment::expression).toList())
                + (query ? ANY_QUERY : "");
    }

    /** Segment by segment from the left. */
    private static NavigableMap<List<Segment>, Boolean> generalised(
            final NavigableMap<List<Segment>, Boolean> paths) {
        final int longest = paths.keySet().stream().mapToInt(List::size).max().orElse(0);
        NavigableMap<List<Segment>, Boolean> now = paths;
        for (int position = 0; position < longest; position++) {
            now = generalised(now, position);
        }
        return now;
    }

    private static NavigableMap<List<Segment>, Boolean> generalised(
            final NavigableMap<List<Segment>, Boolean> paths, final int position) {
        final NavigableMap<List<Segment>, NavigableMap<Segment, Boolean>> alike = newPaths();
        final NavigableMap<List<Segment>, Boolean> next = newPaths();
        paths.forEach(
                (segments, query) -> {
                    if (position < segments.size()) {
                        alike.computeIfAbsent(with(segments, position, OPEN), _ -> new TreeMap<>())
                                .put(segments.get(position), query);
                    } else {
                        next.put(segments, query);
                    }
                });
        alike.forEach(
                (segments, values) -> {
                    for (final Pattern identifier : IDENTIFIERS) {
                        final List<Segment> fitting =
                                values.keySet().stream()
                                        .filter(value -> identifier.matcher(value.text).matches())
                                        .toList();
                        if (fitting.size() >= ALIKE_MIN) {
                            boolean query = false;
                            for (final Segment value : fitting) {
                                query |= Boolean.TRUE.equals(values.remove(value));
                            }
                            next.put(
                                    with(
                                            segments,
                                            position,
                                            new Segment(identifier.pattern(), true)),
                                    query);
                        }
                    }
                    values.forEach(
                            (value, query) -> next.put(with(segments, position, value), query));
                });
        return next;
    }

    private static final Segment OPEN = new Segment("", false);

    private static List<Segment> with(
            final List<Segment> segments, final int position, final Segment segment) {
        final List<Segment> changed = new ArrayList<>(segments);
        changed.set(position, segment);
        return List.copyOf(changed);
    }

    /** Text that stands for itself in an expression of RE2. */
    static String quoted(final String text) {
        final StringBuilder quoted = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            final char c = text.charAt(i);
            if ("\\.+*?()|[]{}^$".indexOf(c) >= 0) {
                quoted.append('\\');
            }
            quoted.append(c);
        }
        return quoted.toString();
    }
}
