package io.sluice.dataplane.table;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The ipcache: longest-prefix map from IP prefix to identity and port.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>One hash table holds all prefixes of both families in the 128-bit address space (IPv4 mapped).
 * A lookup tries the prefix lengths that occur, longest first, with one probe each; an endpoint's
 * own address is a full-length prefix and answers on the first probe. The two families keep apart
 * lists of lengths, so an IPv4 lookup never pays for IPv6 prefixes.
 *
 * <p>Slot, 32 bytes: {@code long high, long low, int identity, int port, int prefix length + 1 (0 =
 * free), int 0}; open addressing, half full at most. The table has no fixed limit: it is laid out
 * for the prefixes it was built from.
 *
 * <p>Immutable once built; any thread. Memory as in {@link PolicyMap}.
 */
public final class Ipcache {
    /** {@link #port(long)} of a prefix that no port leads to. */
    public static final int NO_PORT = -1;

    /** Length of an IPv4 address's prefix bits in the mapped space. */
    public static final int IPV4_PREFIX_BASE = 96;

    private static final int SLOT_BYTES = 32;
    private static final long MISS = ((long) NO_PORT << 32);

    private final MemorySegment memory;
    private final int mask;
    private final int size;
    private final int[] ipv4Lengths;
    private final int[] ipv6Lengths;

    private Ipcache(
            final MemorySegment memory,
            final int mask,
            final int size,
            final int[] ipv4Lengths,
            final int[] ipv6Lengths) {
        this.memory = memory;
        this.mask = mask;
        this.size = size;
        this.ipv4Lengths = ipv4Lengths;
        this.ipv6Lengths = ipv6Lengths;
    }

    /**
     * The longest prefix that contains the address.
     *
     * @return identity and port, read with {@link #identity} and {@link #port}; identity 0
     *     (unknown) and {@link #NO_PORT} on a miss
     */
    public long lookup(final long high, final long low) {
        final int[] lengths = high == 0 && low >>> 32 == 0xffffL ? ipv4Lengths : ipv6Lengths;
        for (final int length : lengths) {
            final long maskedHigh = high & highMask(length);
            final long maskedLow = low & lowMask(length);
            int slot = hash(maskedHigh, maskedLow, length) & mask;
            while (true) {
                final long at = (long) slot * SLOT_BYTES;
                final int found = memory.get(ValueLayout.JAVA_INT, at + 24);
                if (found == 0) {
                    break;
                }
                if (found == length + 1
                        && memory.get(ValueLayout.JAVA_LONG, at + 8) == maskedLow
                        && memory.get(ValueLayout.JAVA_LONG, at) == maskedHigh) {
                    return memory.get(ValueLayout.JAVA_LONG, at + 16);
                }
                slot = (slot + 1) & mask;
            }
        }
        return MISS;
    }

    /** Identity in an answer of {@link #lookup}. */
    public static int identity(final long answer) {
        return (int) answer;
    }

    /** Index of the port that leads to the address, or {@link #NO_PORT}. */
    public static int port(final long answer) {
        return (int) (answer >> 32);
    }

    /** Prefixes in the table. */
    public int size() {
        return size;
    }

    private static long highMask(final int length) {
        return length == 0 ? 0 : length >= 64 ? -1L : -1L << (64 - length);
    }

    private static long lowMask(final int length) {
        return length <= 64 ? 0 : -1L << (128 - length);
    }

    private static int hash(final long high, final long low, final int length) {
        long mixed = (high ^ Long.rotateLeft(low, 32)) * 0x9E37_79B9_7F4A_7C15L;
        mixed ^= low + length;
        mixed *= 0xC2B2_AE3D_27D4_EB4FL;
        return (int) (mixed >>> 32);
    }

    private record Prefix(long high, long low, int length) {}

    private record Target(int identity, int port) {}

    /** Collects prefixes and lays them out. Thread: one. */
    public static final class Builder {
        private final Map<Prefix, Target> prefixes = new LinkedHashMap<>();

        /**
         * Adds a prefix; a prefix that was added before gets the new target.
         *
         * @param length in the 128-bit space, 0 to 128 (an IPv4 /24 is 120)
         * @param port index of the port that leads there, or {@link #NO_PORT}
         */
        public Builder add(
                final long high,
                final long low,
                final int length,
                final int identity,
                final int port) {
            if (length < 0 || length > 128) {
                throw new IllegalArgumentException("prefix length " + length + ": 0 to 128");
            }
            prefixes.put(
                    new Prefix(high & highMask(length), low & lowMask(length), length),
                    new Target(identity, port));
            return this;
        }

        /** Lays the table out in native memory. */
        public Ipcache build() {
            final int slots = Integer.highestOneBit(Math.max(1, prefixes.size()) * 2) << 1;
            final MemorySegment memory = Arena.ofAuto().allocate((long) slots * SLOT_BYTES, 64);
            prefixes.forEach(
                    (prefix, target) -> {
                        int slot = hash(prefix.high, prefix.low, prefix.length) & (slots - 1);
                        while (memory.get(ValueLayout.JAVA_INT, (long) slot * SLOT_BYTES + 24)
                                != 0) {
                            slot = (slot + 1) & (slots - 1);
                        }
                        final long at = (long) slot * SLOT_BYTES;
                        memory.set(ValueLayout.JAVA_LONG, at, prefix.high);
                        memory.set(ValueLayout.JAVA_LONG, at + 8, prefix.low);
                        memory.set(
                                ValueLayout.JAVA_LONG,
                                at + 16,
                                (long) target.port << 32 | Integer.toUnsignedLong(target.identity));
                        memory.set(ValueLayout.JAVA_INT, at + 24, prefix.length + 1);
                    });
            return new Ipcache(memory, slots - 1, prefixes.size(), lengths(true), lengths(false));
        }

        private int[] lengths(final boolean ipv4) {
            return prefixes.keySet().stream()
                    .filter(prefix -> isIpv4(prefix) == ipv4)
                    .mapToInt(Prefix::length)
                    .map(length -> -length)
                    .sorted()
                    .distinct()
                    .map(length -> -length)
                    .toArray();
        }

        private static boolean isIpv4(final Prefix prefix) {
            return prefix.length >= IPV4_PREFIX_BASE
                    && prefix.high == 0
                    && prefix.low >>> 32 == 0xffffL;
        }
    }
}
