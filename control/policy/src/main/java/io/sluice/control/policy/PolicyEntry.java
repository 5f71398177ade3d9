package io.sluice.control.policy;

/**
 * Result of a policy lookup.
 *
 * @param verdict what policy says
 * @param reason why, where the verdict is DENY; NONE otherwise
 * @param by who decided
 */
public record PolicyEntry(Verdict verdict, Reason reason, Author by) {
    /** What policy says. */
    public enum Verdict {
        ALLOW,
        DENY
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
        return new PolicyEntry(Verdict.ALLOW, Reason.NONE, by);
    }

    public static PolicyEntry deny(final Reason reason, final Author by) {
        return new PolicyEntry(Verdict.DENY, reason, by);
    }

    public boolean isAllowed() {
        return verdict == Verdict.ALLOW;
    }
}
