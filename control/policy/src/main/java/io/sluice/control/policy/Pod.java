package io.sluice.control.policy;

import java.util.List;

/**
 * Kind {@code Pod}: an endpoint, or what will be one.
 *
 * @param meta name, labels, annotations
 * @param serviceAccountName {@code spec.serviceAccountName}, {@code default} if absent
 * @param nodeName {@code spec.nodeName}; empty if absent, which means this node
 * @param hostNetwork {@code spec.hostNetwork}: the pod shares its node's addresses and identity
 * @param phase {@code status.phase}; empty if absent
 * @param addresses {@code status.podIPs} and {@code status.podIP}, the primary address first, at
 *     most one of each family
 * @param ports named container ports, those of restartable init containers included
 */
public record Pod(
        ObjectMeta meta,
        String serviceAccountName,
        String nodeName,
        boolean hostNetwork,
        String phase,
        List<IpAddress> addresses,
        List<NamedPort> ports)
        implements KubeObject {
    /**
     * A container port with a name.
     *
     * @param name lower-case IANA service name
     * @param protocol IP protocol number
     * @param port 1 to 65535
     */
    public record NamedPort(String name, int protocol, int port) {}

    /** Whether the pod has ended: its addresses may belong to another pod by now. */
    public boolean isTerminated() {
        return phase.equals("Succeeded") || phase.equals("Failed");
    }

    /** Whether policy sees the pod as an endpoint of its own. */
    public boolean isEndpoint() {
        return !hostNetwork && !isTerminated();
    }

    /** The same pod at other addresses, as given by an address pool. */
    public Pod withAddresses(final List<IpAddress> assigned) {
        return new Pod(
                meta,
                serviceAccountName,
                nodeName,
                hostNetwork,
                phase,
                List.copyOf(assigned),
                ports);
    }
}
