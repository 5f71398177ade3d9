package io.sluice.conntrack;

import static io.sluice.conntrack.FlowSlot.LONG;
import static io.sluice.conntrack.TableMemory.ALL;
import static io.sluice.conntrack.TableMemory.lineAddress;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The flow table: which packets belong together, in which direction, and what policy said. An
 * object of this class is one lane's view of it.
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
 * <p>Storage. IPv4 and IPv6 flows have a region each ({@link FlowRegion}), of hot slots of 64 and
 * 128 bytes and cold ones of 64 ({@link FlowSlot}), a power of two of them and at least twice the
 * capacity. A flow lies in the neighbourhood of its home, which is the slot its hash names and the
 * 63 after it. Each hot slot also holds, for the place and not for the flow in it, the map of its
 * neighbourhood: bit n is set if slot n from here holds a flow whose home is here. (This is
 * hopscotch hashing, Herlihy, Shavit, Tzafrir 2008, without its moves.) A search looks at the flows
 * of its home and at no other, and three of four flows lie in their home when the table is at
 * capacity. The others lie, as long as there is room, at a distance whose last three bits are those
 * of their hash, so that the map alone says which flow of a home is the one looked for ({@link
 * FlowRegion#likeliest}): a hit touches 1.25 cache lines on average, and a miss little more. That
 * is an order of search only: every flow of the map is looked at before the answer is "none", so a
 * flow is found wherever in its neighbourhood it lies, also in a file of a process that placed them
 * otherwise. Occupied slots are also bits of an own map, in which free slots are found and expiry
 * and listing skip the empty ones.
 *
 * <p>Why not linear probing with backward shift: it moves flows, and then a listing in another
 * thread misses some or shows some twice, and removal touches a run of slots. Why not cuckoo
 * buckets: they move flows too, and a miss touches two buckets. The price here: half of the slots
 * stay empty, and a flow finds no place if 64 slots in a row are taken. At half load such runs are
 * so rare that filling tables to capacity meets none (a test does that); where it happens, the flow
 * is refused as at a full table.
 *
 * <p>Batches. There is no instruction to prefetch in Java. Instead, the packets of a batch are
 * first all hashed ({@link #prepare}), then their lines all loaded ({@link #touch}), loads that do
 * not depend on each other and so wait for memory together, and then looked up on lines that have
 * come. What {@code touch} noted of a key is forgotten then: a lookup reads the home's map again,
 * so a flow that a packet of the same batch has opened is found by the next.
 *
 * <p>Limits. From {@value #NEARLY_FULL_PERCENT} % of a region's capacity on, {@link #create} first
 * forgets one flow among the {@value #RESCUE_SLOTS} slots from the home on: an expired one, or else
 * one that has nothing to lose, because nobody has answered, the handshake is not complete, or the
 * connection is over ({@link FlowTracker#isExpendable}). So a flood of opening packets pushes out
 * its own flows. Established flows are never pushed out, and cut ones neither. At capacity, if that
 * helped not, {@code create} returns null, and the caller drops the packet: known flows go on, new
 * ones fail closed.
 *
 * <p>Time is handed in and compared by difference. A flow whose deadline has passed is as good as
 * absent for every method, so it does not matter for behaviour how soon {@link #expire} comes by.
 * In a file the clock has to outlive the process: CLOCK_MONOTONIC of one boot, which
 * System.nanoTime is on Linux (src/hotspot/os/posix/os_posix.cpp).
 *
 * <p>Cut flows. A flow whose verdict has become DENY stays, and both directions match it, or the
 * responder's next packet would be judged as an opener in the other direction, where policy may
 * allow it. It stays as long as it would have if it were not cut ({@link #touchDenied}): a shorter
 * time would end between two keepalives or retransmissions, with the same effect. A SYN on it is
 * NEW: another connection, judged for itself.
 *
 * <p>Ends. Who asks ({@link #tellEnds}) is told of each flow that leaves the table, with all that
 * was counted for it, copied while its slot is locked: a packet is counted before, or finds no
 * flow. So the removal of a flow reads its cold line, and nothing else does: packets pay nothing.
 * Flows whose deadline passed while no process had the file are forgotten by {@link #open} and not
 * told of; {@link #origin} has their number.
 *
 * <p>Ownership and ordering. Everything of a slot but its home map is written by whoever made its
 * sequence number odd (compare-and-set, then a store-store fence), and is valid again when the
 * number is even (release): a seqlock, whose readers copy and take the copy if the number was even
 * and the same before (acquire) and after (load-load fence). A home map and membership in it are
 * written by whoever holds the home's lock. Order of locks: home, then slot; never two homes.
 * Occupancy bits are claimed and given back by compare-and-set, since neighbourhoods of many homes
 * overlap. A flow is published by its bit in the home map (release), after the slot is whole, and
 * withdrawn by its key, before the bit goes. It follows: a lookup never waits for an insert or a
 * removal elsewhere; it answers with a flow that was there whole at one moment, or with none. It
 * may miss a flow that is being inserted, never one that stays. Of lanes that create the same tuple
 * at the same time the last one's flow remains; the others' writes no longer find theirs, or find
 * the same flow again, which their own packet has opened as well. Of lanes that {@link
 * #createIfAbsent} the first one's remains. Programs in {@code perf} check this with jcstress.
 *
 * <p>Lanes share flows, not work: each packet takes effect through the view of the lane that has
 * it, whichever lane opened its flow, and {@link #expire} of each view goes round a share of the
 * slots of its own, so that together they look at each slot once.
 *
 * <p>A crash. The process may be killed at any instruction. What it had stored is in the file, in
 * program order as far as it matters: whoever opens the file reads it after the last store. A slot
 * with an odd number was being written: its flow is forgotten. Home maps, occupancy and counts are
 * made anew from the whole slots, and every slot has to prove itself by its own hash ({@link
 * FlowRegion#recover}). Switch ports and the revision that judged a flow mean nothing to another
 * process: they are forgotten, so the first packet of each flow is judged again, and finds the
 * ports again. Two processes must not have the file at the same time; the lock of the run folder
 * sees to that.
 *
 * <p>Nothing is allocated after {@link #open} except by {@link #forEach}.
 *
 * <p>Thread: the lane that owns the view ({@link #anotherLane} makes one for each), for everything
 * but {@link #forEach}, {@link #size} and the counters, which any thread may call.
 */
public final class Conntrack implements AutoCloseable {
    /**
     * In the place of TCP flags: a later fragment, which has no TCP header. It belongs to a known
     * flow or is INVALID, and moves no state. Outside the 9 bits of flags.
     */
    public static final int TCP_FLAGS_ABSENT = 1 << 16;

    /** Share of a region's capacity from which flows are pushed out for new ones. */
    public static final int NEARLY_FULL_PERCENT = 95;

    /** Slots looked at for a flow to push out: 16 line misses, about 1 us. */
    private static final int RESCUE_SLOTS = 16;

    /**
     * Flows of a family that one step of expiry forgets: some 150 ns each, 10 us in all; where
     * somebody is told of them, half as much again.
     */
    static final int EXPIRED_MAX = 64;

    private final FlowTable table;
    private final boolean ownsTable;
    private final ConntrackConfig config;
    private final Told told;
    private final FlowEntry entry = new FlowEntry();
    private final FlowKey ownKey = new FlowKey();

    /** Which of so many lanes this is: it expires that share of the slots. */
    private final int laneNumber;

    private final int laneCount;

    /** Where the next {@link #expire} begins, in slots from the beginning of the share. */
    private int expiryCursor;

    private int expiryCursorIpv6;

    /**
     * Slots of IPv6 that {@link #expire} still owes, in shares of one: as many as IPv4 has slots
     * make a whole.
     */
    private long expiryDebtIpv6;

    /** Flows that the step of expiry at hand has forgotten. */
    private int expired;

    /** Whom the views of a lane tell of flows that leave the table, and what of. */
    private static final class Told {
        @Nullable FlowEnds ends;
        final FlowCopy flow = new FlowCopy();

        /** Where a flow that is removed is to be copied; null while nobody wants to know. */
        @Nullable FlowCopy copy() {
            flow.isRead = false;
            return ends == null ? null : flow;
        }
    }

    private Conntrack(final FlowTable table) {
        this(table, true, new Told(), 0, 1);
    }

    private Conntrack(
            final FlowTable table,
            final boolean ownsTable,
            final Told told,
            final int laneNumber,
            final int laneCount) {
        this.table = table;
        this.ownsTable = ownsTable;
        this.config = table.config;
        this.told = told;
        this.laneNumber = laneNumber;
        this.laneCount = laneCount;
    }

    /**
     * An empty table in the memory of this process.
     *
     * @param seed of the hash; random, and known to nobody who can send packets
     */
    public static Conntrack open(final ConntrackConfig config, final long seed) {
        return new Conntrack(FlowTable.anonymous(config, seed));
    }

    /**
     * The table in a file: with the flows that a former process of the same boot left there, or
     * empty; {@link #origin} tells which, and why.
     *
     * @param seed as above, if the table begins empty; else that of the file goes on
     * @param file on a tmpfs; made if it is not there. It holds the seed, so nobody else may read
     *     it
     * @param bootId of this boot (/proc/sys/kernel/random/boot_id), 1 to 64 ASCII characters
     * @param nowNs the clock of the lanes
     * @throws IOException if the file cannot be made or there is no room for it
     */
    public static Conntrack open(
            final ConntrackConfig config,
            final long seed,
            final Path file,
            final String bootId,
            final long nowNs)
            throws IOException {
        return new Conntrack(FlowTable.open(config, seed, file, bootId, nowNs));
    }

    /**
     * The table in the file of a process that runs and is about to hand it over. Until that process
     * has stopped its lanes, this one's must not touch the table. The flows keep the switch ports
     * and policy revisions of that process: its successor counts its revisions on, so that every
     * flow is judged again before its ports are used.
     *
     * @param bootId as above
     * @return empty where the file is not there, or for other numbers of flows, of another format
     *     or boot: then the file stays the other process's
     * @throws IOException if the file cannot be mapped
     */
    public static Optional<Conntrack> share(
            final ConntrackConfig config, final Path file, final String bootId) throws IOException {
        final FlowTable table = FlowTable.share(config, file, bootId);
        return table == null ? Optional.empty() : Optional.of(new Conntrack(table));
    }

    /**
     * The process that {@link #share}s the file has taken over: {@link #close} leaves the file to
     * it as it is. Thread: any.
     */
    public void handedOver() {
        table.handedOver();
    }

    /**
     * A view of the same table for another thread, which does not {@link #expire}. Closing it does
     * nothing. Thread: any.
     */
    public Conntrack anotherLane() {
        return new Conntrack(table, false, new Told(), 0, 1);
    }

    /**
     * A view of the same table for one of several lanes, which together expire all of it. Closing
     * it does nothing. Thread: any.
     *
     * @param number of the lane, from 0
     * @param count of lanes, from 1
     */
    public Conntrack ofLane(final int number, final int count) {
        if (number < 0 || number >= count) {
            throw new IllegalArgumentException("lane " + number + " of " + count);
        }
        return new Conntrack(table, false, new Told(), number, count);
    }

    /**
     * A view with an {@link #entry} of its own for the same lane, which is told of the ends of both
     * views. Closing it does nothing.
     */
    public Conntrack anotherCursor() {
        return new Conntrack(table, false, told, laneNumber, laneCount);
    }

    /**
     * From now on somebody is told of the flows that this lane forgets. Without, a removal reads no
     * counters.
     */
    public void tellEnds(final FlowEnds ends) {
        told.ends = ends;
    }

    /** What the table was when it was opened. Thread: any. */
    public ConntrackOrigin origin() {
        return table.origin;
    }

    /** Makes the key of a tuple, for {@link #touch} and {@link #lookup}. Touches no flow. */
    public void prepare(final Tuple tuple, final FlowKey into) {
        into.set(tuple, table.hash);
        final FlowRegion region = table.regionOf(into);
        into.homeLine = region.hotLineOf(region.homeOf(into.hash));
    }

    /**
     * Loads what lookups of the keys will need: first the line of each home; then that of the flow
     * that its map says it is, and the cold line if the window check will need it. Loads stand
     * alone in their loops: the fewer instructions lie between two of them, the more are under way
     * at a time.
     *
     * @param count of keys to load for, from the first on
     * @return something that depends on the loads: to be kept, so that they are done
     */
    public long touch(final FlowKey[] keys, final int count) {
        long lines = 0;
        for (int i = 0; i < count; i++) {
            lines += ALL.get(LONG, lineAddress(keys[i].homeLine) + FlowSlot.HOME_MAP);
        }
        for (int i = 0; i < count; i++) {
            table.regionOf(keys[i]).aim(keys[i], touchesCold(keys[i]));
        }
        for (int i = 0; i < count; i++) {
            lines +=
                    ALL.get(LONG, lineAddress(keys[i].hotLine) + FlowSlot.KEY)
                            + ALL.get(LONG, lineAddress(keys[i].coldLine) + FlowSlot.WINDOWS);
        }
        return lines;
    }

    private boolean touchesCold(final FlowKey key) {
        return key.protocol == FlowTracker.PROTOCOL_TCP && config.tcpWindowCheck();
    }

    /** {@link #lookup(FlowKey, int, long)} of one packet. */
    public ConntrackState lookup(final Tuple tuple, final int tcpFlags, final long nowNs) {
        prepare(tuple, ownKey);
        return lookup(ownKey, tcpFlags, nowNs);
    }

    /**
     * What a packet is. Changes no flow. After ESTABLISHED and REPLY, {@link #entry} is the flow;
     * its verdict may be {@link FlowVerdict#DENY}.
     *
     * @param key of {@link #prepare}
     * @param tcpFlags the flags of the TCP header, {@link #TCP_FLAGS_ABSENT} for a later fragment,
     *     0 for other protocols
     */
    public ConntrackState lookup(final FlowKey key, final int tcpFlags, final long nowNs) {
        entry.leave();
        final boolean isTcp = key.protocol == FlowTracker.PROTOCOL_TCP;
        if (isTcp && FlowTracker.isImpossible(tcpFlags)) {
            return ConntrackState.INVALID;
        }
        if (!find(key, nowNs)) {
            return withoutFlow(key, tcpFlags);
        }
        if (isTcp && FlowTracker.opensTcp(tcpFlags) && startsAnew()) {
            entry.leave();
            return ConntrackState.NEW;
        }
        return entry.isReply() ? ConntrackState.REPLY : ConntrackState.ESTABLISHED;
    }

    /**
     * What a packet of a known flow is, whatever its flags: ESTABLISHED or REPLY, with {@link
     * #entry} as after {@link #lookup}; INVALID without a flow. Changes no flow.
     *
     * @param key of {@link #prepare}
     */
    public ConntrackState lookupKnown(final FlowKey key, final long nowNs) {
        if (!find(key, nowNs)) {
            return ConntrackState.INVALID;
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
        prepare(inner, ownKey);
        return find(ownKey, nowNs) ? ConntrackState.RELATED : ConntrackState.INVALID;
    }

    private boolean find(final FlowKey key, final long nowNs) {
        if (table.regionOf(key).find(key, entry) && entry.deadlineNs() - nowNs > 0) {
            return true;
        }
        entry.leave();
        return false;
    }

    /** The flow last looked up or created: always the same cursor. */
    public FlowEntry entry() {
        return entry;
    }

    /**
     * Lets a packet that passes take effect on {@link #entry}: state, counters, deadline. TCP
     * numbers are not looked at.
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
        advance(direction, tcpFlags, null, lengthBytes, packets, nowNs);
    }

    /**
     * The same for a packet that may be a TCP segment: unless {@code tcpWindowCheck} is off, it is
     * counted in any case, but moves state and deadline only if its numbers are credible ({@link
     * TcpWindow}).
     *
     * @param segment what its header says; null where there is none, ignored unless the flow is TCP
     */
    public void advance(
            final ConntrackState direction,
            final int tcpFlags,
            final @Nullable TcpSegment segment,
            final int lengthBytes,
            final int packets,
            final long nowNs) {
        entry.advance(
                config,
                isFromInitiator(direction),
                direction == ConntrackState.NEW,
                tcpFlags,
                config.tcpWindowCheck() ? segment : null,
                lengthBytes,
                packets,
                nowNs);
    }

    private static boolean isFromInitiator(final ConntrackState direction) {
        return switch (direction) {
            case NEW, ESTABLISHED -> true;
            case REPLY -> false;
            case RELATED, INVALID ->
                    throw new IllegalArgumentException(
                            "advance by a packet that is "
                                    + direction
                                    + ": accepted are NEW, ESTABLISHED, REPLY");
        };
    }

    /**
     * Keeps {@link #entry}, a cut flow, matching while its packets keep coming: to be called for
     * each that is dropped for it. Neither state nor counters change.
     */
    public void touchDenied(final long nowNs) {
        entry.touch(nowNs + config.timeoutNs(entry.protocol(), entry.state()));
    }

    /** Keeps {@link #entry}, which stands for a part of another flow, as long as that one. */
    public void keepUntil(final long deadlineNs) {
        entry.touch(deadlineNs);
    }

    /** {@link #create(FlowKey, int, long)} for one packet. */
    public @Nullable FlowEntry create(final Tuple tuple, final int tcpFlags, final long nowNs) {
        prepare(tuple, ownKey);
        return create(ownKey, tcpFlags, nowNs);
    }

    /**
     * Opens a flow for a packet that {@link #lookup} called NEW; one under the same tuple (closed,
     * cut or expired) makes way. Its verdict is DENY until {@link FlowEntry#recordVerdict}, its
     * switch ports {@link FlowEntry#NO_PORT}. The packet itself is counted by {@link #advance}.
     *
     * <p>Null is a value here: the table is full, nothing was changed but expired and expendable
     * flows, and the packet must be dropped.
     *
     * @param key of {@link #prepare}; the source of its tuple is the initiator
     * @param tcpFlags as for {@link #lookup}
     * @return {@link #entry}, or null
     */
    public @Nullable FlowEntry create(final FlowKey key, final int tcpFlags, final long nowNs) {
        return create(
                key,
                FlowTracker.first(key.protocol, tcpFlags),
                FlowVerdict.DENY,
                FlowEntry.NO_SIDES,
                true,
                nowNs);
    }

    /**
     * Opens a redirected flow that stands for a part of another one, unless there is one under the
     * key, which another lane may have opened a moment ago: then that one is the answer. It has its
     * verdict and its port from the first moment on.
     *
     * @param key of {@link #prepare}, not TCP's; the source of its tuple is the initiator
     * @param proxyPort see {@link FlowEntry#proxyPort}, 1 to 65535
     * @return {@link #entry}, or null as in {@link #create}
     */
    public @Nullable FlowEntry createIfAbsent(
            final FlowKey key, final int proxyPort, final long nowNs) {
        return create(
                key,
                FlowTracker.first(key.protocol, 0),
                FlowVerdict.REDIRECT,
                FlowSlot.sides(FlowEntry.NO_PORT, FlowEntry.NO_PORT, proxyPort),
                false,
                nowNs);
    }

    private @Nullable FlowEntry create(
            final FlowKey key,
            final FlowState state,
            final FlowVerdict verdict,
            final long sides,
            final boolean mayReplace,
            final long nowNs) {
        final FlowRegion region = table.regionOf(key);
        final boolean isThere = region.find(key, entry);
        if (isThere && entry.deadlineNs() - nowNs <= 0) {
            table.add(FlowTable.EXPIRED_COUNT, 1);
        }
        if (!isThere && isNearlyFull(region)) {
            makeRoom(region, region.homeOf(key.hash), nowNs);
        }
        long word = key.sourceIsA ? key.word | FlowSlot.KEY_A_INITIATES : key.word;
        word = FlowSlot.withVerdict(FlowSlot.withState(word, state), verdict);
        final long deadlineNs = nowNs + config.timeoutNs(key.protocol, state);
        int slot = insert(region, key, word, sides, mayReplace, deadlineNs, nowNs);
        if (slot == FlowRegion.NO_SLOT && makeRoom(region, region.homeOf(key.hash), nowNs)) {
            slot = insert(region, key, word, sides, mayReplace, deadlineNs, nowNs);
        }
        if (slot == FlowRegion.TAKEN) {
            return entry;
        }
        if (slot == FlowRegion.NO_SLOT) {
            entry.leave();
            table.add(FlowTable.REFUSED_COUNT, 1);
            return null;
        }
        table.add(FlowTable.CREATED_COUNT, 1);
        return entry;
    }

    private int insert(
            final FlowRegion region,
            final FlowKey key,
            final long word,
            final long sides,
            final boolean mayReplace,
            final long deadlineNs,
            final long nowNs) {
        final int slot =
                region.insert(key, word, sides, mayReplace, deadlineNs, nowNs, entry, told.copy());
        final boolean wasExpired = told.flow.deadlineNs - nowNs <= 0;
        tell(wasExpired ? FlowEnds.Exit.EXPIRED : FlowEnds.Exit.REPLACED, nowNs);
        return slot;
    }

    /** Removes a flow from its slot and tells of it; 1, or 0 if it was no longer there. */
    private int forget(
            final FlowRegion region,
            final int slot,
            final long word,
            final long deadlineNs,
            final FlowEnds.Exit exit,
            final long nowNs) {
        final boolean removed = region.remove(slot, word, deadlineNs, told.copy());
        tell(exit, nowNs);
        return removed ? 1 : 0;
    }

    /** Tells of the flow that the change just made has copied, if it has, after all locks. */
    private void tell(final FlowEnds.Exit exit, final long nowNs) {
        final @Nullable FlowEnds ends = told.ends;
        if (ends != null && told.flow.isRead) {
            told.flow.findLastPacket(config, nowNs);
            ends.ended(told.flow, exit, nowNs);
        }
    }

    private static boolean isNearlyFull(final FlowRegion region) {
        return (long) region.size() * 100 >= (long) region.capacityFlows * NEARLY_FULL_PERCENT;
    }

    /**
     * Forgets expired flows near a home, or else one that is expendable; false if there is none.
     */
    private boolean makeRoom(final FlowRegion region, final int home, final long nowNs) {
        int expired = 0;
        int victim = FlowRegion.NO_SLOT;
        long victimWord = 0;
        long victimDeadlineNs = 0;
        for (int i = 0; i < RESCUE_SLOTS; i++) {
            final int slot = (home + i) & (region.slotCount - 1);
            final long at = region.hotOf(slot);
            final long word = ALL.get(LONG, at + FlowSlot.KEY);
            final long deadlineNs = ALL.get(LONG, at + FlowSlot.DEADLINE);
            if ((word & FlowSlot.KEY_OCCUPIED) == 0) {
                continue;
            }
            if (deadlineNs - nowNs <= 0) {
                expired += forget(region, slot, word, deadlineNs, FlowEnds.Exit.EXPIRED, nowNs);
            } else if (victim == FlowRegion.NO_SLOT
                    && FlowTracker.isExpendable(FlowSlot.state(word))
                    && FlowSlot.verdict(word) != FlowVerdict.DENY) {
                victim = slot;
                victimWord = word;
                victimDeadlineNs = deadlineNs;
            }
        }
        if (expired > 0) {
            table.add(FlowTable.EXPIRED_COUNT, expired);
            return true;
        }
        if (victim != FlowRegion.NO_SLOT
                && forget(
                                region,
                                victim,
                                victimWord,
                                victimDeadlineNs,
                                FlowEnds.Exit.EVICTED,
                                nowNs)
                        > 0) {
            table.add(FlowTable.EVICTED_COUNT, 1);
            return true;
        }
        return false;
    }

    /** Forgets the flow under the cursor, and tells nobody: the caller knows. */
    public void close(final FlowEntry flow) {
        final FlowRegion region = flow.isIpv4() ? table.ipv4 : table.ipv6;
        region.remove(flow.slot(), flow.key(), flow.deadlineNs(), null);
        flow.leave();
    }

    /**
     * Forgets flows whose deadline has passed, looking at a bounded number of slots of this lane's
     * share from where the last call stopped: so many of IPv4, and of IPv6 so many that both
     * regions come round together. An empty slot counts as looked at and costs 1/64 of a step. At
     * {@value #EXPIRED_MAX} forgotten flows of a family the call ends before its slots do: where a
     * flood has expired, the next call is wanted soon, and packets in between.
     *
     * @param slotsMax slots to look at
     * @return flows forgotten
     */
    public int expire(final long nowNs, final int slotsMax) {
        final FlowRegion ipv4 = table.ipv4;
        final FlowRegion ipv6 = table.ipv6;
        final int share = shareEnd(ipv4) - shareBegin(ipv4);
        final int shareIpv6 = shareEnd(ipv6) - shareBegin(ipv6);
        expired = 0;
        final int seen = expire(ipv4, expiryCursor, Math.min(slotsMax, share), nowNs);
        expiryCursor = (expiryCursor + seen) % share;
        final long roundIpv6 = (long) shareIpv6 * share;
        expiryDebtIpv6 = Math.min(roundIpv6, expiryDebtIpv6 + (long) seen * shareIpv6);
        int forgotten = expired;
        expired = 0;
        final int left = (int) (expiryDebtIpv6 / share);
        final int seenIpv6 = expire(ipv6, expiryCursorIpv6, left, nowNs);
        expiryCursorIpv6 = (expiryCursorIpv6 + seenIpv6) % shareIpv6;
        expiryDebtIpv6 -= (long) seenIpv6 * share;
        forgotten += expired;
        if (forgotten > 0) {
            table.add(FlowTable.EXPIRED_COUNT, forgotten);
        }
        return forgotten;
    }

    private int shareBegin(final FlowRegion region) {
        return (int) ((long) region.slotCount * laneNumber / laneCount);
    }

    private int shareEnd(final FlowRegion region) {
        return (int) ((long) region.slotCount * (laneNumber + 1) / laneCount);
    }

    /**
     * Counts in {@link #expired}; the number of slots that were looked at.
     *
     * @param from in slots from the beginning of the share
     */
    private int expire(final FlowRegion region, final int from, final int slots, final long nowNs) {
        final int begin = shareBegin(region) + from;
        final int end = Math.min(shareEnd(region), begin + slots);
        int slot = region.nextOccupied(begin, end);
        while (slot < end) {
            final long at = region.hotOf(slot);
            final long deadlineNs = ALL.get(LONG, at + FlowSlot.DEADLINE);
            if (deadlineNs - nowNs <= 0) {
                final long word = ALL.get(LONG, at + FlowSlot.KEY);
                // A slot that was claimed a moment ago still shows its former flow, or none.
                if ((word & FlowSlot.KEY_OCCUPIED) != 0) {
                    expired += forget(region, slot, word, deadlineNs, FlowEnds.Exit.EXPIRED, nowNs);
                }
                if (expired == EXPIRED_MAX) {
                    return slot + 1 - begin;
                }
            }
            slot = region.nextOccupied(slot + 1, end);
        }
        final int round = slots - (end - begin);
        return round > 0 ? end - begin + expire(region, 0, round, nowNs) : slots;
    }

    /** Flows in the table, the expired that {@link #expire} has not met included. Any thread. */
    public int size() {
        return table.size();
    }

    /** {@link #size}, of IPv4 alone. Any thread. */
    public int sizeIpv4() {
        return table.ipv4.size();
    }

    /** {@link #size}, of IPv6 alone. Any thread. */
    public int sizeIpv6() {
        return table.ipv6.size();
    }

    /**
     * Memory of the IPv4 flows, in bytes: the same from {@link #open} to {@link #close}, whatever
     * comes. Any thread.
     */
    public long bytesIpv4() {
        return table.ipv4.bytes();
    }

    /** The same for IPv6. Any thread. */
    public long bytesIpv6() {
        return table.ipv6.bytes();
    }

    /** Flows opened so far by this process. Any thread. */
    public long createdCount() {
        return table.read(FlowTable.CREATED_COUNT);
    }

    /** Flows forgotten because their deadline had passed. Any thread. */
    public long expiredCount() {
        return table.read(FlowTable.EXPIRED_COUNT);
    }

    /** Flows that found no place. Any thread. */
    public long refusedCount() {
        return table.read(FlowTable.REFUSED_COUNT);
    }

    /** Flows pushed out for new ones when the table was nearly full. Any thread. */
    public long evictedCount() {
        return table.read(FlowTable.EVICTED_COUNT);
    }

    /**
     * Shows every flow whose deadline has not passed. Each snapshot is of one moment; the walk as a
     * whole is not: a flow that is opened or closed meanwhile may be shown or not. Flows do not
     * move, so one that lives throughout the walk is shown exactly once. Allocates. Thread: any.
     *
     * @throws IllegalStateException if the table is closed meanwhile
     */
    public void forEach(final long nowNs, final Consumer<FlowSnapshot> sink) {
        new FlowListing(table, nowNs).forEach(sink);
    }

    /**
     * Gives the memory back, and marks a file as closed. No call may follow, of other views
     * neither; readers still inside {@link #forEach} get an exception.
     */
    @Override
    public void close() {
        if (ownsTable) {
            table.close();
        }
    }

    /** What a packet is that belongs to no flow. */
    private ConntrackState withoutFlow(final FlowKey key, final int tcpFlags) {
        final boolean opens =
                key.protocol == FlowTracker.PROTOCOL_TCP
                        ? FlowTracker.opensTcp(tcpFlags)
                                || (config.tcpLoose() && FlowTracker.continuesTcp(tcpFlags))
                        : !key.echoReply;
        return opens ? ConntrackState.NEW : ConntrackState.INVALID;
    }

    /** Whether a SYN on {@link #entry} is another connection. */
    private boolean startsAnew() {
        return FlowTracker.isOver(entry.state()) || entry.verdict() == FlowVerdict.DENY;
    }
}
