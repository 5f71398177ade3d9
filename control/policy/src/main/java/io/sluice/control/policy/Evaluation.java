package io.sluice.control.policy;

/**
 * Answer to a {@link Probe}.
 *
 * @param allowed both directions allow
 * @param verdict FORWARDED or DROPPED
 * @param reason why it is dropped; NONE if it is not
 * @param egress what the source's egress policy says
 * @param ingress what the destination's ingress policy says
 */
public record Evaluation(
        boolean allowed,
        Verdict verdict,
        PolicyEntry.Reason reason,
        PolicyEntry egress,
        PolicyEntry ingress) {
    /** Verdict names as Hubble's. */
    public enum Verdict {
        FORWARDED,
        DROPPED
    }

    static Evaluation of(final PolicyEntry egress, final PolicyEntry ingress) {
        final boolean allowed = egress.isAllowed() && ingress.isAllowed();
        return new Evaluation(
                allowed,
                allowed ? Verdict.FORWARDED : Verdict.DROPPED,
                egress.isAllowed() ? ingress.reason() : egress.reason(),
                egress,
                ingress);
    }
}
