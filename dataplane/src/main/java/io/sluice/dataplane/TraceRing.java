package io.sluice.dataplane;

import io.sluice.conntrack.ConntrackState;
import io.sluice.dataplane.TraceRecord.End;
import io.sluice.dataplane.TraceRecord.Step;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.agrona.concurrent.OneToOneConcurrentArrayQueue;
import org.jspecify.annotations.Nullable;

/**
 * The records of one trace of one lane, on their way from the lane to who asked for it.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A trace is given to the lane between two batches, and taken from it the same way; without one
 * the lane pays a branch per packet. With one, every packet is put to the {@link PacketFilter} when
 * it has come to its end, because only then everything about it is known and nothing of it is gone:
 * the packet cursor keeps what each step found. What matches is copied into a slot as it is; words
 * are the reader's business.
 *
 * <p>The slots are made with the ring and go round: from the free ones to the lane, to the full
 * ones, to the reader, and back. Each of the two queues has one writer and one reader, and nothing
 * is allocated on the lane.
 *
 * <p>Bound: {@link #RECORDS} slots; a record that finds none free is lost, and counted, and the
 * lane goes on. After the last packet that was asked for nothing matches any more. {@code matched =
 * read + lost + still in the ring}, always.
 *
 * <p>A trace belongs to one lane. Thread: {@link #note} the lane; {@link #read}, {@link #lost} and
 * {@link #isComplete} one reader.
 */
public final class TraceRing {
    /** Records that may wait: a reader that looks every 10 ms keeps up with 100,000 a second. */
    public static final int RECORDS = 1024;

    /** Packets that can be asked for. */
    public static final long PACKETS_MAX = Integer.MAX_VALUE;

    /** What the lane takes down, to be made a {@link TraceRecord}. */
    private static final class Slot {
        private long atNs;
        private End end = End.FORWARDED;
        private DropReason reason = DropReason.NONE;
        private Step stoppedAt = Step.TRANSMIT;
        private boolean isReturned;
        private Packet.Known known = Packet.Known.FRAME;
        private int inPort;
        private int outPort;
        private int frameBytes;
        private int etherType;
        private long sourceMac;
        private long destinationMac;
        private long sourceHigh;
        private long sourceLow;
        private long destinationHigh;
        private long destinationLow;
        private int protocol;
        private int sourcePort;
        private int destinationPort;
        private int tcpFlags;
        private int icmpTypeCode;
        private int ttl;
        private Packet.Fragment fragment = Packet.Fragment.NONE;
        private boolean quotesPacket;
        private boolean isTracked;
        private ConntrackState state = ConntrackState.NEW;
        private boolean hasSides;
        private int sourceIdentity;
        private int destinationIdentity;
        private boolean isJudged;
        private long egressEntry;
        private long ingressEntry;
        private int revision;

        private void fill(
                final Packet packet,
                final DropReason dropped,
                final End ended,
                final boolean returned,
                final long nowNs) {
            final boolean isAdmitted =
                    returned || (packet.admission == DropReason.NONE && !packet.isAnswered);
            final boolean wasLookedUp = packet.knownUpTo.compareTo(Packet.Known.SIDES) >= 0;
            atNs = nowNs;
            end = ended;
            reason = dropped;
            isReturned = returned;
            known = packet.knownUpTo;
            inPort = packet.inPort;
            outPort = packet.outPort;
            frameBytes = packet.frameBytes();
            etherType = packet.etherType;
            sourceMac = packet.sourceMac;
            destinationMac = packet.destinationMac;
            sourceHigh = packet.tuple.sourceHigh;
            sourceLow = packet.tuple.sourceLow;
            destinationHigh = packet.tuple.destinationHigh;
            destinationLow = packet.tuple.destinationLow;
            protocol = packet.tuple.protocol;
            sourcePort = packet.tuple.sourcePort;
            destinationPort = packet.tuple.destinationPort;
            tcpFlags = packet.tcpFlags;
            icmpTypeCode = packet.icmpTypeCode;
            ttl = packet.ttl;
            fragment = packet.fragment;
            quotesPacket = packet.quotesPacket;
            // Of a known flow the identities are the flow's.
            hasSides = wasLookedUp || (isAdmitted && packet.sourceIdentity != 0);
            // What the DNS agent dropped or answered was not looked up again.
            isTracked = isAdmitted && (!returned || hasSides);
            state = packet.conntrackState;
            sourceIdentity = packet.sourceIdentity;
            destinationIdentity = packet.destinationIdentity;
            isJudged = packet.knownUpTo == Packet.Known.POLICY;
            egressEntry = packet.egressEntry;
            ingressEntry = packet.ingressEntry;
            revision = packet.policyRevision;
            stoppedAt =
                    switch (ended) {
                        case FORWARDED, REDIRECTED -> Step.TRANSMIT;
                        case PUNTED -> Step.PUNT;
                        case ANSWERED -> returned ? Step.PUNT : Step.ANSWER;
                        case DROPPED ->
                                Step.dropping(dropped, isAdmitted, wasLookedUp && !isJudged);
                    };
        }

        private TraceRecord record() {
            return new TraceRecord(
                    atNs,
                    end,
                    reason,
                    stoppedAt,
                    isReturned,
                    known,
                    inPort,
                    outPort,
                    frameBytes,
                    etherType,
                    sourceMac,
                    destinationMac,
                    sourceHigh,
                    sourceLow,
                    destinationHigh,
                    destinationLow,
                    protocol,
                    sourcePort,
                    destinationPort,
                    tcpFlags,
                    icmpTypeCode,
                    ttl,
                    fragment,
                    quotesPacket,
                    isTracked,
                    state,
                    hasSides,
                    sourceIdentity,
                    destinationIdentity,
                    isJudged,
                    egressEntry,
                    ingressEntry,
                    revision);
        }
    }

    private final PacketFilter filter;
    private final long packetsMax;
    private final OneToOneConcurrentArrayQueue<Slot> free =
            new OneToOneConcurrentArrayQueue<>(RECORDS);
    private final OneToOneConcurrentArrayQueue<Slot> full =
            new OneToOneConcurrentArrayQueue<>(RECORDS);

    // Written by the lane.
    private final AtomicLong matched = new AtomicLong();
    private final AtomicLong lost = new AtomicLong();

    /** Of the reader. */
    private long read;

    /**
     * @param filter which packets are traced
     * @param packetsMax how many of them, from 1 to {@link #PACKETS_MAX}
     */
    public TraceRing(final PacketFilter filter, final long packetsMax) {
        if (packetsMax < 1 || packetsMax > PACKETS_MAX) {
            throw new IllegalArgumentException("packets: " + packetsMax);
        }
        this.filter = filter;
        this.packetsMax = packetsMax;
        for (int i = 0; i < RECORDS; i++) {
            free.add(new Slot());
        }
    }

    /**
     * Takes down a packet that has come to its end, if it is one that is asked for.
     *
     * @param reason why it was dropped, or NONE
     * @param end how it ended
     * @param isReturned whether it came from the DNS agent, not from a port
     */
    void note(
            final Packet packet,
            final DropReason reason,
            final End end,
            final boolean isReturned,
            final long nowNs) {
        final long before = matched.getPlain();
        if (before == packetsMax || !filter.matches(packet)) {
            return;
        }
        final @Nullable Slot slot = free.poll();
        if (slot == null) {
            lost.setRelease(lost.getPlain() + 1);
        } else {
            slot.fill(packet, reason, end, isReturned, nowNs);
            full.add(slot);
        }
        // Last: who sees the last packet counted finds its record.
        matched.setRelease(before + 1);
    }

    /** Hands over what is in the ring, oldest first; how many. */
    public int read(final Consumer<TraceRecord> reader) {
        int count = 0;
        for (@Nullable Slot slot = full.poll(); slot != null; slot = full.poll()) {
            reader.accept(slot.record());
            free.add(slot);
            count++;
        }
        read += count;
        return count;
    }

    /** Packets that matched and found no room. */
    public long lost() {
        return lost.getAcquire();
    }

    /** Whether all packets that were asked for have been read, or are lost. */
    public boolean isComplete() {
        return matched.getAcquire() == packetsMax && read + lost() == packetsMax;
    }
}
