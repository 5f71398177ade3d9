package io.sluice.conntrack;

import static io.sluice.conntrack.FlowSlot.INT;
import static io.sluice.conntrack.FlowSlot.INT_HANDLE;
import static io.sluice.conntrack.FlowSlot.LONG;
import static io.sluice.conntrack.FlowSlot.LONG_HANDLE;
import static io.sluice.conntrack.TableMemory.ALL;
import static io.sluice.conntrack.TableMemory.LINE_SHIFT;
import static io.sluice.conntrack.TableMemory.lineAddress;

import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * The slots of one address family: finding, placing, removing. See {@link Conntrack} for how slots
 * are organised, and for who may write what.
 *
 * <p>Thread: any number of lanes.
 */
final class FlowRegion {
    /** Slots a flow's place is searched in: the bits of one word. */
    static final int NEIGHBOURHOOD_SLOTS = Long.SIZE;

    static final int NO_SLOT = -1;

    /** In the place of a slot: another flow has the key. */
    static final int TAKEN = -2;

    /** Slots that a call of {@link #recover} looks at; divides every number of slots. */
    private static final int RECOVERED_AT_ONCE_SLOTS = 16;

    /** The upper three bits of a hash; the lower ones name the home. */
    private static final int ASIDE_SHIFT = Long.SIZE - 3;

    /** Homes share this many locks: two lanes rarely meet, and all fit the second cache. */
    private static final int LOCKS = 1 << 12;

    static final long LOCKS_BYTES = (long) LOCKS * Integer.BYTES;

    final boolean isIpv4;
    final int capacityFlows;
    final int slotCount;
    private final int slotMask;
    private final int slotLinesShift;
    private final long hotLine;
    private final long coldLine;
    private final long occupancy;
    private final long locks;
    private final long size;

    /**
     * @param hot address of the hot slots
     * @param cold address of the cold slots
     * @param occupancy address of one bit for each slot
     * @param locks address of {@link #LOCKS_BYTES} zeroed bytes
     * @param size address of the count of flows
     */
    FlowRegion(
            final boolean isIpv4,
            final int capacityFlows,
            final long hot,
            final long cold,
            final long occupancy,
            final long locks,
            final long size) {
        this.isIpv4 = isIpv4;
        this.capacityFlows = capacityFlows;
        this.slotCount = slotCount(capacityFlows);
        this.slotMask = slotCount - 1;
        this.slotLinesShift =
                (isIpv4 ? FlowSlot.IPV4_SLOT_SHIFT : FlowSlot.IPV6_SLOT_SHIFT) - LINE_SHIFT;
        this.hotLine = hot >>> LINE_SHIFT;
        this.coldLine = cold >>> LINE_SHIFT;
        this.occupancy = occupancy;
        this.locks = locks;
        this.size = size;
    }

    /** A power of two, at least twice the capacity. */
    static int slotCount(final int capacityFlows) {
        return Integer.highestOneBit(2 * capacityFlows - 1) << 1;
    }

    int homeOf(final long hash) {
        return (int) hash & slotMask;
    }

    /** Number of the line where a hot slot begins. */
    long hotLineOf(final int slot) {
        return hotLine + ((long) slot << slotLinesShift);
    }

    /** Number of the line that is a cold slot. */
    long coldLineOf(final int slot) {
        return coldLine + slot;
    }

    long hotOf(final int slot) {
        return lineAddress(hotLineOf(slot));
    }

    long coldOf(final int slot) {
        return lineAddress(coldLineOf(slot));
    }

    /** Address of the map of occupied slots, a bit each. */
    long occupancy() {
        return occupancy;
    }

    int size() {
        return (int) (long) LONG_HANDLE.getOpaque(ALL, size);
    }

    /** Memory of the slots, hot and cold, and of their map, in bytes. */
    long bytes() {
        return ((long) slotCount << (slotLinesShift + LINE_SHIFT))
                + ((long) slotCount << LINE_SHIFT)
                + slotCount / Byte.SIZE;
    }

    /** Copies the flow of a key into the entry as it is at one moment. */
    boolean find(final FlowKey key, final FlowEntry entry) {
        final int home = homeOf(key.hash);
        // Acquire: whoever sees the bit sees the slot that was written before it.
        long map = (long) LONG_HANDLE.getAcquire(ALL, hotOf(home) + FlowSlot.HOME_MAP);
        while (map != 0) {
            final int distance = likeliest(map, key.hash);
            if (entry.load(this, (home + distance) & slotMask, key)) {
                return true;
            }
            map &= ~(1L << distance);
        }
        return false;
    }

    /**
     * Notes which lines {@link #find}, and what follows it, will look at first. The home's line is
     * needed for its map anyway, so that most flows cost one line and the others two.
     */
    void aim(final FlowKey key, final boolean withCold) {
        final long map = ALL.get(LONG, lineAddress(key.homeLine) + FlowSlot.HOME_MAP);
        final int slot = (homeOf(key.hash) + likeliest(map, key.hash)) & slotMask;
        key.hotLine = hotLineOf(slot);
        key.coldLine = withCold ? coldLineOf(slot) : key.hotLine;
    }

    /**
     * Where in a map the flow of a hash probably is, or 0 for an empty map. {@link #freeDistance}
     * puts a flow that cannot be in its home at a distance whose last three bits are those of its
     * hash, as long as one of those is free; so if there is a flow at such a distance it is that
     * one (two in a hundred times it is another), and else the first. Without branches, which
     * nothing could predict.
     */
    static int likeliest(final long map, final long hash) {
        final long aside = map & asideOf(hash);
        return Long.numberOfTrailingZeros(aside != 0 ? aside : map) & (NEIGHBOURHOOD_SLOTS - 1);
    }

    /** The distances, as bits, that a flow of this hash prefers if its home is taken. */
    private static long asideOf(final long hash) {
        return (0x0101_0101_0101_0101L << (hash >>> ASIDE_SHIFT)) & ~1L;
    }

    boolean matches(final long hotSlot, final FlowKey key) {
        return (ALL.get(LONG, hotSlot + FlowSlot.KEY) & FlowSlot.KEY_COMPARED) == key.word
                && ALL.get(LONG, hotSlot + FlowSlot.ADDRESSES) == key.addresses
                && (isIpv4 || matchesIpv6(hotSlot + FlowSlot.IPV6_ADDRESSES, key));
    }

    private static boolean matchesIpv6(final long at, final FlowKey key) {
        return ALL.get(LONG, at) == key.aHigh
                && ALL.get(LONG, at + 8) == key.aLow
                && ALL.get(LONG, at + 16) == key.bHigh
                && ALL.get(LONG, at + 24) == key.bLow;
    }

    /**
     * Places a flow, in the stead of one of the same key.
     *
     * @param word for {@link FlowSlot#KEY}, without the distance
     * @param sides for {@link FlowSlot#SIDES}
     * @param mayReplace whether one of the same key makes way whose deadline has not passed
     * @param entry gets a copy of the flow, or of the one that did not make way, before another
     *     lane may replace it
     * @param replaced gets the flow that makes way, unless it is null
     * @return the slot; {@link #NO_SLOT} if there is no room, {@link #TAKEN} if one did not make
     *     way
     */
    int insert(
            final FlowKey key,
            final long word,
            final long sides,
            final boolean mayReplace,
            final long deadlineNs,
            final long nowNs,
            final FlowEntry entry,
            final @Nullable FlowCopy replaced) {
        final int home = homeOf(key.hash);
        lock(home);
        try {
            final int there = slotOf(home, key);
            if (there != NO_SLOT) {
                if (!mayReplace && ALL.get(LONG, hotOf(there) + FlowSlot.DEADLINE) - nowNs > 0) {
                    entry.load(this, there, key);
                    return TAKEN;
                }
                vacate(home, (there - home) & slotMask, there, replaced);
            }
            if ((long) LONG_HANDLE.getAndAdd(ALL, size, 1L) >= capacityFlows) {
                LONG_HANDLE.getAndAdd(ALL, size, -1L);
                return NO_SLOT;
            }
            final int distance = claim(home, key.hash);
            if (distance == NEIGHBOURHOOD_SLOTS) {
                LONG_HANDLE.getAndAdd(ALL, size, -1L);
                return NO_SLOT;
            }
            final int slot = (home + distance) & slotMask;
            write(
                    slot,
                    key,
                    word | ((long) distance << FlowSlot.KEY_DISTANCE_SHIFT),
                    sides,
                    deadlineNs,
                    nowNs);
            setHomeBit(home, distance, true);
            entry.load(this, slot, key);
            return slot;
        } finally {
            unlock(home);
        }
    }

    private void write(
            final int slot,
            final FlowKey key,
            final long word,
            final long sides,
            final long deadlineNs,
            final long nowNs) {
        final long at = hotOf(slot);
        final long coldAt = coldOf(slot);
        final int sequence = lockSlot(at);
        ALL.set(LONG, at + FlowSlot.ADDRESSES, key.addresses);
        ALL.set(LONG, at + FlowSlot.KEY, word);
        ALL.set(LONG, at + FlowSlot.DEADLINE, deadlineNs);
        ALL.set(INT, at + FlowSlot.REVISION, FlowEntry.NO_REVISION);
        ALL.set(LONG, at + FlowSlot.IDENTITIES, 0);
        ALL.set(LONG, at + FlowSlot.SIDES, sides);
        ALL.set(LONG, at + FlowSlot.RECENT, 0);
        if (!isIpv4) {
            ALL.set(LONG, at + FlowSlot.IPV6_ADDRESSES, key.aHigh);
            ALL.set(LONG, at + FlowSlot.IPV6_ADDRESSES + 8, key.aLow);
            ALL.set(LONG, at + FlowSlot.IPV6_ADDRESSES + 16, key.bHigh);
            ALL.set(LONG, at + FlowSlot.IPV6_ADDRESSES + 24, key.bLow);
        }
        ALL.set(LONG, coldAt + FlowSlot.CREATED, nowNs);
        for (int i = 1; i < FlowSlot.COLD_WORDS; i++) {
            ALL.set(LONG, coldAt + (long) i * Long.BYTES, 0);
        }
        unlockSlot(at, sequence);
    }

    /** The slot of a key, or {@link #NO_SLOT}; for whoever holds the home's lock. */
    private int slotOf(final int home, final FlowKey key) {
        long map = ALL.get(LONG, hotOf(home) + FlowSlot.HOME_MAP);
        for (; map != 0; map &= map - 1) {
            final int slot = (home + Long.numberOfTrailingZeros(map)) & slotMask;
            if (matches(hotOf(slot), key)) {
                return slot;
            }
        }
        return NO_SLOT;
    }

    /**
     * Removes the flow of a slot if it is still the one that the caller means.
     *
     * @param word its {@link FlowSlot#KEY}: key and place are compared
     * @param deadlineNs the flow's deadline, compared as well
     * @param removed gets the flow if it is removed, unless it is null
     */
    boolean remove(
            final int slot,
            final long word,
            final long deadlineNs,
            final @Nullable FlowCopy removed) {
        final int distance = FlowSlot.distance(word);
        final int home = (slot - distance) & slotMask;
        final long at = hotOf(slot);
        lock(home);
        try {
            final long now = ALL.get(LONG, at + FlowSlot.KEY);
            final boolean same =
                    (now & FlowSlot.KEY_COMPARED) == (word & FlowSlot.KEY_COMPARED)
                            && FlowSlot.distance(now) == distance
                            && ALL.get(LONG, at + FlowSlot.DEADLINE) == deadlineNs;
            if (same) {
                vacate(home, distance, slot, removed);
            }
            return same;
        } finally {
            unlock(home);
        }
    }

    /** Copies the flow while its slot is locked: no packet is counted for it afterwards. */
    private void vacate(
            final int home, final int distance, final int slot, final @Nullable FlowCopy removed) {
        final long at = hotOf(slot);
        final int sequence = lockSlot(at);
        if (removed != null) {
            removed.read(isIpv4, ALL, at, ALL, coldOf(slot));
        }
        ALL.set(LONG, at + FlowSlot.KEY, 0);
        unlockSlot(at, sequence);
        setHomeBit(home, distance, false);
        setOccupied(slot, false);
        LONG_HANDLE.getAndAdd(ALL, size, -1L);
    }

    /** The first occupied slot from here on, or {@code end}. */
    int nextOccupied(final int from, final int end) {
        int slot = from;
        while (slot < end) {
            final long ahead = occupancyWord(slot) >>> slot;
            if (ahead != 0) {
                return Math.min(end, slot + Long.numberOfTrailingZeros(ahead));
            }
            slot = (slot | (Long.SIZE - 1)) + 1;
        }
        return end;
    }

    private long occupancyWord(final int slot) {
        return (long) LONG_HANDLE.getAcquire(ALL, wordAt(slot));
    }

    /** Takes a free slot; distance from home to it, or {@link #NEIGHBOURHOOD_SLOTS}. */
    private int claim(final int home, final long hash) {
        while (true) {
            final int distance = freeDistance(home, hash);
            if (distance == NEIGHBOURHOOD_SLOTS
                    || setOccupied((home + distance) & slotMask, true)) {
                return distance;
            }
        }
    }

    /** The home, or a free distance of those that the hash prefers, or the nearest free one. */
    private int freeDistance(final int home, final long hash) {
        final int bit = home & (Long.SIZE - 1);
        long taken = occupancyWord(home) >>> bit;
        if (bit != 0) {
            taken |= occupancyWord((home + Long.SIZE) & slotMask) << (Long.SIZE - bit);
        }
        final long free = ~taken;
        final long aside = free & asideOf(hash);
        return Long.numberOfTrailingZeros((free & 1) == 0 && aside != 0 ? aside : free);
    }

    /** False if the bit was already so: another lane was first. */
    private boolean setOccupied(final int slot, final boolean on) {
        final long at = wordAt(slot);
        final long bit = 1L << slot;
        while (true) {
            final long word = (long) LONG_HANDLE.getOpaque(ALL, at);
            if (((word & bit) != 0) == on) {
                return false;
            }
            if (LONG_HANDLE.compareAndSet(ALL, at, word, word ^ bit)) {
                return true;
            }
        }
    }

    private void setHomeBit(final int home, final int distance, final boolean on) {
        final long at = hotOf(home) + FlowSlot.HOME_MAP;
        final long bit = 1L << distance;
        final long map = ALL.get(LONG, at);
        LONG_HANDLE.setRelease(ALL, at, on ? map | bit : map & ~bit);
    }

    /** Offset of the occupancy word that a slot's bit is in. */
    private long wordAt(final int slot) {
        return occupancy + (long) (slot / Long.SIZE) * Long.BYTES;
    }

    private void lock(final int home) {
        final long at = lockAt(home);
        while (!INT_HANDLE.compareAndSet(ALL, at, 0, 1)) {
            Thread.onSpinWait();
        }
    }

    private void unlock(final int home) {
        INT_HANDLE.setRelease(ALL, lockAt(home), 0);
    }

    private long lockAt(final int home) {
        return locks + (long) (home & (LOCKS - 1)) * Integer.BYTES;
    }

    /** Opens a write that readers see whole or not at all; other writers wait. */
    static int lockSlot(final long hotSlot) {
        final long at = hotSlot + FlowSlot.SEQUENCE;
        while (true) {
            final int sequence = (int) INT_HANDLE.getOpaque(ALL, at);
            if ((sequence & 1) == 0 && INT_HANDLE.compareAndSet(ALL, at, sequence, sequence + 1)) {
                // The odd number becomes visible before any of the fields.
                VarHandle.storeStoreFence();
                return sequence;
            }
            // A write is a dozen stores; only a lane that lost its core inside one lasts longer.
            Thread.onSpinWait();
        }
    }

    /**
     * @param sequence what {@link #lockSlot} returned
     */
    static void unlockSlot(final long hotSlot, final int sequence) {
        INT_HANDLE.setRelease(ALL, hotSlot + FlowSlot.SEQUENCE, sequence + 2);
    }

    /**
     * Makes occupancy, home maps and size from the slots that a former process left, while nobody
     * else looks. A flow is kept if it is whole: its slot is not in the middle of a write, its
     * state and verdict exist, its place is one that its hash allows, its deadline lies within what
     * a timeout can be, and no other flow has its key. Kept flows forget their switch ports and the
     * revision that judged them.
     *
     * @param longestNs no deadline is farther away
     */
    Recovery recover(final KeyedHash hash, final long nowNs, final long longestNs) {
        for (int slot = 0; slot < slotCount; slot += Long.SIZE) {
            ALL.set(LONG, occupancy + slot / Byte.SIZE, 0);
        }
        // A call for every few slots: the compilers take up methods that are called often within
        // milliseconds, but one long loop only after 60,000 interpreted rounds of it, and this is
        // the first thing that a start after a crash waits for.
        for (int slot = 0; slot < slotCount; slot += RECOVERED_AT_ONCE_SLOTS) {
            clearHomeMaps(slot, slot + RECOVERED_AT_ONCE_SLOTS);
        }
        final Recovering recovering = new Recovering(this, hash, nowNs, longestNs);
        for (int slot = 0; slot < slotCount; slot += RECOVERED_AT_ONCE_SLOTS) {
            recovering.slots(slot, slot + RECOVERED_AT_ONCE_SLOTS);
        }
        LONG_HANDLE.setRelease(ALL, size, (long) recovering.kept);
        return new Recovery(recovering.kept, recovering.expired, recovering.torn);
    }

    private void clearHomeMaps(final int from, final int end) {
        for (int slot = from; slot < end; slot++) {
            // Most are 0, and a page that is only read stays clean.
            if (ALL.get(LONG, hotOf(slot) + FlowSlot.HOME_MAP) != 0) {
                ALL.set(LONG, hotOf(slot) + FlowSlot.HOME_MAP, 0);
            }
        }
    }

    /** One pass over the slots of a former process. */
    private static final class Recovering {
        private final FlowRegion region;
        private final KeyedHash hash;
        private final long nowNs;
        private final long longestNs;
        private final FlowKey key = new FlowKey();
        private final Tuple tuple = new Tuple();
        private final FlowEntry twin = new FlowEntry();
        int kept;
        int expired;
        int torn;

        Recovering(
                final FlowRegion region,
                final KeyedHash hash,
                final long nowNs,
                final long longestNs) {
            this.region = region;
            this.hash = hash;
            this.nowNs = nowNs;
            this.longestNs = longestNs;
        }

        void slots(final int from, final int end) {
            for (int slot = from; slot < end; slot++) {
                final long at = region.hotOf(slot);
                if (ALL.get(LONG, at + FlowSlot.KEY) != 0
                        || (ALL.get(INT, at + FlowSlot.SEQUENCE) & 1) != 0) {
                    used(slot);
                }
            }
        }

        private void used(final int slot) {
            final long at = region.hotOf(slot);
            final int sequence = ALL.get(INT, at + FlowSlot.SEQUENCE);
            final long word = ALL.get(LONG, at + FlowSlot.KEY);
            final long leftNs = ALL.get(LONG, at + FlowSlot.DEADLINE) - nowNs;
            final boolean whole =
                    (sequence & 1) == 0
                            && leftNs <= longestNs
                            && region.isPlausible(at, slot, word, key, tuple, hash)
                            && !region.find(key, twin);
            if (whole && leftNs > 0) {
                ALL.set(INT, at + FlowSlot.REVISION, FlowEntry.NO_REVISION);
                final long sides = ALL.get(LONG, at + FlowSlot.SIDES);
                ALL.set(
                        LONG,
                        at + FlowSlot.SIDES,
                        FlowSlot.sides(
                                FlowEntry.NO_PORT, FlowEntry.NO_PORT, FlowSlot.number(sides)));
                final int distance = FlowSlot.distance(word);
                region.setHomeBit((slot - distance) & region.slotMask, distance, true);
                region.setOccupied(slot, true);
                kept++;
                return;
            }
            ALL.set(LONG, at + FlowSlot.KEY, 0);
            ALL.set(INT, at + FlowSlot.SEQUENCE, (sequence | 1) + 1);
            if (whole) {
                expired++;
            } else {
                torn++;
            }
        }
    }

    private boolean isPlausible(
            final long at,
            final int slot,
            final long word,
            final FlowKey key,
            final Tuple tuple,
            final KeyedHash hash) {
        if ((word & FlowSlot.KEY_OCCUPIED) == 0
                || word >>> FlowSlot.KEY_END_SHIFT != 0
                || FlowSlot.stateCode(word) >= FlowState.values().length
                || FlowSlot.verdictCode(word) >= FlowVerdict.values().length) {
            return false;
        }
        if (isIpv4) {
            FlowSlot.initiatorTupleIpv4(tuple, word, ALL.get(LONG, at + FlowSlot.ADDRESSES));
        } else {
            final long from = at + FlowSlot.IPV6_ADDRESSES;
            FlowSlot.initiatorTuple(
                    tuple,
                    word,
                    ALL.get(LONG, from),
                    ALL.get(LONG, from + 8),
                    ALL.get(LONG, from + 16),
                    ALL.get(LONG, from + 24));
        }
        key.set(tuple, hash);
        return matches(at, key)
                && key.isIpv4 == isIpv4
                && homeOf(key.hash) == ((slot - FlowSlot.distance(word)) & slotMask);
    }

    /**
     * What was found in slots of a former process.
     *
     * @param kept flows that go on
     * @param expired flows whose deadline has passed meanwhile
     * @param torn slots that were not whole, and are free now
     */
    record Recovery(int kept, int expired, int torn) {
        Recovery plus(final Recovery other) {
            return new Recovery(kept + other.kept, expired + other.expired, torn + other.torn);
        }
    }
}
