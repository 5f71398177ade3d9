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
 * @param endpointId number of the endpoint of this node, 0 when it is none
 * @param identity number of its identity
 * @param namespace of its Pod, empty when it has none
 * @param podName of its Pod, empty when it has none
 * @param labels of its identity: {@code k8s:app=web}, {@code reserved:world}
 * @param address IP address as text, empty for a frame without one
 * @param port transport port, 0 where the protocol has none
 * @param mac Ethernet address as text
 * @param names that endpoints of this node learned its address from, without the final dot
 */
public record FlowPeer(
        int endpointId,
        int identity,
        String namespace,
        String podName,
        List<String> labels,
        String address,
        int port,
        String mac,
        List<String> names) {
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
}
