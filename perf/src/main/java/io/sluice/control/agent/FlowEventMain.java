package io.sluice.control.agent;

import com.sun.management.ThreadMXBean;
import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowCopy;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.conntrack.Tuple;
import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.agent.flowlog.LogLimits;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PersistentMap;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.table.PolicyEntry;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/**
 * What a flow event costs, in processor time and in bytes allocated, for {@code
 * scripts/bench-events}.
 *
 * <p>The recorder is the daemon's, with its threads; this thread is the lane, which tells of events
 * in bursts of a quarter of the ring and then waits until they are recorded, so that none is lost.
 * Events are verdicts of new flows (one of 20 a drop) or ends of flows, of 200 pods that call each
 * other from ports of their own. Sides are the recorder without counts and without a store, with
 * the counts of Hubble's metrics, and with both.
 *
 * <p>In the package of what it measures, which nobody else needs to see. Thread: one, beside the
 * recorder's.
 */
final class FlowEventMain {
    private static final int PODS = 200;
    private static final int BURST_EVENTS = 4_096;

    /** The history's queue has room for 16. */
    private static final int BURSTS_PER_FLUSH = 8;

    private static final int BATCH_EVENTS = 64;
    private static final int WARM_BURSTS = 320;
    private static final int BURSTS = 160;
    private static final int RING_FLOWS = 4_095;
    private static final long POLL_NS = TimeUnit.MICROSECONDS.toNanos(200);
    private static final long STORE_BYTES = 64L << 20;
    private static final int TCP = 6;
    private static final int SYN = 2;

    private enum Side {
        MEMORY,
        METRICS,
        STORE
    }

    private enum Event {
        VERDICT,
        END
    }

    /** Per event: nanoseconds of processor time and bytes allocated. */
    private record Cost(
            double laneNs,
            double recorderNs,
            double recorderBytes,
            double logNs,
            double logBytes) {}

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final Random random = new Random(7);
    private final LivePolicy policy;
    private final long[] addresses = new long[PODS];
    private final int[] identities = new int[PODS];
    private final Packet packet = new Packet();
    private final FlowCopy ended = copyOfFlow();

    private FlowEventMain() {
        policy = policy();
        for (int i = 0; i < PODS; i++) {
            final IpAddress address = address(i);
            addresses[i] = address.low();
            identities[i] = policy.identityOf(address);
        }
    }

    /** The table's own, of a flow that is over. */
    private static FlowCopy copyOfFlow() {
        final FlowCopy[] told = new FlowCopy[1];
        try (Conntrack table = Conntrack.open(ConntrackConfig.defaults(), 7)) {
            table.tellEnds((flow, exit, nowNs) -> told[0] = flow);
            final Tuple tuple = new Tuple();
            tuple.protocol = TCP;
            table.create(tuple, 0, 0);
            table.advance(ConntrackState.NEW, 0, 60, 1, 0);
            table.expire(TimeUnit.DAYS.toNanos(30), Integer.MAX_VALUE);
        }
        return told[0];
    }

    private static IpAddress address(final int pod) {
        return IpAddress.ofIpv4(0x0a000001 + ((pod / 50) << 8) + pod % 50);
    }

    private static LivePolicy policy() {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < PODS; i++) {
            text.append(
                    "---\n{apiVersion: v1, kind: Pod, metadata: {name: app-%d-5d9c7b, namespace: team-%d, labels: {app: app-%d, tier: t%d, version: v1}}, status: {podIP: %s}}\n"
                            .formatted(i, i % 10, i / 4, i % 3, address(i)));
        }
        final World world = World.of(ManifestReader.read("pods.yaml", text.toString()).objects());
        final PolicySet policies =
                PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
        final Map<Integer, Identity> byNumber = new HashMap<>();
        policies.identities().forEach(identity -> byNumber.put(identity.number(), identity));
        final List<Decision> decisions = new ArrayList<>();
        decisions.add(Decision.DEFAULT);
        for (int i = 1; i <= PODS; i++) {
            decisions.add(
                    new Decision(
                            new Author(
                                    Author.Origin.RULE,
                                    "default",
                                    "NetworkPolicy",
                                    "team-" + i % 10,
                                    "app-" + i,
                                    0,
                                    "ingress",
                                    "policies/team-" + i % 10 + ".yaml",
                                    20 * i),
                            Optional.empty()));
        }
        final Map<IpAddress, Integer> endpoints = new HashMap<>();
        for (int i = 0; i < PODS / 2; i++) {
            endpoints.put(address(i), i + 1);
        }
        return new LivePolicy(
                1,
                Instant.EPOCH,
                0,
                world,
                policies,
                new PolicyEvaluator(world, policies),
                decisions,
                byNumber,
                PersistentMap.empty(),
                endpoints);
    }

    private void tell(final FlowRecorder recorder, final Event event, final int count) {
        for (int i = 0; i < count; i += BATCH_EVENTS) {
            final long nowNs = System.nanoTime();
            for (int j = 0; j < BATCH_EVENTS; j++) {
                if (event == Event.VERDICT) {
                    tellVerdict(recorder, nowNs);
                } else {
                    tellEnd(recorder, nowNs);
                }
            }
        }
    }

    private void tellVerdict(final FlowRecorder recorder, final long nowNs) {
        final int from = random.nextInt(PODS);
        final int to = random.nextInt(PODS / 2);
        packet.knownUpTo = Packet.Known.POLICY;
        packet.inPort = from + 1;
        packet.sourceMac = 0x0253_4c00_0000L + from;
        packet.destinationMac = 0x0253_4c00_ffffL;
        packet.tuple.sourceLow = addresses[from];
        packet.tuple.destinationLow = addresses[to];
        packet.tuple.protocol = TCP;
        packet.tuple.sourcePort = 32_768 + random.nextInt(28_000);
        packet.tuple.destinationPort = 8_080 + to % 5;
        packet.tcpFlags = SYN;
        packet.sourceIdentity = identities[from];
        packet.destinationIdentity = identities[to];
        packet.policyRevision = 1;
        packet.egressEntry = PolicyEntry.allow(0);
        if (random.nextInt(20) == 0) {
            packet.ingressEntry = PolicyEntry.deny(DropReason.POLICY_DENIED.code(), to + 1);
            recorder.dropped(packet, DropReason.POLICY_DENIED, nowNs);
        } else {
            packet.ingressEntry = PolicyEntry.allow(to + 1);
            recorder.opened(packet, nowNs);
        }
    }

    private void tellEnd(final FlowRecorder recorder, final long nowNs) {
        final int from = random.nextInt(PODS);
        final int to = random.nextInt(PODS / 2);
        final Tuple tuple = ended.tuple;
        tuple.sourceLow = addresses[from];
        tuple.destinationLow = addresses[to];
        tuple.protocol = TCP;
        tuple.sourcePort = 32_768 + random.nextInt(28_000);
        tuple.destinationPort = 8_080 + to % 5;
        ended.verdict = FlowVerdict.ALLOW;
        ended.policyRevision = 1;
        ended.initiatorIdentity = identities[from];
        ended.responderIdentity = identities[to];
        ended.initiatorPackets = 6;
        ended.initiatorBytes = 534;
        ended.responderPackets = 5;
        ended.responderBytes = 1_270;
        ended.createdNs = nowNs - 1_000_000_000L;
        ended.lastPacketNs = nowNs - 900_000_000L;
        recorder.ended(ended, FlowEnd.CLOSED, nowNs);
    }

    private Cost measure(final Side side, final Event event) throws IOException {
        final Path folder = Files.createTempDirectory("sluice-events");
        final Optional<LogLimits> limits =
                side == Side.STORE
                        ? Optional.of(new LogLimits(STORE_BYTES, Duration.ofDays(7)))
                        : Optional.empty();
        try (FlowHistory history = FlowHistory.open(folder, limits, FlowLog.Start.ALONE)) {
            history.start();
            final FlowCounts counts = new FlowCounts();
            final FlowStore store =
                    new FlowStore(
                            RING_FLOWS, side == Side.MEMORY ? flow -> {} : counts::count, history);
            try (FlowRecorder recorder =
                    new FlowRecorder("node1", 1, store, revision -> policy, System::nanoTime)) {
                bursts(recorder, store, history, event, WARM_BURSTS);
                final long[] before = times();
                final long laneNs = bursts(recorder, store, history, event, BURSTS);
                final long[] after = times();
                final double events = (double) BURSTS * BURST_EVENTS;
                if (recorder.lost() + recorder.lostEnds() != 0
                        || history.stored() + history.lost() != history.offered()) {
                    throw new IllegalStateException("events were lost");
                }
                return new Cost(
                        laneNs / events,
                        (after[0] - before[0]) / events,
                        (after[1] - before[1]) / events,
                        (after[2] - before[2]) / events,
                        (after[3] - before[3]) / events);
            }
        } finally {
            try (Stream<Path> files = Files.walk(folder)) {
                for (final Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(file);
                }
            }
        }
    }

    /** Processor time of this thread in telling, in nanoseconds. */
    private long bursts(
            final FlowRecorder recorder,
            final FlowStore store,
            final FlowHistory history,
            final Event event,
            final int count) {
        long laneNs = 0;
        long told = store.seen();
        for (int burst = 0; burst < count; burst++) {
            final long beforeNs = threads.getCurrentThreadCpuTime();
            tell(recorder, event, BURST_EVENTS);
            laneNs += threads.getCurrentThreadCpuTime() - beforeNs;
            told += BURST_EVENTS;
            while (store.seen() + recorder.lost() + recorder.lostEnds() < told) {
                LockSupport.parkNanos(POLL_NS);
            }
            while (burst % BURSTS_PER_FLUSH == BURSTS_PER_FLUSH - 1
                    && history.stored() + history.lost() < history.offered()) {
                LockSupport.parkNanos(POLL_NS);
            }
        }
        return laneNs;
    }

    /** Processor time and bytes of the recorder's thread, and of the writer of the store. */
    private long[] times() {
        final long[] times = new long[4];
        for (final long id : threads.getAllThreadIds()) {
            final var info = threads.getThreadInfo(id);
            if (info != null && info.getThreadName().equals("sluice-flows")) {
                times[0] = threads.getThreadCpuTime(id);
                times[1] = threads.getThreadAllocatedBytes(id);
            } else if (info != null && info.getThreadName().equals("sluice-flow-log")) {
                times[2] = threads.getThreadCpuTime(id);
                times[3] = threads.getThreadAllocatedBytes(id);
            }
        }
        return times;
    }

    /**
     * Prints a line for each round, kind of event and side: both, then nanoseconds of the lane,
     * nanoseconds and bytes of the recorder, and of the store's writer, per event.
     *
     * @param arguments rounds
     */
    public static void main(final String[] arguments) throws IOException {
        final FlowEventMain bench = new FlowEventMain();
        final int rounds = Integer.parseInt(arguments[0]);
        for (int round = 0; round < rounds; round++) {
            for (final Event event : Event.values()) {
                for (final Side side : Side.values()) {
                    final Cost cost = bench.measure(side, event);
                    System.out.printf(
                            "%d %s %s %.1f %.1f %.1f %.1f %.1f%n",
                            round,
                            event,
                            side,
                            cost.laneNs,
                            cost.recorderNs,
                            cost.recorderBytes,
                            cost.logNs,
                            cost.logBytes);
                }
            }
        }
    }
}
