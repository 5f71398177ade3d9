package io.sluice.control.policy.replay;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectMeta;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.SourceLocation;
import io.sluice.control.policy.World;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * A world in which everybody who was seen has a place.
 *
 * <p><b>Theory of operation.</b> A pod that was seen is, in this order: the pod of its name in the
 * given objects; a <i>stand-in</i>, a pod made of the labels that were recorded with the flow, in
 * its namespace with the labels that were recorded of that; whoever has its address. So a record
 * that outlived its pods (their names end in hashes) is judged by what policy selects, labels.
 * Stand-ins have no ports by name.
 *
 * <p>An address belongs to one pod at a time, and a record covers days: a stand-in has those of its
 * addresses that no pod of the world has, and no stand-in before it (in the order of names). One
 * without any is judged by its labels alone.
 *
 * <p>A node that was seen as {@code reserved:host} has the addresses that it was seen with. Where
 * one node told of itself it is this node; where several did, each is a node of its name, and rules
 * about the own host do not know them.
 *
 * <p>Immutable, any thread.
 */
public final class ReplayWorld {
    private final World world;
    private final PolicyOptions options;
    private final Map<SeenPeer, ObjectRef> refs;
    private final Map<SeenPeer, String> ends;
    private final Set<ObjectRef> standIns;
    private final boolean asGiven;

    private ReplayWorld(
            final World world,
            final PolicyOptions options,
            final boolean asGiven,
            final Map<SeenPeer, ObjectRef> refs,
            final Map<SeenPeer, String> ends,
            final Set<ObjectRef> standIns) {
        this.world = world;
        this.options = options;
        this.asGiven = asGiven;
        this.refs = refs;
        this.ends = ends;
        this.standIns = standIns;
    }

    /**
     * Places everybody.
     *
     * @param given objects that there are, policies included
     * @param options of the compiler
     * @param traffic what was seen
     */
    public static ReplayWorld of(
            final World given, final PolicyOptions options, final Collection<SeenTraffic> traffic) {
        return new Placement(given).place(peers(traffic), options);
    }

    private static List<SeenPeer> peers(final Collection<SeenTraffic> traffic) {
        final Set<SeenPeer> peers = new HashSet<>();
        for (final SeenTraffic seen : traffic) {
            peers.add(seen.flow().from());
            peers.add(seen.flow().to());
        }
        return peers.stream().sorted(ORDER).toList();
    }

    private static final Comparator<SeenPeer> ORDER =
            Comparator.comparing(SeenPeer::namespace)
                    .thenComparing(SeenPeer::pod)
                    .thenComparing(SeenPeer::address)
                    .thenComparing(SeenPeer::node)
                    .thenComparing(peer -> String.join(",", peer.labels()));

    /** The objects, with stand-ins: to be compiled with {@link #options}. */
    public World world() {
        return world;
    }

    public PolicyOptions options() {
        return options;
    }

    /** Whether objects and options are those that were given: everybody had a place in them. */
    public boolean isAsGiven() {
        return asGiven;
    }

    /** This world with other policies: everybody keeps his place. */
    public ReplayWorld with(final Collection<? extends KubeObject> policies) {
        return new ReplayWorld(world.with(policies), options, false, refs, ends, standIns);
    }

    /** Pods that are made of recorded labels. */
    public Set<ObjectRef> standIns() {
        return standIns;
    }

    /** The pod that a peer is: one of the given objects, or a stand-in; empty where it is none. */
    public Optional<Pod> pod(final SeenPeer peer) {
        final ObjectRef ref = refs.get(peer);
        return ref == null ? Optional.empty() : world.lookupPod(ref.namespace(), ref.name());
    }

    /** A peer as the end of a probe; empty where it has neither a place nor an address. */
    String end(final SeenPeer peer) {
        return ends.getOrDefault(peer, peer.address());
    }

    private static final class Placement {
        private final World given;
        private final NavigableMap<ObjectRef, Pod> pods = new TreeMap<>();
        private final NavigableMap<String, KubeObject> namespaces = new TreeMap<>();
        private final NavigableMap<String, NavigableSet<IpAddress>> nodes = new TreeMap<>();
        private final Map<IpAddress, ObjectRef> owners = new HashMap<>();
        private final Map<SeenPeer, ObjectRef> refs = new HashMap<>();

        Placement(final World given) {
            this.given = given;
        }

        ReplayWorld place(final List<SeenPeer> peers, final PolicyOptions options) {
            final Set<IpAddress> known = nodeAddresses();
            for (final SeenPeer peer : peers) {
                if (peer.isPod()) {
                    placePod(peer);
                } else if (peer.isReserved("host") || peer.isReserved("remote-node")) {
                    final String name =
                            peer.isReserved("host") ? peer.node() : "node at " + peer.address();
                    IpAddress.parse(peer.address())
                            .filter(address -> !known.contains(address))
                            .ifPresent(
                                    address ->
                                            nodes.computeIfAbsent(name, _ -> new TreeSet<>())
                                                    .add(address));
                }
            }
            final List<KubeObject> added = new ArrayList<>(namespaces.values());
            added.addAll(pods.values());
            final PolicyOptions ofNode = placeNodes(peers, options, added);
            final World world = added.isEmpty() ? given : given.with(added);
            final Map<SeenPeer, String> ends = new HashMap<>();
            refs.forEach((peer, ref) -> ends.put(peer, end(world, peer, ref)));
            return new ReplayWorld(
                    world,
                    ofNode,
                    added.isEmpty() && ofNode.equals(options),
                    Map.copyOf(refs),
                    Map.copyOf(ends),
                    Set.copyOf(pods.keySet()));
        }

        private Set<IpAddress> nodeAddresses() {
            final Set<IpAddress> addresses = new HashSet<>();
            given.all(KubeObject.Node.class).forEach(node -> addresses.addAll(node.addresses()));
            return addresses;
        }

        private void placePod(final SeenPeer peer) {
            final ObjectRef ref = refOf(peer);
            refs.put(peer, ref);
            if (given.lookupPod(ref.namespace(), ref.name()).isPresent()) {
                return;
            }
            final Pod known = pods.computeIfAbsent(ref, _ -> standIn(ref, peer));
            namespaces.computeIfAbsent(ref.namespace(), name -> namespace(name, peer));
            IpAddress.parse(peer.address())
                    .filter(address -> given.podAt(address).isEmpty())
                    .filter(address -> owners.putIfAbsent(address, ref) == null)
                    .filter(address -> hasNoneOfItsFamily(known, address))
                    .ifPresent(
                            address -> {
                                final List<IpAddress> addresses =
                                        new ArrayList<>(known.addresses());
                                addresses.add(address);
                                pods.put(ref, known.withAddresses(addresses));
                            });
        }

        private static boolean hasNoneOfItsFamily(final Pod pod, final IpAddress address) {
            return pod.addresses().stream().noneMatch(own -> own.isIpv4() == address.isIpv4());
        }

        /** A pod whose name nobody wrote down goes by its labels: equal ones are one to policy. */
        private static ObjectRef refOf(final SeenPeer peer) {
            return peer.ref()
                    .orElseGet(
                            () ->
                                    ObjectRef.pod(
                                            peer.namespace(),
                                            String.join(
                                                    ",",
                                                    peer.podLabels().entrySet().stream()
                                                            .map(Map.Entry::toString)
                                                            .toList())));
        }

        private static Pod standIn(final ObjectRef ref, final SeenPeer peer) {
            return new Pod(
                    meta(ref, peer.podLabels()),
                    peer.serviceAccount(),
                    "",
                    false,
                    "",
                    List.of(),
                    List.of());
        }

        /** A namespace that there is already keeps its labels. */
        private KubeObject namespace(final String name, final SeenPeer peer) {
            final ObjectRef ref = new ObjectRef("Namespace", "", name);
            return given.lookup(ref)
                    .orElseGet(() -> new KubeObject.Namespace(meta(ref, peer.namespaceLabels())));
        }

        private static ObjectMeta meta(final ObjectRef ref, final Map<String, String> labels) {
            return new ObjectMeta(
                    ref, "v1", SourceLocation.NONE, Map.copyOf(labels), Map.of(), Map.of());
        }

        private PolicyOptions placeNodes(
                final List<SeenPeer> peers,
                final PolicyOptions options,
                final List<KubeObject> added) {
            final Set<String> hosts = new HashSet<>();
            peers.stream()
                    .filter(peer -> peer.isReserved("host"))
                    .forEach(peer -> hosts.add(peer.node()));
            PolicyOptions ofNode = options;
            for (final Map.Entry<String, NavigableSet<IpAddress>> node : nodes.entrySet()) {
                final List<IpAddress> addresses = List.copyOf(node.getValue());
                if (hosts.size() == 1 && hosts.contains(node.getKey())) {
                    ofNode = options.withNode(node.getKey(), addresses);
                } else {
                    final ObjectRef ref = new ObjectRef("Node", "", node.getKey());
                    added.add(new KubeObject.Node(meta(ref, Map.of()), addresses));
                }
            }
            return ofNode;
        }

        /** By its address where that is the pod's: of two families policy may mean one. */
        private static String end(final World world, final SeenPeer peer, final ObjectRef ref) {
            final Optional<Pod> there = IpAddress.parse(peer.address()).flatMap(world::podAt);
            return there.filter(pod -> pod.ref().equals(ref)).isPresent()
                    ? peer.address()
                    : ref.path();
        }
    }
}
