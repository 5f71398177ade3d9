package io.sluice.control.agent;

import io.sluice.control.agent.EndpointSpec.PortKind;
import io.sluice.control.policy.Audit;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.Pod;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * What has to be done so that this node has the endpoints that its Pods ask for.
 *
 * <p>A Pod becomes an endpoint when it carries {@code sluice.io/netns} or {@code sluice.io/pid} and
 * is not another node's. Pure: the same Pods, present endpoints and address book give the same
 * plan; only {@link Endpoints} carries one out. A Pod that cannot become an endpoint is in {@link
 * #failures} with the reason, and the others go on.
 *
 * <p>Who has an address keeps it: an endpoint that exists goes before one that does not, and among
 * new ones the first by namespace and name.
 *
 * @param actions removals first, so that an address or a device is free when another takes it
 * @param failures reason by {@code namespace/name}
 * @param pods the Pods as policy is to see them: with the addresses in force, and without any where
 *     the endpoint failed
 */
record EndpointPlan(List<Action> actions, Map<String, String> failures, List<Pod> pods) {
    static final String ANNOTATION_PREFIX = "sluice.io/";
    static final String NETNS = ANNOTATION_PREFIX + "netns";
    static final String PID = ANNOTATION_PREFIX + "pid";
    static final String PID_START = ANNOTATION_PREFIX + "pid-start";
    static final String INTERFACE = ANNOTATION_PREFIX + "interface";
    static final String MTU = ANNOTATION_PREFIX + "mtu";

    static final String PORT = ANNOTATION_PREFIX + "port";

    /** Those of a port, and the one that is policy's. */
    private static final Set<String> ANNOTATIONS =
            Set.of(NETNS, PID, PID_START, INTERFACE, MTU, PORT, Audit.SLUICE);

    /** What {@link #isDeviceName} accepts, in words. */
    static final String DEVICE_NAME_ACCEPTED =
            "1 to 15 letters, digits, '-', '_' and '.', beginning with a letter";

    /** One step. */
    sealed interface Action {}

    /** Make an endpoint. */
    record Add(EndpointSpec spec) implements Action {}

    /** Remove an endpoint. */
    record Remove(String path) implements Action {}

    /**
     * What planning needs to know of the node.
     *
     * @param nodeName name of this node; a Pod of another one is remote
     * @param mtuBytes MTU of a Pod that does not say
     * @param pools at most one of each family
     * @param nodeAddresses addresses that are the node's own
     */
    record NodeFacts(
            String nodeName, int mtuBytes, List<AddressPool> pools, Set<IpAddress> nodeAddresses) {}

    /**
     * @param pods all Pods of the world
     * @param current endpoints that {@link Endpoints} holds, in whatever state, by path
     * @param book remembers what it assigns
     */
    static EndpointPlan of(
            final List<Pod> pods,
            final Map<String, EndpointSpec> current,
            final AddressBook book,
            final NodeFacts node) {
        return new Planning(pods, current, book, node).plan();
    }

    /** Whether the Pod asks to be an endpoint of this node. */
    static boolean isLocal(final Pod pod, final String nodeName) {
        return (pod.nodeName().isEmpty() || pod.nodeName().equals(nodeName))
                && pod.meta().annotations().keySet().stream()
                        .anyMatch(key -> key.startsWith(ANNOTATION_PREFIX));
    }

    /**
     * Device names that every tool can handle; the kernel takes some more (dev_valid_name, IFNAMSIZ
     * 16 with its final zero).
     */
    static boolean isDeviceName(final String name) {
        return name.matches("[A-Za-z][A-Za-z0-9_.-]{0,14}") && !name.equals("lo");
    }

    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1L;

        Refused(final String reason) {
            super(reason);
        }
    }

    private static final class Planning {
        private final List<Pod> pods;
        private final Map<String, EndpointSpec> current;
        private final AddressBook book;
        private final NodeFacts node;
        private final Map<IpAddress, String> owners = new HashMap<>();
        private final Map<String, String> deviceOwners = new HashMap<>();
        private final Map<String, String> failures = new TreeMap<>();
        private final Map<String, EndpointSpec> wanted = new LinkedHashMap<>();
        private final Set<String> present = new HashSet<>();

        Planning(
                final List<Pod> pods,
                final Map<String, EndpointSpec> current,
                final AddressBook book,
                final NodeFacts node) {
            this.pods = pods;
            this.current = current;
            this.book = book;
            this.node = node;
        }

        EndpointPlan plan() {
            node.nodeAddresses().forEach(address -> owners.put(address, "this node"));
            final List<Pod> local = new ArrayList<>();
            for (final Pod pod : pods) {
                if (!isLocal(pod, node.nodeName())) {
                    if (pod.isEndpoint()) {
                        pod.addresses().forEach(own -> owners.putIfAbsent(own, owner(pod)));
                    }
                } else if (!pod.isTerminated()) {
                    local.add(pod);
                    present.add(pod.ref().path());
                }
            }
            // Who stays as it is goes first; then Pods that name their addresses, so that no
            // address from
            // the pool is given away that another Pod asks for by name.
            local.sort(
                    Comparator.comparing((Pod pod) -> !keepsItsAddresses(pod))
                            .thenComparing(pod -> pod.addresses().isEmpty())
                            .thenComparing(pod -> pod.ref().path()));
            for (final Pod pod : local) {
                try {
                    want(pod);
                } catch (final Refused e) {
                    failures.put(pod.ref().path(), String.valueOf(e.getMessage()));
                }
            }
            return new EndpointPlan(actions(), failures, asSeenByPolicy());
        }

        private boolean keepsItsAddresses(final Pod pod) {
            final EndpointSpec spec = current.get(pod.ref().path());
            return spec != null
                    && (pod.addresses().isEmpty() || pod.addresses().equals(spec.addresses()));
        }

        private static String owner(final Pod pod) {
            return pod.ref().toString();
        }

        private void want(final Pod pod) throws Refused {
            if (pod.hostNetwork()) {
                throw new Refused(
                        "spec.hostNetwork: the pod shares its node's namespace and cannot be plugged in");
            }
            for (final String key : pod.meta().annotations().keySet()) {
                if (key.startsWith(ANNOTATION_PREFIX) && !ANNOTATIONS.contains(key)) {
                    throw new Refused(
                            "annotation %s: no such annotation: %s"
                                    .formatted(
                                            key,
                                            String.join(
                                                    ", ", ANNOTATIONS.stream().sorted().toList())));
                }
            }
            final String networkNamespace = networkNamespace(pod.meta().annotations());
            final String device = device(pod.meta().annotations());
            final int mtu = mtu(pod.meta().annotations());
            final String place = networkNamespace + " " + device;
            final String deviceOwner = deviceOwners.get(place);
            if (deviceOwner != null) {
                throw new Refused(
                        "device %s in namespace %s belongs to %s"
                                .formatted(device, networkNamespace, deviceOwner));
            }
            final List<IpAddress> addresses = addresses(pod);
            for (final IpAddress address : addresses) {
                owners.put(address, owner(pod));
            }
            deviceOwners.put(place, owner(pod));
            wanted.put(
                    pod.ref().path(),
                    new EndpointSpec(
                            pod.meta().namespace(),
                            pod.meta().name(),
                            networkNamespace,
                            processStart(pod.meta().annotations()),
                            device,
                            mtu,
                            addresses,
                            portKind(pod.meta().annotations())));
        }

        private static String networkNamespace(final Map<String, String> annotations)
                throws Refused {
            final String netns = annotations.getOrDefault(NETNS, "");
            final String pid = annotations.getOrDefault(PID, "");
            if (!netns.isEmpty() && !pid.isEmpty()) {
                throw new Refused("annotations %s and %s: only one of them".formatted(NETNS, PID));
            }
            if (!pid.isEmpty()) {
                if (!pid.matches("[1-9][0-9]{0,9}")) {
                    throw new Refused("annotation %s: \"%s\" is no process id".formatted(PID, pid));
                }
                return "pid:" + pid;
            }
            final boolean path = netns.startsWith("/");
            if (netns.isEmpty() || (!path && netns.contains("/"))) {
                throw new Refused(
                        "annotation %s: \"%s\": the name of a network namespace or an absolute path"
                                .formatted(NETNS, netns));
            }
            return netns;
        }

        private static String processStart(final Map<String, String> annotations) throws Refused {
            final String start = annotations.getOrDefault(PID_START, "");
            if (!start.isEmpty() && !annotations.containsKey(PID)) {
                throw new Refused("annotation %s: only together with %s".formatted(PID_START, PID));
            }
            if (!start.isEmpty() && !ProcessStart.isValid(start)) {
                throw new Refused(
                        "annotation %s: \"%s\": %s"
                                .formatted(PID_START, start, ProcessStart.ACCEPTED));
            }
            return start;
        }

        private static String device(final Map<String, String> annotations) throws Refused {
            final String device = annotations.getOrDefault(INTERFACE, "eth0");
            if (!isDeviceName(device)) {
                throw new Refused(
                        "annotation %s: \"%s\": %s"
                                .formatted(INTERFACE, device, DEVICE_NAME_ACCEPTED));
            }
            return device;
        }

        private static PortKind portKind(final Map<String, String> annotations) throws Refused {
            final String kind = annotations.getOrDefault(PORT, "tap");
            return switch (kind) {
                case "tap" -> PortKind.TAP;
                case "xdp" -> PortKind.XDP;
                default ->
                        throw new Refused(
                                "annotation %s: \"%s\": tap or xdp".formatted(PORT, kind));
            };
        }

        private int mtu(final Map<String, String> annotations) throws Refused {
            final String text = annotations.get(MTU);
            if (text == null) {
                return node.mtuBytes();
            }
            if (text.matches("[0-9]{2,5}")) {
                final int mtu = Integer.parseInt(text);
                if (mtu >= SluiceConfig.MTU_BYTES_MIN && mtu <= SluiceConfig.MTU_BYTES_MAX) {
                    return mtu;
                }
            }
            throw new Refused(
                    "annotation %s: \"%s\": %d to %d bytes"
                            .formatted(
                                    MTU,
                                    text,
                                    SluiceConfig.MTU_BYTES_MIN,
                                    SluiceConfig.MTU_BYTES_MAX));
        }

        /** The Pod's own addresses, completed from the pools for each family it does not name. */
        private List<IpAddress> addresses(final Pod pod) throws Refused {
            final List<IpAddress> addresses = new ArrayList<>();
            for (final IpAddress address : pod.addresses()) {
                if (addresses.stream().anyMatch(own -> own.isIpv4() == address.isIpv4())) {
                    throw new Refused(
                            "status.podIPs: %s: at most one address of each family"
                                    .formatted(address));
                }
                if (!isUnicast(address)) {
                    throw new Refused(
                            "status.podIPs: %s is not an address a pod can have (loopback, link-local, multicast or unspecified)"
                                    .formatted(address));
                }
                final String owner = owners.get(address);
                if (owner != null) {
                    throw new Refused("address %s belongs to %s".formatted(address, owner));
                }
                addresses.add(address);
            }
            if (!addresses.isEmpty()) {
                return addresses;
            }
            for (final AddressPool pool : node.pools()) {
                final Optional<IpAddress> assigned =
                        book.assign(pod.ref().path(), pool, owners.keySet(), present);
                if (assigned.isEmpty()) {
                    throw new Refused("no free address in %s".formatted(pool.prefix()));
                }
                addresses.add(assigned.get());
            }
            if (addresses.isEmpty()) {
                throw new Refused(
                        "status.podIPs is empty and the node has no pool: name an address");
            }
            return addresses;
        }

        private static boolean isUnicast(final IpAddress address) {
            if (address.isIpv4()) {
                final int octet = (int) (address.low() >>> 24 & 0xff);
                final boolean linkLocal = (address.low() >>> 16 & 0xffff) == 0xa9fe;
                return octet != 0 && octet != 127 && octet < 224 && !linkLocal;
            }
            final int first = (int) (address.high() >>> 48);
            final boolean lowHalfOnly = address.high() == 0;
            return !lowHalfOnly && first < 0xff00 && (first & 0xffc0) != 0xfe80;
        }

        private List<Action> actions() {
            final List<Action> actions = new ArrayList<>();
            current.forEach(
                    (path, spec) -> {
                        if (!spec.equals(wanted.get(path))) {
                            actions.add(new Remove(path));
                        }
                    });
            wanted.forEach(
                    (path, spec) -> {
                        if (!spec.equals(current.get(path))) {
                            actions.add(new Add(spec));
                        }
                    });
            return List.copyOf(actions);
        }

        private List<Pod> asSeenByPolicy() {
            return pods.stream()
                    .map(
                            pod -> {
                                final EndpointSpec spec = wanted.get(pod.ref().path());
                                if (spec != null) {
                                    return pod.withAddresses(spec.addresses());
                                }
                                return failures.containsKey(pod.ref().path())
                                        ? pod.withAddresses(List.of())
                                        : pod;
                            })
                    .toList();
        }
    }
}
