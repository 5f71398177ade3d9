package io.sluice.perf;

import io.sluice.dataplane.TraceRing;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.wire.IpAddress;
import java.util.Optional;
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
 * Nanoseconds per packet of the whole {@link Pipeline}: every packet of a flow that is known.
 * Sweeps flows and policies; on request ({@code -p trace=off,other,sender}) while somebody traces.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class PipelineBenchmark {
    /** Flows that are open, and visited in turn. */
    @Param({"1", "1000", "100000", "1000000"})
    private int flows = 1;

    /** Policies of each endpoint. */
    @Param({"10", "1000", "10000"})
    private int policies = 10;

    /**
     * Whose packets are traced: nobody's, those of an address that sends none, or those of the
     * sender, which are all. What is taken down is read after each batch.
     */
    @Param("off")
    private String trace = "off";

    private Optional<TraceRing> ring = Optional.empty();

    private Pipeline pipeline = new Pipeline(1, 1024, 1);

    /**
     * Opens every flow once. The table has room for a quarter more: one that is nearly full forgets
     * a flow nobody has answered for each new one, and a part of the packets would open flows.
     */
    @Setup(Level.Trial)
    public void openFlows() {
        pipeline.close();
        pipeline = new Pipeline(flows, Math.max(1024, flows) * 5 / 4, policies);
        ring =
                switch (trace) {
                    case "off" -> Optional.empty();
                    case "other" -> Optional.of(pipeline.trace(IpAddress.parse("10.244.0.30")));
                    case "sender" -> Optional.of(pipeline.trace(Pipeline.SENDER));
                    default -> throw new IllegalArgumentException(trace);
                };
    }

    @TearDown(Level.Trial)
    public void close() {
        final long opened = pipeline.conntrack().createdCount();
        pipeline.close();
        if (opened != flows) {
            throw new IllegalStateException(
                    opened + " flows were opened instead of " + flows + ": not all were hits");
        }
    }

    /** One batch of 64 packets through the pipeline. */
    @Benchmark
    @OperationsPerInvocation(PacketBatch.FRAMES_MAX)
    public long packet() {
        final long sent = pipeline.turn(1000);
        if (ring.isPresent()) {
            ring.get().read(record -> {});
        }
        return sent;
    }
}
