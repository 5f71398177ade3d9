package io.sluice.perf;

import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import io.sluice.dataplane.table.PolicyMap.Interval;
import io.sluice.dataplane.table.PolicyMap.Program;
import io.sluice.dataplane.table.PolicyMap.ProtocolPorts;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Nanoseconds per verdict of a policy map that says what {@link TableSets#rules} say: a program per
 * source identity, an interval per port. No two programs are shared, which is the worst case.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class PolicyMapBenchmark {
    private static final long DENY = PolicyEntry.deny(1, 0);

    @Param({"10000"})
    private int rules;

    private PolicyMap map = PolicyMap.always(DENY);
    private int[] identities = {};
    private int[] ports = {};

    /** The map. */
    @Setup
    public void setUp() {
        final TableSets.Rule[] set = TableSets.rules(rules);
        final Map<Integer, TreeSet<Integer>> allowed = new TreeMap<>();
        for (final TableSets.Rule rule : set) {
            allowed.computeIfAbsent(rule.source() - 0x0a00_0000, key -> new TreeSet<>())
                    .add(rule.port());
        }
        final PolicyMap.Builder builder = new PolicyMap.Builder(DENY);
        allowed.forEach(
                (identity, open) -> {
                    final List<Interval> intervals = new ArrayList<>();
                    intervals.add(new Interval(0, DENY));
                    for (final int port : open) {
                        intervals.add(new Interval(port, PolicyEntry.allow(identity)));
                        intervals.add(new Interval(port + 1, DENY));
                    }
                    builder.program(
                            identity, new Program(DENY, List.of(new ProtocolPorts(6, intervals))));
                });
        map = builder.build();
        final TableSets.Rule[] packets = TableSets.packets(set);
        identities = new int[packets.length];
        ports = new int[packets.length];
        for (int i = 0; i < packets.length; i++) {
            identities[i] = packets[i].source() - 0x0a00_0000;
            ports[i] = packets[i].port();
        }
    }

    /** All packets, one after the other. */
    @Benchmark
    @OperationsPerInvocation(TableSets.PACKETS)
    public long verdict() {
        long sum = 0;
        for (int i = 0; i < TableSets.PACKETS; i++) {
            sum += map.lookup(identities[i], 6, 40000, ports[i]);
        }
        return sum;
    }
}
