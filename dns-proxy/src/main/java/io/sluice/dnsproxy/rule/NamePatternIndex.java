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

    private final Map<String, List<NamePattern>> names = new HashMap<>();
    private final Node root = new Node();
    private final List<NamePattern> everyName = new ArrayList<>(1);
    private final int size;

    private NamePatternIndex(final Collection<NamePattern> patterns) {
        for (final NamePattern pattern : patterns) {
            if (pattern.matchesEveryName()) {
                everyName.add(pattern);
            } else if (pattern.isName()) {
                names.computeIfAbsent(pattern.toString(), _ -> new ArrayList<>(1)).add(pattern);
            } else {
                add(pattern);
            }
        }
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
        final First first = new First();
        visit(name, first);
        return first.found;
    }

    /** Takes patterns. */
    @FunctionalInterface
    public interface Sink {
        /** Takes one. */
        void take(NamePattern pattern);
    }

    /**
     * All patterns that mean the name.
     *
     * @param name lower case and dot-terminated
     */
    public void forEachMatch(final String name, final Sink sink) {
        visit(
                name,
                pattern -> {
                    sink.take(pattern);
                    return false;
                });
    }

    /** Takes patterns that match, until it has seen enough. */
    private interface Visitor {
        /** Whether it has seen enough. */
        boolean visit(NamePattern pattern);
    }

    private static final class First implements Visitor {
        private @Nullable NamePattern found;

        @Override
        public boolean visit(final NamePattern pattern) {
            found = pattern;
            return true;
        }
    }

    private void visit(final String name, final Visitor visitor) {
        if (visit(names.get(name), name, visitor) || visit(everyName, name, visitor)) {
            return;
        }
        Node node = root;
        int labelEnd = name.length() - 1;
        while (!node.visit(name, labelEnd, visitor) && labelEnd > 0) {
            final int dot = name.lastIndexOf('.', labelEnd - 1);
            final Node next = node.children.get(name.substring(dot + 1, labelEnd));
            if (next == null) {
                return;
            }
            node = next;
            labelEnd = dot;
        }
    }

    private static boolean visit(
            final @Nullable List<NamePattern> candidates,
            final String name,
            final Visitor visitor) {
        if (candidates != null) {
            for (int i = 0; i < candidates.size(); i++) {
                if (candidates.get(i).matches(name) && visitor.visit(candidates.get(i))) {
                    return true;
                }
            }
        }
        return false;
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
        private boolean visit(final String name, final int to, final Visitor visitor) {
            if (NamePatternIndex.visit(others, name, visitor)) {
                return true;
            }
            for (final int length : byStart.lengths) {
                if (length <= name.length()
                        && byStart.visit(name.substring(0, length), name, visitor)) {
                    return true;
                }
            }
            for (final int length : byEnd.lengths) {
                if (length <= to && byEnd.visit(name.substring(to - length, to), name, visitor)) {
                    return true;
                }
            }
            return false;
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

        private boolean visit(final String literal, final String name, final Visitor visitor) {
            return NamePatternIndex.visit(patterns.get(literal), name, visitor);
        }
    }
}
