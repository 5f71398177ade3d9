package io.sluice.perf;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.ScalarResult;

/**
 * Nanoseconds of processor time per operation, as a profiler of JMH ({@code -prof
 * io.sluice.perf.ProcessorTime}): what the clock would show if nobody else wanted the processor. Of
 * the whole process, so what the compilers and the collector take is in it; caches that others have
 * emptied are too.
 *
 * <p>Thread: JMH's.
 */
public final class ProcessorTime implements InternalProfiler {
    private final OperatingSystemMXBean process =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private long beforeNs;

    /** Made by JMH. */
    public ProcessorTime() {}

    @Override
    public String getDescription() {
        return "processor time per operation";
    }

    @Override
    public void beforeIteration(final BenchmarkParams benchmark, final IterationParams iteration) {
        beforeNs = process.getProcessCpuTime();
    }

    @Override
    public List<? extends Result<?>> afterIteration(
            final BenchmarkParams benchmark,
            final IterationParams iteration,
            final IterationResult result) {
        final double spentNs = process.getProcessCpuTime() - beforeNs;
        final long operations = Math.max(1, result.getMetadata().getAllOps());
        return List.of(
                new ScalarResult(
                        "processor.time", spentNs / operations, "ns/op", AggregationPolicy.AVG));
    }
}
