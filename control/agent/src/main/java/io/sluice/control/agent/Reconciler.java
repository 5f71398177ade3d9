package io.sluice.control.agent;

import io.sluice.control.agent.EndpointPlan.NodeFacts;
import io.sluice.control.agent.PolicyTables.NodeSide;
import io.sluice.control.agent.PolicyTables.PlannedEndpoint;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.World;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.port.Port;
import io.sluice.dataplane.table.Ipcache;
import java.io.IOException;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the switch what the objects say. Read this file to see what a change does.
 *
 * <pre>
 *   objects -> plan of endpoints -> removals -> world -> policy compiled and published -> devices, ports opened
 * </pre>
 *
 * <p>Devices come last, because each costs milliseconds and a policy that closes something must not
 * wait for the pods that happen to be new in the same save.
 *
 * <p>Every change takes the same road from the beginning, so there is nothing that only a restart
 * would put right. One of applied objects other than Pods plans no endpoints and makes no devices:
 * it enters the road at the world, which it takes from the last publication with those objects
 * exchanged, and costs what it changes. When nothing that policy sees has changed, the revision
 * stays. When a policy cannot be compiled or published, the revision before stays live, no new port
 * is opened, whoever asked and the status are told so, and it is tried again every {@link
 * #RETRY_TICKS}.
 *
 * <p>Thread: control; {@link #snapshot} any; {@link #portGone} the lane.
 */
final class Reconciler {
    private static final Logger LOG = LoggerFactory.getLogger(Reconciler.class);

    /** The node's addresses change seldom, and listing them costs some system calls. In ticks. */
    private static final int ADDRESS_TICKS = 5;

    /** What could not be published or opened is tried again, in ticks. */
    private static final int RETRY_TICKS = 10;

    /** All that a publication is made from: the same again needs no new revision. */
    private record Input(
            World world, List<PlannedEndpoint> endpoints, NodeSide node, PolicyOptions options) {
        /**
         * Whether the same is made from another. Objects may have come in another order, but for
         * Pods: of two with one address the first has it.
         */
        boolean saysTheSame(final Input other) {
            return endpoints.equals(other.endpoints)
                    && node.equals(other.node)
                    && options.equals(other.options)
                    && world.pods().equals(other.world.pods())
                    && world.changedSince(other.world).isEmpty();
        }
    }

    private record Gone(int id, Port port) {}

    /** What reports need, listed when somebody asks. Immutable, any thread. */
    static final class Snapshot {
        private static final Snapshot NONE =
                new Snapshot(
                        List.of(),
                        Map.of(),
                        List.of(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        0);

        private final List<Endpoints.View> endpoints;
        private final Map<String, String> failures;
        private final List<String> ofControl;
        private final Optional<ObjectStore.Listing> listing;
        private final Optional<LivePolicy> live;
        private final Optional<CountedPort> uplink;
        private final long lostBefore;
        // Made by who asks first; two threads may make it twice, to the same effect.
        private volatile @Nullable List<String> problems;

        private Snapshot(
                final List<Endpoints.View> endpoints,
                final Map<String, String> failures,
                final List<String> ofControl,
                final Optional<ObjectStore.Listing> listing,
                final Optional<LivePolicy> live,
                final Optional<CountedPort> uplink,
                final long lostBefore) {
            this.endpoints = endpoints;
            this.failures = failures;
            this.ofControl = ofControl;
            this.listing = listing;
            this.live = live;
            this.uplink = uplink;
            this.lostBefore = lostBefore;
        }

        List<Endpoints.View> endpoints() {
            return endpoints;
        }

        Map<String, String> failures() {
            return failures;
        }

        /** Packets that the kernel lost between the switch and all others, since the start. */
        long lostByKernel() {
            return lostBefore
                    + uplink.map(CountedPort::lostByKernel).orElse(0L)
                    + endpoints.stream()
                            .flatMap(view -> view.port().stream())
                            .mapToLong(CountedPort::lostByKernel)
                            .sum();
        }

        /** Objects in force, by kind, namespace and name. */
        List<ObjectReport> objects() {
            return listing.map(ObjectStore.Listing::reports).orElse(List.of());
        }

        /** What is not as the objects want it, and what they do to the surprise of their author. */
        List<String> problems() {
            List<String> listed = problems;
            if (listed == null) {
                listed = list();
                problems = listed;
            }
            return listed;
        }

        private List<String> list() {
            final List<String> all = new ArrayList<>(ofControl);
            listing.ifPresent(
                    objects -> objects.problems().forEach(problem -> all.add(problem.toString())));
            live.ifPresent(policy -> add(policy, all));
            failures.forEach((path, reason) -> all.add(endpointProblem(path, reason)));
            for (final Endpoints.View view : endpoints) {
                if (view.state() != EndpointState.READY) {
                    all.add(endpointProblem(view.spec().path(), view.reason()));
                }
            }
            return List.copyOf(all);
        }

        private static void add(final LivePolicy policy, final List<String> all) {
            policy.world().problems().stream().map(Problem::toString).forEach(all::add);
            policy.policies().warnings().stream()
                    .map(Problem::toString)
                    .filter(line -> !all.contains(line))
                    .forEach(all::add);
            NameWarnings.of(policy.world().objects()).stream()
                    .map(Problem::toString)
                    .forEach(all::add);
        }

        private static String endpointProblem(final String path, final String reason) {
            return "endpoint %s: %s".formatted(path, reason);
        }
    }

    private final SluiceConfig config;
    private final ObjectStore store;
    private final AddressBook book;
    private final Endpoints endpoints;
    private final Uplink uplink;
    private final ProxyPort proxy;
    private final PolicyPublisher publisher;
    private final StateRecorder state;
    // From the lane to control: ports whose device is gone.
    private final ConcurrentLinkedQueue<Gone> gone = new ConcurrentLinkedQueue<>();
    private final Map<IpAddress, Set<String>> names = new HashMap<>();
    private Set<IpAddress> nodeAddresses = Set.of();
    private Optional<Input> published = Optional.empty();
    private String publishProblem = "";
    private String openProblem = "";
    private int ticks;
    private boolean stopping;
    private boolean handedOver;
    private volatile Snapshot snapshot = Snapshot.NONE;

    Reconciler(
            final SluiceConfig config,
            final ObjectStore store,
            final AddressBook book,
            final Endpoints endpoints,
            final Uplink uplink,
            final ProxyPort proxy,
            final PolicyPublisher publisher,
            final StateRecorder state) {
        this.config = config;
        this.store = store;
        this.book = book;
        this.endpoints = endpoints;
        this.uplink = uplink;
        this.proxy = proxy;
        this.publisher = publisher;
        this.state = state;
    }

    Snapshot snapshot() {
        return snapshot;
    }

    /**
     * Everything, from the objects to the open ports.
     *
     * @throws RequestException UNAVAILABLE when the objects are not in force now: the revision
     *     before stays, or the daemon stops
     */
    void reconcile() {
        if (stopping) {
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE, "the daemon is stopping");
        }
        judge();
        if (publishProblem.isEmpty()) {
            endpoints.attachNew();
            open();
        }
        report();
    }

    /**
     * {@link #reconcile} where some applied objects are all that has changed. Costs what changes,
     * unless a Pod is among them.
     *
     * @param changed names of the objects, which may have come, gone, or become others
     * @throws RequestException as {@link #reconcile}
     */
    void reconcile(final Collection<ObjectRef> changed) {
        if (stopping
                || published.isEmpty()
                || !publishProblem.isEmpty()
                || changed.stream().anyMatch(Reconciler::isPod)) {
            reconcile();
            return;
        }
        final Map<ObjectRef, Optional<KubeObject>> now = new LinkedHashMap<>();
        changed.forEach(ref -> now.put(ref, store.inForce(ref)));
        publish(exchanged(now));
        if (publishProblem.isEmpty()) {
            // The first rule about requests makes the proxy.
            open();
        }
        report();
    }

    private static boolean isPod(final ObjectRef ref) {
        return ref.kind().equals("Pod");
    }

    /** The live world with other objects of some names. */
    private World exchanged(final Map<ObjectRef, Optional<KubeObject>> now) {
        final World live = publisher.live().world();
        final List<KubeObject> put = new ArrayList<>();
        final List<ObjectRef> removed = new ArrayList<>();
        now.forEach(
                (ref, object) -> {
                    if (!object.equals(live.lookup(ref))) {
                        object.ifPresentOrElse(put::add, () -> removed.add(ref));
                    }
                });
        return live.with(put).without(removed);
    }

    private void report() {
        takeSnapshot();
        state.record(publisher.live(), snapshot.endpoints());
        if (!publishProblem.isEmpty()) {
            throw new RequestException(RequestException.Reason.UNAVAILABLE, publishProblem);
        }
    }

    /**
     * The first part of {@link #reconcile}: policy in force for all that is open and all that is to
     * be opened. Makes no device.
     */
    void judge() {
        nodeAddresses = listNodeAddresses(config, nodeAddresses);
        final List<KubeObject> objects = store.objects();
        final EndpointPlan plan = plan(config, objects, endpoints.specs(), book, nodeAddresses);
        saveBook();
        endpoints.carryOut(plan);
        publish(world(objects, plan.pods()).withNames(names));
    }

    private static EndpointPlan plan(
            final SluiceConfig config,
            final List<KubeObject> objects,
            final Map<String, EndpointSpec> current,
            final AddressBook book,
            final Set<IpAddress> nodeAddresses) {
        return EndpointPlan.of(
                List.copyOf(firstPods(objects).values()),
                current,
                book,
                new NodeFacts(
                        config.nodeName(), config.mtuBytes(), config.pool().all(), nodeAddresses));
    }

    /**
     * Endpoints that the first {@link #reconcile} will ask devices for, unless the objects change
     * before.
     *
     * @param book remembers what it assigns
     */
    static List<EndpointSpec> firstEndpoints(
            final SluiceConfig config, final List<KubeObject> objects, final AddressBook book) {
        final List<EndpointSpec> specs = new ArrayList<>();
        final Set<IpAddress> nodeAddresses = listNodeAddresses(config, Set.of());
        for (final EndpointPlan.Action action :
                plan(config, objects, Map.of(), book, nodeAddresses).actions()) {
            switch (action) {
                case final EndpointPlan.Add add -> specs.add(add.spec());
                case final EndpointPlan.Remove _ -> {}
            }
        }
        return specs;
    }

    /**
     * The policy that would be if a change were made; nothing is changed by it. Endpoints that are
     * there keep their addresses, those that would be new have none.
     */
    FlowCuts.Other onTrial(final List<ObjectStore.Step> steps) {
        final World world =
                published.isEmpty() || steps.stream().anyMatch(step -> isPod(step.ref()))
                        ? worldOnTrial(store.objectsAfter(steps))
                        : exchanged(after(steps));
        return new FlowCuts.Other(
                world, publisher.onTrial(world, options()), FlowCuts.NOT_IN_FORCE);
    }

    private Map<ObjectRef, Optional<KubeObject>> after(final List<ObjectStore.Step> steps) {
        final Map<ObjectRef, Optional<KubeObject>> after = new LinkedHashMap<>();
        steps.forEach(step -> after.put(step.ref(), store.inForceAfter(step)));
        return after;
    }

    private World worldOnTrial(final List<KubeObject> objects) {
        final World live = publisher.live().world();
        final List<Pod> pods = new ArrayList<>();
        for (final Pod pod : firstPods(objects).values()) {
            pods.add(
                    EndpointPlan.isLocal(pod, config.nodeName())
                            ? pod.withAddresses(
                                    live.lookupPod(pod.ref().namespace(), pod.ref().name())
                                            .map(Pod::addresses)
                                            .orElse(List.of()))
                            : pod);
        }
        return world(objects, pods).withNames(names);
    }

    /** {@link #reconcile} where nobody waits for an answer: log and status have the problem. */
    void reconcileUnasked() {
        try {
            reconcile();
        } catch (final RequestException e) {
            LOG.debug("not reconciled: {}", e.getMessage());
        }
    }

    private void saveBook() {
        try {
            book.save();
        } catch (final IOException e) {
            // The addresses are in force; only a restart would not remember them.
            LOG.error("the address book cannot be written", e);
        }
    }

    /** Of two Pods with one name the first counts, as in the world. */
    private static Map<ObjectRef, Pod> firstPods(final List<KubeObject> objects) {
        final Map<ObjectRef, Pod> pods = new LinkedHashMap<>();
        for (final KubeObject object : objects) {
            if (object instanceof final Pod pod) {
                pods.putIfAbsent(pod.ref(), pod);
            }
        }
        return pods;
    }

    /** The objects, with the Pods as they really are. */
    private World world(final List<KubeObject> objects, final List<Pod> planned) {
        final Map<ObjectRef, Pod> real = new HashMap<>();
        planned.forEach(pod -> real.put(pod.ref(), pod));
        final List<KubeObject> seen = new ArrayList<>();
        for (final KubeObject object : objects) {
            // A second object of the name stays as it is: the world reports it.
            final Pod pod = real.remove(object.ref());
            seen.add(pod == null ? object : pod);
        }
        return ResolverPod.addTo(World.of(seen), config.dns().resolver().addresses());
    }

    /** Whether nothing is made or changed any more: the daemon ends, or another has its place. */
    boolean isStopping() {
        return stopping;
    }

    /** Whether all that control knows is in force. */
    boolean isInForce() {
        return published.isPresent() && publishProblem.isEmpty();
    }

    /** Names that are in force with the next publication: those of a former process. */
    void remember(final Map<IpAddress, Set<String>> changed) {
        changed.forEach(
                (address, now) -> {
                    if (now.isEmpty()) {
                        names.remove(address);
                    } else {
                        names.put(address, Set.copyOf(now));
                    }
                });
    }

    /**
     * Addresses were learned from other names, or are not any more; in force when this returns.
     *
     * @param changed names by address, none where no name means it any more
     * @throws RequestException UNAVAILABLE when they are not in force now; they are put in force
     *     with whatever comes next, and it is tried again by itself
     */
    void learn(final Map<IpAddress, Set<String>> changed) {
        remember(changed);
        if (stopping || published.isEmpty()) {
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE,
                    stopping ? "the daemon is stopping" : "no policy is in force yet");
        }
        try {
            publisher.publishNames(changed);
        } catch (final RuntimeException e) {
            fail(e);
            throw new RequestException(RequestException.Reason.UNAVAILABLE, publishProblem);
        }
    }

    private void publish(final World world) {
        final Input input =
                new Input(
                        world,
                        endpoints.planned(),
                        new NodeSide(
                                uplink.isEnabled() ? Uplink.ID : Ipcache.NO_PORT,
                                config.uplink().mtuBytes(),
                                config.pool().all(),
                                nodeAddresses,
                                ResolverPod.isIn(world)
                                        ? config.dns().resolver().addresses()
                                        : List.of()),
                        options());
        try {
            if (published.isEmpty() || !input.saysTheSame(published.get())) {
                final LivePolicy live =
                        publisher.publish(world, input.endpoints(), input.node(), input.options());
                published = Optional.of(input);
                LOG.info(
                        "policy revision {} live: {} objects, {} identities, compiled in {} ms",
                        live.revision(),
                        world.size(),
                        live.identities().size(),
                        live.compileNs() / 1_000_000);
            }
            publishProblem = "";
        } catch (final RuntimeException e) {
            fail(e);
        }
    }

    /** The lane may have it all the same, or take it later: whatever comes next is published. */
    private void fail(final RuntimeException e) {
        published = Optional.empty();
        final String problem =
                ("policy revision %d stays in force, the change could not be put in force and is"
                                + " tried again: %s")
                        .formatted(publisher.live().revision(), e);
        if (!problem.equals(publishProblem)) {
            LOG.error("{}", problem, e);
        }
        publishProblem = problem;
    }

    /** Gives the lane the ports that the live policy knows and that it does not have yet. */
    private void open() {
        try {
            endpoints.open(others(uplink.toOpen(), proxy.toOpen()));
            uplink.opened();
            proxy.opened();
            openProblem = "";
        } catch (final RuntimeException e) {
            final String problem = "ports could not be opened, it is tried again: " + e;
            if (!problem.equals(openProblem)) {
                LOG.error("{}", problem, e);
            }
            openProblem = problem;
        }
    }

    private static Map<Integer, Port> others(
            final Optional<Port> uplink, final Optional<Port> proxy) {
        final Map<Integer, Port> others = new HashMap<>();
        uplink.ifPresent(port -> others.put(Uplink.ID, port));
        proxy.ifPresent(port -> others.put(Tables.PROXY_PORT, port));
        return others;
    }

    private PolicyOptions options() {
        final List<IpAddress> host = new ArrayList<>(nodeAddresses);
        host.add(IpAddress.ofIpv4(Gateway.DEFAULT.ipv4()));
        host.add(new IpAddress(Gateway.DEFAULT.ipv6High(), Gateway.DEFAULT.ipv6Low()));
        return new PolicyOptions(
                config.clusterName(),
                config.nodeName(),
                config.policy().defaultVerdict(),
                config.policy().cidrMatches(),
                host,
                config.policy().audit());
    }

    /** Once a second: namespaces that came, devices that went, the node's own addresses. */
    void tick() {
        if (stopping) {
            return;
        }
        ticks++;
        letGo();
        final boolean moved =
                ticks % ADDRESS_TICKS == 0
                        && !listNodeAddresses(config, nodeAddresses).equals(nodeAddresses);
        final boolean retries = ticks % RETRY_TICKS == 0 && !publishProblem.isEmpty();
        if (moved || retries) {
            reconcileUnasked();
            return;
        }
        final boolean attached = endpoints.tick();
        final boolean joined = uplink.tick();
        if (publishProblem.isEmpty() && (attached || joined || !openProblem.isEmpty())) {
            open();
        }
        if (joined) {
            endpoints.restoreRoutes();
        }
        takeSnapshot();
    }

    /**
     * The lane has let go of a port; call {@link #letGo} soon, or wait for the next tick.
     *
     * <p>Thread: the lane.
     */
    void portGone(final Port port, final int id) {
        gone.add(new Gone(id, port));
    }

    /** Takes away the devices of ports that the lane has let go of. */
    void letGo() {
        for (Gone news = gone.poll(); news != null; news = gone.poll()) {
            if (news.id == Uplink.ID) {
                uplink.portGone(news.port);
            } else if (news.id == Tables.PROXY_PORT) {
                proxy.portGone();
            } else {
                endpoints.portGone(news.port, news.id);
            }
            takeSnapshot();
        }
    }

    /** Takes all ports from the lane, for another process; their devices. */
    List<PassedDevice> giveDevices(final LaneControl lane) {
        lane.suspend();
        final List<PassedDevice> devices = new ArrayList<>();
        uplink.passedDevice().ifPresent(devices::add);
        devices.addAll(endpoints.devices());
        return devices;
    }

    /** Gives the ports back to the lane, as the other process did not take them. */
    void resume() {
        endpoints.resume(others(uplink.openPort(), proxy.openPort()));
    }

    /** Another process has the devices: nothing is made or removed any more. */
    void handedOver() {
        stopping = true;
        handedOver = true;
    }

    /** Removes every device and route; nothing is made any more afterwards. */
    void removeAll() {
        stopping = true;
        if (handedOver) {
            proxy.remove();
            return;
        }
        endpoints.removeAll();
        uplink.remove();
        proxy.remove();
        takeSnapshot();
    }

    private static Set<IpAddress> listNodeAddresses(
            final SluiceConfig config, final Set<IpAddress> lastKnown) {
        try {
            final Set<IpAddress> now = new TreeSet<>(NodeAddresses.now());
            config.pool().all().forEach(pool -> now.add(pool.nodeAddress()));
            return now;
        } catch (final SocketException e) {
            LOG.warn("the node's addresses cannot be listed; the last known stay in force", e);
            return lastKnown;
        }
    }

    private void takeSnapshot() {
        final List<String> problems = new ArrayList<>();
        if (!publishProblem.isEmpty()) {
            problems.add(publishProblem);
        }
        if (!openProblem.isEmpty()) {
            problems.add(openProblem);
        }
        if (!uplink.problem().isEmpty()) {
            problems.add("uplink: " + uplink.problem());
        }
        if (!proxy.problem().isEmpty()) {
            problems.add(proxy.problem());
        }
        problems.addAll(state.problems());
        snapshot =
                new Snapshot(
                        endpoints.views(),
                        new TreeMap<>(endpoints.failures()),
                        problems,
                        Optional.of(store.listing()),
                        Optional.of(publisher.live()),
                        uplink.port(),
                        uplink.lostBefore() + endpoints.lostBefore());
    }
}
