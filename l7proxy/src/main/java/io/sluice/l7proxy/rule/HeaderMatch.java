package io.sluice.l7proxy.rule;

import java.util.Optional;

/**
 * One item of {@code headerMatches}: a header, its expected value, and what to do about it.
 *
 * <p>Policies only write {@code mismatch}. What happens on a match is Envoy's side of the same rule
 * and CONTINUE for everything read from a policy.
 *
 * @param name of the header, in any case
 * @param value expected value; empty without a secret means that presence is enough
 * @param secret where the expected value is kept; wins over {@code value}
 * @param onMatch what to do with a request that has the header as expected
 * @param onMismatch what to do with one that has not
 */
public record HeaderMatch(
        String name,
        String value,
        Optional<SecretName> secret,
        OnMatch onMatch,
        OnMismatch onMismatch) {
    /** What to do with the header if it is as expected. */
    public enum OnMatch {
        CONTINUE,
        /** The rule does not match. */
        FAIL,
        /** The rule goes on, the header is removed. */
        DELETE
    }

    /** {@code mismatch}: what to do if the header is absent or has another value. */
    public enum OnMismatch {
        /** The empty text: the rule does not match. */
        FAIL,
        /** The rule goes on, and it is logged. */
        LOG,
        /** The expected value is added beside what is there. */
        ADD,
        /** A header with another value is removed. */
        DELETE,
        /** Whatever is there is replaced by the expected value. */
        REPLACE
    }

    /**
     * Checks the name.
     *
     * @throws RuleSyntaxException if it cannot be that of a header
     */
    public HeaderMatch {
        HttpRule.checkHeaderName("name", name);
    }

    /** The form that policies write. */
    public static HeaderMatch of(
            final String name,
            final String value,
            final Optional<SecretName> secret,
            final OnMismatch onMismatch) {
        return new HeaderMatch(name, value, secret, OnMatch.CONTINUE, onMismatch);
    }

    /** The same match, with a secret that names no namespace looked for in this one. */
    HeaderMatch withSecretIn(final String namespace) {
        return new HeaderMatch(
                name, value, secret.map(written -> written.orIn(namespace)), onMatch, onMismatch);
    }

    /** Whether it does more than decide whether the rule matches. */
    boolean hasAction() {
        return onMatch != OnMatch.CONTINUE || onMismatch != OnMismatch.FAIL;
    }

    boolean isPresence() {
        return value.isEmpty() && secret.isEmpty();
    }
}
