package io.sluice.conntrack;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The flow table: which packets belong together, in which direction, and what policy said.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. A packet is looked up by its tuple. If its flow is known, the verdict is in the entry
 * and policy need not be asked; if not, the packet is judged, and an entry made if it may pass. The
 * table neither judges nor drops, and rewrites no address: it answers.
 *
 * <p>One entry serves both directions. Its key has the numerically smaller (address, port) side
 * first, so a packet and its reply hash to the same place, and one bit tells which side is the
 * initiator. A reply costs one search, as its request did.
 *
 * <p>Echo. Request and reply carry the same identifier, so the tuple alone cannot tell a reply of
 * the responder from a request of its own. The key of ICMP and ICMPv6 therefore also says which
 * side requests ({@link Tuple#echoReply}): two hosts that ping each other with one identifier have
 * two flows, each judged by its own policy. A reply opens nothing: without its request it is
 * INVALID. Other ICMP messages are no flows; their caller judges each one.
 *
 * <p>Storage. Slots of 128 bytes outside the heap, a power of two of them and at least twice the
 * capacity. A flow lies in the neighbourhood of its home, which is the slot its hash names and the
 * 63 after it. Each slot also holds, for the place and not for the flow in it, the map of its
 * neighbourhood: bit n is set if slot n from here holds a flow whose home is here. (This is
 * hopscotch hashing, Herlihy, Shavit, Tzafrir 2008, without its moves.) A search looks at the flows
 * of its home and at no other, 1.25 on average for a hit when the table is at capacity, and most
 * flows lie in their home, so a hit touches one cache line and a miss mostly one. Occupied slots
 * are also bits of an own map, 1/1024 of the size, in which free slots are found and expiry and
 * listing skip the empty ones.
 *
 * <p>Why not linear probing with backward shift: it moves flows, and then a listing in another
 * thread misses some or shows some twice, and removal touches a run of slots. Why not cuckoo
 * buckets: they move flows too, and a miss touches two buckets. The price here: a flow finds no
 * place if 64 slots in a row are taken. At half load such runs are so rare that filling tables to
 * capacity meets none (a test does that); where it happens, the flow is refused as at a full table.
 *
 * <p>Limits. At {@code capacityFlows}, {@link #create} removes what has expired in {@value
 * #RESCUE_SLOTS} slots from the home on; if that helps not, it returns null, and the caller drops
 * the packet: known flows go on, new ones fail closed. No flow is pushed out for another.
 *
 * <p>Time is handed in and compared by difference. A flow whose deadline has passed is as good as
 * absent for every method, so it does not matter for behaviour how soon {@link #expire} comes by.
 *
 * <p>Cut flows. A flow whose verdict has become DENY stays, and both directions match it, or the
 * responder's next packet would be judged as an opener in the other direction, where policy may
 * allow it. It stays as long as it would have if it were not cut ({@link #touchDenied}): a shorter
 * time would end between two keepalives or retransmissions, with the same effect. A SYN on it is
 * NEW: another connection, judged for itself.
 *
 * <p>Readers. One thread writes. {@link #forEach} of other threads copies a slot and takes the copy
 * if the slot's sequence number was even and the same before and after (a seqlock); flows do not
 * move, so one that lives throughout the walk is shown exactly once. Writers never wait.
 *
 * <p>Memory is a {@link MemorySegment} rather than a raw buffer: an access after {@link #close} by
 * a reader is an exception there, not a crash. Nothing is allocated after {@link #open} except by
 * {@link #forEach}.
 *
 * <p>Thread: the lane that owns it, for everything but {@link #forEach}, {@link #size} and the
 * counters, which any thread may call.
 */
public final class Conntrack implements AutoCloseable {
    /**
     * In the place of TCP flags: a later fragment, which has no TCP header. It belongs to a known
     * flow or is INVALID, and moves no state. Outside the 9 bits of flags.
     */
    public static final int TCP_FLAGS_ABSENT = 1 << 16;

    /** Slots a flow's place is searched in: the bits of one word. */
    private static final int NEIGHBOURHOOD_SLOTS = Long.SIZE;

    /** Slots looked at for expired flows when the table is full: 16 line misses, about 1 us. */
    private static final int RESCUE_SLOTS = 16;

    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final VarHandle LONG_HANDLE = LONG.varHandle();

    /** What of the key word is compared: all but the initiator's side. */
    private static final long KEY_COMPARED = ~FlowEntry.KEY_A_INITIATES;

    // Counters, offsets in bytes of their own segment; written by the lane, read by any thread.
    private static final long SIZE = 0;
    private static final long CREATED_COUNT = 8;
    private static final long EXPIRED_COUNT = 16;
    private static final long REFUSED_COUNT = 24;
    private static final long COUNTERS_BYTES = 64;

    private final ConntrackConfig config;
    private final KeyedHash hash;
    private final Arena arena;
    private final MemorySegment slots;
    private final MemorySegment occupancy;
    private final MemorySegment counters;
    private final int slotCount;
    private final int slotMask;
    private final FlowEntry entry;

    /** Where the next {@link #expire} begins. */
    private int expiryCursor;

    // The tuple last oriented: smaller side first.
    private long aHigh;
    private long aLow;
    private long bHigh;
    private long bLow;
    private long key;
    private boolean sourceIsA;
    private int home;

    private Conntrack(final ConntrackConfig config, final long seed) {
        this.config = config;
        this.hash = new KeyedHash(seed);
        this.slotCount = Integer.highestOneBit(2 * config.capacityFlows() - 1) << 1;
        this.slotMask = slotCount - 1;
        this.arena = Arena.ofShared();
        this.slots = arena.allocate(slotCount * FlowEntry.SLOT_BYTES, FlowEntry.SLOT_BYTES);
        this.occupancy = arena.allocate(slotCount / Byte.SIZE, Long.BYTES);
        this.counters = arena.allocate(COUNTERS_BYTES, COUNTERS_BYTES);
        this.entry = new FlowEntry(slots);
    }

    /**
     * An empty table.
     *
     * @param seed of the hash; random, and known to nobody who can send packets
     */
    public static Conntrack open(final ConntrackConfig config, final long seed) {
        return new Conntrack(config, seed);
    }

    /**
     * What a packet is. Changes no flow. After ESTABLISHED and REPLY, {@link #entry} is the flow;
     * its verdict may be {@link FlowVerdict#DENY}.
     *
     * @param tcpFlags the flags of the TCP header, {@link #TCP_FLAGS_ABSENT} for a later fragment,
     *     0 for other protocols
     */
    public ConntrackState lookup(final Tuple tuple, final int tcpFlags, final long nowNs) {
        entry.leave();
        final boolean isTcp = tuple.protocol == FlowTracker.PROTOCOL_TCP;
        if (isTcp && FlowTracker.isImpossible(tcpFlags)) {
            return ConntrackState.INVALID;
        }
        orient(tuple);
        final long slot = find();
        if (slot == FlowEntry.NOWHERE || isExpired(slot, nowNs)) {
            return withoutFlow(tuple, tcpFlags);
        }
        entry.moveTo(slot, isReply(slot));
        if (isTcp && FlowTracker.opensTcp(tcpFlags) && startsAnew()) {
            entry.leave();
            return ConntrackState.NEW;
        }
        return entry.isReply() ? ConntrackState.REPLY : ConntrackState.ESTABLISHED;
    }

    /**
     * What an ICMP error is: RELATED if it quotes a packet of a known flow, else INVALID. Changes
     * no flow. After RELATED, {@link #entry} is the flow and {@link FlowEntry#isReply} tells
     * whether the quoted packet is the responder's; its verdict may be {@link FlowVerdict#DENY}.
     * That the error is addressed to the quoted packet's sender is the caller's to check.
     *
     * @param inner tuple of the quoted packet, as its sender sent it
     */
    public ConntrackState lookupRelated(final Tuple inner, final long nowNs) {
        entry.leave();
        orient(inner);
        final long slot = find();
        if (slot == FlowEntry.NOWHERE || isExpired(slot, nowNs)) {
            return ConntrackState.INVALID;
        }
        entry.moveTo(slot, isReply(slot));
        return ConntrackState.RELATED;
    }

    /** The flow last looked up or created: always the same cursor. */
    public FlowEntry entry() {
        return entry;
    }

    /**
     * Lets a packet that passes take effect on {@link #entry}: state, counters, deadline.
     *
     * @param direction what {@link #lookup} said of it; NEW, on the flow just created, counts as
     *     ESTABLISHED
     * @param tcpFlags as for {@link #lookup}
     * @param lengthBytes bytes to count
     * @param packets packets to count: more than 1 for a super-frame
     * @throws IllegalArgumentException for RELATED and INVALID, which belong to neither direction
     */
    public void advance(
            final ConntrackState direction,
            final int tcpFlags,
            final int lengthBytes,
            final int packets,
            final long nowNs) {
        final boolean fromInitiator =
                switch (direction) {
                    case NEW, ESTABLISHED -> true;
                    case REPLY -> false;
                    case RELATED, INVALID ->
                            throw new IllegalArgumentException(
                                    "advance by a packet that is "
                                            + direction
                                            + ": accepted are NEW, ESTABLISHED, REPLY");
                };
        final long base = entry.base();
        final FlowState state = FlowTracker.next(entry.state(), fromInitiator, tcpFlags);
        final long packetsAt =
                base + (fromInitiator ? FlowEntry.INITIATOR_PACKETS : FlowEntry.RESPONDER_PACKETS);
        final long bytesAt =
                base + (fromInitiator ? FlowEntry.INITIATOR_BYTES : FlowEntry.RESPONDER_BYTES);
        final long deadlineNs = nowNs + config.timeoutNs(entry.protocol(), state);

        final int sequence = entry.beginWrite();
        slots.set(BYTE, base + FlowEntry.STATE, state.code);
        slots.set(LONG, base + FlowEntry.DEADLINE, deadlineNs);
        slots.set(LONG, packetsAt, slots.get(LONG, packetsAt) + packets);
        slots.set(LONG, bytesAt, slots.get(LONG, bytesAt) + lengthBytes);
        entry.endWrite(sequence);
    }

    /**
     * Keeps {@link #entry}, a cut flow, matching while its packets keep coming: to be called for
     * each that is dropped for it. Neither state nor counters change.
     */
    public void touchDenied(final long nowNs) {
        final long deadlineNs = nowNs + config.timeoutNs(entry.protocol(), entry.state());
        final int sequence = entry.beginWrite();
        slots.set(LONG, entry.base() + FlowEntry.DEADLINE, deadlineNs);
        entry.endWrite(sequence);
    }

    /**
     * Opens a flow for a packet that {@link #lookup} called NEW; one under the same tuple (closed,
     * cut or expired) makes way. Its verdict is DENY until {@link FlowEntry#recordVerdict}, its
     * switch ports {@link FlowEntry#NO_PORT}. The packet itself is counted by {@link #advance}.
     *
     * <p>Null is a value here: the table is full, nothing was changed but expired flows, and the
     * packet must be dropped.
     *
     * @param tuple its source is the initiator
     * @param tcpFlags as for {@link #lookup}
     * @return {@link #entry}, or null
     */
    public @Nullable FlowEntry create(final Tuple tuple, final int tcpFlags, final long nowNs) {
        orient(tuple);
        final long former = find();
        if (former != FlowEntry.NOWHERE) {
            add(EXPIRED_COUNT, isExpired(former, nowNs) ? 1 : 0);
            remove(former);
        }
        final int distance = findPlace(nowNs);
        if (distance == NEIGHBOURHOOD_SLOTS) {
            entry.leave();
            count(REFUSED_COUNT);
            return null;
        }
        final int slot = (home + distance) & slotMask;
        final long base = slotBase(slot);
        final FlowState state = FlowTracker.first(tuple.protocol, tcpFlags);
        entry.moveTo(base, false);

        final int sequence = entry.beginWrite();
        slots.set(LONG, base + FlowEntry.A_HIGH, aHigh);
        slots.set(LONG, base + FlowEntry.A_LOW, aLow);
        slots.set(LONG, base + FlowEntry.B_HIGH, bHigh);
        slots.set(LONG, base + FlowEntry.B_LOW, bLow);
        slots.set(LONG, base + FlowEntry.KEY, sourceIsA ? key | FlowEntry.KEY_A_INITIATES : key);
        slots.set(LONG, base + FlowEntry.DEADLINE, nowNs + config.timeoutNs(tuple.protocol, state));
        slots.set(BYTE, base + FlowEntry.STATE, state.code);
        slots.set(BYTE, base + FlowEntry.VERDICT, FlowVerdict.DENY.code);
        slots.set(BYTE, base + FlowEntry.DISTANCE, (byte) distance);
        slots.set(SHORT, base + FlowEntry.PROXY_PORT, (short) 0);
        slots.set(SHORT, base + FlowEntry.DROP_REASON, (short) 0);
        slots.set(SHORT, base + FlowEntry.INITIATOR_PORT, (short) FlowEntry.NO_PORT);
        slots.set(SHORT, base + FlowEntry.RESPONDER_PORT, (short) FlowEntry.NO_PORT);
        slots.set(LONG, base + FlowEntry.INITIATOR_PACKETS, 0);
        slots.set(LONG, base + FlowEntry.INITIATOR_BYTES, 0);
        slots.set(LONG, base + FlowEntry.RESPONDER_PACKETS, 0);
        slots.set(LONG, base + FlowEntry.RESPONDER_BYTES, 0);
        slots.set(LONG, base + FlowEntry.CREATED, nowNs);
        slots.set(LONG, base + FlowEntry.REVISION, FlowEntry.NO_REVISION);
        slots.set(INT, base + FlowEntry.INITIATOR_IDENTITY, 0);
        slots.set(INT, base + FlowEntry.RESPONDER_IDENTITY, 0);
        entry.endWrite(sequence);

        setOccupied(slot, true);
        setHomeBit(home, distance, true);
        add(SIZE, 1);
        count(CREATED_COUNT);
        return entry;
    }

    /** Forgets the flow under the cursor. */
    public void close(final FlowEntry flow) {
        remove(flow.base());
    }

    /**
     * Forgets flows whose deadline has passed, looking at a bounded number of slots from where the
     * last call stopped. An empty slot counts as looked at and costs 1/64 of a step.
     *
     * @param slotsMax slots to look at
     * @return flows forgotten
     */
    public int expire(final long nowNs, final int slotsMax) {
        int left = Math.min(slotsMax, slotCount);
        int expired = 0;
        while (left > 0) {
            final int bit = expiryCursor & (Long.SIZE - 1);
            final int stride = Math.min(Long.SIZE - bit, left);
            final long ahead = occupancy.get(LONG, wordAt(expiryCursor)) >>> bit;
            final int empty = Long.numberOfTrailingZeros(ahead);
            if (empty >= stride) {
                expiryCursor = (expiryCursor + stride) & slotMask;
                left -= stride;
                continue;
            }
            final long base = slotBase(expiryCursor + empty);
            if (isExpired(base, nowNs)) {
                remove(base);
                expired++;
            }
            expiryCursor = (expiryCursor + empty + 1) & slotMask;
            left -= empty + 1;
        }
        add(EXPIRED_COUNT, expired);
        return expired;
    }

    /** Flows in the table, the expired that {@link #expire} has not met included. Any thread. */
    public int size() {
        return (int) read(SIZE);
    }

    /** Flows opened so far. Any thread. */
    public long createdCount() {
        return read(CREATED_COUNT);
    }

    /** Flows forgotten because their deadline had passed. Any thread. */
    public long expiredCount() {
        return read(EXPIRED_COUNT);
    }

    /** Flows that found no place. Any thread. */
    public long refusedCount() {
        return read(REFUSED_COUNT);
    }

    /**
     * Shows every flow whose deadline has not passed. Each snapshot is of one moment; the walk as a
     * whole is not: a flow that is opened or closed meanwhile may be shown or not. Allocates.
     * Thread: any.
     *
     * @throws IllegalStateException if the table is closed meanwhile
     */
    public void forEach(final long nowNs, final Consumer<FlowSnapshot> sink) {
        try (Arena own = Arena.ofConfined()) {
            final MemorySegment copy = own.allocate(FlowEntry.SLOT_BYTES, FlowEntry.SLOT_BYTES);
            final FlowEntry flow = new FlowEntry(copy);
            flow.moveTo(0, false);
            final Tuple tuple = new Tuple();
            for (int first = 0; first < slotCount; first += Long.SIZE) {
                long word = (long) LONG_HANDLE.getAcquire(occupancy, wordAt(first));
                for (; word != 0; word &= word - 1) {
                    copySlot(first + Long.numberOfTrailingZeros(word), copy);
                    final boolean occupied =
                            (copy.get(LONG, FlowEntry.KEY) & FlowEntry.KEY_OCCUPIED) != 0;
                    if (occupied && flow.deadlineNs() - nowNs > 0) {
                        sink.accept(snapshot(flow, tuple, nowNs));
                    }
                }
            }
        }
    }

    /** Gives the memory back. No call may follow; readers still inside get an exception. */
    @Override
    public void close() {
        arena.close();
    }

    /** What a packet is that belongs to no flow. */
    private ConntrackState withoutFlow(final Tuple tuple, final int tcpFlags) {
        final boolean opens =
                tuple.protocol == FlowTracker.PROTOCOL_TCP
                        ? FlowTracker.opensTcp(tcpFlags)
                                || (config.tcpLoose() && FlowTracker.continuesTcp(tcpFlags))
                        : !tuple.echoReply;
        return opens ? ConntrackState.NEW : ConntrackState.INVALID;
    }

    /** Whether a SYN on {@link #entry} is another connection. */
    private boolean startsAnew() {
        return FlowTracker.isOver(entry.state()) || entry.verdict() == FlowVerdict.DENY;
    }

    /** Puts the smaller side first and finds the home. */
    private void orient(final Tuple tuple) {
        final int order = compareSides(tuple);
        sourceIsA = order <= 0;
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
        key =
                aPort
                        | bPort << FlowEntry.KEY_B_PORT_SHIFT
                        | (long) tuple.protocol << FlowEntry.KEY_PROTOCOL_SHIFT
                        | FlowEntry.KEY_OCCUPIED;
        // The request's source asks, or the reply's destination; a host that asks itself is A.
        if (isIcmp(tuple.protocol) && (order == 0 || sourceIsA != tuple.echoReply)) {
            key |= FlowEntry.KEY_A_REQUESTS;
        }
        home = (int) (hash.of(aHigh, aLow, bHigh, bLow, key) & slotMask);
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

    private static boolean isIcmp(final int protocol) {
        return protocol == FlowTracker.PROTOCOL_ICMP || protocol == FlowTracker.PROTOCOL_ICMPV6;
    }

    /** The slot of the oriented tuple, expired or not, or {@link FlowEntry#NOWHERE}. */
    private long find() {
        long map = slots.get(LONG, slotBase(home) + FlowEntry.HOME_MAP);
        for (; map != 0; map &= map - 1) {
            final long base = slotBase((home + Long.numberOfTrailingZeros(map)) & slotMask);
            if ((slots.get(LONG, base + FlowEntry.KEY) & KEY_COMPARED) == key
                    && slots.get(LONG, base + FlowEntry.A_LOW) == aLow
                    && slots.get(LONG, base + FlowEntry.B_LOW) == bLow
                    && slots.get(LONG, base + FlowEntry.A_HIGH) == aHigh
                    && slots.get(LONG, base + FlowEntry.B_HIGH) == bHigh) {
                return base;
            }
        }
        return FlowEntry.NOWHERE;
    }

    /** Distance from home to a free slot, or {@link #NEIGHBOURHOOD_SLOTS}. */
    private int findPlace(final long nowNs) {
        int distance = freeDistance();
        if (distance == NEIGHBOURHOOD_SLOTS || size() == config.capacityFlows()) {
            int expired = 0;
            for (int i = 0; i < RESCUE_SLOTS; i++) {
                final int slot = (home + i) & slotMask;
                if (isOccupied(slot) && isExpired(slotBase(slot), nowNs)) {
                    remove(slotBase(slot));
                    expired++;
                }
            }
            add(EXPIRED_COUNT, expired);
            distance = size() == config.capacityFlows() ? NEIGHBOURHOOD_SLOTS : freeDistance();
        }
        return distance;
    }

    private int freeDistance() {
        final int bit = home & (Long.SIZE - 1);
        long taken = occupancy.get(LONG, wordAt(home)) >>> bit;
        if (bit != 0) {
            final int following = (home + Long.SIZE) & slotMask;
            taken |= occupancy.get(LONG, wordAt(following)) << (Long.SIZE - bit);
        }
        return Long.numberOfTrailingZeros(~taken);
    }

    private void remove(final long base) {
        final int slot = (int) (base / FlowEntry.SLOT_BYTES);
        final int distance = slots.get(BYTE, base + FlowEntry.DISTANCE);
        entry.moveTo(base, false);
        final int sequence = entry.beginWrite();
        slots.set(LONG, base + FlowEntry.KEY, 0);
        entry.endWrite(sequence);
        entry.leave();
        setHomeBit((slot - distance) & slotMask, distance, false);
        setOccupied(slot, false);
        add(SIZE, -1);
    }

    private boolean isExpired(final long base, final long nowNs) {
        return slots.get(LONG, base + FlowEntry.DEADLINE) - nowNs <= 0;
    }

    /** Whether the oriented packet is the responder's. */
    private boolean isReply(final long base) {
        final boolean aInitiates =
                (slots.get(LONG, base + FlowEntry.KEY) & FlowEntry.KEY_A_INITIATES) != 0;
        return sourceIsA != aInitiates;
    }

    private void setHomeBit(final int homeSlot, final int distance, final boolean on) {
        final long at = slotBase(homeSlot) + FlowEntry.HOME_MAP;
        final long bit = 1L << distance;
        final long map = slots.get(LONG, at);
        slots.set(LONG, at, on ? map | bit : map & ~bit);
    }

    private boolean isOccupied(final int slot) {
        return (occupancy.get(LONG, wordAt(slot)) >>> slot & 1) != 0;
    }

    private void setOccupied(final int slot, final boolean on) {
        final long at = wordAt(slot);
        final long bit = 1L << slot;
        final long word = occupancy.get(LONG, at);
        // Release: a reader that sees the bit sees the slot that was written before it.
        LONG_HANDLE.setRelease(occupancy, at, on ? word | bit : word & ~bit);
    }

    /** Copies a slot as it was at one moment. Waits while the lane is writing it. */
    private void copySlot(final int slot, final MemorySegment copy) {
        final long base = slotBase(slot);
        final long at = base + FlowEntry.SEQUENCE;
        while (true) {
            final int before = (int) FlowEntry.SEQUENCE_HANDLE.getAcquire(slots, at);
            if ((before & 1) == 0) {
                MemorySegment.copy(slots, base, copy, 0, FlowEntry.SLOT_BYTES);
                // The copy is complete before the number is read again.
                VarHandle.loadLoadFence();
                if ((int) FlowEntry.SEQUENCE_HANDLE.getOpaque(slots, at) == before) {
                    return;
                }
            }
            // A write is a dozen stores; only a lane that lost its core inside one lasts longer.
            Thread.onSpinWait();
        }
    }

    private static FlowSnapshot snapshot(
            final FlowEntry flow, final Tuple tuple, final long nowNs) {
        flow.initiatorTuple(tuple);
        return new FlowSnapshot(
                tuple.protocol,
                tuple.sourceHigh,
                tuple.sourceLow,
                tuple.sourcePort,
                tuple.destinationHigh,
                tuple.destinationLow,
                tuple.destinationPort,
                flow.state(),
                flow.verdict(),
                flow.dropReason(),
                flow.proxyPort(),
                flow.policyRevision(),
                flow.initiatorPort(),
                flow.responderPort(),
                flow.initiatorIdentity(),
                flow.responderIdentity(),
                flow.initiatorPackets(),
                flow.initiatorBytes(),
                flow.responderPackets(),
                flow.responderBytes(),
                nowNs - flow.createdNs(),
                flow.deadlineNs() - nowNs);
    }

    private static long slotBase(final int slot) {
        return slot * FlowEntry.SLOT_BYTES;
    }

    /** Offset of the occupancy word that a slot's bit is in. */
    private static long wordAt(final int slot) {
        return (long) (slot / Long.SIZE) * Long.BYTES;
    }

    private long read(final long counter) {
        return (long) LONG_HANDLE.getOpaque(counters, counter);
    }

    private void count(final long counter) {
        add(counter, 1);
    }

    private void add(final long counter, final long difference) {
        LONG_HANDLE.setOpaque(counters, counter, counters.get(LONG, counter) + difference);
    }
}
