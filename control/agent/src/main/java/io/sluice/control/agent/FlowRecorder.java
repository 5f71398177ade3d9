package io.sluice.control.agent;

import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.ExceptionHandler;
import com.lmax.disruptor.InsufficientCapacityException;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.dsl.Disruptor;
import com.lmax.disruptor.dsl.ProducerType;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowCopy;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.FlowEvents;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.TrafficDirection;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the lanes decided, put into words for people: flow events on their way from the lanes to the
 * flow store.
 *
 * <p>A lane copies numbers into a slot of a ring and goes on. All lanes have one ring, because one
 * thread puts everything into words and is what limits: a ring for each lane would have the same
 * events wait in other places. A lane that has taken a slot and lost its processor holds up the
 * reader and no other lane. The recorder's thread gives them names, from the policy revision that
 * the packet was judged by ({@link FlowWords}), and appends them batch by batch. A full ring loses
 * the event, and counts it: no lane ever waits. A flow is visible after about a millisecond; {@link
 * SleepUntilWoken} tells how the recorder's thread learns of it. On a processor that it shares with
 * a busy lane it gets a hundredth ({@link ProcessorShare#ofEvents}): events are lost then, not
 * packets.
 *
 * <p>Ends of flows come in floods: a lane forgets some millions of flows a second where as many
 * were opened at a time. They may fill half of the ring only, so that none of them costs the
 * verdict of a new flow or a drop its place; what finds that half full is lost and counted, and the
 * lane's own counters have its number by reason all the same.
 *
 * <p>Thread: {@link #opened}, {@link #dropped} and {@link #ended} the lanes; the handler its own,
 * {@code sluice-flows}; the rest any.
 */
final class FlowRecorder implements FlowEvents, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(FlowRecorder.class);

    /**
     * Events that may wait. At 0.2 us each the handler empties them in 3 ms; a flood of drops loses
     * events rather than memory. A slot is about 250 bytes: 4 MiB.
     */
    private static final int RING_EVENTS = 1 << 14;

    /**
     * Events that go to the store together: what they share costs a batch, among it the lock and
     * the waking of readers, some 5 us for each. The lock is held for some 10 us.
     */
    private static final int BATCH_EVENTS_MAX = 256;

    /** Room that ends of flows leave to other events. */
    private static final int KEPT_FROM_ENDS_EVENTS = RING_EVENTS / 2;

    /** Numbers of one event, as the lane knows them. */
    static final class Slot {
        boolean opened;
        DropReason reason = DropReason.NONE;
        Packet.Known known = Packet.Known.FRAME;
        long sourceMac;
        long destinationMac;
        long sourceHigh;
        long sourceLow;
        long destinationHigh;
        long destinationLow;
        int protocol;
        int sourcePort;
        int destinationPort;
        boolean icmp;
        int icmpTypeCode;
        int tcpFlags;
        int inPort;
        int sourceIdentity;
        int destinationIdentity;
        boolean fromInitiator;
        TrafficDirection direction = TrafficDirection.EGRESS;
        long egressEntry;
        long ingressEntry;
        int revision;
        int lengthBytes;
        long atNs;

        /** Of the end of a flow, whose source is its initiator; else null. */
        @Nullable FlowEnd end;

        boolean redirected;
        int cutReason;
        long createdNs;
        long lastPacketNs;
        long initiatorPackets;
        long initiatorBytes;
        long responderPackets;
        long responderBytes;
    }

    private final FlowStore store;
    private final FlowWords words;
    private final Disruptor<Slot> disruptor;
    private final RingBuffer<Slot> ring;

    private final CountDownLatch handlerRuns = new CountDownLatch(1);
    private final AtomicLong failed = new AtomicLong();

    private boolean recordsEnds = true;
    private volatile PolicyDrops policyDrops = (source, destination, protocol, port, atNs) -> {};

    private final AtomicLong lost = new AtomicLong();
    private final AtomicLong lostEnds = new AtomicLong();

    /**
     * @param lanes that tell
     * @param policyOfRevision the revision an event was judged by, or the nearest that is known
     * @param clockNs the lanes' clock
     */
    FlowRecorder(
            final String nodeName,
            final int lanes,
            final FlowStore store,
            final IntFunction<LivePolicy> policyOfRevision,
            final LongSupplier clockNs) {
        this.store = store;
        this.words = new FlowWords(nodeName, policyOfRevision, clockNs, InstantSource.system());
        final ThreadFactory threads = Thread.ofPlatform().name("sluice-flows").daemon().factory();
        this.disruptor =
                new Disruptor<>(
                        Slot::new,
                        RING_EVENTS,
                        threads,
                        lanes == 1 ? ProducerType.SINGLE : ProducerType.MULTI,
                        new SleepUntilWoken());
        disruptor.setDefaultExceptionHandler(new FailedEvents());
        disruptor.handleEventsWith(new Handler());
        this.ring = disruptor.start();
        awaitHandler();
    }

    /** A handler that does not run yet would be closed with its events unread. */
    private void awaitHandler() {
        try {
            handlerRuns.await();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private final class Handler implements EventHandler<Slot> {
        private final List<Flow> batch = new ArrayList<>(BATCH_EVENTS_MAX);

        /** Of the first of the batch, unless a proxy appends meanwhile. */
        private long nextSequence;

        @Override
        public void onStart() {
            ProcessorShare.ofEvents();
            handlerRuns.countDown();
        }

        @Override
        public void onEvent(final Slot slot, final long sequence, final boolean endOfBatch) {
            if (batch.isEmpty()) {
                words.beginBatch();
                nextSequence = store.nextSequence();
            }
            try {
                record(slot);
            } finally {
                if (endOfBatch || batch.size() == BATCH_EVENTS_MAX) {
                    append();
                }
            }
        }

        private void record(final Slot slot) {
            final long expected = nextSequence + batch.size();
            if (slot.end != null) {
                batch.add(words.end(slot, slot.end, expected));
                return;
            }
            if (slot.reason == DropReason.POLICY_DENIED
                    && slot.direction == TrafficDirection.EGRESS
                    && slot.fromInitiator) {
                policyDrops.dropped(
                        new IpAddress(slot.sourceHigh, slot.sourceLow),
                        new IpAddress(slot.destinationHigh, slot.destinationLow),
                        slot.protocol,
                        slot.destinationPort,
                        slot.atNs);
            }
            batch.add(words.packet(slot, expected));
        }

        private void append() {
            try {
                store.append(batch);
            } finally {
                batch.clear();
            }
        }
    }

    /** An event that cannot be put into words is lost like one that found no room. */
    private final class FailedEvents implements ExceptionHandler<Slot> {
        @Override
        public void handleEventException(
                final Throwable error, final long sequence, final Slot slot) {
            failed.incrementAndGet();
            LOG.error("a flow event was lost", error);
        }

        @Override
        public void handleOnStartException(final Throwable error) {
            LOG.error("the flow recorder did not start well", error);
        }

        @Override
        public void handleOnShutdownException(final Throwable error) {
            LOG.error("the flow recorder did not stop well", error);
        }
    }

    @Override
    public void opened(final Packet packet, final long nowNs) {
        tell(packet, DropReason.NONE, nowNs);
    }

    @Override
    public void dropped(final Packet packet, final DropReason reason, final long nowNs) {
        tell(packet, reason, nowNs);
    }

    private void tell(final Packet packet, final DropReason reason, final long nowNs) {
        final long sequence;
        try {
            sequence = ring.tryNext();
        } catch (final InsufficientCapacityException e) {
            // Always the same object, made without a stack.
            lost.incrementAndGet();
            return;
        }
        final Slot slot = ring.get(sequence);
        slot.opened = reason == DropReason.NONE;
        slot.reason = reason;
        fill(slot, packet, nowNs);
        ring.publish(sequence);
    }

    @Override
    public void ended(final FlowCopy flow, final FlowEnd end, final long nowNs) {
        if (!recordsEnds) {
            return;
        }
        if (!ring.hasAvailableCapacity(KEPT_FROM_ENDS_EVENTS + 1)) {
            lostEnds.incrementAndGet();
            return;
        }
        final long sequence;
        try {
            sequence = ring.tryNext();
        } catch (final InsufficientCapacityException e) {
            // Other lanes were faster.
            lostEnds.incrementAndGet();
            return;
        }
        final Slot slot = ring.get(sequence);
        slot.end = end;
        slot.sourceHigh = flow.tuple.sourceHigh;
        slot.sourceLow = flow.tuple.sourceLow;
        slot.destinationHigh = flow.tuple.destinationHigh;
        slot.destinationLow = flow.tuple.destinationLow;
        slot.protocol = flow.tuple.protocol;
        slot.sourcePort = flow.tuple.sourcePort;
        slot.destinationPort = flow.tuple.destinationPort;
        slot.sourceIdentity = flow.initiatorIdentity;
        slot.destinationIdentity = flow.responderIdentity;
        slot.redirected = flow.verdict == FlowVerdict.REDIRECT;
        slot.cutReason = flow.dropReason;
        slot.revision = flow.policyRevision;
        slot.createdNs = flow.createdNs;
        slot.lastPacketNs = flow.lastPacketNs;
        slot.initiatorPackets = flow.initiatorPackets;
        slot.initiatorBytes = flow.initiatorBytes;
        slot.responderPackets = flow.responderPackets;
        slot.responderBytes = flow.responderBytes;
        slot.atNs = nowNs;
        ring.publish(sequence);
    }

    private static void fill(final Slot slot, final Packet packet, final long nowNs) {
        slot.end = null;
        slot.known = packet.knownUpTo;
        slot.inPort = packet.inPort;
        slot.sourceMac = packet.sourceMac;
        slot.destinationMac = packet.destinationMac;
        slot.sourceHigh = packet.tuple.sourceHigh;
        slot.sourceLow = packet.tuple.sourceLow;
        slot.destinationHigh = packet.tuple.destinationHigh;
        slot.destinationLow = packet.tuple.destinationLow;
        slot.protocol = packet.tuple.protocol;
        slot.sourcePort = packet.tuple.sourcePort;
        slot.destinationPort = packet.tuple.destinationPort;
        slot.icmp = packet.isIcmp();
        slot.icmpTypeCode = packet.icmpTypeCode;
        slot.tcpFlags = packet.tcpFlags;
        slot.sourceIdentity = packet.sourceIdentity;
        slot.destinationIdentity = packet.destinationIdentity;
        slot.fromInitiator = packet.conntrackState != ConntrackState.REPLY;
        slot.direction = packet.direction;
        slot.egressEntry = packet.egressEntry;
        slot.ingressEntry = packet.ingressEntry;
        slot.revision = packet.policyRevision;
        slot.lengthBytes = packet.ipBytes();
        slot.atNs = nowNs;
    }

    /**
     * Events that found the ring full, ends of flows aside, or could not be put into words, since
     * start.
     */
    long lost() {
        return lost.get() + failed.get();
    }

    /** Ends of flows that found their half of the ring full, since start. */
    long lostEnds() {
        return lostEnds.get();
    }

    /** Handles what is in the ring and ends the thread; after the lanes have ended. */
    @Override
    public void close() {
        disruptor.shutdown();
        store.close();
    }

    /** Makes no events of flows that end; before the lanes begin. */
    void leaveOutEnds() {
        recordsEnds = false;
    }

    /** Has drops for want of an egress rule shown to somebody, on this thread. */
    void watchDrops(final PolicyDrops watcher) {
        policyDrops = watcher;
    }

    /** Who looks at drops. */
    interface PolicyDrops {
        /** A packet was dropped because no rule of its sender's policy allows it. */
        void dropped(
                IpAddress source,
                IpAddress destination,
                int protocol,
                int destinationPort,
                long atNs);
    }
}
