package io.sluice.control.policy;

/**
 * One thing wrong, or worth knowing, in what a user wrote.
 *
 * @param where the place
 * @param field path of the field as in {@code spec.ingress[0].from[1].podSelector}; empty when the
 *     problem is not about one field
 * @param severity whether the object may still be used
 * @param message one line: what is wrong and what is accepted
 */
public record Problem(SourceLocation where, String field, Severity severity, String message) {
    /** Weight of a problem. */
    public enum Severity {
        /** The object is refused. */
        ERROR,
        /** The object is used; the message says what it does not do. */
        WARNING
    }

    public static Problem error(
            final SourceLocation where, final String field, final String message) {
        return new Problem(where, field, Severity.ERROR, message);
    }

    public static Problem warning(
            final SourceLocation where, final String field, final String message) {
        return new Problem(where, field, Severity.WARNING, message);
    }

    public boolean isError() {
        return severity == Severity.ERROR;
    }

    /** {@code file:line:column: field: message}; warnings say so before the message. */
    @Override
    public String toString() {
        final StringBuilder line = new StringBuilder();
        if (!where.file().isEmpty()) {
            line.append(where).append(": ");
        }
        if (!field.isEmpty()) {
            line.append(field).append(": ");
        }
        if (severity == Severity.WARNING) {
            line.append("warning: ");
        }
        return line.append(message).toString();
    }
}
