package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.FragmentTable;
import io.sluice.control.agent.dns.Resolver;
import io.sluice.control.agent.state.StateStore;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.dataplane.ForwardingLoop;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.LaneCounters;
import io.sluice.dataplane.PuntRings;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.TraceRing;
import io.sluice.dataplane.port.Port;
import io.sluice.dnsproxy.DnsClock;
import io.sluice.dnsproxy.DnsEvents;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The whole switch without devices and without a lane's thread: objects in, frames in, frames out.
 * Only flow events have a thread of their own, as in production.
 */
final class SwitchInOneThread implements AutoCloseable {
    private static final long SEED = 4711;

    final StateStore state;
    final List<String> journal = new ArrayList<>();
    final MemoryPorts ports = new MemoryPorts(journal);
    final SluiceConfig config = SluiceConfig.defaults("node-1");
    final ObjectStore store;
    final PolicyHistory revisions;
    final Rollouts rollouts;
    final PolicyPublisher publisher;
    final Reconciler reconciler;
    final FlowHistory history = new FlowHistory(Optional.empty());
    final FlowCounts flowCounts = new FlowCounts();
    final FlowStore flows = new FlowStore(100, flowCounts::count, history);
    final FlowRecorder recorder;
    final ProxyPort proxy;
    final PacketTracer tracer;
    final Conntrack conntrack = Conntrack.open(config.conntrack(), SEED);
    final LearnedNames names;
    final ReleasedAddresses released;
    final Resolver resolver;
    final DnsAgent dns;
    private final Queue<Runnable> tasks = new ArrayDeque<>();
    final LaneCounterFile counterFile;
    final LaneCounters counters;
    private final FragmentTable fragments = FragmentTable.open(SEED);
    private final ForwardingLoop loop;

    /** A command of the journal that the lane does not answer; empty for none. */
    String unanswered = "";

    /** What happens when the lane has taken tables, before control goes on. */
    Consumer<String> afterPublish = command -> {};

    long nowNs = 1_000_000_000L;

    /** Time of day, which somebody may set; it does not follow {@link #nowNs}. */
    Instant timeOfDay = Instant.parse("2026-03-01T12:00:00Z");

    SwitchInOneThread(final Path folder) throws Exception {
        store = ObjectStore.load(folder.resolve("objects"));
        revisions = PolicyHistory.load(folder.resolve("history"), 5, 1 << 20);
        rollouts =
                new Rollouts(
                        store,
                        revisions,
                        ((InstantSource) () -> timeOfDay).withZone(ZoneOffset.UTC),
                        () -> nowNs);
        counterFile = LaneCounterFile.create(folder.resolve("counters"), 1);
        counters = new LaneCounters(counterFile.manager());
        final AtomicReference<PolicyPublisher> publisherOfEvents = new AtomicReference<>();
        recorder =
                new FlowRecorder(
                        config.nodeName(),
                        1,
                        flows,
                        revision -> publisherOfEvents.get().ofRevision(revision),
                        () -> nowNs);
        final AtomicReference<Reconciler> reconcilerOfPorts = new AtomicReference<>();
        loop =
                new ForwardingLoop(
                        Gateway.DEFAULT,
                        conntrack,
                        fragments,
                        counters,
                        recorder,
                        (port, id) -> reconcilerOfPorts.get().portGone(port, id));
        final LaneControl lane = new TurnedLane();
        state = StateStore.open(folder, Clock.systemUTC());
        proxy =
                new ProxyPort(
                        ports,
                        lane,
                        enter -> {
                            journal.add("proxy listens");
                            return () -> journal.add("proxy ends");
                        });
        publisher =
                new PolicyPublisher(
                        lane,
                        0,
                        new IdentityAllocator(state.identities()),
                        parsers -> proxy.require());
        publisherOfEvents.set(publisher);
        tracer = new PacketTracer(lane, publisher::live, publisher::ofRevision, () -> nowNs);
        final Uplink uplink = new Uplink(config, ports, lane);
        uplink.create();
        reconciler =
                new Reconciler(
                        config,
                        store,
                        AddressBook.load(folder.resolve("addresses")),
                        new Endpoints(
                                ports,
                                lane,
                                Optional.of(config.uplink().device()),
                                new ResolvConf(
                                        folder.resolve("netns"),
                                        config.dns().resolver(),
                                        () -> ResolverPod.isIn(publisher.live().world()))),
                        uplink,
                        proxy,
                        publisher,
                        new StateRecorder(state, config.pool().all()));
        reconcilerOfPorts.set(reconciler);
        names = new LearnedNames(publisher::live, tasks::add, reconciler, this::confirm);
        released = new ReleasedAddresses(publisher::live, () -> nowNs);
        recorder.watchDrops(released::dropped);
        resolver =
                new Resolver(
                        config.dns().resolver().addresses(),
                        config.dns().resolver().servers(),
                        config.dns().resolver().domain(),
                        new ClusterObjects(() -> publisher.live().world(), config.pool().all()),
                        new TurnedClock());
        dns =
                new DnsAgent(
                        new PuntRings(List.of(loop.punts())),
                        config.dns().limits(),
                        config.dns().cache(),
                        new DnsAgent.Outside(
                                new DnsPolicy(publisher::live),
                                names,
                                released,
                                new FlowAddresses(
                                        conntrack, () -> nowNs, () -> publisher.live().world()),
                                new NameStore(state.names()),
                                DnsEvents.NONE,
                                resolver),
                        new TurnedClock());
    }

    private void confirm(final long batch) {
        dns.onLive(batch);
    }

    private final class TurnedClock implements DnsClock {
        @Override
        public long monotonicMs() {
            return nowNs / 1_000_000;
        }

        @Override
        public long epochMs() {
            return nowNs / 1_000_000;
        }
    }

    /** What the DNS agent asked of control. */
    void runTasks() {
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
            task.run();
        }
    }

    /** The lane in the caller's thread: a command is carried out by turning it. */
    private final class TurnedLane implements LaneControl {
        @Override
        public void publish(final Tables tables) {
            final String command = "publish " + tables.policyRevision();
            answer(command);
            await(loop.proxy().publishTables(tables));
            afterPublish.accept(command);
        }

        @Override
        public void open(final Map<Integer, Port> opened) {
            opened.values().stream()
                    .map(Port::name)
                    .sorted()
                    .forEach(name -> answer("open " + name));
            await(loop.proxy().addPorts(opened));
        }

        @Override
        public int count() {
            return 1;
        }

        @Override
        public void trace(final List<TraceRing> rings) {
            await(loop.proxy().trace(rings.stream().findFirst()));
        }

        @Override
        public void closeElsewhere(final int index) {}

        @Override
        public void suspend() {
            answer("suspend");
            await(loop.proxy().suspend());
        }

        @Override
        public void close(final int index) {
            journal.add("close " + index);
            await(loop.proxy().removePort(index));
        }

        private void answer(final String command) {
            journal.add(command);
            if (command.equals(unanswered)) {
                throw new IllegalStateException("the lane did not answer");
            }
        }

        private void await(final CompletableFuture<Void> done) {
            turn();
            if (!done.isDone()) {
                throw new IllegalStateException("the lane left a command in its mailbox");
            }
        }
    }

    /** Makes the folder hold these manifests, and nothing else. */
    void folder(final String... manifests) {
        final List<KubeObject> objects = Manifests.read(String.join("\n---\n", manifests));
        store.setFolderContent(objects, List.of());
        reconciler.reconcile();
    }

    void turn() {
        loop.doWork(nowNs);
    }

    EndpointState state(final String name) {
        return view(name).state();
    }

    Endpoints.View view(final String name) {
        return reconciler.snapshot().endpoints().stream()
                .filter(view -> view.spec().name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** Sends a UDP datagram from a pod's device and turns the lane. */
    void send(final String from, final String source, final String destination, final int port) {
        ports.port(from).inject(udp(mac(from), source, destination, port));
        turn();
    }

    private long mac(final String from) {
        return from.equals(MemoryPorts.UPLINK) ? TapPorts.UPLINK_MAC : view(from).spec().mac();
    }

    /** Whether the device was sent a frame since the last call. */
    boolean received(final String name) {
        final byte @Nullable [] frame = ports.port(name).takeSent();
        return frame != null;
    }

    private static byte[] udp(
            final long mac, final String source, final String destination, final int port) {
        final ByteBuffer frame = ByteBuffer.allocate(14 + 20 + 8 + 4);
        frame.putShort((short) (Gateway.DEFAULT.mac() >>> 32)).putInt((int) Gateway.DEFAULT.mac());
        frame.putShort((short) (mac >>> 32)).putInt((int) mac).putShort((short) 0x0800);
        final int ip = frame.position();
        frame.putShort((short) 0x4500).putShort((short) 32).putInt(0);
        frame.put((byte) 64).put((byte) 17).putShort((short) 0);
        frame.put(address(source)).put(address(destination));
        int sum = 0;
        for (int at = ip; at < ip + 20; at += 2) {
            sum += frame.getShort(at) & 0xffff;
        }
        sum = (sum & 0xffff) + (sum >>> 16);
        frame.putShort(ip + 10, (short) ~sum);
        // A UDP checksum of 0 is none (RFC 768).
        frame.putShort((short) 40000)
                .putShort((short) port)
                .putShort((short) 12)
                .putShort((short) 0);
        return frame.array();
    }

    private static byte[] address(final String text) {
        final ByteBuffer bytes = ByteBuffer.allocate(4);
        for (final String octet : text.split("\\.", -1)) {
            bytes.put((byte) Integer.parseInt(octet));
        }
        return bytes.array();
    }

    @Override
    public void close() throws IOException {
        reconciler.removeAll();
        resolver.close();
        recorder.close();
        loop.close();
        conntrack.close();
        fragments.close();
        counterFile.close();
        state.close();
    }
}
