package io.sluice.conntrack;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * One flow of the table: a cursor over its slot.
 *
 * <p>There is one per {@link Conntrack}, moved by {@code lookup}, {@code lookupRelated} and {@code
 * create}. It is valid until the next of these calls, {@code close} or {@code expire}; without a
 * flow under it every accessor throws {@link IndexOutOfBoundsException}.
 *
 * <p>Sides are named by role, which does not swap on replies: the initiator opened the flow. Ports
 * called {@code initiatorPort} and {@code responderPort} are ports of the switch; the transport's
 * ports are in {@link #initiatorTuple}.
 *
 * <p>Thread: the lane that owns the table.
 */
public final class FlowEntry {
    /** No switch port: that side is not known, or has been removed. */
    public static final int NO_PORT = -1;

    /** {@link #policyRevision} of a flow that was never judged. */
    public static final long NO_REVISION = -1;

    // Slot layout, offsets in bytes. The first cache line is all that a lookup reads, the second
    // holds what a passing packet counts; the two are an aligned pair of lines. Everything is
    // written inside a bracket of SEQUENCE (beginWrite, endWrite) except HOME_MAP, which belongs to
    // the slot as a place and not to the flow in it (see Conntrack).
    static final long HOME_MAP = 0;
    static final long A_HIGH = 8;
    static final long A_LOW = 16;
    static final long B_HIGH = 24;
    static final long B_LOW = 32;
    static final long KEY = 40;
    static final long DEADLINE = 48;
    static final long STATE = 56;
    static final long VERDICT = 57;
    static final long DISTANCE = 58;
    static final long PROXY_PORT = 60;
    static final long DROP_REASON = 62;
    static final long SEQUENCE = 64;
    static final long INITIATOR_PORT = 68;
    static final long RESPONDER_PORT = 70;
    static final long INITIATOR_PACKETS = 72;
    static final long INITIATOR_BYTES = 80;
    static final long RESPONDER_PACKETS = 88;
    static final long RESPONDER_BYTES = 96;
    static final long CREATED = 104;
    static final long REVISION = 112;
    static final long INITIATOR_IDENTITY = 120;
    static final long RESPONDER_IDENTITY = 124;

    /** Two cache lines. */
    static final long SLOT_BYTES = 128;

    // The word at KEY: transport port of side A (16 bits), of side B (16), protocol (8), then:
    static final int KEY_B_PORT_SHIFT = 16;
    static final int KEY_PROTOCOL_SHIFT = 32;

    /** A flow is here. Part of every key looked for, so a free slot matches none. */
    static final long KEY_OCCUPIED = 1L << 40;

    /** Echo only: side A sends the requests. Part of the key. */
    static final long KEY_A_REQUESTS = 1L << 41;

    /** Side A is the initiator. Not part of the key. */
    static final long KEY_A_INITIATES = 1L << 42;

    /** Offset of no slot; any access through it is out of bounds. */
    static final long NOWHERE = Long.MIN_VALUE;

    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

    /** Ordered access to SEQUENCE: coordinates are segment and offset. */
    static final VarHandle SEQUENCE_HANDLE = INT.varHandle();

    private static final int SWITCH_PORT_MAX = Short.MAX_VALUE;
    private static final int NUMBER_MAX = 0xffff;

    private final MemorySegment memory;
    private long base = NOWHERE;
    private boolean reply;

    FlowEntry(final MemorySegment memory) {
        this.memory = memory;
    }

    void moveTo(final long slotBase, final boolean isReply) {
        base = slotBase;
        reply = isReply;
    }

    void leave() {
        base = NOWHERE;
    }

    long base() {
        return base;
    }

    /** IP protocol number. */
    public int protocol() {
        return (int) (key() >>> KEY_PROTOCOL_SHIFT) & 0xff;
    }

    /** Where the flow is in its life. */
    public FlowState state() {
        return FlowState.of(memory.get(BYTE, base + STATE));
    }

    /** What policy said last; {@link FlowVerdict#DENY} until {@link #recordVerdict}. */
    public FlowVerdict verdict() {
        return FlowVerdict.of(memory.get(BYTE, base + VERDICT));
    }

    /** Transport port of the proxy's listener of a {@link FlowVerdict#REDIRECT} flow, else 0. */
    public int proxyPort() {
        return Short.toUnsignedInt(memory.get(SHORT, base + PROXY_PORT));
    }

    /** Drop reason's number of a {@link FlowVerdict#DENY} flow, else 0. */
    public int dropReason() {
        return Short.toUnsignedInt(memory.get(SHORT, base + DROP_REASON));
    }

    /** Revision of the policy that judged the flow, or {@link #NO_REVISION}. */
    public long policyRevision() {
        return memory.get(LONG, base + REVISION);
    }

    /** Index of the switch port on the initiator's side, or {@link #NO_PORT}. */
    public int initiatorPort() {
        return memory.get(SHORT, base + INITIATOR_PORT);
    }

    /** Index of the switch port on the responder's side, or {@link #NO_PORT}. */
    public int responderPort() {
        return memory.get(SHORT, base + RESPONDER_PORT);
    }

    /** Identity of the initiator when the sides were recorded. */
    public int initiatorIdentity() {
        return memory.get(INT, base + INITIATOR_IDENTITY);
    }

    /** Identity of the responder when the sides were recorded. */
    public int responderIdentity() {
        return memory.get(INT, base + RESPONDER_IDENTITY);
    }

    /** Packets the initiator sent, as {@link Conntrack#advance} was told. */
    public long initiatorPackets() {
        return memory.get(LONG, base + INITIATOR_PACKETS);
    }

    /** Bytes the initiator sent. */
    public long initiatorBytes() {
        return memory.get(LONG, base + INITIATOR_BYTES);
    }

    /** Packets the responder sent. */
    public long responderPackets() {
        return memory.get(LONG, base + RESPONDER_PACKETS);
    }

    /** Bytes the responder sent. */
    public long responderBytes() {
        return memory.get(LONG, base + RESPONDER_BYTES);
    }

    /** When the flow was opened, on the clock handed to {@code create}, in ns. */
    public long createdNs() {
        return memory.get(LONG, base + CREATED);
    }

    /** When the flow is forgotten; compare by difference. */
    public long deadlineNs() {
        return memory.get(LONG, base + DEADLINE);
    }

    /** Whether the packet last looked up (for an ICMP error: the quoted one) is the responder's. */
    public boolean isReply() {
        return reply;
    }

    /** Writes the tuple of the initiator's packets. */
    public void initiatorTuple(final Tuple into) {
        final long key = key();
        final int aPort = (int) key & NUMBER_MAX;
        final int bPort = (int) (key >>> KEY_B_PORT_SHIFT) & NUMBER_MAX;
        final long aHigh = memory.get(LONG, base + A_HIGH);
        final long aLow = memory.get(LONG, base + A_LOW);
        final long bHigh = memory.get(LONG, base + B_HIGH);
        final long bLow = memory.get(LONG, base + B_LOW);
        final boolean aInitiates = (key & KEY_A_INITIATES) != 0;
        into.protocol = protocol();
        into.echoReply = false;
        into.sourceHigh = aInitiates ? aHigh : bHigh;
        into.sourceLow = aInitiates ? aLow : bLow;
        into.sourcePort = aInitiates ? aPort : bPort;
        into.destinationHigh = aInitiates ? bHigh : aHigh;
        into.destinationLow = aInitiates ? bLow : aLow;
        into.destinationPort = aInitiates ? bPort : aPort;
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
            final long policyRevision) {
        checkNumber("proxyPort", proxyPort, verdict == FlowVerdict.REDIRECT);
        checkNumber("dropReason", dropReason, verdict == FlowVerdict.DENY);
        final int sequence = beginWrite();
        memory.set(BYTE, base + VERDICT, verdict.code);
        memory.set(SHORT, base + PROXY_PORT, (short) proxyPort);
        memory.set(SHORT, base + DROP_REASON, (short) dropReason);
        memory.set(LONG, base + REVISION, policyRevision);
        endWrite(sequence);
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
        final int sequence = beginWrite();
        memory.set(SHORT, base + INITIATOR_PORT, (short) initiatorPort);
        memory.set(INT, base + INITIATOR_IDENTITY, initiatorIdentity);
        memory.set(SHORT, base + RESPONDER_PORT, (short) responderPort);
        memory.set(INT, base + RESPONDER_IDENTITY, responderIdentity);
        endWrite(sequence);
    }

    /** Opens a write that readers of other threads see whole or not at all. */
    int beginWrite() {
        final int sequence = memory.get(INT, base + SEQUENCE);
        SEQUENCE_HANDLE.setOpaque(memory, base + SEQUENCE, sequence + 1);
        // The odd number becomes visible before any of the fields.
        VarHandle.storeStoreFence();
        return sequence;
    }

    /**
     * @param sequence what {@link #beginWrite} returned
     */
    void endWrite(final int sequence) {
        SEQUENCE_HANDLE.setRelease(memory, base + SEQUENCE, sequence + 2);
    }

    private long key() {
        return memory.get(LONG, base + KEY);
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
