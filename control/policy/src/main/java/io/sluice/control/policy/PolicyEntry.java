package io.sluice.control.policy;

import java.util.List;
import java.util.Optional;

/**
 * Result of a policy lookup.
 *
 * @param verdict what the enforced policies say
 * @param reason why, where the verdict is DENY; NONE otherwise
 * @param by who decided
 * @param redirect what a proxy has to check, where the verdict is REDIRECT
 * @param logs Log rules that the packet passed on its way to the decision
 * @param audited what would be said if the audited policies were enforced too, where that differs
 */
public record PolicyEntry(
        Verdict verdict,
        Reason reason,
        Author by,
        Optional<Redirect> redirect,
        List<Author> logs,
        Optional<PolicyEntry> audited) {
    /** What policy says. */
    public enum Verdict {
        ALLOW,
        DENY,
        /** Allowed as far as headers tell; a proxy asks the {@link Redirect} about each request. */
        REDIRECT
    }

    /**
     * What a proxy has to check.
     *
     * @param rules a request that these allow is allowed
     * @param otherwise what holds for a request that they do not allow; possibly another redirect
     */
    public record Redirect(L7Rules rules, PolicyEntry otherwise) {
        /** Whether every request passes: the proxy only observes. */
        public boolean allowsAll() {
            return (rules.matchesAll() && rules.tls().isUsable())
                    || otherwise.verdict == Verdict.ALLOW
                    || otherwise.redirect.map(Redirect::allowsAll).orElse(false);
        }
    }

    /** Why policy denies. Names and numbers are the drop reasons' of the data plane. */
    public enum Reason {
        /** Nothing is denied. */
        NONE(0),
        /** The endpoint is isolated and no rule allowed the packet. */
        POLICY_DENIED(133),
        /** A rule denied the packet explicitly. */
        POLICY_DENY(181),
        /** A rule allows the packet to authenticated peers only. */
        AUTH_REQUIRED(189),
        /** A rule allows some requests only, and nothing is there that could tell them apart. */
        L7_NOT_ENFORCEABLE(303);

        private final int number;

        Reason(final int number) {
            this.number = number;
        }

        /** Drop reason number: Cilium's below 300, Sluice's own from 300. */
        public int number() {
            return number;
        }
    }

    public static PolicyEntry allow(final Author by) {
        return new PolicyEntry(
                Verdict.ALLOW, Reason.NONE, by, Optional.empty(), List.of(), Optional.empty());
    }

    public static PolicyEntry deny(final Reason reason, final Author by) {
        return new PolicyEntry(
                Verdict.DENY, reason, by, Optional.empty(), List.of(), Optional.empty());
    }

    static PolicyEntry redirect(final L7Rules rules, final PolicyEntry otherwise, final Author by) {
        return new PolicyEntry(
                Verdict.REDIRECT,
                Reason.NONE,
                by,
                Optional.of(new Redirect(rules, otherwise)),
                List.of(),
                Optional.empty());
    }

    PolicyEntry withLogs(final List<Author> passed) {
        return passed.isEmpty()
                ? this
                : new PolicyEntry(verdict, reason, by, redirect, List.copyOf(passed), audited);
    }

    PolicyEntry withAudited(final PolicyEntry other) {
        return new PolicyEntry(verdict, reason, by, redirect, logs, Optional.of(other));
    }

    /**
     * What holds where several are asked and all must allow: the first that denies, else the first
     * that asks a proxy, else the first.
     *
     * @param entries at least one
     */
    static PolicyEntry allOf(final List<PolicyEntry> entries) {
        if (entries.size() == 1) {
            return entries.getFirst();
        }
        final PolicyEntry held = strictest(entries);
        final PolicyEntry unaudited =
                strictest(entries.stream().map(entry -> entry.audited.orElse(entry)).toList());
        return Canvas.compared(held.withoutAudited(), unaudited.withoutAudited());
    }

    private static PolicyEntry strictest(final List<PolicyEntry> entries) {
        for (final Verdict wanted : List.of(Verdict.DENY, Verdict.REDIRECT)) {
            for (final PolicyEntry entry : entries) {
                if (entry.verdict == wanted) {
                    return entry;
                }
            }
        }
        return entries.getFirst();
    }

    private PolicyEntry withoutAudited() {
        return new PolicyEntry(verdict, reason, by, redirect, logs, Optional.empty());
    }

    /** Whether the packet passes, to its destination or to a proxy. */
    public boolean isAllowed() {
        return verdict != Verdict.DENY;
    }

    /** Whether the packet passes only because the policies that deny it are audited. */
    public boolean isAudit() {
        return isAllowed() && audited.isPresent() && !audited.get().isAllowed();
    }
}
