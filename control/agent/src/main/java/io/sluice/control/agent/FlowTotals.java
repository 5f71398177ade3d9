package io.sluice.control.agent;

import io.sluice.dataplane.FlowEnd;
import java.time.Duration;
import java.time.Instant;

/**
 * What a flow came to when it ended. The initiator is the flow's source.
 *
 * @param end why it ended
 * @param firstSeen when it was opened; also by a daemon before this one
 * @param lastSeen when its last packet came, one that was dropped for a cut included
 * @param initiatorPackets packets of the initiator that were forwarded; a super-frame is one
 * @param initiatorBytes their bytes, from the IP header on
 * @param cutReason number of the drop reason of a flow that was cut, else 0
 * @param cutReasonName its name, else empty
 */
public record FlowTotals(
        FlowEnd end,
        Instant firstSeen,
        Instant lastSeen,
        long initiatorPackets,
        long initiatorBytes,
        long responderPackets,
        long responderBytes,
        int cutReason,
        String cutReasonName) {
    /** From the first packet to the last. */
    public Duration duration() {
        return Duration.between(firstSeen, lastSeen);
    }
}
