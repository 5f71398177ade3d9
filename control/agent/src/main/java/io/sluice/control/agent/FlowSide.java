package io.sluice.control.agent;

import java.util.List;

/**
 * One side of a flow event without its port: what all flows of an address have in common.
 *
 * <p>The recorder makes one for many events ({@link FlowWords}), and who goes through events may
 * take one that it has seen before, the same object, as known.
 *
 * @param endpointId number of the endpoint of this node, 0 when it is none
 * @param identity number of its identity
 * @param namespace of its Pod, empty when it has none
 * @param podName of its Pod, empty when it has none
 * @param labels of its identity: {@code k8s:app=web}, {@code reserved:world}
 * @param address IP address as text, empty for a frame without one
 * @param mac Ethernet address as text
 * @param names that endpoints of this node learned its address from, without the final dot
 */
public record FlowSide(
        int endpointId,
        int identity,
        String namespace,
        String podName,
        List<String> labels,
        String address,
        String mac,
        List<String> names) {}
