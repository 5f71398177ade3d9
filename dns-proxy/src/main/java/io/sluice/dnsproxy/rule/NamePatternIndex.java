package io.sluice.dnsproxy.rule;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Many patterns, asked at once.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Names without wildcards are in a hash. A pattern with one ends in literal text; its whole
 * labels are a path in a trie, read from the right, and the pattern waits at the end of the path. A
 * name walks the trie from its last label and meets only patterns that share its ending: {@code
 * *.example.com} is met by what ends in {@code .example.com} alone.
 *
 * <p>Where many patterns share their whole labels, they are told apart once more, by a hash over
 * the literal text at the beginning ({@code api-17-*.example.com}), or, if they begin with a star,
 * over the rest of the ending ({@code *-17.example.com}). Each such hash is asked once per length
 * of text that occurs in it, at most {@value NamePattern#LENGTH_MAX} times.
 *
 * <p>Every candidate is asked {@link NamePattern#matches}, so the index can only be too slow, never
 * wrong about a match. The cost of a question depends on the name's labels, not on the number of
 * patterns, but for patterns that begin with a star and differ in the middle only ({@code
 * *17*.example.com}): those of one ending are asked in turn.
 *
 * <p>Memory: one node for each label of a distinct ending; some 200 bytes a pattern.
 *
 * <p>Immutable once built; any thread.
 */
public final class NamePatternIndex {
    /** Matches nothing. */
    public static final NamePatternIndex NONE = new NamePatternIndex(List.of());

    private final Map<String, NamePattern> names = new HashMap<>();
    private final Node root = new Node();
    private final @Nullable NamePattern everyName;
    private final int size;

    private NamePatternIndex(final Collection<NamePattern> patterns) {
        NamePattern every = null;
        for (final NamePattern pattern : patterns) {
            if (pattern.matchesEveryName()) {
                every = every == null ? pattern : every;
            } else if (pattern.isName()) {
                names.putIfAbsent(pattern.toString(), pattern);
            } else {
                add(pattern);
            }
        }
        everyName = every;
        size = patterns.size();
    }

    /** An index of these patterns. */
    public static NamePatternIndex of(final Collection<NamePattern> patterns) {
        return patterns.isEmpty() ? NONE : new NamePatternIndex(patterns);
    }

    private void add(final NamePattern pattern) {
        final String end = pattern.literalEnd();
        final int firstDot = end.indexOf('.');
        Node node = root;
        int labelEnd = end.length() - 1;
        while (labelEnd > firstDot) {
            final int dot = end.lastIndexOf('.', labelEnd - 1);
            node = node.child(end.substring(dot + 1, labelEnd));
            labelEnd = dot;
        }
        final String start = pattern.literalStart();
        final String rest = end.substring(0, Math.max(0, firstDot));
        if (!start.isEmpty()) {
            node.byStart.add(start, pattern);
        } else if (!rest.isEmpty()) {
            node.byEnd.add(rest, pattern);
        } else {
            node.others.add(pattern);
        }
    }

    /**
     * A pattern that means the name.
     *
     * @param name lower case and dot-terminated, as {@code DnsMessage.name} gives it
     * @return any one of those that match; null if none does
     */
    public @Nullable NamePattern match(final String name) {
        final NamePattern exact = names.get(name);
        if (exact != null) {
            return exact;
        }
        if (everyName != null && everyName.matches(name)) {
            return everyName;
        }
        Node node = root;
        int labelEnd = name.length() - 1;
        while (true) {
            final NamePattern found = node.match(name, labelEnd);
            if (found != null || labelEnd <= 0) {
                return found;
            }
            final int dot = name.lastIndexOf('.', labelEnd - 1);
            final Node next = node.children.get(name.substring(dot + 1, labelEnd));
            if (next == null) {
                return null;
            }
            node = next;
            labelEnd = dot;
        }
    }

    /** Patterns it was made of. */
    public int size() {
        return size;
    }

    /** Patterns that share the whole labels at their end. */
    private static final class Node {
        private final Map<String, Node> children = new HashMap<>(2);
        private final Literals byStart = new Literals();
        private final Literals byEnd = new Literals();
        private final List<NamePattern> others = new ArrayList<>(1);

        private Node child(final String label) {
            return children.computeIfAbsent(label, _ -> new Node());
        }

        /**
         * Asks those here.
         *
         * @param to the dot that ends what the trie has not yet read
         */
        private @Nullable NamePattern match(final String name, final int to) {
            for (int i = 0; i < others.size(); i++) {
                if (others.get(i).matches(name)) {
                    return others.get(i);
                }
            }
            for (final int length : byStart.lengths) {
                if (length <= name.length()) {
                    final NamePattern found = byStart.match(name.substring(0, length), name);
                    if (found != null) {
                        return found;
                    }
                }
            }
            for (final int length : byEnd.lengths) {
                if (length <= to) {
                    final NamePattern found = byEnd.match(name.substring(to - length, to), name);
                    if (found != null) {
                        return found;
                    }
                }
            }
            return null;
        }
    }

    /** Patterns by a literal part of theirs. */
    private static final class Literals {
        private final Map<String, List<NamePattern>> patterns = new HashMap<>(2);
        private int[] lengths = new int[0];

        private void add(final String literal, final NamePattern pattern) {
            patterns.computeIfAbsent(literal, _ -> new ArrayList<>(1)).add(pattern);
            for (final int length : lengths) {
                if (length == literal.length()) {
                    return;
                }
            }
            final int[] more = new int[lengths.length + 1];
            System.arraycopy(lengths, 0, more, 0, lengths.length);
            more[lengths.length] = literal.length();
            lengths = more;
        }

        private @Nullable NamePattern match(final String literal, final String name) {
            final List<NamePattern> candidates = patterns.get(literal);
            if (candidates != null) {
                for (int i = 0; i < candidates.size(); i++) {
                    if (candidates.get(i).matches(name)) {
                        return candidates.get(i);
                    }
                }
            }
            return null;
        }
    }
}
