package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Requirement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The rules of policy-semantics told a second time, packet by packet, straight from the objects: no
 * identities, no labels of one peer in one map, no programs, no tiers. What the compiler is
 * compared with.
 */
final class PacketJudge {
    private final World world;

    PacketJudge(final World world) {
        this.world = world;
    }

    /** A packet between two addresses, at least one of them a pod's. */
    record Packet(IpAddress from, IpAddress to, int protocol, int port) {}

    private record Peer(IpAddress address, Optional<Pod> pod, boolean node) {}

    boolean allows(final Packet packet) {
        final Peer from = peer(packet.from);
        final Peer to = peer(packet.to);
        if (from.pod.isPresent() && from.pod.equals(to.pod)) {
            return true;
        }
        return allows(packet, from, to, PolicyDirection.EGRESS)
                && allows(packet, to, from, PolicyDirection.INGRESS);
    }

    private Peer peer(final IpAddress address) {
        final boolean node =
                world.all(KubeObject.Node.class).stream()
                        .anyMatch(n -> n.addresses().contains(address));
        return new Peer(address, world.podAt(address), node);
    }

    private boolean allows(
            final Packet packet,
            final Peer subject,
            final Peer other,
            final PolicyDirection direction) {
        if (subject.pod.isEmpty()) {
            return true;
        }
        final Pod pod = subject.pod.get();
        boolean isolated = false;
        boolean allowed = false;
        boolean denied = false;
        for (final KubeObject.Policy policy : world.all(KubeObject.Policy.class)) {
            switch (policy) {
                case final NetworkPolicy np -> {
                    if (np.meta().namespace().equals(pod.meta().namespace())
                            && matches(np.podSelector(), pod.meta().labels())
                            && np.directions().contains(direction)) {
                        isolated = true;
                        allowed |= networkPolicyAllows(np, packet, other, pod, direction);
                    }
                }
                case AdminPolicy _, CalicoPolicy _ -> throw new AssertionError("not generated");
                case final CiliumPolicy cp -> {
                    for (final CiliumPolicy.Rule rule : cp.rules()) {
                        final LabelSelector selector =
                                ((CiliumPolicy.Endpoints) rule.subject()).selector();
                        if ((cp.isClusterwide()
                                        || cp.meta().namespace().equals(pod.meta().namespace()))
                                && matches(selector, pod.meta().labels())) {
                            final CiliumPolicy.Side side = rule.side(direction);
                            isolated |= side.defaultDeny();
                            for (final CiliumPolicy.Entry entry : side.allow()) {
                                allowed |= entryMatches(cp, entry, packet, other, pod, direction);
                            }
                            for (final CiliumPolicy.Entry entry : side.deny()) {
                                denied |= entryMatches(cp, entry, packet, other, pod, direction);
                            }
                        }
                    }
                }
            }
        }
        final boolean ownNode =
                direction == PolicyDirection.INGRESS && other.node && pod.nodeName().equals("node");
        return !denied && (ownNode || allowed || !isolated);
    }

    private boolean networkPolicyAllows(
            final NetworkPolicy policy,
            final Packet packet,
            final Peer other,
            final Pod subject,
            final PolicyDirection direction) {
        final List<NetworkPolicy.Rule> rules =
                direction == PolicyDirection.INGRESS ? policy.ingress() : policy.egress();
        final Optional<Pod> destination =
                direction == PolicyDirection.INGRESS ? Optional.of(subject) : other.pod;
        for (final NetworkPolicy.Rule rule : rules) {
            boolean peers = rule.peers().isEmpty();
            for (final NetworkPolicy.Peer peer : rule.peers()) {
                peers |= peerMatches(policy, peer, other);
            }
            boolean ports = rule.ports().isEmpty();
            for (final NetworkPolicy.Port port : rule.ports()) {
                ports |=
                        switch (port) {
                            case final NetworkPolicy.PortRange range ->
                                    packet.protocol == range.protocol()
                                            && packet.port >= range.from()
                                            && packet.port <= range.to();
                            case final NetworkPolicy.PortName name ->
                                    isNamed(destination, name.name(), name.protocol(), packet);
                        };
            }
            if (peers && ports) {
                return true;
            }
        }
        return false;
    }

    private static boolean isNamed(
            final Optional<Pod> destination,
            final String name,
            final int protocol,
            final Packet packet) {
        return packet.protocol == protocol
                && destination.isPresent()
                && destination
                        .get()
                        .ports()
                        .contains(new Pod.NamedPort(name, protocol, packet.port));
    }

    private boolean peerMatches(
            final NetworkPolicy policy, final NetworkPolicy.Peer peer, final Peer other) {
        return switch (peer) {
            case final NetworkPolicy.IpBlock block ->
                    block.cidr().contains(other.address)
                            && block.except().stream().noneMatch(e -> e.contains(other.address));
            case final NetworkPolicy.PodsOfSameNamespace same ->
                    other.pod.isPresent()
                            && other.pod.get().meta().namespace().equals(policy.meta().namespace())
                            && matches(same.pods(), other.pod.get().meta().labels());
            case final NetworkPolicy.PodsOfNamespaces any ->
                    other.pod.isPresent()
                            && matches(
                                    any.namespaces(),
                                    world.namespaceLabels(other.pod.get().meta().namespace()))
                            && matches(any.pods(), other.pod.get().meta().labels());
        };
    }

    private static boolean entryMatches(
            final CiliumPolicy policy,
            final CiliumPolicy.Entry entry,
            final Packet packet,
            final Peer other,
            final Pod subject,
            final PolicyDirection direction) {
        if (entry.empty() || !ciliumPeerMatches(policy, entry, other)) {
            return false;
        }
        if (entry.ports().isEmpty()) {
            return true;
        }
        final Optional<Pod> destination =
                direction == PolicyDirection.INGRESS ? Optional.of(subject) : other.pod;
        final List<CiliumPolicy.Port> ports = new ArrayList<>();
        entry.ports().forEach(rule -> ports.addAll(rule.ports()));
        for (final CiliumPolicy.Port port : ports) {
            final boolean matches =
                    switch (port) {
                        case final CiliumPolicy.PortRange range ->
                                packet.protocol == range.protocol()
                                        && packet.port >= range.from()
                                        && packet.port <= range.to();
                        case final CiliumPolicy.PortName name ->
                                isNamed(destination, name.name(), name.protocol(), packet);
                        case final CiliumPolicy.WholeProtocol whole ->
                                packet.protocol == whole.protocol();
                    };
            if (matches) {
                return true;
            }
        }
        return false;
    }

    private static boolean ciliumPeerMatches(
            final CiliumPolicy policy, final CiliumPolicy.Entry entry, final Peer other) {
        return switch (entry.peers()) {
            case CiliumPolicy.Anyone _ -> true;
            case final CiliumPolicy.PeerEndpoints endpoints ->
                    other.pod.isPresent()
                            && (policy.isClusterwide()
                                    || other.pod
                                            .get()
                                            .meta()
                                            .namespace()
                                            .equals(policy.meta().namespace()))
                            && endpoints.selectors().stream()
                                    .anyMatch(s -> matches(s, other.pod.get().meta().labels()));
            case final CiliumPolicy.PeerEntities entities ->
                    entities.entities().stream().anyMatch(e -> isEntity(e, other));
            case final CiliumPolicy.PeerCidrs cidrs ->
                    other.pod.isEmpty()
                            && !other.node
                            && cidrs.cidrs().stream().anyMatch(c -> contains(c, other.address));
            default -> throw new AssertionError("not generated: " + entry.peers());
        };
    }

    private static boolean contains(final CiliumPolicy.CidrRule rule, final IpAddress address) {
        return ((CiliumPolicy.CidrPrefix) rule).cidr().contains(address)
                && rule.except().stream().noneMatch(e -> e.contains(address));
    }

    private static boolean isEntity(final CiliumPolicy.Entity entity, final Peer other) {
        final boolean world = other.pod.isEmpty() && !other.node;
        return switch (entity) {
            case ALL -> true;
            case WORLD -> world;
            case WORLD_IPV4 -> world && other.address.isIpv4();
            case WORLD_IPV6 -> world && !other.address.isIpv4();
            case CLUSTER, CLUSTER_MESH -> !world;
            // The node is another one: this engine runs without a node of its own.
            case REMOTE_NODE -> other.node;
            case HOST, KUBE_APISERVER, INGRESS, INIT, HEALTH, UNMANAGED, NONE -> false;
        };
    }

    private static boolean matches(final LabelSelector selector, final Map<String, String> labels) {
        for (final Requirement requirement : selector.requirements()) {
            final String value = labels.get(requirement.key());
            final boolean holds =
                    switch (requirement.operator()) {
                        case IN -> value != null && requirement.values().contains(value);
                        case NOT_IN -> value == null || !requirement.values().contains(value);
                        case EXISTS -> value != null;
                        case DOES_NOT_EXIST -> value == null;
                    };
            if (!holds) {
                return false;
            }
        }
        return true;
    }
}
