package io.sluice.control.agent;

import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.ExceptionHandler;
import com.lmax.disruptor.InsufficientCapacityException;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.dsl.Disruptor;
import com.lmax.disruptor.dsl.ProducerType;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowCopy;
import io.sluice.conntrack.FlowEntry;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.Pod;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.FlowEvents;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.TrafficDirection;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.wire.MacAddress;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
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
 * the packet was judged by. A full ring loses the event, and counts it: no lane ever waits. A flow
 * is visible after about a millisecond; {@link SleepUntilWoken} tells how the recorder's thread
 * learns of it. On a processor that it shares with a busy lane it gets a hundredth ({@link
 * ProcessorShare#ofEvents}): events are lost then, not packets.
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
     * Events that may wait. At 2 us each the handler empties them in 32 ms; a flood of drops loses
     * events rather than memory. A slot is about 250 bytes: 4 MiB.
     */
    private static final int RING_EVENTS = 1 << 14;

    /** Room that ends of flows leave to other events. */
    private static final int KEPT_FROM_ENDS_EVENTS = RING_EVENTS / 2;

    private static final int PROTOCOL_ICMP = 1;
    private static final int PROTOCOL_TCP = 6;
    private static final int PROTOCOL_ICMPV6 = 58;
    private static final int ECHO_REQUEST = 8;
    private static final int ECHO_REQUEST_V6 = 128;

    /** Numbers of one event, as the lane knows them. */
    private static final class Slot {
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

    private final String nodeName;
    private final FlowStore store;
    private final IntFunction<LivePolicy> policyOfRevision;
    private final LongSupplier clockNs;
    private final Disruptor<Slot> disruptor;
    private final RingBuffer<Slot> ring;
    private final long uuidHigh = UUID.randomUUID().getMostSignificantBits();

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
        this.nodeName = nodeName;
        this.store = store;
        this.policyOfRevision = policyOfRevision;
        this.clockNs = clockNs;
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
        @Override
        public void onStart() {
            ProcessorShare.ofEvents();
            handlerRuns.countDown();
        }

        @Override
        public void onEvent(final Slot slot, final long sequence, final boolean endOfBatch) {
            if (slot.end == null) {
                record(slot);
            } else {
                recordEnd(slot, slot.end);
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

    private void record(final Slot slot) {
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
        final LivePolicy policy = policyOfRevision.apply(slot.revision);
        final boolean addressed = slot.known.compareTo(Packet.Known.ADDRESSES) >= 0;
        final boolean ported = slot.known.compareTo(Packet.Known.TUPLE) >= 0;
        final boolean judged = slot.known == Packet.Known.POLICY;
        // A flow that is let pass again is told from its initiator's side, whoever sent the packet
        // that brought it up: its identities are that way round.
        final boolean turned = slot.opened && !slot.fromInitiator;
        // Until the guard has passed it, a source address is a claim: the sender is who sits behind
        // the port, whatever the packet says.
        final boolean believed = slot.known.compareTo(Packet.Known.SIDES) >= 0;
        final FlowPeer named =
                peer(
                        policy,
                        addressed,
                        turned ? slot.destinationHigh : slot.sourceHigh,
                        turned ? slot.destinationLow : slot.sourceLow,
                        ported && !slot.icmp
                                ? (turned ? slot.destinationPort : slot.sourcePort)
                                : 0,
                        slot.sourceIdentity,
                        mac(slot, slot.sourceMac));
        final FlowPeer sender = believed ? named : behindPort(policy, slot.inPort, named);
        final FlowPeer receiver =
                peer(
                        policy,
                        addressed,
                        turned ? slot.sourceHigh : slot.destinationHigh,
                        turned ? slot.sourceLow : slot.destinationLow,
                        ported && !slot.icmp
                                ? (turned ? slot.sourcePort : slot.destinationPort)
                                : 0,
                        slot.destinationIdentity,
                        mac(slot, slot.destinationMac));
        final Optional<Flow.Direction> audited =
                slot.opened && judged ? auditedDirection(policy, slot) : Optional.empty();
        store.append(
                sequence ->
                        new Flow(
                                sequence,
                                time(slot.atNs),
                                new UUID(uuidHigh, sequence).toString(),
                                nodeName,
                                slot.opened ? Flow.Kind.POLICY_VERDICT : Flow.Kind.DROP,
                                audited.isPresent() ? Flow.Verdict.AUDIT : verdict(slot),
                                slot.reason.code(),
                                slot.opened ? "" : slot.reason.name(),
                                addressed ? version(slot.sourceHigh, slot.sourceLow) : 0,
                                addressed ? slot.protocol : 0,
                                ported && slot.protocol == PROTOCOL_TCP ? slot.tcpFlags & 0xff : 0,
                                ported && slot.icmp ? slot.icmpTypeCode >>> 8 : -1,
                                ported && slot.icmp ? slot.icmpTypeCode & 0xff : -1,
                                sender,
                                receiver,
                                audited.orElseGet(() -> direction(slot, receiver)),
                                isReply(slot),
                                slot.revision,
                                judged ? authors(policy, slot.egressEntry) : List.of(),
                                judged && PolicyEntry.allows(slot.egressEntry)
                                        ? authors(policy, slot.ingressEntry)
                                        : List.of(),
                                addressed ? slot.lengthBytes : 0,
                                Optional.empty()));
    }

    private void recordEnd(final Slot slot, final FlowEnd end) {
        // Nobody of this process has judged it: the daemon before has, and no packet came since.
        final LivePolicy newest = policyOfRevision.apply(Integer.MAX_VALUE);
        final LivePolicy policy =
                slot.revision == FlowEntry.NO_REVISION
                        ? newest
                        : policyOfRevision.apply(slot.revision);
        final boolean isIcmp = slot.protocol == PROTOCOL_ICMP || slot.protocol == PROTOCOL_ICMPV6;
        final FlowPeer initiator =
                peer(
                        policy.labels(slot.sourceIdentity).isEmpty() ? newest : policy,
                        true,
                        slot.sourceHigh,
                        slot.sourceLow,
                        isIcmp ? 0 : slot.sourcePort,
                        slot.sourceIdentity,
                        "");
        final FlowPeer responder =
                peer(
                        policy.labels(slot.destinationIdentity).isEmpty() ? newest : policy,
                        true,
                        slot.destinationHigh,
                        slot.destinationLow,
                        isIcmp ? 0 : slot.destinationPort,
                        slot.destinationIdentity,
                        "");
        final Instant now = time(slot.atNs);
        final FlowTotals totals =
                new FlowTotals(
                        end,
                        now.minusNanos(slot.atNs - slot.createdNs),
                        now.minusNanos(slot.atNs - slot.lastPacketNs),
                        slot.initiatorPackets,
                        slot.initiatorBytes,
                        slot.responderPackets,
                        slot.responderBytes,
                        slot.cutReason,
                        slot.cutReason == 0 ? "" : DropReason.ofCode(slot.cutReason).name());
        store.append(
                sequence ->
                        new Flow(
                                sequence,
                                now,
                                new UUID(uuidHigh, sequence).toString(),
                                nodeName,
                                Flow.Kind.END,
                                slot.redirected ? Flow.Verdict.REDIRECTED : Flow.Verdict.FORWARDED,
                                0,
                                "",
                                version(slot.sourceHigh, slot.sourceLow),
                                slot.protocol,
                                0,
                                isIcmp ? echoRequest(slot.protocol) : -1,
                                isIcmp ? 0 : -1,
                                initiator,
                                responder,
                                responder.endpointId() != 0
                                        ? Flow.Direction.INGRESS
                                        : Flow.Direction.EGRESS,
                                false,
                                slot.revision,
                                List.of(),
                                List.of(),
                                0,
                                Optional.empty(),
                                Optional.of(totals)));
    }

    /** Type of the messages that open a flow of echoes. */
    private static int echoRequest(final int protocol) {
        return protocol == PROTOCOL_ICMP ? ECHO_REQUEST : ECHO_REQUEST_V6;
    }

    private static Flow.Verdict verdict(final Slot slot) {
        if (!slot.opened) {
            return Flow.Verdict.DROPPED;
        }
        return PolicyEntry.redirects(slot.egressEntry) || PolicyEntry.redirects(slot.ingressEntry)
                ? Flow.Verdict.REDIRECTED
                : Flow.Verdict.FORWARDED;
    }

    private static String mac(final Slot slot, final long mac) {
        if (slot.known == Packet.Known.FRAME) {
            return "";
        }
        return MacAddress.format(mac);
    }

    /** The lane's clock has no date; the wall clock now, less the event's age, gives it one. */
    private Instant time(final long atNs) {
        return Instant.now().minusNanos(clockNs.getAsLong() - atNs);
    }

    private static int version(final long high, final long low) {
        return new IpAddress(high, low).isIpv4() ? 4 : 6;
    }

    private static FlowPeer peer(
            final LivePolicy policy,
            final boolean addressed,
            final long high,
            final long low,
            final int port,
            final int judgedIdentity,
            final String mac) {
        if (!addressed) {
            return new FlowPeer(0, 0, "", "", List.of(), "", 0, mac);
        }
        final IpAddress address = new IpAddress(high, low);
        // A packet that was dropped early has no identities yet; people want to know all the same.
        final int identity = judgedIdentity != 0 ? judgedIdentity : policy.identityOf(address);
        return FlowPeer.of(policy, address, identity, port, mac);
    }

    /** The endpoint behind the port, with the addresses that its packet claims. */
    private static FlowPeer behindPort(
            final LivePolicy policy, final int port, final FlowPeer claimed) {
        for (final var endpoint : policy.endpointIds().entrySet()) {
            final Optional<Pod> pod = policy.world().podAt(endpoint.getKey());
            if (endpoint.getValue() == port && pod.isPresent()) {
                final int identity = policy.identityOf(endpoint.getKey());
                return new FlowPeer(
                        port,
                        identity,
                        pod.get().ref().namespace(),
                        pod.get().ref().name(),
                        policy.labels(identity),
                        claimed.address(),
                        claimed.port(),
                        claimed.mac());
            }
        }
        // Behind the uplink sits nobody in particular, and certainly not the pod it may claim to
        // be.
        return claimed.endpointId() == 0
                ? claimed
                : new FlowPeer(
                        0, 0, "", "", List.of(), claimed.address(), claimed.port(), claimed.mac());
    }

    private static Flow.Direction direction(final Slot slot, final FlowPeer receiver) {
        if (slot.opened) {
            return receiver.endpointId() != 0 ? Flow.Direction.INGRESS : Flow.Direction.EGRESS;
        }
        return switch (slot.direction) {
            case INGRESS -> Flow.Direction.INGRESS;
            case EGRESS -> Flow.Direction.EGRESS;
        };
    }

    /** Only a packet that conntrack has seen runs one way or the other. */
    private static boolean isReply(final Slot slot) {
        return !slot.opened && !slot.fromInitiator && slot.known.compareTo(Packet.Known.SIDES) >= 0;
    }

    /** The end whose audited policies would have denied the flow, the sender's first. */
    private static Optional<Flow.Direction> auditedDirection(
            final LivePolicy policy, final Slot slot) {
        if (isAudited(policy, slot.egressEntry)) {
            return Optional.of(Flow.Direction.EGRESS);
        }
        return isAudited(policy, slot.ingressEntry)
                ? Optional.of(Flow.Direction.INGRESS)
                : Optional.empty();
    }

    private static boolean isAudited(final LivePolicy policy, final long entry) {
        return policy.decision(PolicyEntry.rule(entry)).stream()
                .anyMatch(decision -> decision.audited().isPresent());
    }

    /** Who decided, or who would have denied what passes. */
    private static List<PolicyAuthor> authors(final LivePolicy policy, final long entry) {
        return policy.decision(PolicyEntry.rule(entry)).stream()
                .map(decision -> author(decision.audited().orElse(decision.by())))
                .toList();
    }

    private static PolicyAuthor author(final Author author) {
        return new PolicyAuthor(
                author.tier(),
                author.kind(),
                author.namespace(),
                author.name(),
                author.rule(),
                author.file(),
                author.line(),
                author.toString());
    }
}
