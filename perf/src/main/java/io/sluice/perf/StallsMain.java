package io.sluice.perf;

import static java.util.Objects.requireNonNull;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import io.sluice.dataplane.table.PolicyMap.Interval;
import io.sluice.dataplane.table.PolicyMap.Program;
import io.sluice.dataplane.table.PolicyMap.ProtocolPorts;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/**
 * How long a lane's turn of 64 packets takes while tables change beside it or under it: p50, p99,
 * p99.9 and maximum, by the clock and by the processor time of the lane's thread. The difference is
 * what the machine took away: other processes, the host, stops of the JVM.
 *
 * <p>Scenarios take turns:
 *
 * <ul>
 *   <li>{@code quiet}: nothing changes;
 *   <li>{@code expiry}: a million flows expire at one moment, and the lane forgets them on its way;
 *   <li>{@code idle_expiry}: the same while no packet comes: what one that comes then waits for;
 *   <li>{@code publication}: control lays out a policy map of 10,000 entries, publishes it under a
 *       new revision and frees the one before, every 10 ms: every flow is judged again;
 *   <li>{@code ipcache}: control adds 10,000 prefixes in place, publishes the revision, takes them
 *       away and publishes again, every 100 ms.
 * </ul>
 *
 * <p>The last line is the largest p99 of all changes divided by that of quiet turns, by the clock.
 */
public final class StallsMain {
    private static final int STREAM_FLOWS = 100_000;
    private static final int EXPIRING_FLOWS = 1_000_000;
    private static final int PREFIXES = 10_000;
    private static final int IDENTITIES = 1000;
    private static final int PORTS_OF_IDENTITY = 10;
    private static final int PROTOCOL_WITHOUT_PORTS = 50;
    private static final int TURNS_MAX = 1 << 21;
    private static final long SECOND_NS = TimeUnit.SECONDS.toNanos(1);

    /** What happens beside the lane. */
    private enum Scenario {
        QUIET,
        EXPIRY,
        IDLE_EXPIRY,
        PUBLICATION,
        IPCACHE
    }

    /** Durations of turns in nanoseconds: by the clock, and of the thread's processor time. */
    private static final class Turns {
        final long[] wallNs = new long[TURNS_MAX];
        final long[] cpuNs = new long[TURNS_MAX];
        int count;

        void add(final long wall, final long cpu) {
            if (count < TURNS_MAX) {
                wallNs[count] = wall;
                cpuNs[count++] = cpu;
            }
        }
    }

    private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    private final Pipeline pipeline =
            new Pipeline(STREAM_FLOWS, STREAM_FLOWS + EXPIRING_FLOWS + EXPIRING_FLOWS / 10, 1);
    private final Map<Scenario, Turns> turns = new EnumMap<>(Scenario.class);
    private final long seconds;
    private volatile boolean over;

    // Control only.
    private final Random random = new Random(1);
    private PolicyMap live = Pipeline.policyMap(1);
    private int revision = 2;

    private StallsMain(final long seconds) throws Exception {
        this.seconds = seconds;
        for (final Scenario scenario : Scenario.values()) {
            turns.put(scenario, new Turns());
        }
        final var published = pipeline.proxy().publishTables(tables());
        while (!published.isDone()) {
            pipeline.turn(1000);
        }
        published.get();
    }

    /**
     * Measures and prints.
     *
     * @param arguments rounds, then seconds of each scenario in a round
     */
    public static void main(final String[] arguments) throws Exception {
        final int rounds = Integer.parseInt(arguments[0]);
        final StallsMain main = new StallsMain(Long.parseLong(arguments[1]));
        for (int round = 0; round <= rounds; round++) {
            for (final Scenario scenario : Scenario.values()) {
                main.measure(scenario);
            }
            if (round == 0) {
                // The compilers were busy.
                main.turns.values().forEach(turns -> turns.count = 0);
            }
        }
        main.print();
    }

    private void measure(final Scenario scenario) throws InterruptedException {
        if (scenario == Scenario.EXPIRY || scenario == Scenario.IDLE_EXPIRY) {
            openExpiring();
        }
        pipeline.silence(scenario == Scenario.IDLE_EXPIRY);
        over = false;
        final Thread control = new Thread(() -> change(scenario), "control");
        control.start();
        final Turns into = requireNonNull(turns.get(scenario));
        final long beginNs = System.nanoTime();
        long wall = beginNs;
        long cpu = threads.getCurrentThreadCpuTime();
        while (wall - beginNs < seconds * SECOND_NS && isGoingOn(scenario)) {
            pipeline.turn(10_000);
            final long wallAfter = System.nanoTime();
            final long cpuAfter = threads.getCurrentThreadCpuTime();
            into.add(wallAfter - wall, cpuAfter - cpu);
            wall = wallAfter;
            cpu = cpuAfter;
        }
        over = true;
        while (control.isAlive()) {
            pipeline.turn(10_000);
        }
        control.join();
        if (pipeline.droppedPackets() != 0) {
            throw new IllegalStateException(pipeline.droppedPackets() + " packets were dropped");
        }
    }

    /** An idle lane is through with a million flows in a moment. */
    private boolean isGoingOn(final Scenario scenario) {
        return scenario != Scenario.IDLE_EXPIRY || pipeline.conntrack().size() > STREAM_FLOWS;
    }

    /** Flows that all expire with the next turn but one; those of the stream live for a day. */
    private void openExpiring() {
        final Conntrack table = pipeline.conntrack();
        final Tuple tuple = new Tuple();
        tuple.protocol = PROTOCOL_WITHOUT_PORTS;
        for (int i = 0; i < EXPIRING_FLOWS; i++) {
            tuple.sourceLow = Tuple.mapped(0x0b00_0000 + i);
            tuple.destinationLow = Tuple.mapped(0x0c00_0000);
            if (table.create(tuple, 0, pipeline.nowNs()) == null) {
                throw new IllegalStateException("flow " + i + " found no place");
            }
            table.advance(ConntrackState.NEW, 0, 100, 1, pipeline.nowNs());
        }
        pipeline.turn(TimeUnit.MINUTES.toNanos(1));
    }

    /** Control's thread. */
    private void change(final Scenario scenario) {
        try {
            while (!over) {
                switch (scenario) {
                    case QUIET, EXPIRY, IDLE_EXPIRY -> Thread.sleep(10);
                    case PUBLICATION -> {
                        final PolicyMap before = live;
                        live = policyMap();
                        publish();
                        before.free();
                        Thread.sleep(10);
                    }
                    case IPCACHE -> {
                        final long seed = random.nextLong();
                        prefixes(seed, true);
                        publish();
                        pipeline.ipcache().reclaim();
                        prefixes(seed, false);
                        publish();
                        pipeline.ipcache().reclaim();
                        Thread.sleep(100);
                    }
                }
            }
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void prefixes(final long seed, final boolean add) {
        final Random own = new Random(seed);
        final Ipcache ipcache = pipeline.ipcache();
        for (int i = 0; i < PREFIXES; i++) {
            final int length = own.nextInt(16, 33);
            // 11.0.0.0 to 74.255.255.255: not where the endpoints are.
            final int address = (own.nextInt(64) + 11) << 24 | own.nextInt(1 << 24);
            final long low = Tuple.mapped(address & -1 << (32 - length));
            if (add) {
                ipcache.put(0, low, Ipcache.IPV4_PREFIX_BASE + length, 1000 + i, 0);
            } else {
                ipcache.remove(0, low, Ipcache.IPV4_PREFIX_BASE + length);
            }
        }
        ipcache.seal();
    }

    private Tables tables() {
        return pipeline.tables(revision++, live);
    }

    private void publish() {
        pipeline.proxy().publishTables(tables()).join();
    }

    /** 1,000 identities with ten ports each, and the stream's two. */
    private PolicyMap policyMap() {
        final long deny = PolicyEntry.deny(133, 0);
        final PolicyMap.Builder builder = new PolicyMap.Builder(deny);
        for (int identity = 0; identity < IDENTITIES; identity++) {
            final List<Interval> intervals = new ArrayList<>();
            intervals.add(new Interval(0, PolicyEntry.allow(identity)));
            for (int i = 1; i <= PORTS_OF_IDENTITY; i++) {
                final int port = i * 1000 + random.nextInt(999);
                intervals.add(new Interval(port, PolicyEntry.allow(i)));
            }
            builder.program(
                    Pipeline.SENDER_IDENTITY + identity,
                    new Program(deny, List.of(new ProtocolPorts(17, intervals))));
        }
        return builder.build();
    }

    private void print() {
        System.out.printf(
                "%-12s %9s %38s   %38s%n", "us a turn", "turns", "by the clock", "processor time");
        System.out.printf(
                "%-12s %9s %8s %9s %9s %9s   %8s %9s %9s %9s%n",
                "", "", "p50", "p99", "p99.9", "max", "p50", "p99", "p99.9", "max");
        double quiet = 0;
        double worst = 0;
        for (final Scenario scenario : Scenario.values()) {
            final Turns own = requireNonNull(turns.get(scenario));
            final long[] wall = Arrays.copyOf(own.wallNs, own.count);
            final long[] cpu = Arrays.copyOf(own.cpuNs, own.count);
            Arrays.sort(wall);
            Arrays.sort(cpu);
            System.out.printf(
                    "%-12s %9d %s   %s%n",
                    scenario.name().toLowerCase(Locale.ROOT), own.count, row(wall), row(cpu));
            final double p99 = wall[(int) (own.count * 0.99)];
            if (scenario == Scenario.QUIET) {
                quiet = p99;
            } else {
                worst = Math.max(worst, p99);
            }
        }
        System.out.printf("%d packets a turn%n", PacketBatch.FRAMES_MAX);
        System.out.printf("%.2f%n", worst / quiet);
    }

    private static String row(final long[] sortedNs) {
        return "%8.1f %9.1f %9.1f %9.1f"
                .formatted(
                        sortedNs[sortedNs.length / 2] / 1e3,
                        sortedNs[(int) (sortedNs.length * 0.99)] / 1e3,
                        sortedNs[(int) (sortedNs.length * 0.999)] / 1e3,
                        sortedNs[sortedNs.length - 1] / 1e3);
    }
}
