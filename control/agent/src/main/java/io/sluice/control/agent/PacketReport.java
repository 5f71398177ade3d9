package io.sluice.control.agent;

import java.time.Instant;
import java.util.List;
import java.util.Map;

/**
 * What one packet met, in words. Immutable.
 *
 * @param time when the lane had it
 * @param summary who to whom: {@code shop/web:4000 -> shop/db:5432 TCP SYN}
 * @param end FORWARDED, REDIRECTED, PUNTED, ANSWERED or DROPPED
 * @param reason name of the drop reason; empty if it was not dropped
 * @param reasonCode number of the drop reason; 0 if it was not dropped
 * @param stoppedAt the last step that it reached
 * @param revision policy revision that was in force
 * @param steps in their order
 */
public record PacketReport(
        Instant time,
        String summary,
        String end,
        String reason,
        int reasonCode,
        String stoppedAt,
        int revision,
        List<StepReport> steps) {
    /**
     * One step.
     *
     * @param step rx, parse, answer, guard, hop-limit, fragments, conntrack, identity, egress,
     *     ingress, policy, punt, verdict, tx
     * @param text one sentence without a full stop
     * @param facts the same as names and values
     */
    public record StepReport(String step, String text, Map<String, Object> facts) {}
}
