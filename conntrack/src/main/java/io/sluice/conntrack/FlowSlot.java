package io.sluice.conntrack;

import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * Layout of a flow in the table's memory: a hot slot and a cold one.
 *
 * <p>Why two. A lookup and what follows a verdict need 54 bytes of an IPv4 flow: both addresses and
 * ports, state, verdict, deadline, revision, both identities and switch ports, the sequence lock
 * and the map of the neighbourhood. They are the hot slot, one cache line. Counters of 64 bits and
 * the TCP windows would take 52 more. They are the cold slot, a line of its own at the same index.
 * So that a packet need not touch it to be counted, the last 8 hot bytes hold what was counted
 * since they were last added to the cold counters: up to 255 packets and 16 MiB per direction. A
 * UDP packet touches the cold line once in 255, a TCP packet always while windows are checked.
 *
 * <p>IPv6 flows have a second hot line for their addresses.
 */
final class FlowSlot {
    // Hot slot, offsets in bytes. Everything is written inside the bracket of SEQUENCE (odd while
    // it is being written) except HOME_MAP, which belongs to the place and not to the flow in it.

    /** IPv4: both addresses, A in the upper half. IPv6: 0. */
    static final long ADDRESSES = 0;

    static final long KEY = 8;

    /** Bit n: slot n from here holds a flow whose home is here. */
    static final long HOME_MAP = 16;

    static final long DEADLINE = 24;
    static final long SEQUENCE = 32;
    static final long REVISION = 36;

    /** The initiator's (lower half) and the responder's. */
    static final long IDENTITIES = 40;

    /** Switch ports, 16 bits each: initiator, responder; then proxy port or drop reason. */
    static final long SIDES = 48;

    /** Per direction, the initiator's in the lower half: bytes (24 bits), packets (8 bits). */
    static final long RECENT = 56;

    /** IPv6 only: four words, high and low of A and of B. */
    static final long IPV6_ADDRESSES = 64;

    static final int IPV4_SLOT_SHIFT = 6;
    static final int IPV6_SLOT_SHIFT = 7;

    // Cold slot.
    static final long CREATED = 0;
    static final long INITIATOR_PACKETS = 8;
    static final long INITIATOR_BYTES = 16;
    static final long RESPONDER_PACKETS = 24;
    static final long RESPONDER_BYTES = 32;

    /** Windows of the two sides, 8 bytes each, and what they share: see {@link TcpWindow}. */
    static final long WINDOWS = 40;

    static final int COLD_WORDS = 8;

    // The word at KEY: transport port of side A (16 bits), of side B (16), protocol (8), then:
    static final int KEY_B_PORT_SHIFT = 16;
    static final int KEY_PROTOCOL_SHIFT = 32;

    /** A flow is here. Part of every key looked for, so a free slot matches none. */
    static final long KEY_OCCUPIED = 1L << 40;

    /** Echo only: side A sends the requests. Part of the key. */
    static final long KEY_A_REQUESTS = 1L << 41;

    /** What of the word is compared. */
    static final long KEY_COMPARED = (1L << 42) - 1;

    /** Side A is the initiator. */
    static final long KEY_A_INITIATES = 1L << 42;

    /** Slots from the home to the flow, 6 bits. */
    static final int KEY_DISTANCE_SHIFT = 43;

    /** State's code, 4 bits. */
    static final int KEY_STATE_SHIFT = 49;

    /** Verdict's code, 2 bits. */
    static final int KEY_VERDICT_SHIFT = 53;

    /** The rest of the word is 0. */
    static final int KEY_END_SHIFT = 55;

    static final int DISTANCE_MASK = 0x3f;
    static final int STATE_MASK = 0xf;
    static final int VERDICT_MASK = 0x3;

    static final int RECENT_RESPONDER_SHIFT = 32;
    static final int RECENT_PACKETS_SHIFT = 24;
    static final int RECENT_PACKETS_MAX = 0xff;
    static final int RECENT_BYTES_MAX = 0xff_ffff;

    static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    static final VarHandle INT_HANDLE = INT.varHandle();
    static final VarHandle LONG_HANDLE = LONG.varHandle();

    private FlowSlot() {}

    static int distance(final long key) {
        return (int) (key >>> KEY_DISTANCE_SHIFT) & DISTANCE_MASK;
    }

    static int stateCode(final long key) {
        return (int) (key >>> KEY_STATE_SHIFT) & STATE_MASK;
    }

    static FlowState state(final long key) {
        return FlowState.of((byte) stateCode(key));
    }

    static long withState(final long key, final FlowState state) {
        return (key & ~((long) STATE_MASK << KEY_STATE_SHIFT))
                | ((long) state.code << KEY_STATE_SHIFT);
    }

    static int verdictCode(final long key) {
        return (int) (key >>> KEY_VERDICT_SHIFT) & VERDICT_MASK;
    }

    static FlowVerdict verdict(final long key) {
        return FlowVerdict.of((byte) verdictCode(key));
    }

    static long withVerdict(final long key, final FlowVerdict verdict) {
        return (key & ~((long) VERDICT_MASK << KEY_VERDICT_SHIFT))
                | ((long) verdict.code << KEY_VERDICT_SHIFT);
    }

    static int protocol(final long key) {
        return (int) (key >>> KEY_PROTOCOL_SHIFT) & 0xff;
    }

    static long sides(final int initiatorPort, final int responderPort, final int number) {
        return (initiatorPort & 0xffffL)
                | (responderPort & 0xffffL) << 16
                | (number & 0xffffL) << 32;
    }

    static int initiatorPort(final long sides) {
        return (short) sides;
    }

    static int responderPort(final long sides) {
        return (short) (sides >>> 16);
    }

    /** Proxy port of a REDIRECT flow, drop reason of a DENY flow. */
    static int number(final long sides) {
        return (int) (sides >>> 32) & 0xffff;
    }

    static long identities(final int initiator, final int responder) {
        return Integer.toUnsignedLong(initiator) | ((long) responder << 32);
    }

    static int recentPackets(final long recent, final boolean ofInitiator) {
        return half(recent, ofInitiator) >>> RECENT_PACKETS_SHIFT;
    }

    static int recentBytes(final long recent, final boolean ofInitiator) {
        return half(recent, ofInitiator) & RECENT_BYTES_MAX;
    }

    private static int half(final long recent, final boolean ofInitiator) {
        return (int) (ofInitiator ? recent : recent >>> RECENT_RESPONDER_SHIFT);
    }

    /** Writes the tuple of the initiator's packets. */
    static void initiatorTuple(
            final Tuple into,
            final long key,
            final long aHigh,
            final long aLow,
            final long bHigh,
            final long bLow) {
        final int aPort = (int) key & 0xffff;
        final int bPort = (int) (key >>> KEY_B_PORT_SHIFT) & 0xffff;
        final boolean aInitiates = (key & KEY_A_INITIATES) != 0;
        into.protocol = protocol(key);
        into.echoReply = false;
        into.sourceHigh = aInitiates ? aHigh : bHigh;
        into.sourceLow = aInitiates ? aLow : bLow;
        into.sourcePort = aInitiates ? aPort : bPort;
        into.destinationHigh = aInitiates ? bHigh : aHigh;
        into.destinationLow = aInitiates ? bLow : aLow;
        into.destinationPort = aInitiates ? bPort : aPort;
    }

    /** The same for the word at {@link #ADDRESSES}. */
    static void initiatorTupleIpv4(final Tuple into, final long key, final long addresses) {
        initiatorTuple(
                into,
                key,
                Tuple.IPV4_MAPPED_HIGH,
                Tuple.mapped((int) (addresses >>> 32)),
                Tuple.IPV4_MAPPED_HIGH,
                Tuple.mapped((int) addresses));
    }
}
