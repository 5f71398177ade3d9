package io.sluice.control.policy;

import java.util.Optional;

/**
 * Answer to a {@link Probe}.
 *
 * @param allowed the end result: both directions allow, and the proxy where there is one and the
 *     probe has a request for it
 * @param verdict what becomes of the packet
 * @param reason why it is dropped; NONE if it is not
 * @param egress what the source's egress policy says
 * @param ingress what the destination's ingress policy says
 * @param request what the proxy answers to the request of the probe; empty without a proxy or
 *     without a request that it reads
 * @param pending whether it would be allowed if the staged policies were enforced; empty where none
 *     of these concerns the ends
 */
public record Evaluation(
        boolean allowed,
        Verdict verdict,
        PolicyEntry.Reason reason,
        PolicyEntry egress,
        PolicyEntry ingress,
        Optional<RequestAnswer> request,
        Optional<Pending> pending) {
    /** Verdict names as Hubble's. */
    public enum Verdict {
        FORWARDED,
        DROPPED,
        /** Handed to a proxy, whatever that says to the request. */
        REDIRECTED,
        /** Passes although policies that are audited deny it. */
        AUDIT
    }

    /**
     * What a proxy says.
     *
     * @param allowed whether the request is forwarded
     * @param answer what the client gets if it is not: {@code HTTP 403}, {@code REFUSED}; empty if
     *     it is
     * @param by who decided
     */
    public record RequestAnswer(boolean allowed, String answer, Author by) {}

    /**
     * What would be.
     *
     * @param allowed both directions would allow the packet
     * @param egress what the source's egress policy would say
     * @param ingress what the destination's ingress policy would say
     */
    public record Pending(boolean allowed, PolicyEntry egress, PolicyEntry ingress) {}
}
