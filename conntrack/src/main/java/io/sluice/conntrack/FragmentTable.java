package io.sluice.conntrack;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;

/**
 * Ports of datagrams whose later fragments are still to come.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Only the first fragment of a datagram carries the transport header. Its ports are kept here
 * under what all fragments share: addresses, protocol and identification (RFC 791 section 3.2, RFC
 * 8200 section 4.5). A later fragment finds them and is then looked up like any packet of its flow.
 * Nothing is put together and nothing is held back: a later fragment that comes before the first
 * finds nothing, and its caller drops it. Linux sends first fragments first, so that costs nothing
 * on the inside; from outside a reordered datagram is lost, as in Cilium.
 *
 * <p>Storage. {@value #ENTRIES} entries (Cilium's default), 512 KiB outside the heap, four to a
 * set; the keyed hash names the set, the key is compared in full. A full set gives up its oldest
 * entry: the loss is one datagram, and the fragments most likely still to come belong to the
 * newest.
 *
 * <p>An entry is valid for 30 s from the first fragment, not the 60 s of RFC 8200: Linux receivers
 * give up after 30 s (net.ipv4.ipfrag_time, net.ipv6.ip6frag_time), and a sender at 10,000
 * datagrams a second reuses an IPv4 identification after 6.5 s, so a longer time would hand ports
 * to strangers. The first fragment of the next datagram replaces an entry of the same key.
 *
 * <p>Fragments that overlap the transport header of the first (RFC 1858, RFC 3128) are not seen
 * here: the parser drops IPv4 TCP fragments at offset 8, and IPv6 receivers drop any datagram whose
 * fragments overlap (RFC 5722).
 *
 * <p>Nothing is allocated after {@link #open}. Thread: owned by one lane.
 */
public final class FragmentTable implements AutoCloseable {
    /** Datagrams remembered at most. */
    public static final int ENTRIES = 8192;

    /** How long, in ns. */
    public static final long TIMEOUT_NS = TimeUnit.SECONDS.toNanos(30);

    private static final int WAYS = 4;
    private static final int SET_MASK = ENTRIES / WAYS - 1;

    // Entry layout, offsets in bytes: one cache line.
    private static final long SOURCE_HIGH = 0;
    private static final long SOURCE_LOW = 8;
    private static final long DESTINATION_HIGH = 16;
    private static final long DESTINATION_LOW = 24;
    private static final long KEY = 32;
    private static final long REMEMBERED = 40;
    private static final long SOURCE_PORT = 48;
    private static final long DESTINATION_PORT = 52;
    private static final long ENTRY_BYTES = 64;

    /** In the key word, beside identification (32 bits) and protocol (8): an entry is here. */
    private static final long KEY_OCCUPIED = 1L << 40;

    private static final int KEY_PROTOCOL_SHIFT = 32;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

    private final KeyedHash hash;
    private final Arena arena;
    private final MemorySegment entries;

    private int sourcePort;
    private int destinationPort;

    private FragmentTable(final long seed) {
        hash = new KeyedHash(seed);
        arena = Arena.ofShared();
        entries = arena.allocate(ENTRIES * ENTRY_BYTES, ENTRY_BYTES);
    }

    /**
     * An empty table.
     *
     * @param seed of the hash; random, and known to nobody who can send packets
     */
    public static FragmentTable open(final long seed) {
        return new FragmentTable(seed);
    }

    /**
     * Keeps the ports of a first fragment.
     *
     * @param identification 16 bits for IPv4, 32 for IPv6
     * @param protocol IP protocol number of the transport header
     */
    public void remember(
            final long sourceHigh,
            final long sourceLow,
            final long destinationHigh,
            final long destinationLow,
            final int identification,
            final int protocol,
            final int sourcePortToKeep,
            final int destinationPortToKeep,
            final long nowNs) {
        final long key = key(identification, protocol);
        final long set = setOf(sourceHigh, sourceLow, destinationHigh, destinationLow, key);
        long place = find(set, sourceHigh, sourceLow, destinationHigh, destinationLow, key);
        if (place < 0) {
            place = leastUseful(set, nowNs);
        }
        entries.set(LONG, place + SOURCE_HIGH, sourceHigh);
        entries.set(LONG, place + SOURCE_LOW, sourceLow);
        entries.set(LONG, place + DESTINATION_HIGH, destinationHigh);
        entries.set(LONG, place + DESTINATION_LOW, destinationLow);
        entries.set(LONG, place + KEY, key);
        entries.set(LONG, place + REMEMBERED, nowNs);
        entries.set(INT, place + SOURCE_PORT, sourcePortToKeep);
        entries.set(INT, place + DESTINATION_PORT, destinationPortToKeep);
    }

    /**
     * Whether the first fragment of a later one was seen; then {@link #sourcePort} and {@link
     * #destinationPort} are its ports.
     */
    public boolean find(
            final long sourceHigh,
            final long sourceLow,
            final long destinationHigh,
            final long destinationLow,
            final int identification,
            final int protocol,
            final long nowNs) {
        final long key = key(identification, protocol);
        final long set = setOf(sourceHigh, sourceLow, destinationHigh, destinationLow, key);
        final long place = find(set, sourceHigh, sourceLow, destinationHigh, destinationLow, key);
        if (place < 0 || nowNs - entries.get(LONG, place + REMEMBERED) >= TIMEOUT_NS) {
            return false;
        }
        sourcePort = entries.get(INT, place + SOURCE_PORT);
        destinationPort = entries.get(INT, place + DESTINATION_PORT);
        return true;
    }

    /** Source port of the datagram last found. */
    public int sourcePort() {
        return sourcePort;
    }

    /** Destination port of the datagram last found. */
    public int destinationPort() {
        return destinationPort;
    }

    /** Gives the memory back. No call may follow. */
    @Override
    public void close() {
        arena.close();
    }

    private static long key(final int identification, final int protocol) {
        return Integer.toUnsignedLong(identification)
                | (long) protocol << KEY_PROTOCOL_SHIFT
                | KEY_OCCUPIED;
    }

    private long setOf(
            final long sourceHigh,
            final long sourceLow,
            final long destinationHigh,
            final long destinationLow,
            final long key) {
        final long set =
                hash.of(sourceHigh, sourceLow, destinationHigh, destinationLow, key) & SET_MASK;
        return set * WAYS * ENTRY_BYTES;
    }

    /** Offset of the entry of this key, outdated or not, or -1. */
    private long find(
            final long set,
            final long sourceHigh,
            final long sourceLow,
            final long destinationHigh,
            final long destinationLow,
            final long key) {
        for (long place = set; place < set + WAYS * ENTRY_BYTES; place += ENTRY_BYTES) {
            if (entries.get(LONG, place + KEY) == key
                    && entries.get(LONG, place + SOURCE_LOW) == sourceLow
                    && entries.get(LONG, place + DESTINATION_LOW) == destinationLow
                    && entries.get(LONG, place + SOURCE_HIGH) == sourceHigh
                    && entries.get(LONG, place + DESTINATION_HIGH) == destinationHigh) {
                return place;
            }
        }
        return -1;
    }

    /** Offset of a free entry of a set, else of its oldest. */
    private long leastUseful(final long set, final long nowNs) {
        long oldest = set;
        long oldestAgeNs = Long.MIN_VALUE;
        for (long place = set; place < set + WAYS * ENTRY_BYTES; place += ENTRY_BYTES) {
            if (entries.get(LONG, place + KEY) == 0) {
                return place;
            }
            final long ageNs = nowNs - entries.get(LONG, place + REMEMBERED);
            if (ageNs > oldestAgeNs) {
                oldest = place;
                oldestAgeNs = ageNs;
            }
        }
        return oldest;
    }
}
