package io.sluice.perf;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowKey;
import io.sluice.conntrack.Tuple;
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
 * those of IPv6 37, and DPDK's hash_perf is set beside with keys of 16 and 40.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class ConntrackBenchmark {
    private static final int BATCH = 32;
    private static final int UDP = 17;
    private static final long NOW_NS = 1;

    /** An odd number with no pattern: visits every flow of a power of two once. */
    private static final int STRIDE = 0x9E37_79B1;

    /** Flows that are open, a power of two. */
    @Param("1048576")
    private int flows = 1;

    /** 4 or 6. */
    @Param("4")
    private int family = 4;

    private final Tuple tuple = new Tuple();
    private final FlowKey[] keys = new FlowKey[BATCH];
    private Conntrack table = Conntrack.open(ConntrackConfig.defaults(), 42);
    private int next;

    /** Opens every flow. */
    @Setup(Level.Trial)
    public void openFlows() {
        table.close();
        table = Conntrack.open(config(flows), 42);
        for (int i = 0; i < BATCH; i++) {
            keys[i] = new FlowKey();
        }
        for (int i = 0; i < flows; i++) {
            name(i);
            if (table.create(tuple, 0, NOW_NS) == null) {
                throw new IllegalStateException("flow " + i + " found no place");
            }
            table.advance(ConntrackState.REPLY, 0, 64, 1, NOW_NS);
        }
    }

    @TearDown(Level.Trial)
    public void close() {
        table.close();
    }

    /** One lookup that hits. */
    @Benchmark
    public ConntrackState hit() {
        name(next++ * STRIDE & (flows - 1));
        return table.lookup(tuple, 0, NOW_NS);
    }

    /** Lookups that hit, 32 at a time: hash all, touch all, compare. */
    @Benchmark
    @OperationsPerInvocation(BATCH)
    public long hitBatched() {
        for (int i = 0; i < BATCH; i++) {
            name(next++ * STRIDE & (flows - 1));
            table.prepare(tuple, keys[i]);
        }
        return lookupAll();
    }

    /** Lookups of unknown flows, 32 at a time. */
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

    /** One step of expiry under load, 64 slots, none of them expired. */
    @Benchmark
    public int expiryStep() {
        return table.expire(NOW_NS, 64);
    }

    private long lookupAll() {
        long lines = 0;
        for (int i = 0; i < BATCH; i++) {
            lines += table.touch(keys[i]);
        }
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
