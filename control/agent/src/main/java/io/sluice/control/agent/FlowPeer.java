package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * One side of a flow event.
 *
 * @param side who it is
 * @param port transport port, 0 where the protocol has none
 */
public record FlowPeer(FlowSide side, int port) {
    /** A side whose address nobody learned from a name. */
    public FlowPeer(
            final int endpointId,
            final int identity,
            final String namespace,
            final String podName,
            final List<String> labels,
            final String address,
            final int port,
            final String mac) {
        this(endpointId, identity, namespace, podName, labels, address, port, mac, List.of());
    }

    /** All of {@link FlowSide}, and the port. */
    public FlowPeer(
            final int endpointId,
            final int identity,
            final String namespace,
            final String podName,
            final List<String> labels,
            final String address,
            final int port,
            final String mac,
            final List<String> names) {
        this(
                new FlowSide(endpointId, identity, namespace, podName, labels, address, mac, names),
                port);
    }

    /** Whoever has an address in a revision of the policy. */
    static FlowPeer of(
            final LivePolicy policy,
            final IpAddress address,
            final int identity,
            final int port,
            final String mac) {
        final Optional<ObjectRef> pod = policy.world().podAt(address).map(Pod::ref);
        return new FlowPeer(
                policy.endpointIds().getOrDefault(address, 0),
                identity,
                pod.map(ObjectRef::namespace).orElse(""),
                pod.map(ObjectRef::name).orElse(""),
                policy.labels(identity),
                address.toString(),
                port,
                mac,
                names(policy, address));
    }

    private static List<String> names(final LivePolicy policy, final IpAddress address) {
        final Set<String> learned = policy.world().names().getOrDefault(address, Set.of());
        return learned.stream()
                .map(name -> name.endsWith(".") ? name.substring(0, name.length() - 1) : name)
                .sorted()
                .toList();
    }

    /** See {@link FlowSide}. */
    public int endpointId() {
        return side.endpointId();
    }

    /** See {@link FlowSide}. */
    public int identity() {
        return side.identity();
    }

    /** See {@link FlowSide}. */
    public String namespace() {
        return side.namespace();
    }

    /** See {@link FlowSide}. */
    public String podName() {
        return side.podName();
    }

    /** See {@link FlowSide}. */
    public List<String> labels() {
        return side.labels();
    }

    /** See {@link FlowSide}. */
    public String address() {
        return side.address();
    }

    /** See {@link FlowSide}. */
    public String mac() {
        return side.mac();
    }

    /** See {@link FlowSide}. */
    public List<String> names() {
        return side.names();
    }
}
