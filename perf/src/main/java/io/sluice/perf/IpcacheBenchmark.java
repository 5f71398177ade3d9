package io.sluice.perf;

import io.sluice.dataplane.table.Ipcache;
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
 * Nanoseconds per IPv4 lookup in batches of 64, as many as dpdk-test-fib's, over a million
 * addresses, per IPv6 lookup one by one over as many, and per changed prefix.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class IpcacheBenchmark {
    private static final int BATCH = 64;

    @Param({"10000", "500000"})
    private int prefixes;

    private final int[] batch = new int[BATCH];
    private final long[] answers = new long[BATCH];
    private TableSets.Prefix[] set = {};
    private int[] addresses = {};
    private Ipcache ipcache = new Ipcache();
    private long[] addressesIpv6 = {};
    private Ipcache ipcacheIpv6 = new Ipcache();
    private int next;

    /** The table. */
    @Setup
    public void setUp() {
        set = TableSets.prefixes(prefixes);
        addresses = TableSets.addresses(set);
        ipcache = TableSets.ipcache(set);
        final TableSets.PrefixIpv6[] setIpv6 = TableSets.prefixesIpv6(prefixes);
        addressesIpv6 = TableSets.addressesIpv6(setIpv6);
        ipcacheIpv6 = TableSets.ipcache(setIpv6);
    }

    /** Batches through all addresses. */
    @Benchmark
    @OperationsPerInvocation(TableSets.ADDRESSES)
    public long bulk() {
        long sum = 0;
        for (int from = 0; from < TableSets.ADDRESSES; from += BATCH) {
            System.arraycopy(addresses, from, batch, 0, BATCH);
            ipcache.lookupIpv4(batch, answers, BATCH);
            for (int i = 0; i < BATCH; i++) {
                sum += answers[i];
            }
        }
        return sum;
    }

    /** All addresses of IPv6, one after the other: the processor overlaps what it can. */
    @Benchmark
    @OperationsPerInvocation(TableSets.ADDRESSES)
    public long ipv6() {
        long sum = 0;
        for (int i = 0; i < addressesIpv6.length; i += 2) {
            sum += ipcacheIpv6.lookup(addressesIpv6[i], addressesIpv6[i + 1]);
        }
        return sum;
    }

    /** One prefix taken out and put back in: two changes. */
    @Benchmark
    @OperationsPerInvocation(2)
    public int change() {
        next = (next + 7919) % set.length;
        TableSets.remove(ipcache, set[next]);
        TableSets.put(ipcache, set[next], next + 1);
        ipcache.seal();
        ipcache.reclaim();
        return next;
    }
}
