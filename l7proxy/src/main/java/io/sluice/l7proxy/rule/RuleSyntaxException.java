package io.sluice.l7proxy.rule;

/** A rule that cannot be compiled; the message says what is wrong and what is accepted. */
public final class RuleSyntaxException extends IllegalArgumentException {
    private static final long serialVersionUID = 1L;

    private final String field;

    RuleSyntaxException(final String field, final String message) {
        super(message);
        this.field = field;
    }

    /** Field of the rule as policies name it; empty if it is not about one field. */
    public String field() {
        return field;
    }
}
