package io.sluice.control.agent;

import java.util.List;
import java.util.Map;

/**
 * An endpoint to be added.
 *
 * @param namespace of the Pod that will stand for it, {@code default} if empty
 * @param name of that Pod
 * @param networkNamespace name or path of its network namespace; empty when {@code pid} tells it
 * @param pid a process in that namespace, 0 when {@code networkNamespace} tells it
 * @param addresses its addresses, at most one of each family; empty for addresses from the node's
 *     pools
 * @param labels of the Pod
 * @param device name of the device in the namespace, empty for {@code eth0}
 * @param mtu of the device in bytes, 0 for the node's
 * @param port how the device is joined to the switch, {@code tap} or {@code xdp}; empty for a TAP
 */
public record EndpointRequest(
        String namespace,
        String name,
        String networkNamespace,
        long pid,
        List<String> addresses,
        Map<String, String> labels,
        String device,
        int mtu,
        String port) {}
