package io.sluice.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.FlowCopy;
import io.sluice.conntrack.FragmentTable;
import io.sluice.dataplane.Frames.Host;
import io.sluice.dataplane.port.MemoryPort;
import io.sluice.dataplane.port.Port;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import io.sluice.dataplane.wire.IpAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.status.CountersManager;
import org.jspecify.annotations.Nullable;

/**
 * A real switch on the test's own thread: two pods, an uplink and the proxy's namespace on
 * in-memory ports, a clock that the test turns, and policy maps that it writes.
 *
 * <p>Of several lanes any takes a frame, drawn by lot, so that packets of a flow meet all of them;
 * fragments are lane 0's, as a device's queue has all of a datagram.
 */
final class TestSwitch implements AutoCloseable {
    static final int A_PORT = 1;
    static final int B_PORT = 2;
    static final int UPLINK_PORT = 0;
    static final int A_IDENTITY = 256;
    static final int B_IDENTITY = 257;
    static final int WORLD = 2;
    static final int POLICY_DENIED = DropReason.POLICY_DENIED.code();

    static final Host A = new Host(0x0253_4c00_0a01L, "10.244.0.10");
    static final Host B = new Host(0x0253_4c00_0b01L, "10.244.0.20");
    static final Host A6 = new Host(A.mac(), "fd00:10:244::10");
    static final Host B6 = new Host(B.mac(), "fd00:10:244::20");
    static final Host NODE = new Host(0x0253_4c00_0002L, "10.244.0.1");
    static final Host PROXY = new Host(0x0253_4c00_0003L, "169.254.1.2");
    static final int RESOLVER_IDENTITY = 258;
    static final Host RESOLVER = new Host(0, "10.96.0.10");
    static final Host RESOLVER6 = new Host(0, "fd00:10:96::a");
    static final Host OUTSIDER = new Host(NODE.mac(), "198.51.100.10");

    final MemoryPort a = new MemoryPort("a", 65_521);
    final MemoryPort b = new MemoryPort("b", 65_521);
    final MemoryPort uplink = new MemoryPort("uplink", 65_521);
    final MemoryPort proxy = new MemoryPort("proxy", 65_521);

    /** Of the first lane; of all see {@link #sum}. */
    final LaneCounters counters;

    final List<String> events = new ArrayList<>();
    final List<String> ends = new ArrayList<>();
    long endedPackets;
    long endedBytes;
    final List<Integer> gone = new ArrayList<>();
    long nowNs = 1_000_000_000L;

    /** What ended a lane's thread. */
    private volatile @Nullable Throwable failure;

    /**
     * Whether {@link #events} and {@link #ends} are kept; not where a test sends millions of
     * packets.
     */
    boolean recordsEvents = true;

    private final Conntrack conntrack;
    private final List<FragmentTable> fragments = new ArrayList<>();
    private final List<LaneCounters> counted = new ArrayList<>();

    /** The lanes, by number. */
    private final List<ForwardingLoop> loops = new ArrayList<>();

    private final ForwardingLoop loop;

    /** Threads of the lanes; none while the test turns them. */
    private List<Lane> threads = List.of();

    private final Random dice = new Random(99);
    private int revision;
    private Endpoint resolver = Endpoint.NONE;
    private int bMtu = 1500;
    private boolean hasB = true;

    TestSwitch() {
        this(4096);
    }

    TestSwitch(final int flowsMax) {
        this(flowsMax, 1);
    }

    TestSwitch(final int flowsMax, final int lanes) {
        conntrack = Conntrack.open(tableOf(flowsMax), 42);
        for (int i = 0; i < lanes; i++) {
            fragments.add(FragmentTable.open(7));
            counted.add(
                    new LaneCounters(
                            new CountersManager(
                                    new UnsafeBuffer(new byte[1 << 20]),
                                    new UnsafeBuffer(new byte[1 << 18]))));
            loops.add(
                    new ForwardingLoop(
                            Gateway.DEFAULT,
                            conntrack.ofLane(i, lanes),
                            fragments.get(i),
                            counted.get(i),
                            new Recorder(),
                            (port, index) -> gone.add(index)));
        }
        counters = counted.getFirst();
        loop = loops.getFirst();
        command(lane -> lane.addPort(UPLINK_PORT, uplink));
        command(lane -> lane.addPort(A_PORT, a));
        command(lane -> lane.addPort(B_PORT, b));
        command(lane -> lane.addPort(Tables.PROXY_PORT, proxy));
        allowAll();
    }

    /** A counter of all lanes. */
    long sum(final ToLongFunction<LaneCounters> counter) {
        return counted.stream().mapToLong(counter).sum();
    }

    static ConntrackConfig tableOf(final int flowsMax) {
        final ConntrackConfig defaults = ConntrackConfig.defaults();
        return new ConntrackConfig(
                flowsMax,
                flowsMax,
                defaults.tcpSynTimeoutNs(),
                defaults.tcpEstablishedTimeoutNs(),
                defaults.tcpFinWaitTimeoutNs(),
                defaults.tcpClosingTimeoutNs(),
                defaults.udpUnrepliedTimeoutNs(),
                defaults.udpRepliedTimeoutNs(),
                defaults.udpStreamTimeoutNs(),
                defaults.icmpTimeoutNs(),
                defaults.otherTimeoutNs(),
                defaults.tcpLoose(),
                defaults.tcpWindowCheck());
    }

    private final class Recorder implements FlowEvents {
        @Override
        public void opened(final Packet packet, final long atNs) {
            if (!recordsEvents) {
                return;
            }
            events.add("opened " + packet.sourceIdentity + "->" + packet.destinationIdentity);
        }

        @Override
        public void dropped(final Packet packet, final DropReason reason, final long atNs) {
            if (!recordsEvents) {
                return;
            }
            events.add(
                    "dropped "
                            + reason
                            + " rule "
                            + PolicyEntry.rule(
                                    PolicyEntry.allows(packet.egressEntry)
                                            ? packet.ingressEntry
                                            : packet.egressEntry));
        }

        @Override
        public void ended(final FlowCopy flow, final FlowEnd end, final long atNs) {
            endedPackets += flow.initiatorPackets + flow.responderPackets;
            endedBytes += flow.initiatorBytes + flow.responderBytes;
            if (!recordsEvents) {
                return;
            }
            ends.add(
                    "%s %d->%d %d packets, %d packets back, %d ms"
                            .formatted(
                                    end,
                                    flow.initiatorIdentity,
                                    flow.responderIdentity,
                                    flow.initiatorPackets,
                                    flow.responderPackets,
                                    (flow.lastPacketNs - flow.createdNs) / 1_000_000));
        }
    }

    TestSwitch withMtuOfB(final int mtu) {
        bMtu = mtu;
        allowAll();
        return this;
    }

    void allowAll() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        publish(all, all, all, all);
    }

    /** B accepts from A the one port and protocol; everything else stays open. */
    void ingressOfBAllowsFromA(final int protocol, final int port) {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        final long denied = PolicyEntry.deny(POLICY_DENIED, 7);
        final PolicyMap map =
                new PolicyMap.Builder(denied)
                        .program(
                                A_IDENTITY,
                                new PolicyMap.Program(
                                        denied,
                                        List.of(
                                                new PolicyMap.ProtocolPorts(
                                                        protocol, only(port, denied)))))
                        .build();
        publish(all, all, all, map);
    }

    private static List<PolicyMap.Interval> only(final int port, final long denied) {
        final List<PolicyMap.Interval> intervals = new ArrayList<>();
        if (port > 0) {
            intervals.add(new PolicyMap.Interval(0, denied));
        }
        intervals.add(new PolicyMap.Interval(port, PolicyEntry.allow(3)));
        intervals.add(new PolicyMap.Interval(port + 1, denied));
        return intervals;
    }

    /** Somebody has to read what A and others send to B. */
    void ingressOfBRedirects() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        publish(all, all, all, PolicyMap.always(PolicyEntry.redirect(5)));
    }

    /** The tables that follow have the switch's own resolver. */
    void withResolver(final PolicyMap ingress) {
        resolver = Endpoint.resolver(ingress);
    }

    /** B's pod is deleted: no endpoint, no port, and its addresses are nobody's. */
    void removeB() {
        hasB = false;
        allowAll();
        command(lane -> lane.removePort(B_PORT));
    }

    void nobodyReachesB() {
        final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
        publish(all, all, all, PolicyMap.always(PolicyEntry.deny(POLICY_DENIED, 9)));
    }

    void publish(
            final PolicyMap aEgress,
            final PolicyMap aIngress,
            final PolicyMap bEgress,
            final PolicyMap bIngress) {
        final List<Endpoint> endpoints =
                new ArrayList<>(Collections.nCopies(Tables.RESOLVER_PORT + 1, Endpoint.NONE));
        endpoints.set(UPLINK_PORT, Endpoint.uplink(NODE.mac(), 1500));
        endpoints.set(
                A_PORT, Endpoint.workload(A.mac(), 65_521, addresses(A, A6), aEgress, aIngress));
        if (hasB) {
            endpoints.set(
                    B_PORT, Endpoint.workload(B.mac(), bMtu, addresses(B, B6), bEgress, bIngress));
        }
        endpoints.set(Tables.RESOLVER_PORT, resolver);
        final Ipcache.Builder ipcache = new Ipcache.Builder();
        host(ipcache, A, A_IDENTITY, A_PORT);
        host(ipcache, A6, A_IDENTITY, A_PORT);
        if (hasB) {
            host(ipcache, B, B_IDENTITY, B_PORT);
            host(ipcache, B6, B_IDENTITY, B_PORT);
        }
        host(ipcache, NODE, 1, UPLINK_PORT);
        if (resolver != Endpoint.NONE) {
            host(ipcache, RESOLVER, RESOLVER_IDENTITY, Tables.RESOLVER_PORT);
            host(ipcache, RESOLVER6, RESOLVER_IDENTITY, Tables.RESOLVER_PORT);
        }
        ipcache.add(0, 0xffff_0000_0000L, 96, WORLD, UPLINK_PORT);
        ipcache.add(0, 0, 0, WORLD, UPLINK_PORT);
        final IpAddress pool = IpAddress.parse("10.244.0.0");
        ipcache.add(pool.high(), pool.low(), 120, WORLD, Ipcache.NO_PORT);
        final Tables tables =
                new Tables(
                        ++revision,
                        endpoints,
                        Endpoint.proxy(PROXY.mac(), 65_521),
                        ipcache.build());
        command(lane -> lane.publishTables(tables));
    }

    private static List<IpAddress> addresses(final Host... hosts) {
        final List<IpAddress> addresses = new ArrayList<>();
        for (final Host host : hosts) {
            addresses.add(IpAddress.parse(host.address()));
        }
        return addresses;
    }

    private static void host(
            final Ipcache.Builder ipcache, final Host host, final int identity, final int port) {
        final IpAddress address = IpAddress.parse(host.address());
        ipcache.add(address.high(), address.low(), 128, identity, port);
    }

    /** Lets the lanes carry out a command. */
    private void command(final Function<DatapathProxy, CompletableFuture<Void>> command) {
        final List<CompletableFuture<Void>> done =
                loops.stream().map(lane -> command.apply(lane.proxy())).toList();
        if (threads.isEmpty()) {
            run();
            assertThat(done).allMatch(CompletableFuture::isDone);
        } else {
            done.forEach(CompletableFuture::join);
        }
    }

    /**
     * From now on every lane turns by itself, and takes from the ports what it gets hold of; time
     * stands still.
     */
    void startLanes() {
        recordsEvents = false;
        threads =
                loops.stream()
                        .map(
                                lane ->
                                        new Lane(
                                                "lane",
                                                lane,
                                                () -> nowNs,
                                                Lane.IdleMode.BUSY,
                                                () -> {},
                                                (thread, error) -> failure = error))
                        .toList();
        threads.forEach(Lane::start);
    }

    /** Waits until so many packets have met their end since the start. */
    void awaitPackets(final long packets) {
        while (failure == null && sum(TestSwitch::ended) < packets) {
            Thread.onSpinWait();
        }
        assertThat(failure).isNull();
    }

    /** Packets that a lane is done with. */
    private static long ended(final LaneCounters lane) {
        return lane.forwardedPackets()
                + lane.answeredPackets()
                + lane.droppedPackets()
                + lane.puntedPackets();
    }

    /** Puts another port in the place of one. */
    void plug(final int index, final Port port) {
        command(lane -> lane.removePort(index));
        command(lane -> lane.addPort(index, port));
    }

    /** Turns the loop once: a batch of every port. */
    void turn() {
        loop.doWork(nowNs);
    }

    /** Turns the lanes until they have nothing to do. */
    void run() {
        run(loops);
    }

    private void run(final List<ForwardingLoop> inOrder) {
        int turns = 0;
        int work = 1;
        while (work > 0) {
            work = 0;
            for (final ForwardingLoop lane : inOrder) {
                work += lane.doWork(nowNs);
            }
            assertThat(turns++).as("turns of the lanes").isLessThan(1000);
        }
    }

    /** Takes down what the packets that the filter takes meet. */
    TraceRing trace(final PacketFilter filter, final long packetsMax) {
        final TraceRing ring = new TraceRing(filter, packetsMax);
        command(lane -> lane.trace(Optional.of(ring)));
        return ring;
    }

    /** Takes nothing down any more. */
    void endTrace() {
        command(lane -> lane.trace(Optional.empty()));
    }

    /** The lane lets go of everything, as for a hand-over. */
    void suspend() {
        command(lane -> lane.suspend());
    }

    /** The lane has its ports again. */
    void resume() {
        command(
                lane ->
                        lane.addPorts(
                                Map.of(
                                        UPLINK_PORT,
                                        uplink,
                                        A_PORT,
                                        a,
                                        B_PORT,
                                        b,
                                        Tables.PROXY_PORT,
                                        proxy)));
    }

    void fromA(final byte[]... frames) {
        inject(a, frames);
    }

    void fromB(final byte[]... frames) {
        inject(b, frames);
    }

    /** The proxy's namespace sends with a MAC of its own, whatever address it speaks for. */
    void fromProxy(final byte[]... frames) {
        for (final byte[] frame : frames) {
            inject(proxy, Frames.withSourceMac(frame, PROXY.mac()));
        }
    }

    void fromUplink(final byte[]... frames) {
        inject(uplink, frames);
    }

    private void inject(final MemoryPort port, final byte[]... frames) {
        for (final byte[] frame : frames) {
            port.inject(frame);
            if (loops.size() > 1) {
                run(Frames.isFragment(frame) ? loops : drawnOrder());
            }
        }
        run();
    }

    /** The first of them takes what has come. */
    private List<ForwardingLoop> drawnOrder() {
        final List<ForwardingLoop> order = new ArrayList<>(loops);
        Collections.shuffle(order, dice);
        return order;
    }

    /** Frames that a port was given since the last call. */
    List<byte[]> sentTo(final MemoryPort port) {
        final List<byte[]> frames = new ArrayList<>();
        for (byte[] frame = port.takeSent(); frame != null; frame = port.takeSent()) {
            frames.add(frame);
        }
        return frames;
    }

    long drops(final DropReason reason) {
        return sum(lane -> lane.droppedPackets(reason, TrafficDirection.EGRESS))
                + sum(lane -> lane.droppedPackets(reason, TrafficDirection.INGRESS));
    }

    /** The DNS agent's side of the first lane. */
    PuntRing punts() {
        return loop.punts();
    }

    /** The DNS agent's side of all lanes. */
    PuntRings puntsOfAll() {
        return new PuntRings(loops.stream().map(ForwardingLoop::punts).toList());
    }

    /** What waits for the DNS agent. */
    List<Punt> punted() {
        final List<Punt> punted = new ArrayList<>();
        puntsOfAll().poll(punted::add, Integer.MAX_VALUE);
        return punted;
    }

    Conntrack conntrack() {
        return conntrack;
    }

    int flows() {
        return conntrack.size();
    }

    /** The port of B that A is found to mean who was accepted at a listener. */
    int serverPortOf(final int clientPort, final int listener) {
        final IpAddress client = IpAddress.parse(A.address());
        final IpAddress server = IpAddress.parse(B.address());
        return new ProxyLegs(conntrack.anotherLane())
                .serverPort(
                        client.high(),
                        client.low(),
                        clientPort,
                        server.high(),
                        server.low(),
                        listener,
                        nowNs);
    }

    /** Ends the test: every packet must have met exactly one of its three ends. */
    @Override
    public void close() {
        threads.forEach(Lane::close);
        assertThat(sum(LaneCounters::packetsIn))
                .as("packets in = forwarded + answered + dropped + still punted")
                .isEqualTo(
                        sum(LaneCounters::forwardedPackets)
                                + sum(LaneCounters::answeredPackets)
                                + sum(LaneCounters::droppedPackets)
                                + sum(LaneCounters::puntedPackets)
                                - sum(LaneCounters::returnedPackets));
        loops.forEach(ForwardingLoop::close);
        conntrack.close();
        fragments.forEach(FragmentTable::close);
    }
}
