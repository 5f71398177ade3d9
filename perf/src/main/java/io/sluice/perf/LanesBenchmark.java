package io.sluice.perf;

import io.sluice.dataplane.port.PacketBatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
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
import org.openjdk.jmh.infra.ThreadParams;

/**
 * Packets a microsecond of all lanes together: each JMH thread ({@code -t}) is a lane with its
 * share of the flows, and all have one flow table, one ipcache and one policy map.
 */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class LanesBenchmark {
    private static final int POLICIES = 10;

    /** What all lanes have. */
    @State(Scope.Benchmark)
    public static class Switch {
        /** Flows that are open, of all lanes together. */
        @Param({"1000", "1000000"})
        private int flows = 1000;

        private Pipeline.@Nullable Shared shared;

        /** An empty table. */
        @Setup(Level.Trial)
        public void open() {
            shared = new Pipeline.Shared(Math.max(1024, flows), POLICIES);
        }

        /** After all lanes. */
        @TearDown(Level.Trial)
        public void close() {
            if (shared != null) {
                shared.close();
            }
        }

        private Pipeline lane(final ThreadParams thread) {
            if (shared == null) {
                throw new IllegalStateException("not opened");
            }
            return new Pipeline(
                    shared,
                    flows / thread.getThreadCount(),
                    thread.getThreadIndex(),
                    thread.getThreadCount());
        }
    }

    /** One of them. */
    @State(Scope.Thread)
    public static class LaneState {
        private @Nullable Pipeline lane;

        /** Opens its flows. */
        @Setup(Level.Trial)
        public void open(final Switch all, final ThreadParams thread) {
            lane = all.lane(thread);
        }

        /** Lets go of the table. */
        @TearDown(Level.Trial)
        public void close() {
            if (lane != null) {
                lane.close();
            }
        }

        private long turn() {
            return lane == null ? 0 : lane.turn(1000);
        }
    }

    /** One batch of 64 packets through a lane. */
    @Benchmark
    @OperationsPerInvocation(PacketBatch.FRAMES_MAX)
    public long packets(final LaneState lane) {
        return lane.turn();
    }
}
