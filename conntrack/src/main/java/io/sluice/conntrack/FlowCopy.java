package io.sluice.conntrack;

import static io.sluice.conntrack.FlowSlot.INT;
import static io.sluice.conntrack.FlowSlot.LONG;

import java.lang.foreign.MemorySegment;

/**
 * A flow as it was at one moment, counters included: what {@link FlowEnds} is told, and what
 * listings are made of. A cursor like {@link FlowEntry}, but one that only reads, and all of a
 * flow.
 *
 * <p>Sides are named by role: the initiator opened the flow. {@code initiatorPort} and {@code
 * responderPort} are ports of the switch; the transport's are in {@link #tuple}.
 *
 * <p>Thread: one; reused for every flow.
 */
public final class FlowCopy {
    /** Of the initiator's packets; an echo's identifier is both its ports. */
    public final Tuple tuple = new Tuple();

    public FlowState state = FlowState.UNREPLIED;
    public FlowVerdict verdict = FlowVerdict.DENY;

    /** Drop reason's number of a {@link FlowVerdict#DENY} flow, else 0. */
    public int dropReason;

    /** Listener of a {@link FlowVerdict#REDIRECT} flow, else 0. */
    public int proxyPort;

    /** Revision of the policy that judged the flow last, or {@link FlowEntry#NO_REVISION}. */
    public int policyRevision;

    /** Index of the switch port on the initiator's side, or {@link FlowEntry#NO_PORT}. */
    public int initiatorPort;

    /** The same on the responder's side. */
    public int responderPort;

    public int initiatorIdentity;
    public int responderIdentity;
    public long initiatorPackets;
    public long initiatorBytes;
    public long responderPackets;
    public long responderBytes;

    /** When the flow was opened, on the lanes' clock; also by a former process of this boot. */
    public long createdNs;

    /** When it is, or would have been, forgotten. */
    public long deadlineNs;

    /**
     * When its last packet came that moved the deadline, told from the deadline and the time-out of
     * its state: exact but for packets that a window check counted and did not believe, and for
     * flows of a former process with other time-outs. Never before {@link #createdNs}. Only in what
     * {@link FlowEnds} is told.
     */
    public long lastPacketNs;

    /** Whether something was read since this was last false. */
    boolean isRead;

    FlowCopy() {}

    /**
     * Copies a flow that nobody writes meanwhile.
     *
     * @param hot memory of the hot slot, at {@code hotAt}
     * @param cold memory of the cold slot, at {@code coldAt}
     */
    void read(
            final boolean isIpv4,
            final MemorySegment hot,
            final long hotAt,
            final MemorySegment cold,
            final long coldAt) {
        final long key = hot.get(LONG, hotAt + FlowSlot.KEY);
        if (isIpv4) {
            FlowSlot.initiatorTupleIpv4(tuple, key, hot.get(LONG, hotAt + FlowSlot.ADDRESSES));
        } else {
            final long addresses = hotAt + FlowSlot.IPV6_ADDRESSES;
            FlowSlot.initiatorTuple(
                    tuple,
                    key,
                    hot.get(LONG, addresses),
                    hot.get(LONG, addresses + 8),
                    hot.get(LONG, addresses + 16),
                    hot.get(LONG, addresses + 24));
        }
        state = FlowSlot.state(key);
        verdict = FlowSlot.verdict(key);
        final long sides = hot.get(LONG, hotAt + FlowSlot.SIDES);
        final int number = FlowSlot.number(sides);
        dropReason = verdict == FlowVerdict.DENY ? number : 0;
        proxyPort = verdict == FlowVerdict.REDIRECT ? number : 0;
        policyRevision = hot.get(INT, hotAt + FlowSlot.REVISION);
        initiatorPort = FlowSlot.initiatorPort(sides);
        responderPort = FlowSlot.responderPort(sides);
        final long identities = hot.get(LONG, hotAt + FlowSlot.IDENTITIES);
        initiatorIdentity = (int) identities;
        responderIdentity = (int) (identities >>> 32);
        final long recent = hot.get(LONG, hotAt + FlowSlot.RECENT);
        initiatorPackets =
                cold.get(LONG, coldAt + FlowSlot.INITIATOR_PACKETS)
                        + FlowSlot.recentPackets(recent, true);
        initiatorBytes =
                cold.get(LONG, coldAt + FlowSlot.INITIATOR_BYTES)
                        + FlowSlot.recentBytes(recent, true);
        responderPackets =
                cold.get(LONG, coldAt + FlowSlot.RESPONDER_PACKETS)
                        + FlowSlot.recentPackets(recent, false);
        responderBytes =
                cold.get(LONG, coldAt + FlowSlot.RESPONDER_BYTES)
                        + FlowSlot.recentBytes(recent, false);
        createdNs = cold.get(LONG, coldAt + FlowSlot.CREATED);
        deadlineNs = hot.get(LONG, hotAt + FlowSlot.DEADLINE);
        isRead = true;
    }

    /** Tells {@link #lastPacketNs} from the deadline. */
    void findLastPacket(final ConntrackConfig config, final long nowNs) {
        final long lastNs = deadlineNs - config.timeoutNs(tuple.protocol, state);
        lastPacketNs = lastNs - createdNs < 0 ? createdNs : lastNs - nowNs > 0 ? nowNs : lastNs;
    }
}
