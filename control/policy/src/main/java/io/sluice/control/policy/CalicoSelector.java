package io.sluice.control.policy;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A selector of projectcalico.org/v3.
 *
 * @param root what it says
 */
public record CalicoSelector(Expression root) {
    public static final CalicoSelector ALL = new CalicoSelector(new All());

    /** A text that is no selector. */
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

    /** {@code label op 'value'}. */
    public record Compare(String label, Comparison comparison, String value)
            implements Expression {}

    /** {@code label in {...}}. */
    public record In(String label, Set<String> values) implements Expression {}

    /** {@code label not in {...}}. */
    public record NotIn(String label, Set<String> values) implements Expression {}

    /** {@code !x}. */
    public record Not(Expression operand) implements Expression {}

    /** {@code a && b && ...}. */
    public record And(List<Expression> operands) implements Expression {}

    /** {@code a || b || ...}. */
    public record Or(List<Expression> operands) implements Expression {}

    /** Operators with one value. An absent label is only {@code !=}. */
    public enum Comparison {
        EQUAL,
        NOT_EQUAL,
        CONTAINS,
        STARTS_WITH,
        ENDS_WITH
    }

    public static CalicoSelector parse(final String text) throws SyntaxException {
        throw new SyntaxException(0, "not read yet: " + text);
    }

    /** Whether labels match; {@code global()} never does. */
    public boolean matches(final Map<String, String> labels) {
        return labels.isEmpty();
    }
}
