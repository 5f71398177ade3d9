package io.sluice.perf;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.FlowCopy;
import io.sluice.conntrack.FragmentTable;
import io.sluice.dataplane.DatapathProxy;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.FlowEvents;
import io.sluice.dataplane.ForwardingLoop;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.LaneCounters;
import io.sluice.dataplane.Packet;
import io.sluice.dataplane.PacketFilter;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.TraceRing;
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
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.status.CountersManager;

/**
 * A switch of two endpoints on in-memory ports, one of which sends 64-byte UDP frames to the other
 * for ever: stateful, policy on.
 *
 * <p>The flows are visited in a shuffled order, so that beyond the caches each packet meets a cold
 * conntrack slot, as it would on a busy node.
 *
 * <p>Of several lanes each has a pipeline of its own, with flows of its own, in one flow table
 * ({@link Shared}): as the kernel deals flows out to the queues of a device.
 *
 * <p>Thread: one, which is the lane's; {@link #proxy} any.
 */
final class Pipeline implements AutoCloseable {
    /** Identity of the sender. */
    static final int SENDER_IDENTITY = 256;

    /** Identity of the receiver. */
    static final int RECEIVER_IDENTITY = 257;

    private static final int FRAME_BYTES = PacketBatch.VNET_HEADER_BYTES + 60;
    private static final int SENDER_PORT = 1;
    private static final int RECEIVER_PORT = 2;
    private static final long SENDER_MAC = 0x0253_4c00_0a01L;
    private static final long RECEIVER_MAC = 0x0253_4c00_0b01L;
    static final IpAddress SENDER = IpAddress.parse("10.244.0.10");
    private static final IpAddress RECEIVER = IpAddress.parse("10.244.0.20");

    private final Arena arena = Arena.ofShared();
    private final int flows;
    private final int firstFlow;
    private final Shared shared;
    private final boolean ownsShared;
    private final Conntrack conntrack;
    private final FragmentTable fragments = FragmentTable.open(42);
    private final LaneCounters counters;
    private final ForwardingLoop loop;
    private final LoopbackPort sender;
    private final LoopbackPort receiver =
            new LoopbackPort(arena.allocate(FRAME_BYTES), FRAME_BYTES);
    private long nowNs = 1;

    /** What lanes have in common. */
    static final class Shared implements AutoCloseable {
        private final Conntrack conntrack;
        private final Ipcache ipcache = new Ipcache();
        private final PolicyMap map;

        /**
         * @param capacityFlows of the conntrack table
         * @param policies that each endpoint's map is made of, 1 to 100,000
         */
        Shared(final int capacityFlows, final int policies) {
            conntrack = Conntrack.open(config(capacityFlows), 42);
            map = policyMap(policies);
            ipcache.put(SENDER.high(), SENDER.low(), 128, SENDER_IDENTITY, SENDER_PORT);
            ipcache.put(RECEIVER.high(), RECEIVER.low(), 128, RECEIVER_IDENTITY, RECEIVER_PORT);
            ipcache.seal();
        }

        @Override
        public void close() {
            conntrack.close();
        }
    }

    /**
     * The only lane. Opens every flow once.
     *
     * @param flows that the frames belong to
     * @param capacityFlows of the conntrack table
     * @param policies that each endpoint's map is made of, 1 to 100,000
     */
    Pipeline(final int flows, final int capacityFlows, final int policies) {
        this(new Shared(capacityFlows, policies), true, flows, 0, 1);
    }

    /**
     * One of several lanes. Opens every flow of its own once.
     *
     * @param shared outlives it
     * @param flows that its frames belong to
     * @param lane from 0
     * @param lanes how many
     */
    Pipeline(final Shared shared, final int flows, final int lane, final int lanes) {
        this(shared, false, flows, lane, lanes);
    }

    private Pipeline(
            final Shared shared,
            final boolean ownsShared,
            final int flows,
            final int lane,
            final int lanes) {
        this.shared = shared;
        this.ownsShared = ownsShared;
        this.flows = flows;
        this.firstFlow = lane * flows;
        conntrack = shared.conntrack.ofLane(lane, lanes);
        counters =
                new LaneCounters(
                        new CountersManager(
                                new UnsafeBuffer(ByteBuffer.allocateDirect(1 << 20)),
                                new UnsafeBuffer(ByteBuffer.allocateDirect(1 << 18))));
        loop =
                new ForwardingLoop(
                        Gateway.DEFAULT,
                        conntrack,
                        fragments,
                        counters,
                        new Deaf(),
                        (port, index) -> {
                            throw new IllegalStateException("port " + port.name() + " is gone");
                        });
        await(loop.proxy().publishTables(tables(1, shared.map)));
        await(loop.proxy().addPort(RECEIVER_PORT, new SilentPort(receiver)));
        sender = new LoopbackPort(frames(), FRAME_BYTES);
        await(loop.proxy().addPort(SENDER_PORT, sender));
        final long before = receiver.sentFrames();
        while (receiver.sentFrames() - before < flows) {
            loop.doWork(nowNs);
        }
    }

    /**
     * One turn of the lane: 64 packets.
     *
     * @param passedNs since the last turn
     * @return frames that arrived so far
     */
    long turn(final long passedNs) {
        nowNs += passedNs;
        loop.doWork(nowNs);
        return receiver.sentFrames();
    }

    /** Traces packets of an address from the next turn on. */
    TraceRing trace(final IpAddress address) {
        final TraceRing ring =
                new TraceRing(
                        new PacketFilter.Address(
                                PacketFilter.Side.EITHER, address.high(), address.low()),
                        TraceRing.PACKETS_MAX);
        await(loop.proxy().trace(Optional.of(ring)));
        return ring;
    }

    /** Whether the sender sends nothing. */
    void silence(final boolean silent) {
        sender.silence(silent);
    }

    /** The lane's clock. */
    long nowNs() {
        return nowNs;
    }

    /** The lane's view of the flows. */
    Conntrack conntrack() {
        return conntrack;
    }

    /** Packets that were dropped, for any reason. Any thread. */
    long droppedPackets() {
        return counters.droppedPackets();
    }

    /** Any thread. */
    DatapathProxy proxy() {
        return loop.proxy();
    }

    /** What addresses are answered by; its writer is whoever calls {@link #tables}. */
    Ipcache ipcache() {
        return shared.ipcache;
    }

    /** Both endpoints with one map for both directions. Any thread. */
    Tables tables(final int revision, final PolicyMap map) {
        return new Tables(
                revision,
                List.of(
                        Endpoint.NONE,
                        Endpoint.workload(SENDER_MAC, 1500, List.of(SENDER), map, map),
                        Endpoint.workload(RECEIVER_MAC, 1500, List.of(RECEIVER), map, map)),
                shared.ipcache);
    }

    @Override
    public void close() {
        loop.close();
        if (ownsShared) {
            shared.close();
        }
        fragments.close();
        arena.close();
    }

    private void await(final CompletableFuture<Void> done) {
        while (!done.isDone()) {
            loop.doWork(nowNs);
        }
    }

    private static ConntrackConfig config(final int capacityFlows) {
        final ConntrackConfig defaults = ConntrackConfig.defaults();
        return new ConntrackConfig(
                capacityFlows,
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
    }

    /**
     * A map of so many policies, each of which allows another identity 64 port ranges for TCP and
     * UDP, no two the same: two of the identities are the endpoints'.
     */
    static PolicyMap policyMap(final int policies) {
        final PolicyMap.Builder builder = new PolicyMap.Builder(PolicyEntry.deny(171, 0));
        builder.program(SENDER_IDENTITY, program(0));
        for (int i = 0; i < policies; i++) {
            builder.program(RECEIVER_IDENTITY + i, program(i));
        }
        return builder.build();
    }

    private static PolicyMap.Program program(final int policy) {
        final List<PolicyMap.Interval> intervals =
                IntStream.range(0, 64)
                        .mapToObj(
                                i ->
                                        new PolicyMap.Interval(
                                                i * 1024, PolicyEntry.allow(policy * 64 + i)))
                        .toList();
        return new PolicyMap.Program(
                PolicyEntry.deny(133, 0),
                List.of(
                        new PolicyMap.ProtocolPorts(6, intervals),
                        new PolicyMap.ProtocolPorts(17, intervals)));
    }

    private MemorySegment frames() {
        final MemorySegment frames = arena.allocate((long) flows * FRAME_BYTES);
        for (int i = 0; i < flows; i++) {
            // An odd multiplier visits every flow once, in an order without a pattern of cache
            // lines.
            final int flow = firstFlow + (int) (i * 0x9E37_79B1L % flows);
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

        @Override
        public void ended(final FlowCopy flow, final FlowEnd end, final long nowNs) {}
    }
}
