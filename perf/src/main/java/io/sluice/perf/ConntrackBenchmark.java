package io.sluice.perf;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowKey;
import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.port.PacketBatch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Nanoseconds per operation of the flow table, with so many flows open as {@code flows} says, in an
 * order without a pattern of cache lines, in a table of that capacity. Keys of IPv4 have 13 bytes,
 * those of IPv6 37, and DPDK's hash_perf is set beside with keys of 16 and 40. Batches are those of
 * a lane.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class ConntrackBenchmark {
    private static final int BATCH = PacketBatch.FRAMES_MAX;
    private static final int UDP = 17;
    private static final int PROTOCOL_WITHOUT_STATES = 253;
    private static final long CHURN_TIMEOUT_NS = ConntrackConfig.defaults().otherTimeoutNs();
    private static final int LINE_BYTES = 64;
    private static final long OPENED_NS = 1;

    /** So much later that flows with packets both ways are streams, as most packets' are. */
    private static final long NOW_NS = TimeUnit.SECONDS.toNanos(3);

    /** An odd number with no pattern: visits every flow of a power of two once. */
    private static final int STRIDE = 0x9E37_79B1;

    /** Flows that are open, a power of two. */
    @Param("1048576")
    private int flows = 1;

    /** 4 or 6. */
    @Param("4")
    private int family = 4;

    /** Whether somebody is told of the flows that {@link #insertAndExpireBatched} forgets. */
    @Param("false")
    private boolean endsTold;

    private final Tuple tuple = new Tuple();
    private final FlowKey[] keys = new FlowKey[BATCH];
    private final long[] offsets = new long[BATCH];
    private Conntrack table = Conntrack.open(ConntrackConfig.defaults(), 42);
    private Conntrack churn = Conntrack.open(ConntrackConfig.defaults(), 42);
    private long churnNs = 1;
    private Arena arena = Arena.ofConfined();
    private MemorySegment lines = MemorySegment.NULL;
    private long random = 1;
    private long endedPackets;
    private int next;

    /** Opens every flow. */
    @Setup(Level.Trial)
    public void openFlows() {
        arena = Arena.ofConfined();
        lines = arena.allocate(2L * flows * LINE_BYTES, LINE_BYTES).fill((byte) 1);
        table.close();
        table = Conntrack.open(config(flows), 42);
        churn.close();
        churn = Conntrack.open(config(flows), 42);
        if (endsTold) {
            churn.tellEnds((flow, exit, nowNs) -> endedPackets += flow.initiatorPackets + 1);
        }
        for (int i = 0; i < BATCH; i++) {
            keys[i] = new FlowKey();
        }
        for (int i = 0; i < flows; i++) {
            name(i);
            if (table.create(tuple, 0, OPENED_NS) == null) {
                throw new IllegalStateException("flow " + i + " found no place");
            }
            table.advance(ConntrackState.REPLY, 0, 64, 1, NOW_NS);
        }
    }

    @TearDown(Level.Trial)
    public void close() {
        arena.close();
        churn.close();
        table.close();
    }

    /** One lookup that hits. */
    @Benchmark
    public ConntrackState hit() {
        name(next++ * STRIDE & (flows - 1));
        return table.lookup(tuple, 0, NOW_NS);
    }

    /** Lookups that hit, 64 at a time: hash all, touch all, compare. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public long hitBatched() {
        for (int i = 0; i < BATCH; i++) {
            name(next++ * STRIDE & (flows - 1));
            table.prepare(tuple, keys[i]);
        }
        return lookupAll();
    }

    /** The same, and each packet counted and its flow's deadline moved. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public long hitAndAdvanceBatched() {
        for (int i = 0; i < BATCH; i++) {
            name(next++ * STRIDE & (flows - 1));
            table.prepare(tuple, keys[i]);
        }
        final long lines = table.touch(keys, BATCH);
        for (int i = 0; i < BATCH; i++) {
            table.advance(table.lookup(keys[i], 0, NOW_NS), 0, 64, 1, NOW_NS);
        }
        return lines;
    }

    /**
     * One line each of as much memory as the IPv4 flows' hot slots, 64 at a time and nothing else:
     * what no table whose flows lie at random can be faster than.
     */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public long linesBatched() {
        long sum = 0;
        for (int i = 0; i < BATCH; i++) {
            random ^= random << 13;
            random ^= random >>> 7;
            random ^= random << 17;
            offsets[i] = (random & (2L * flows - 1)) * LINE_BYTES;
        }
        for (int i = 0; i < BATCH; i++) {
            sum += lines.get(ValueLayout.JAVA_LONG, offsets[i]);
        }
        // The next offsets depend on these loads, so that batches do not overlap.
        random += sum & 1;
        return sum;
    }

    /** Lookups of unknown flows, 64 at a time. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public long missBatched() {
        for (int i = 0; i < BATCH; i++) {
            name(next++ * STRIDE & (flows - 1));
            tuple.destinationPort = 54;
            table.prepare(tuple, keys[i]);
        }
        return lookupAll();
    }

    /** One flow closed and opened again. */
    @Benchmark
    public ConntrackState removeAndInsert() {
        name(next++ * STRIDE & (flows - 1));
        final ConntrackState state = table.lookup(tuple, 0, NOW_NS);
        table.close(table.entry());
        table.create(tuple, 0, NOW_NS);
        return state;
    }

    /**
     * New flows, 64 at a time, and a step of expiry after each batch: half as many flows as the
     * table holds live, and those that have expired are forgotten as fast as new ones come.
     */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public int insertAndExpireBatched() {
        churnNs += CHURN_TIMEOUT_NS / (flows / 2 / BATCH);
        for (int i = 0; i < BATCH; i++) {
            name(next++);
            tuple.protocol = PROTOCOL_WITHOUT_STATES;
            churn.prepare(tuple, keys[i]);
        }
        int opened = (int) churn.touch(keys, BATCH) >>> 31;
        for (int i = 0; i < BATCH; i++) {
            opened += churn.create(keys[i], 0, churnNs) == null ? 0 : 1;
        }
        return opened + churn.expire(churnNs, 4 * BATCH) + (int) endedPackets;
    }

    /** One step of expiry under load, 64 slots, none of them expired. */
    @Benchmark
    public int expiryStep() {
        return table.expire(NOW_NS, 64);
    }

    private long lookupAll() {
        long lines = table.touch(keys, BATCH);
        for (int i = 0; i < BATCH; i++) {
            lines += table.lookup(keys[i], 0, NOW_NS) == ConntrackState.ESTABLISHED ? 1 : 0;
        }
        return lines;
    }

    /** Ports and both addresses change: 4096 clients, 256 ports, one server each. */
    private void name(final int flow) {
        final long high = family == 4 ? 0 : 0x2001_0db8_0000_0000L;
        tuple.protocol = UDP;
        tuple.sourceHigh = high;
        tuple.sourceLow = Tuple.mapped(0x0a00_0000 | flow >>> 8);
        tuple.sourcePort = 1024 + (flow & 0xff);
        tuple.destinationHigh = high;
        tuple.destinationLow = Tuple.mapped(0x0b00_0000 | flow >>> 8);
        tuple.destinationPort = 53;
    }

    private static ConntrackConfig config(final int flows) {
        final ConntrackConfig d = ConntrackConfig.defaults();
        final long dayNs = TimeUnit.DAYS.toNanos(1);
        return new ConntrackConfig(
                Math.max(64, flows),
                Math.max(64, flows),
                d.tcpSynTimeoutNs(),
                d.tcpEstablishedTimeoutNs(),
                d.tcpFinWaitTimeoutNs(),
                d.tcpClosingTimeoutNs(),
                dayNs,
                dayNs,
                dayNs,
                d.icmpTimeoutNs(),
                d.otherTimeoutNs(),
                true,
                true);
    }
}
