package io.sluice.conntrack;

import static io.sluice.conntrack.FlowSlot.INT;
import static io.sluice.conntrack.FlowSlot.INT_HANDLE;
import static io.sluice.conntrack.FlowSlot.LONG;
import static io.sluice.conntrack.TableMemory.ALL;
import static io.sluice.conntrack.TableMemory.lineAddress;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * One flow of the table: a cursor that holds the flow as it was at one moment, and changes it.
 *
 * <p>There is one per {@link Conntrack}, moved by {@code lookup}, {@code lookupRelated} and {@code
 * create}. It is valid until the next of these calls or {@code close}; without a flow under it
 * every accessor throws {@link IndexOutOfBoundsException}.
 *
 * <p>What is read is the copy, so that a verdict is never that of another flow which took the slot
 * meanwhile. What is written goes to the slot if the flow is still there, and to the copy in any
 * case: the packet at hand follows what its own lane decided.
 *
 * <p>Sides are named by role, which does not swap on replies: the initiator opened the flow. Ports
 * called {@code initiatorPort} and {@code responderPort} are ports of the switch; the transport's
 * ports are in {@link #initiatorTuple}.
 *
 * <p>Thread: the lane that owns the {@link Conntrack}.
 */
public final class FlowEntry {
    /** No switch port: that side is not known, or has been removed. */
    public static final int NO_PORT = -1;

    /** {@link #policyRevision} of a flow that was never judged, or by a former process. */
    public static final int NO_REVISION = -1;

    static final long NO_SIDES = FlowSlot.sides(NO_PORT, NO_PORT, 0);

    private static final int SWITCH_PORT_MAX = Short.MAX_VALUE;
    private static final int NUMBER_MAX = 0xffff;

    /** What must be the same for a slot to hold the flow of the copy. */
    private static final long SAME_FLOW = FlowSlot.KEY_COMPARED | FlowSlot.KEY_A_INITIATES;

    /** In the place of a sequence number, which is even when a write begins. */
    private static final int GONE = 1;

    private boolean present;
    private boolean reply;
    private boolean isIpv4;
    private int slot;
    private long hotLine;
    private long coldLine;

    // The copy. Of the addresses, those of the family.
    private long addresses;
    private long aHigh;
    private long aLow;
    private long bHigh;
    private long bLow;
    private long key;
    private long deadlineNs;
    private long identities;
    private long sides;
    private int revision;

    FlowEntry() {}

    /** Copies the flow in a slot if it is that of the key. */
    boolean load(final FlowRegion region, final int slotIndex, final FlowKey wanted) {
        final long at = region.hotOf(slotIndex);
        while (true) {
            final int sequence = (int) INT_HANDLE.getAcquire(ALL, at + FlowSlot.SEQUENCE);
            if ((sequence & 1) == 0) {
                if (!region.matches(at, wanted)) {
                    return false;
                }
                key = ALL.get(LONG, at + FlowSlot.KEY);
                deadlineNs = ALL.get(LONG, at + FlowSlot.DEADLINE);
                identities = ALL.get(LONG, at + FlowSlot.IDENTITIES);
                sides = ALL.get(LONG, at + FlowSlot.SIDES);
                revision = ALL.get(INT, at + FlowSlot.REVISION);
                // All of the above is read before the number is read again.
                VarHandle.loadLoadFence();
                if ((int) INT_HANDLE.getOpaque(ALL, at + FlowSlot.SEQUENCE) == sequence) {
                    break;
                }
            }
            Thread.onSpinWait();
        }
        place(region, slotIndex, wanted);
        return true;
    }

    private void place(final FlowRegion region, final int slotIndex, final FlowKey wanted) {
        present = true;
        isIpv4 = region.isIpv4;
        slot = slotIndex;
        hotLine = region.hotLineOf(slotIndex);
        coldLine = region.coldLineOf(slotIndex);
        addresses = wanted.addresses;
        if (!isIpv4) {
            aHigh = wanted.aHigh;
            aLow = wanted.aLow;
            bHigh = wanted.bHigh;
            bLow = wanted.bLow;
        }
        final boolean aInitiates = (key & FlowSlot.KEY_A_INITIATES) != 0;
        reply = wanted.sourceIsA != aInitiates;
    }

    void leave() {
        present = false;
    }

    int slot() {
        check();
        return slot;
    }

    long key() {
        check();
        return key;
    }

    boolean isIpv4() {
        return isIpv4;
    }

    /** IP protocol number. */
    public int protocol() {
        return FlowSlot.protocol(key());
    }

    /** Where the flow is in its life. */
    public FlowState state() {
        return FlowSlot.state(key());
    }

    /** What policy said last; {@link FlowVerdict#DENY} until {@link #recordVerdict}. */
    public FlowVerdict verdict() {
        return FlowSlot.verdict(key());
    }

    /** Transport port that a {@link FlowVerdict#REDIRECT} flow's packets get, else 0. */
    public int proxyPort() {
        return verdict() == FlowVerdict.REDIRECT ? FlowSlot.number(sides) : 0;
    }

    /** Drop reason's number of a {@link FlowVerdict#DENY} flow, else 0. */
    public int dropReason() {
        return verdict() == FlowVerdict.DENY ? FlowSlot.number(sides) : 0;
    }

    /** Revision of the policy that judged the flow, or {@link #NO_REVISION}. */
    public int policyRevision() {
        check();
        return revision;
    }

    /** Index of the switch port on the initiator's side, or {@link #NO_PORT}. */
    public int initiatorPort() {
        check();
        return FlowSlot.initiatorPort(sides);
    }

    /** Index of the switch port on the responder's side, or {@link #NO_PORT}. */
    public int responderPort() {
        check();
        return FlowSlot.responderPort(sides);
    }

    /** Identity of the initiator when the sides were recorded. */
    public int initiatorIdentity() {
        check();
        return (int) identities;
    }

    /** Identity of the responder when the sides were recorded. */
    public int responderIdentity() {
        check();
        return (int) (identities >>> 32);
    }

    /** When the flow is forgotten; compare by difference. */
    public long deadlineNs() {
        check();
        return deadlineNs;
    }

    /** Whether the packet last looked up (for an ICMP error: the quoted one) is the responder's. */
    public boolean isReply() {
        check();
        return reply;
    }

    /** Writes the tuple of the initiator's packets. */
    public void initiatorTuple(final Tuple into) {
        if (isIpv4) {
            FlowSlot.initiatorTupleIpv4(into, key(), addresses);
        } else {
            FlowSlot.initiatorTuple(into, key(), aHigh, aLow, bHigh, bLow);
        }
    }

    /**
     * Keeps what policy said.
     *
     * @param proxyPort 1 to 65535 for {@link FlowVerdict#REDIRECT}, else 0
     * @param dropReason 1 to 65535 for {@link FlowVerdict#DENY}, else 0
     * @param policyRevision revision that was asked
     * @throws IllegalArgumentException if a number does not fit the verdict
     */
    public void recordVerdict(
            final FlowVerdict verdict,
            final int proxyPort,
            final int dropReason,
            final int policyRevision) {
        checkNumber("proxyPort", proxyPort, verdict == FlowVerdict.REDIRECT);
        checkNumber("dropReason", dropReason, verdict == FlowVerdict.DENY);
        final long hot = lineAddress(hotLine);
        final int sequence = beginWrite(hot);
        key = FlowSlot.withVerdict(key, verdict);
        sides =
                FlowSlot.sides(
                        FlowSlot.initiatorPort(sides),
                        FlowSlot.responderPort(sides),
                        proxyPort | dropReason);
        revision = policyRevision;
        if (sequence != GONE) {
            ALL.set(LONG, hot + FlowSlot.KEY, key);
            ALL.set(LONG, hot + FlowSlot.SIDES, sides);
            // With the verdict, lest it stand beside sides that another lane has recorded
            // meanwhile.
            ALL.set(LONG, hot + FlowSlot.IDENTITIES, identities);
            ALL.set(INT, hot + FlowSlot.REVISION, revision);
            FlowRegion.unlockSlot(hot, sequence);
        }
    }

    /**
     * Keeps who the two sides are.
     *
     * @param initiatorPort switch port index, {@link #NO_PORT} or 0 to 32767
     * @param responderPort the same
     * @throws IllegalArgumentException if a port index is out of range
     */
    public void recordSides(
            final int initiatorPort,
            final int initiatorIdentity,
            final int responderPort,
            final int responderIdentity) {
        checkSwitchPort("initiatorPort", initiatorPort);
        checkSwitchPort("responderPort", responderPort);
        final long hot = lineAddress(hotLine);
        final int sequence = beginWrite(hot);
        // The number belongs to the verdict, and that is the slot's of now.
        final long before = sequence == GONE ? sides : ALL.get(LONG, hot + FlowSlot.SIDES);
        sides = FlowSlot.sides(initiatorPort, responderPort, FlowSlot.number(before));
        identities = FlowSlot.identities(initiatorIdentity, responderIdentity);
        if (sequence != GONE) {
            ALL.set(LONG, hot + FlowSlot.SIDES, sides);
            ALL.set(LONG, hot + FlowSlot.IDENTITIES, identities);
            FlowRegion.unlockSlot(hot, sequence);
        }
    }

    /** Moves the deadline alone. */
    void touch(final long newDeadlineNs) {
        final long hot = lineAddress(hotLine);
        final int sequence = beginWrite(hot);
        deadlineNs = newDeadlineNs;
        if (sequence != GONE) {
            ALL.set(LONG, hot + FlowSlot.DEADLINE, deadlineNs);
            FlowRegion.unlockSlot(hot, sequence);
        }
    }

    /**
     * Counts a packet and moves state and deadline.
     *
     * @param tcp what the window check needs, or null to believe the packet as it is
     */
    void advance(
            final ConntrackConfig config,
            final boolean fromInitiator,
            final boolean fresh,
            final int tcpFlags,
            final @Nullable TcpSegment tcp,
            final int lengthBytes,
            final int packets,
            final long nowNs) {
        final long hot = lineAddress(hotLine);
        final int sequence = beginWrite(hot);
        if (sequence == GONE) {
            return;
        }
        count(hot, fromInitiator, lengthBytes, packets);
        final int protocol = FlowSlot.protocol(key);
        if (tcp == null
                || protocol != FlowTracker.PROTOCOL_TCP
                || TcpWindow.accepts(
                        coldLine,
                        fromInitiator,
                        begins(fresh, fromInitiator, tcpFlags),
                        tcpFlags,
                        tcp)) {
            final FlowState before = FlowSlot.state(key);
            FlowState state = FlowTracker.next(before, fromInitiator, tcpFlags);
            if (state == FlowState.REPLIED
                    && protocol == FlowTracker.PROTOCOL_UDP
                    && nowNs - ALL.get(LONG, lineAddress(coldLine) + FlowSlot.CREATED)
                            > ConntrackConfig.UDP_STREAM_AFTER_NS) {
                state = FlowState.STREAM;
            }
            if (state != before) {
                key = FlowSlot.withState(key, state);
                ALL.set(LONG, hot + FlowSlot.KEY, key);
            }
            deadlineNs = nowNs + config.timeoutNs(protocol, state);
            ALL.set(LONG, hot + FlowSlot.DEADLINE, deadlineNs);
        }
        FlowRegion.unlockSlot(hot, sequence);
    }

    /** A SYN may come with other numbers as long as nobody has answered the first. */
    private boolean begins(final boolean fresh, final boolean fromInitiator, final int tcpFlags) {
        return fresh
                || (fromInitiator
                        && FlowSlot.state(key) == FlowState.SYN_SENT
                        && FlowTracker.opensTcp(tcpFlags));
    }

    private void count(
            final long hot, final boolean fromInitiator, final int lengthBytes, final int packets) {
        final long recent = ALL.get(LONG, hot + FlowSlot.RECENT);
        final int shift = fromInitiator ? 0 : FlowSlot.RECENT_RESPONDER_SHIFT;
        final int allPackets = FlowSlot.recentPackets(recent, fromInitiator) + packets;
        final int allBytes = FlowSlot.recentBytes(recent, fromInitiator) + lengthBytes;
        long fresh = 0;
        if (allPackets > FlowSlot.RECENT_PACKETS_MAX || allBytes > FlowSlot.RECENT_BYTES_MAX) {
            final long packetsAt =
                    lineAddress(coldLine)
                            + (fromInitiator
                                    ? FlowSlot.INITIATOR_PACKETS
                                    : FlowSlot.RESPONDER_PACKETS);
            final long bytesAt = packetsAt + Long.BYTES;
            ALL.set(LONG, packetsAt, ALL.get(LONG, packetsAt) + allPackets);
            ALL.set(LONG, bytesAt, ALL.get(LONG, bytesAt) + allBytes);
        } else {
            fresh = ((long) allPackets << FlowSlot.RECENT_PACKETS_SHIFT) | allBytes;
        }
        final long others = recent & ~(0xffff_ffffL << shift);
        ALL.set(LONG, hot + FlowSlot.RECENT, others | (fresh << shift));
    }

    /**
     * Takes the slot and refreshes what other lanes may have changed.
     *
     * @return for {@link FlowRegion#unlockSlot}, or {@link #GONE} if the flow is no longer there;
     *     then nothing is taken
     */
    private int beginWrite(final long hot) {
        check();
        final int sequence = FlowRegion.lockSlot(hot);
        final long word = ALL.get(LONG, hot + FlowSlot.KEY);
        final boolean here =
                ((word ^ key) & SAME_FLOW) == 0
                        && ALL.get(LONG, hot + FlowSlot.ADDRESSES) == addresses
                        && (isIpv4 || isSameIpv6(hot + FlowSlot.IPV6_ADDRESSES));
        if (!here) {
            FlowRegion.unlockSlot(hot, sequence);
            return GONE;
        }
        key = word;
        return sequence;
    }

    private boolean isSameIpv6(final long at) {
        return ALL.get(LONG, at) == aHigh
                && ALL.get(LONG, at + 8) == aLow
                && ALL.get(LONG, at + 16) == bHigh
                && ALL.get(LONG, at + 24) == bLow;
    }

    private void check() {
        if (!present) {
            throw new IndexOutOfBoundsException("no flow under the cursor");
        }
    }

    private static void checkNumber(final String name, final int value, final boolean wanted) {
        if (value < (wanted ? 1 : 0) || value > (wanted ? NUMBER_MAX : 0)) {
            throw new IllegalArgumentException(
                    "flow verdict's "
                            + name
                            + " "
                            + value
                            + ": accepted is "
                            + (wanted ? "1 to 65535" : "0"));
        }
    }

    private static void checkSwitchPort(final String name, final int value) {
        if (value < NO_PORT || value > SWITCH_PORT_MAX) {
            throw new IllegalArgumentException(
                    "flow's " + name + " " + value + ": accepted are -1 to " + SWITCH_PORT_MAX);
        }
    }
}
