package io.sluice.control.agent;

import io.sluice.control.agent.PolicyTables.PlannedEndpoint;
import io.sluice.control.agent.PortFactory.AttachException;
import io.sluice.control.agent.PortFactory.Device;
import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.port.Port;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The endpoints of this node and their devices, through their life ({@link EndpointState}).
 *
 * <p>The order that keeps everything closed until it is judged: a policy that knows the endpoint is
 * published, its device is made, and only then does the lane get its port. The other way round at
 * the end: the lane lets go of the port, and only then is the device removed.
 *
 * <p>A port's index is its endpoint's id. Ids are given in turn and used again only after all
 * others, so that what still knows an old one (an event on its way, a tracked flow) does not meet a
 * newcomer.
 *
 * <p>Thread: control.
 */
final class Endpoints {
    private static final Logger LOG = LoggerFactory.getLogger(Endpoints.class);

    /** What stood in the way of an endpoint may be gone: it is tried again, in ticks of 1 s. */
    private static final int RETRY_TICKS = 10;

    private static final class Live {
        final int id;
        final EndpointSpec spec;
        EndpointState state = EndpointState.CREATING;
        String reason = "waits for its policy";
        @Nullable Device device;
        @Nullable CountedPort port;
        // Set before the lane is asked: one that answers late has the port all the same.
        boolean open;
        int ticksSinceRefused;

        Live(final int id, final EndpointSpec spec) {
            this.id = id;
            this.spec = spec;
        }
    }

    /** An endpoint, for reports. */
    record View(
            int id,
            EndpointSpec spec,
            EndpointState state,
            String reason,
            Optional<CountedPort> port) {}

    private final PortFactory ports;
    private final LaneControl lane;
    private final Optional<String> uplinkDevice;
    private final ResolvConf resolvConf;
    private final Map<String, Live> byPath = new TreeMap<>();
    private final Map<Integer, Live> byId = new HashMap<>();
    private Map<String, String> failures = Map.of();
    private int lastId;
    private long lostBefore;

    /**
     * @param uplinkDevice device that the node's routes to endpoints lead into, if there is one
     * @param resolvConf tells their programs of the switch's resolver
     */
    Endpoints(
            final PortFactory ports,
            final LaneControl lane,
            final Optional<String> uplinkDevice,
            final ResolvConf resolvConf) {
        this.ports = ports;
        this.lane = lane;
        this.uplinkDevice = uplinkDevice;
        this.resolvConf = resolvConf;
    }

    /** What exists, for planning. */
    Map<String, EndpointSpec> specs() {
        final Map<String, EndpointSpec> specs = new TreeMap<>();
        byPath.forEach((path, live) -> specs.put(path, live.spec));
        return specs;
    }

    /** What the tables are to know. */
    List<PlannedEndpoint> planned() {
        return byPath.values().stream()
                .map(live -> new PlannedEndpoint(live.id, live.spec))
                .toList();
    }

    /** All endpoints by path, for reports. */
    List<View> views() {
        return byPath.values().stream()
                .map(
                        live ->
                                new View(
                                        live.id,
                                        live.spec,
                                        live.state,
                                        live.reason,
                                        Optional.ofNullable(live.port)))
                .toList();
    }

    /** Pods that cannot become endpoints: reason by path. */
    Map<String, String> failures() {
        return failures;
    }

    /**
     * Carries out a plan, all but opening: call {@link #open} once a policy that knows {@link
     * #planned} is live.
     */
    void carryOut(final EndpointPlan plan) {
        plan.failures()
                .forEach(
                        (path, reason) -> {
                            if (!reason.equals(failures.get(path))) {
                                LOG.warn("endpoint {}: {}", path, reason);
                            }
                        });
        failures = Map.copyOf(plan.failures());
        for (final EndpointPlan.Action action : plan.actions()) {
            switch (action) {
                case final EndpointPlan.Remove remove -> remove(remove.path());
                case final EndpointPlan.Add add -> add(add.spec());
            }
        }
    }

    private void add(final EndpointSpec spec) {
        final int id = nextId();
        if (id < 0) {
            LOG.error("endpoint {}: all {} ports are in use", spec.path(), Tables.RESOLVER_PORT);
            final Map<String, String> more = new TreeMap<>(failures);
            more.put(spec.path(), "all ports are in use");
            failures = Map.copyOf(more);
            return;
        }
        final Live live = new Live(id, spec);
        byPath.put(spec.path(), live);
        byId.put(id, live);
    }

    /** Makes the devices of endpoints that are new; a live policy knows them. */
    void attachNew() {
        for (final Live live : List.copyOf(byPath.values())) {
            if (live.state == EndpointState.CREATING && live.device == null) {
                attach(live);
            }
        }
    }

    private int nextId() {
        for (int tried = 1; tried < Tables.RESOLVER_PORT; tried++) {
            final int id = (lastId + tried) % Tables.RESOLVER_PORT;
            if (id != Uplink.ID && !byId.containsKey(id)) {
                lastId = id;
                return id;
            }
        }
        return -1;
    }

    /** Makes the device; the endpoint is CREATING afterwards, or its reason says why not. */
    private void attach(final Live live) {
        try {
            final Device device = ports.attach(live.spec);
            live.device = device;
            live.port = new CountedPort(device.port());
            resolvConf.write(live.spec);
            moveTo(live, EndpointState.CREATING, "waits for its port");
        } catch (final AttachException e) {
            final String reason = String.valueOf(e.getMessage());
            live.ticksSinceRefused = 0;
            switch (e.missing()) {
                case NAMESPACE_MISSING ->
                        moveTo(
                                live,
                                live.state == EndpointState.DISCONNECTED
                                        ? EndpointState.DISCONNECTED
                                        : EndpointState.WAITING_FOR_NAMESPACE,
                                reason);
                case HELD -> {
                    // Asked again at the next tick.
                    live.ticksSinceRefused = RETRY_TICKS - 1;
                    moveTo(live, EndpointState.FAILED, reason);
                }
                case REFUSED -> moveTo(live, EndpointState.FAILED, reason);
            }
        }
    }

    private static void moveTo(final Live live, final EndpointState state, final String reason) {
        final boolean changed = live.state != state || !live.reason.equals(reason);
        live.state = state;
        live.reason = reason;
        if (changed && state != EndpointState.CREATING) {
            LOG.info(
                    "endpoint {} {}{}",
                    live.spec.path(),
                    state,
                    reason.isEmpty() ? "" : ": " + reason);
        }
    }

    /**
     * Gives the lane the ports of all endpoints whose device is there, and others, in one turn:
     * none receives a frame for another that is not open yet. A live policy knows them.
     *
     * @param others those of the uplink and the proxy by index, where they are to be opened
     */
    void open(final Map<Integer, Port> others) {
        final List<Live> ready =
                byPath.values().stream()
                        .filter(live -> live.state == EndpointState.CREATING && live.port != null)
                        .toList();
        final boolean routed = routeTogether(ready);
        final Map<Integer, Port> opening = new HashMap<>(others);
        final List<Live> opened = new ArrayList<>();
        for (final Live live : ready) {
            try {
                if (!routed) {
                    uplinkRoutes(live.spec.addresses());
                }
                if (live.port != null) {
                    live.open = true;
                    opening.put(live.id, live.port);
                    opened.add(live);
                }
            } catch (final AttachException e) {
                detach(live);
                live.ticksSinceRefused = 0;
                moveTo(live, EndpointState.FAILED, String.valueOf(e.getMessage()));
            }
        }
        if (!opening.isEmpty()) {
            lane.open(opening);
            opened.forEach(live -> moveTo(live, EndpointState.READY, ""));
        }
    }

    /** All routes at once, as each call is a process; on an error each endpoint finds its own. */
    private boolean routeTogether(final List<Live> ready) {
        try {
            uplinkRoutes(
                    ready.stream()
                            .filter(live -> live.device == null || !live.device.isInPlace())
                            .flatMap(live -> live.spec.addresses().stream())
                            .toList());
            return true;
        } catch (final AttachException e) {
            LOG.debug("routes: {}", e.getMessage());
            return false;
        }
    }

    private void uplinkRoutes(final List<IpAddress> addresses) throws AttachException {
        if (uplinkDevice.isPresent() && !addresses.isEmpty()) {
            ports.addRoutes(uplinkDevice.get(), addresses);
        }
    }

    private void remove(final String path) {
        final Live live = byPath.remove(path);
        if (live == null) {
            return;
        }
        byId.remove(live.id);
        detach(live);
        resolvConf.remove(live.spec);
        uplinkDevice.ifPresent(device -> ports.removeRoutes(device, live.spec.addresses()));
        LOG.info("endpoint {} removed", path);
    }

    private void detach(final Live live) {
        if (live.open) {
            lane.close(live.id);
            live.open = false;
        }
        if (live.device != null) {
            lostBefore += live.device.port().lostByKernel();
            live.device.remove();
            live.device = null;
        }
        live.port = null;
    }

    /** Packets that the kernel lost at devices that are gone, since the start. */
    long lostBefore() {
        return lostBefore;
    }

    /**
     * A lane has let go of a port, because its device is gone; the others let go of it now. News of
     * a port that was replaced in the meantime are no news: its successor under the same id is
     * open.
     */
    void portGone(final Port port, final int id) {
        final Live live = byId.get(id);
        if (live == null || !live.open || live.port != port) {
            return;
        }
        lane.closeElsewhere(id);
        live.open = false;
        detach(live);
        moveTo(live, EndpointState.DISCONNECTED, "its namespace or device is gone");
    }

    /**
     * Once a second: looks for namespaces that are there now, and for those that took another's
     * place.
     *
     * @return whether {@link #open} has something to do
     */
    boolean tick() {
        boolean attached = false;
        for (final Live live : List.copyOf(byPath.values())) {
            switch (live.state) {
                case WAITING_FOR_NAMESPACE, DISCONNECTED -> attach(live);
                case FAILED -> {
                    live.ticksSinceRefused++;
                    if (live.ticksSinceRefused >= RETRY_TICKS) {
                        attach(live);
                    }
                }
                case READY -> {
                    if (live.device != null && live.device.isReplaced()) {
                        detach(live);
                        moveTo(live, EndpointState.DISCONNECTED, "its namespace was replaced");
                        attach(live);
                    }
                }
                case CREATING -> {}
            }
            attached |= live.state == EndpointState.CREATING;
        }
        return attached;
    }

    /** The uplink was made anew: the node's routes into it, too. */
    void restoreRoutes() {
        for (final Live live : byPath.values()) {
            if (live.state == EndpointState.READY) {
                try {
                    uplinkRoutes(live.spec.addresses());
                } catch (final AttachException e) {
                    LOG.warn("endpoint {}: {}", live.spec.path(), e.getMessage());
                }
            }
        }
    }

    /** The devices of all open endpoints, to be passed on. */
    List<PassedDevice> devices() {
        final List<PassedDevice> devices = new ArrayList<>();
        for (final Live live : byPath.values()) {
            if (live.open && live.device != null) {
                final List<Integer> descriptors = live.device.descriptors();
                if (!descriptors.isEmpty()) {
                    devices.add(PassedDevice.ofEndpoint(live.spec, descriptors));
                }
            }
        }
        return devices;
    }

    /**
     * Gives the lane the ports that were open when it was suspended.
     *
     * @param others those of the uplink and the proxy by index, where they were open
     */
    void resume(final Map<Integer, Port> others) {
        final Map<Integer, Port> opening = new HashMap<>(others);
        for (final Live live : byPath.values()) {
            if (live.open && live.port != null) {
                opening.put(live.id, live.port);
            }
        }
        lane.open(opening);
    }

    /** Removes every endpoint, as for a stop; their routes go with the uplink. */
    void removeAll() {
        for (final Live live : byPath.values()) {
            detach(live);
            resolvConf.remove(live.spec);
        }
        byPath.clear();
        byId.clear();
    }
}
