package io.sluice.dataplane;

import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import org.agrona.concurrent.status.AtomicCounter;
import org.agrona.concurrent.status.CountersManager;
import org.jspecify.annotations.Nullable;

/**
 * What the lane counts. Kept in Agrona counters, which control maps into a file, so that they can
 * be read while the daemon runs, hangs or is gone.
 *
 * <p>The sum that always holds: {@code packets in = forwarded + answered + sum of drops + (punted -
 * returned)}. ICMP errors that the switch sends and fragments it makes are counted apart, because
 * they are extra frames.
 *
 * <p>Forwarded packets are also counted by direction, as Cilium does (bpf/lib/trace.h): each that
 * an endpoint sent and that left it for another endpoint or the node is one of egress, each that
 * was delivered to an endpoint is one of ingress. One from endpoint to endpoint is both, one on its
 * way into the proxy is neither.
 *
 * <p>What is counted for every packet is added up in plain fields, and stored once per batch
 * ({@link #publish}): eight stores for a batch and not for a packet.
 *
 * <p>Labels in the file: {@code lane.packets_in}, {@code drop.POLICY_DENIED.egress.packets}, {@code
 * ended.CLOSED}, ...
 *
 * <p>Thread: written by the lane alone; read by any.
 */
public final class LaneCounters {
    /** Type id of these counters in the file. */
    public static final int COUNTER_TYPE_ID = 1;

    private static final DropReason[] REASONS = DropReason.values();
    private static final TrafficDirection[] DIRECTIONS = TrafficDirection.values();

    private final AtomicCounter packetsIn;
    private final AtomicCounter bytesIn;
    private final AtomicCounter forwardedPackets;
    private final AtomicCounter forwardedBytes;
    private final AtomicCounter egressPackets;
    private final AtomicCounter egressBytes;
    private final AtomicCounter ingressPackets;
    private final AtomicCounter ingressBytes;
    private final AtomicCounter answered;
    private final AtomicCounter punted;
    private final AtomicCounter returned;
    private final AtomicCounter icmpErrorsSent;
    private final AtomicCounter fragmentsSent;
    private final AtomicCounter policyVerdicts;
    private final @Nullable AtomicCounter[] dropPackets =
            new @Nullable AtomicCounter[DropReason.CODES * 2];
    private final @Nullable AtomicCounter[] dropBytes =
            new @Nullable AtomicCounter[DropReason.CODES * 2];
    private final Map<FlowEnd, AtomicCounter> ended = new EnumMap<>(FlowEnd.class);

    // Of the batch at hand.
    private long batchPackets;
    private long batchBytes;
    private long batchEgressPackets;
    private long batchEgressBytes;
    private long batchIngressPackets;
    private long batchIngressBytes;

    /**
     * Allocates the counters.
     *
     * @param manager over the counter file's buffers
     */
    public LaneCounters(final CountersManager manager) {
        packetsIn = counter(manager, "lane.packets_in");
        bytesIn = counter(manager, "lane.bytes_in");
        forwardedPackets = counter(manager, "lane.forwarded_packets");
        forwardedBytes = counter(manager, "lane.forwarded_bytes");
        egressPackets = counter(manager, "forwarded.egress.packets");
        egressBytes = counter(manager, "forwarded.egress.bytes");
        ingressPackets = counter(manager, "forwarded.ingress.packets");
        ingressBytes = counter(manager, "forwarded.ingress.bytes");
        answered = counter(manager, "lane.answered");
        punted = counter(manager, "lane.punted");
        returned = counter(manager, "lane.returned");
        icmpErrorsSent = counter(manager, "lane.icmp_errors_sent");
        fragmentsSent = counter(manager, "lane.fragments_sent");
        policyVerdicts = counter(manager, "lane.policy_verdicts");
        for (final DropReason reason : REASONS) {
            for (final TrafficDirection direction : DIRECTIONS) {
                final String label = "drop." + reason + "." + direction.label();
                dropPackets[slot(reason, direction)] = counter(manager, label + ".packets");
                dropBytes[slot(reason, direction)] = counter(manager, label + ".bytes");
            }
        }
        for (final FlowEnd end : FlowEnd.values()) {
            ended.put(end, counter(manager, "ended." + end));
        }
    }

    private static AtomicCounter counter(final CountersManager manager, final String label) {
        return manager.newCounter(label, COUNTER_TYPE_ID);
    }

    /** Every reason has its counters from the start. */
    private static AtomicCounter at(
            final @Nullable AtomicCounter[] counters,
            final DropReason reason,
            final TrafficDirection direction) {
        return Objects.requireNonNull(counters[slot(reason, direction)]);
    }

    private AtomicCounter endedAs(final FlowEnd end) {
        return Objects.requireNonNull(ended.get(end));
    }

    private static int slot(final DropReason reason, final TrafficDirection direction) {
        return reason.code() * 2 + (direction == TrafficDirection.EGRESS ? 0 : 1);
    }

    void received(final int packets, final long bytes) {
        packetsIn.getAndAddRelease(packets);
        bytesIn.getAndAddRelease(bytes);
    }

    /** A packet has left through another port. */
    void forwarded(final int bytes) {
        batchPackets++;
        batchBytes += bytes;
    }

    /** It was one that an endpoint sent to others than the proxy, or the proxy for an endpoint. */
    void forwardedEgress(final int bytes) {
        batchEgressPackets++;
        batchEgressBytes += bytes;
    }

    /** It was one that an endpoint gets. */
    void forwardedIngress(final int bytes) {
        batchIngressPackets++;
        batchIngressBytes += bytes;
    }

    /** Lets readers see what was forwarded since the last call. */
    void publish() {
        if (batchPackets == 0) {
            return;
        }
        forwardedPackets.getAndAddRelease(batchPackets);
        forwardedBytes.getAndAddRelease(batchBytes);
        egressPackets.getAndAddRelease(batchEgressPackets);
        egressBytes.getAndAddRelease(batchEgressBytes);
        ingressPackets.getAndAddRelease(batchIngressPackets);
        ingressBytes.getAndAddRelease(batchIngressBytes);
        batchPackets = 0;
        batchBytes = 0;
        batchEgressPackets = 0;
        batchEgressBytes = 0;
        batchIngressPackets = 0;
        batchIngressBytes = 0;
    }

    /** A flow has come to an end. */
    void ended(final FlowEnd end) {
        endedAs(end).incrementRelease();
    }

    void answered() {
        answered.incrementRelease();
    }

    void punted() {
        punted.incrementRelease();
    }

    void returned() {
        returned.incrementRelease();
    }

    void icmpErrorSent() {
        icmpErrorsSent.incrementRelease();
    }

    void fragmentSent() {
        fragmentsSent.incrementRelease();
    }

    void policyVerdict() {
        policyVerdicts.incrementRelease();
    }

    void dropped(final DropReason reason, final TrafficDirection direction, final int bytes) {
        at(dropPackets, reason, direction).incrementRelease();
        at(dropBytes, reason, direction).getAndAddRelease(bytes);
    }

    /** Packets received from all ports. */
    public long packetsIn() {
        return packetsIn.get();
    }

    /** Packets sent on to another port. */
    public long forwardedPackets() {
        return forwardedPackets.get();
    }

    /** Packets sent on to another port that count for a direction. */
    public long forwardedPackets(final TrafficDirection direction) {
        return switch (direction) {
            case EGRESS -> egressPackets.get();
            case INGRESS -> ingressPackets.get();
        };
    }

    /** Bytes of {@link #forwardedPackets(TrafficDirection)}, with Ethernet headers. */
    public long forwardedBytes(final TrafficDirection direction) {
        return switch (direction) {
            case EGRESS -> egressBytes.get();
            case INGRESS -> ingressBytes.get();
        };
    }

    /** Flows that ended so. */
    public long endedFlows(final FlowEnd end) {
        return endedAs(end).get();
    }

    /** Packets that the switch itself answered (ARP, neighbour discovery, ping to the gateway). */
    public long answeredPackets() {
        return answered.get();
    }

    /** Packets handed to the DNS agent. */
    public long puntedPackets() {
        return punted.get();
    }

    /** Punted packets that came back; each then is forwarded, answered or dropped. */
    public long returnedPackets() {
        return returned.get();
    }

    /** ICMP errors sent on behalf of dropped packets. */
    public long icmpErrorsSentPackets() {
        return icmpErrorsSent.get();
    }

    /** Fragments made of packets that were too long for their port. */
    public long fragmentsSentPackets() {
        return fragmentsSent.get();
    }

    /** Packets that a policy map was asked about. */
    public long policyVerdictPackets() {
        return policyVerdicts.get();
    }

    /** Packets dropped for this reason. */
    public long droppedPackets(final DropReason reason, final TrafficDirection direction) {
        return at(dropPackets, reason, direction).get();
    }

    /** Packets dropped for any reason. */
    public long droppedPackets() {
        long sum = 0;
        for (final DropReason reason : REASONS) {
            for (final TrafficDirection direction : DIRECTIONS) {
                sum += droppedPackets(reason, direction);
            }
        }
        return sum;
    }
}
