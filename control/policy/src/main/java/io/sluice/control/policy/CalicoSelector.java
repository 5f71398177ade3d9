package io.sluice.control.policy;

import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * A selector of projectcalico.org/v3. Immutable.
 *
 * <p>The tree is what was written, but for white space and runs of {@code !}: an even number of
 * them is none, an odd number one. {@code !(!x)} stays two, as in Calico, and prints as {@code
 * !!x}, which is read as {@code x}.
 *
 * @param root what it says
 */
public record CalicoSelector(Expression root) {
    public static final CalicoSelector ALL = new CalicoSelector(new All());

    /** A text that is no selector. The message says what was found and what was expected. */
    public static final class SyntaxException extends Exception {
        private static final long serialVersionUID = 1L;

        private final int position;

        public SyntaxException(final int position, final String message) {
            super(message);
            this.position = position;
        }

        /** 0-based index of the character where reading stopped. */
        public int position() {
            return position;
        }
    }

    /** Part of a selector. */
    public sealed interface Expression {}

    /** {@code all()}. */
    public record All() implements Expression {}

    /** {@code global()}: no namespace; only as a rule's namespaceSelector. */
    public record Global() implements Expression {}

    /** {@code has(label)}. */
    public record Has(String label) implements Expression {}

    /** {@code label op 'value'}. A value has not both kinds of quotes: there are no escapes. */
    public record Compare(String label, Comparison comparison, String value)
            implements Expression {}

    /** {@code label in {...}}; the values are sorted, and none matches nothing. */
    public record In(String label, Set<String> values) implements Expression {
        public In {
            values = sorted(values);
        }
    }

    /** {@code label not in {...}}; the values are sorted, and none matches everything. */
    public record NotIn(String label, Set<String> values) implements Expression {
        public NotIn {
            values = sorted(values);
        }
    }

    /** {@code !x}. */
    public record Not(Expression operand) implements Expression {}

    /** {@code a && b && ...}. */
    public record And(List<Expression> operands) implements Expression {
        public And {
            operands = List.copyOf(operands);
        }
    }

    /** {@code a || b || ...}. */
    public record Or(List<Expression> operands) implements Expression {
        public Or {
            operands = List.copyOf(operands);
        }
    }

    /** Operators with one value. An absent label is only {@code !=}. */
    public enum Comparison {
        EQUAL("=="),
        NOT_EQUAL("!="),
        CONTAINS("contains"),
        STARTS_WITH("starts with"),
        ENDS_WITH("ends with");

        private final String text;

        Comparison(final String text) {
            this.text = text;
        }

        public String text() {
            return text;
        }
    }

    /** Whose labels a selector is tried on, which is all that {@code global()} asks. */
    private enum Scope {
        NAMESPACE,
        NO_NAMESPACE,
        /** The namespace, or account, of what is in none. */
        NAMESPACE_OF_NOTHING
    }

    /**
     * A hash set that iterates in order, and not {@code Set.copyOf}: that one probes linearly, so a
     * million values chosen to collide would take hours.
     */
    private static Set<String> sorted(final Set<String> values) {
        return Collections.unmodifiableSet(new LinkedHashSet<>(new TreeSet<>(values)));
    }

    /**
     * Reads a selector; blank text is {@code all()}. Any text is answered, in time that grows with
     * its length times its logarithm: what nests deeper than 512 is refused.
     */
    public static CalicoSelector parse(final String text) throws SyntaxException {
        return new CalicoSelectorParser(text).parse();
    }

    /**
     * Whether the labels of a namespace, or of what is in one, match: {@code global()} never does.
     * Allocates nothing.
     */
    public boolean matches(final Map<String, String> labels) {
        return holds(root, labels, Scope.NAMESPACE);
    }

    /**
     * Whether the labels of what is in no namespace (a host endpoint, a global network set) match:
     * {@code global()} always does. Allocates nothing.
     */
    public boolean matchesOutsideNamespaces(final Map<String, String> labels) {
        return holds(root, labels, Scope.NO_NAMESPACE);
    }

    /**
     * Whether it takes what is in no namespace as a {@code namespaceSelector}, or what has no
     * account as a {@code serviceAccountSelector}: as in Calico {@code all()} asks for one,
     * wherever it stands, and {@code global()} for none.
     */
    boolean matchesNothingAround() {
        return holds(root, Map.of(), Scope.NAMESPACE_OF_NOTHING);
    }

    private static boolean holds(
            final Expression expression, final Map<String, String> labels, final Scope scope) {
        return switch (expression) {
            case All _ -> scope != Scope.NAMESPACE_OF_NOTHING;
            case Global _ -> scope != Scope.NAMESPACE;
            case final Has has -> labels.containsKey(has.label());
            case final Compare compare -> holds(compare, labels);
            case final In in -> isListed(in.label(), in.values(), labels);
            case final NotIn notIn -> !isListed(notIn.label(), notIn.values(), labels);
            case final Not not -> !holds(not.operand(), labels, scope);
            case final And and -> allHold(and.operands(), labels, scope);
            case final Or or -> anyHolds(or.operands(), labels, scope);
        };
    }

    private static boolean holds(final Compare compare, final Map<String, String> labels) {
        final String value = labels.get(compare.label());
        if (value == null) {
            return compare.comparison() == Comparison.NOT_EQUAL;
        }
        return switch (compare.comparison()) {
            case EQUAL -> value.equals(compare.value());
            case NOT_EQUAL -> !value.equals(compare.value());
            case CONTAINS -> value.contains(compare.value());
            case STARTS_WITH -> value.startsWith(compare.value());
            case ENDS_WITH -> value.endsWith(compare.value());
        };
    }

    private static boolean isListed(
            final String label, final Set<String> values, final Map<String, String> labels) {
        final String value = labels.get(label);
        return value != null && values.contains(value);
    }

    // By index: an iterator would be an object for each match.

    private static boolean allHold(
            final List<Expression> operands, final Map<String, String> labels, final Scope scope) {
        for (int i = 0; i < operands.size(); i++) {
            if (!holds(operands.get(i), labels, scope)) {
                return false;
            }
        }
        return true;
    }

    private static boolean anyHolds(
            final List<Expression> operands, final Map<String, String> labels, final Scope scope) {
        for (int i = 0; i < operands.size(); i++) {
            if (holds(operands.get(i), labels, scope)) {
                return true;
            }
        }
        return false;
    }

    /** Calico's canonical form, which {@link #parse} reads. */
    @Override
    public String toString() {
        final StringBuilder text = new StringBuilder();
        append(text, root);
        return text.toString();
    }

    private static void append(final StringBuilder text, final Expression expression) {
        switch (expression) {
            case All _ -> text.append("all()");
            case Global _ -> text.append("global()");
            case final Has has -> text.append("has(").append(has.label()).append(')');
            case final Compare compare -> {
                text.append(compare.label()).append(' ');
                text.append(compare.comparison().text()).append(' ');
                appendQuoted(text, compare.value());
            }
            case final In in -> appendSet(text.append(in.label()).append(" in "), in.values());
            case final NotIn notIn ->
                    appendSet(text.append(notIn.label()).append(" not in "), notIn.values());
            case final Not not -> append(text.append('!'), not.operand());
            case final And and -> appendJoined(text, and.operands(), " && ");
            case final Or or -> appendJoined(text, or.operands(), " || ");
        }
    }

    private static void appendJoined(
            final StringBuilder text, final List<Expression> operands, final String between) {
        String separator = "(";
        for (final Expression operand : operands) {
            append(text.append(separator), operand);
            separator = between;
        }
        text.append(')');
    }

    private static void appendSet(final StringBuilder text, final Set<String> values) {
        text.append('{');
        String separator = "";
        for (final String value : values) {
            appendQuoted(text.append(separator), value);
            separator = ", ";
        }
        text.append('}');
    }

    private static void appendQuoted(final StringBuilder text, final String value) {
        final char quote = value.indexOf('"') < 0 ? '"' : '\'';
        text.append(quote).append(value).append(quote);
    }
}
