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
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
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
 * <p>Every change takes the same road from the beginning; there is no second one for small changes,
 * so there is nothing that only a restart would put right. When nothing that policy sees has
 * changed, the revision stays. When a policy cannot be compiled or published, the revision before
 * stays live, no new port is opened, whoever asked and the status are told so, and it is tried
 * again every {@link #RETRY_TICKS}.
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
            List<KubeObject> objects,
            List<PlannedEndpoint> endpoints,
            NodeSide node,
            PolicyOptions options) {}

    private record Gone(int id, Port port) {}

    /**
     * What reports need. Immutable.
     *
     * @param uplink its port, while it has one
     * @param lostBefore packets that the kernel lost at ports that are no more
     */
    record Snapshot(
            List<Endpoints.View> endpoints,
            Map<String, String> failures,
            List<ObjectReport> objects,
            List<String> problems,
            Optional<CountedPort> uplink,
            long lostBefore) {
        /** Packets that the kernel lost between the switch and all others, since the start. */
        long lostByKernel() {
            return lostBefore
                    + uplink.map(CountedPort::lostByKernel).orElse(0L)
                    + endpoints.stream()
                            .flatMap(view -> view.port().stream())
                            .mapToLong(CountedPort::lostByKernel)
                            .sum();
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
    private List<Problem> nameWarnings = List.of();
    private int ticks;
    private boolean stopping;
    private boolean handedOver;
    private volatile Snapshot snapshot =
            new Snapshot(List.of(), Map.of(), List.of(), List.of(), Optional.empty(), 0);

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
        publish(world(objects, plan.pods()));
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
     * The policy that would be if the objects were others; nothing is changed by it. Endpoints that
     * are there keep their addresses, those that would be new have none.
     */
    FlowCuts.Other onTrial(final List<KubeObject> objects) {
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
        final World world = world(objects, pods).withNames(names);
        return new FlowCuts.Other(
                world, publisher.onTrial(world, options()), FlowCuts.NOT_IN_FORCE);
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
                        world.objects(),
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
            if (!published.equals(Optional.of(input))) {
                final LivePolicy live =
                        publisher.publish(
                                world.withNames(names),
                                input.endpoints(),
                                input.node(),
                                input.options());
                published = Optional.of(input);
                nameWarnings = NameWarnings.of(input.objects());
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
        store.problems().forEach(problem -> problems.add(problem.toString()));
        final LivePolicy live = publisher.live();
        live.world().problems().stream().map(Problem::toString).forEach(problems::add);
        live.policies().warnings().stream()
                .map(Problem::toString)
                .filter(line -> !problems.contains(line))
                .forEach(problems::add);
        nameWarnings.stream().map(Problem::toString).forEach(problems::add);
        endpoints.failures().forEach((path, reason) -> problems.add(endpointProblem(path, reason)));
        final List<Endpoints.View> views = endpoints.views();
        for (final Endpoints.View view : views) {
            if (view.state() != EndpointState.READY) {
                problems.add(endpointProblem(view.spec().path(), view.reason()));
            }
        }
        snapshot =
                new Snapshot(
                        views,
                        new TreeMap<>(endpoints.failures()),
                        store.reports(),
                        problems,
                        uplink.port(),
                        uplink.lostBefore() + endpoints.lostBefore());
    }

    private static String endpointProblem(final String path, final String reason) {
        return "endpoint %s: %s".formatted(path, reason);
    }
}
