package io.sluice.conntrack;

/**
 * A packet's tuple as the flow table compares it: the numerically smaller (address, port) side
 * first, so that a packet and its reply have one key, and its hash.
 *
 * <p>A reused cursor, filled by {@link Conntrack#prepare}; valid for that table until the next
 * {@code prepare} of it. A batch has one for each packet. Thread: owned by one lane.
 */
public final class FlowKey {
    long aHigh;
    long aLow;
    long bHigh;
    long bLow;

    /** Both IPv4 addresses, A in the upper half; of IPv6 flows 0. */
    long addresses;

    /** Ports, protocol and marks: see {@link FlowSlot#KEY}. */
    long word;

    long hash;

    /** Number of the line where a lookup begins: that of the home's hot slot. */
    long homeLine;

    /** Of {@link Conntrack#touch}: lines where the flow probably is; its cold one, or again hot. */
    long hotLine;

    long coldLine;

    boolean isIpv4;
    boolean sourceIsA;
    boolean echoReply;
    int protocol;

    void set(final Tuple tuple, final KeyedHash keyed) {
        final int order = compareSides(tuple);
        sourceIsA = order <= 0;
        protocol = tuple.protocol;
        echoReply = tuple.echoReply;
        final long aPort;
        final long bPort;
        if (sourceIsA) {
            aHigh = tuple.sourceHigh;
            aLow = tuple.sourceLow;
            bHigh = tuple.destinationHigh;
            bLow = tuple.destinationLow;
            aPort = tuple.sourcePort;
            bPort = tuple.destinationPort;
        } else {
            aHigh = tuple.destinationHigh;
            aLow = tuple.destinationLow;
            bHigh = tuple.sourceHigh;
            bLow = tuple.sourceLow;
            aPort = tuple.destinationPort;
            bPort = tuple.sourcePort;
        }
        long key =
                aPort
                        | bPort << FlowSlot.KEY_B_PORT_SHIFT
                        | (long) protocol << FlowSlot.KEY_PROTOCOL_SHIFT
                        | FlowSlot.KEY_OCCUPIED;
        // The request's source asks, or the reply's destination; a host that asks itself is A.
        if (FlowTracker.isIcmp(protocol) && (order == 0 || sourceIsA != echoReply)) {
            key |= FlowSlot.KEY_A_REQUESTS;
        }
        word = key;
        isIpv4 = (aHigh | bHigh) == 0 && (aLow >>> 32) == 0xffffL && (bLow >>> 32) == 0xffffL;
        if (isIpv4) {
            addresses = (aLow << 32) | (bLow & 0xffff_ffffL);
            hash = keyed.of(addresses, key);
        } else {
            addresses = 0;
            hash = keyed.of(aHigh, aLow, bHigh, bLow, key);
        }
    }

    private static int compareSides(final Tuple tuple) {
        if (tuple.sourceHigh != tuple.destinationHigh) {
            return Long.compareUnsigned(tuple.sourceHigh, tuple.destinationHigh);
        }
        if (tuple.sourceLow != tuple.destinationLow) {
            return Long.compareUnsigned(tuple.sourceLow, tuple.destinationLow);
        }
        return Integer.compare(tuple.sourcePort, tuple.destinationPort);
    }
}
