package io.sluice.dataplane.table;

/**
 * The prefixes of an {@link Ipcache} as they were given: prefix to leaf word. The lookup tables
 * hold only the longest prefix of each address; this table knows what comes back to light when that
 * one is removed.
 *
 * <p>Open addressing with linear probing, half full at most, removal by shifting back; 24 bytes a
 * slot, on the heap. Thread: the ipcache's writer.
 */
final class PrefixTable {
    private static final int FIRST_SLOTS = 64;

    // high, low, leaf; a leaf of 0 is a free slot. The length is in the leaf.
    private long[] slots = new long[FIRST_SLOTS * 3];
    private int mask = FIRST_SLOTS - 1;
    private int size;

    int size() {
        return size;
    }

    long bytes() {
        return 8L * slots.length;
    }

    /** Leaf word of the prefix, or 0. */
    long get(final long high, final long low, final int length) {
        return slots[find(high, low, length) * 3 + 2];
    }

    /** Adds or replaces; returns the leaf word before, or 0. */
    long put(final long high, final long low, final int length, final long leaf) {
        final int at = find(high, low, length) * 3;
        final long before = slots[at + 2];
        slots[at] = high;
        slots[at + 1] = low;
        slots[at + 2] = leaf;
        if (before == 0 && ++size * 2 > mask) {
            grow();
        }
        return before;
    }

    /** Removes; returns the leaf word before, or 0. */
    long remove(final long high, final long low, final int length) {
        int hole = find(high, low, length);
        final long before = slots[hole * 3 + 2];
        if (before == 0) {
            return 0;
        }
        size--;
        int slot = hole;
        while (true) {
            slots[hole * 3 + 2] = 0;
            int home;
            do {
                slot = (slot + 1) & mask;
                final int at = slot * 3;
                if (slots[at + 2] == 0) {
                    return before;
                }
                home = hash(slots[at], slots[at + 1], Ipcache.length(slots[at + 2])) & mask;
                // An entry moves into the hole unless its home lies between the two.
            } while (((slot - home) & mask) < ((slot - hole) & mask));
            System.arraycopy(slots, slot * 3, slots, hole * 3, 3);
            hole = slot;
        }
    }

    private int find(final long high, final long low, final int length) {
        int slot = hash(high, low, length) & mask;
        while (true) {
            final int at = slot * 3;
            final long leaf = slots[at + 2];
            if (leaf == 0
                    || (slots[at + 1] == low
                            && slots[at] == high
                            && Ipcache.length(leaf) == length)) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    private void grow() {
        final long[] old = slots;
        final int slotCount = (mask + 1) * 2;
        slots = new long[slotCount * 3];
        mask = slotCount - 1;
        for (int at = 0; at < old.length; at += 3) {
            if (old[at + 2] != 0) {
                final int slot = find(old[at], old[at + 1], Ipcache.length(old[at + 2]));
                System.arraycopy(old, at, slots, slot * 3, 3);
            }
        }
    }

    private static int hash(final long high, final long low, final int length) {
        long mixed = (high ^ Long.rotateLeft(low, 32)) * 0x9E37_79B9_7F4A_7C15L;
        mixed ^= low + length;
        mixed *= 0xC2B2_AE3D_27D4_EB4FL;
        return (int) (mixed >>> 32);
    }
}
