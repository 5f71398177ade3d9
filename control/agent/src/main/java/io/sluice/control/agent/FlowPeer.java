package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import java.util.List;
import java.util.Optional;

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
 */
public record FlowPeer(
        int endpointId,
        int identity,
        String namespace,
        String podName,
        List<String> labels,
        String address,
        int port,
        String mac) {
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
                mac);
    }
}
