package io.sluice.perf;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.FragmentTable;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEvents;
import io.sluice.dataplane.ForwardingLoop;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.LaneCounters;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import io.sluice.dataplane.wire.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.status.CountersManager;
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
 * Nanoseconds per packet of the whole pipeline: 64-byte UDP frames between two endpoints on
 * in-memory ports, stateful, policy on, every packet of a flow that is known.
 *
 * <p>Sweeps flows; the flows are visited in a shuffled order, so that beyond the caches each packet
 * meets a cold conntrack slot, as it would on a busy node.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class PipelineBenchmark {
    private static final int FRAME_BYTES = PacketBatch.VNET_HEADER_BYTES + 60;
    private static final int SENDER_PORT = 1;
    private static final int RECEIVER_PORT = 2;
    private static final long SENDER_MAC = 0x0253_4c00_0a01L;
    private static final long RECEIVER_MAC = 0x0253_4c00_0b01L;
    private static final IpAddress SENDER = IpAddress.parse("10.244.0.10");
    private static final IpAddress RECEIVER = IpAddress.parse("10.244.0.20");

    /** Flows that are open, and visited in turn. */
    @Param({"1", "1000", "100000", "1000000"})
    private int flows = 1;

    private final Arena arena = Arena.ofShared();
    private ForwardingLoop loop = loop(1);
    private LoopbackPort receiver = new LoopbackPort(arena.allocate(FRAME_BYTES), FRAME_BYTES);
    private long nowNs = 1;

    /** Opens every flow once. */
    @Setup(Level.Trial)
    public void openFlows() {
        loop = loop(flows);
        final LoopbackPort sender = new LoopbackPort(frames(), FRAME_BYTES);
        receiver = new LoopbackPort(arena.allocate(FRAME_BYTES), FRAME_BYTES);
        final PolicyMap open = policyMap();
        final List<Endpoint> endpoints =
                List.of(
                        Endpoint.NONE,
                        Endpoint.workload(SENDER_MAC, 1500, List.of(SENDER), open, open),
                        Endpoint.workload(RECEIVER_MAC, 1500, List.of(RECEIVER), open, open));
        final Ipcache ipcache =
                new Ipcache.Builder()
                        .add(SENDER.high(), SENDER.low(), 128, 256, SENDER_PORT)
                        .add(RECEIVER.high(), RECEIVER.low(), 128, 257, RECEIVER_PORT)
                        .build();
        await(loop.proxy().publishTables(new Tables(1, endpoints, ipcache)));
        await(loop.proxy().addPort(SENDER_PORT, sender));
        await(loop.proxy().addPort(RECEIVER_PORT, new SilentPort(receiver)));
        final long before = receiver.sentFrames();
        while (receiver.sentFrames() - before < flows) {
            loop.doWork(nowNs);
        }
    }

    @TearDown(Level.Trial)
    public void close() {
        loop.close();
        arena.close();
    }

    /** One batch of 64 packets through the pipeline. */
    @Benchmark
    @OperationsPerInvocation(PacketBatch.FRAMES_MAX)
    public long packet() {
        nowNs += 1000;
        loop.doWork(nowNs);
        return receiver.sentFrames();
    }

    private void await(final CompletableFuture<Void> done) {
        while (!done.isDone()) {
            loop.doWork(nowNs);
        }
    }

    private static ForwardingLoop loop(final int flows) {
        final ConntrackConfig defaults = ConntrackConfig.defaults();
        final ConntrackConfig config =
                new ConntrackConfig(
                        Math.max(1024, flows),
                        1024,
                        defaults.tcpSynTimeoutNs(),
                        defaults.tcpEstablishedTimeoutNs(),
                        defaults.tcpFinWaitTimeoutNs(),
                        defaults.tcpClosingTimeoutNs(),
                        TimeUnit.DAYS.toNanos(1),
                        TimeUnit.DAYS.toNanos(1),
                        TimeUnit.DAYS.toNanos(1),
                        defaults.icmpTimeoutNs(),
                        defaults.otherTimeoutNs(),
                        defaults.tcpLoose(),
                        defaults.tcpWindowCheck());
        final LaneCounters counters =
                new LaneCounters(
                        new CountersManager(
                                new UnsafeBuffer(ByteBuffer.allocateDirect(1 << 20)),
                                new UnsafeBuffer(ByteBuffer.allocateDirect(1 << 18))));
        return new ForwardingLoop(
                Gateway.DEFAULT,
                Conntrack.open(config, 42),
                FragmentTable.open(42),
                counters,
                new Deaf(),
                (port, index) -> {
                    throw new IllegalStateException("port " + port.name() + " is gone");
                });
    }

    /** A map of 64 port ranges for TCP and UDP, so that a verdict is a real search. */
    private static PolicyMap policyMap() {
        final List<PolicyMap.Interval> intervals =
                java.util.stream.IntStream.range(0, 64)
                        .mapToObj(i -> new PolicyMap.Interval(i * 1024, PolicyEntry.allow(i)))
                        .toList();
        final PolicyMap.Program program =
                new PolicyMap.Program(
                        PolicyEntry.deny(133, 0),
                        List.of(
                                new PolicyMap.ProtocolPorts(6, intervals),
                                new PolicyMap.ProtocolPorts(17, intervals)));
        return new PolicyMap.Builder(PolicyEntry.deny(171, 0))
                .program(256, program)
                .program(257, program)
                .build();
    }

    private MemorySegment frames() {
        final MemorySegment frames = arena.allocate((long) flows * FRAME_BYTES);
        for (int i = 0; i < flows; i++) {
            // An odd multiplier visits every flow once, in an order without a pattern of cache
            // lines.
            final int flow = (int) (i * 0x9E37_79B1L % flows);
            final ByteBuffer frame = ByteBuffer.allocate(FRAME_BYTES).order(ByteOrder.BIG_ENDIAN);
            frame.position(PacketBatch.VNET_HEADER_BYTES);
            putMac(frame, Gateway.DEFAULT.mac());
            putMac(frame, SENDER_MAC);
            frame.putShort((short) 0x0800);
            frame.putInt(0x4500_002e).putInt(0x0001_4000).putShort((short) 0x4011);
            frame.putShort((short) ipChecksum()).putInt(SENDER.ipv4()).putInt(RECEIVER.ipv4());
            frame.putShort((short) (1024 + flow % 50_000));
            frame.putShort((short) (1024 + flow / 50_000)).putShort((short) 26);
            MemorySegment.copy(
                    frame.array(),
                    0,
                    frames,
                    ValueLayout.JAVA_BYTE,
                    (long) i * FRAME_BYTES,
                    FRAME_BYTES);
        }
        return frames;
    }

    private static int ipChecksum() {
        int sum = 0x4500 + 0x002e + 0x0001 + 0x4000 + 0x4011;
        for (final int address : new int[] {SENDER.ipv4(), RECEIVER.ipv4()}) {
            sum += (address >>> 16) + (address & 0xffff);
        }
        while (sum > 0xffff) {
            sum = (sum & 0xffff) + (sum >>> 16);
        }
        return ~sum & 0xffff;
    }

    private static void putMac(final ByteBuffer frame, final long mac) {
        frame.putShort((short) (mac >>> 32)).putInt((int) mac);
    }

    /** Receives nothing; sends to another. */
    private record SilentPort(LoopbackPort sink) implements io.sluice.dataplane.port.Port {
        @Override
        public String name() {
            return "sink";
        }

        @Override
        public int mtu() {
            return sink.mtu();
        }

        @Override
        public int receive(final PacketBatch batch) {
            return 0;
        }

        @Override
        public boolean send(final MemorySegment memory, final long offset, final int length) {
            return sink.send(memory, offset, length);
        }

        @Override
        public int pollFd() {
            return -1;
        }

        @Override
        public void close() {}
    }

    /** Nobody listens: the cost of events is measured with the ring that carries them. */
    private static final class Deaf implements FlowEvents {
        @Override
        public void opened(final Packet packet, final long nowNs) {}

        @Override
        public void dropped(final Packet packet, final DropReason reason, final long nowNs) {}
    }
}
