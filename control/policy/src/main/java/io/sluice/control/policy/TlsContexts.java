package io.sluice.control.policy;

import io.sluice.control.policy.CiliumPolicy.TlsContext;
import java.util.Optional;

/**
 * The TLS of both sides of a proxy, by the names of the Secrets that hold its keys. Immutable.
 *
 * @param terminating what clients meet; empty passes their bytes on as they are
 * @param originating what servers meet
 * @param isUsable whether the Secrets are there and can be read; if not, the port lets nothing pass
 */
public record TlsContexts(
        Optional<TlsContext> terminating, Optional<TlsContext> originating, boolean isUsable) {
    /** No TLS on either side. */
    public static final TlsContexts NONE =
            new TlsContexts(Optional.empty(), Optional.empty(), true);

    /** Whether both ask for TLS on the same side, and not for the same. */
    boolean conflictsWith(final TlsContexts other) {
        return differ(terminating, other.terminating) || differ(originating, other.originating);
    }

    private static boolean differ(final Optional<TlsContext> a, final Optional<TlsContext> b) {
        return a.isPresent() && b.isPresent() && !a.equals(b);
    }

    /** What holds where both do; two that conflict let nothing pass. */
    TlsContexts with(final TlsContexts other) {
        return new TlsContexts(
                terminating.or(other::terminating),
                originating.or(other::originating),
                isUsable && other.isUsable && !conflictsWith(other));
    }
}
