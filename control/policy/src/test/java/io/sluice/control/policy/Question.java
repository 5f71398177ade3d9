package io.sluice.control.policy;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One packet at one place on its way: does the policy there let it pass?
 *
 * @param packet the packet
 * @param direction as the subject sees it
 * @param subject whose policy is asked
 * @param own the endpoint's end of the packet
 * @param peer the other end
 */
record Question(
        Packet packet, PolicyDirection direction, Subject subject, PacketEnd own, PacketEnd peer) {
    /** Whose policy is asked. */
    sealed interface Subject {}

    /** An endpoint. */
    record Workload(Pod pod) implements Subject {}

    /**
     * A node, or an interface of one.
     *
     * @param endpoint the host endpoint of the interface that the packet passes, if there is one
     * @param nodeLabels labels of the node, none if it has no object; empty where the packet is not
     *     one of its own, and Cilium does not ask
     */
    record Host(
            Optional<CalicoPolicy.HostEndpoint> endpoint, Optional<Map<String, String>> nodeLabels)
            implements Subject {}

    /**
     * The first packet of a connection.
     *
     * @param from source
     * @param to destination
     * @param protocol IP protocol number
     * @param port destination port; type * 256 + code for ICMP; 0 for protocols without ports
     * @param sourcePort 0 for protocols without ports
     */
    record Packet(IpAddress from, IpAddress to, int protocol, int port, int sourcePort) {}

    /**
     * What is at an address.
     *
     * @param address the address
     * @param pod the endpoint there
     * @param node the node there, if no endpoint is
     * @param hostEndpoints the host endpoints that expect the address, if no endpoint is there
     */
    record PacketEnd(
            IpAddress address,
            Optional<Pod> pod,
            Optional<KubeObject.Node> node,
            List<CalicoPolicy.HostEndpoint> hostEndpoints) {
        static PacketEnd at(final IpAddress address, final World world) {
            final Optional<Pod> pod = world.podAt(address);
            final Optional<KubeObject.Node> node =
                    pod.isPresent()
                            ? Optional.empty()
                            : world.all(KubeObject.Node.class).stream()
                                    .filter(n -> n.addresses().contains(address))
                                    .findFirst();
            final List<CalicoPolicy.HostEndpoint> hostEndpoints =
                    pod.isPresent()
                            ? List.of()
                            : world.all(CalicoPolicy.HostEndpoint.class).stream()
                                    .filter(e -> e.expectedIps().contains(address))
                                    .toList();
            return new PacketEnd(address, pod, node, hostEndpoints);
        }

        /** The node whose address it is, which may have no Node object; empty if it is none's. */
        String host() {
            return node.map(n -> n.meta().name())
                    .or(() -> hostEndpoints.stream().findFirst().map(e -> e.node()))
                    .orElse("");
        }

        /** The node that it is or is on; empty if that is unknown, or it is outside. */
        String nodeName() {
            return pod.map(Pod::nodeName).orElseGet(this::host);
        }

        boolean isWorld() {
            return pod.isEmpty() && node.isEmpty();
        }

        /**
         * Whether an endpoint, or a host endpoint, is here whose port of this name has this
         * protocol and number.
         */
        boolean hasPort(final String name, final int protocol, final int port) {
            final Pod.NamedPort wanted = new Pod.NamedPort(name, protocol, port);
            return pod.map(Pod::ports).orElse(List.of()).contains(wanted)
                    || hostEndpoints.stream().anyMatch(e -> e.ports().contains(wanted));
        }
    }

    PacketEnd source() {
        return direction == PolicyDirection.EGRESS ? own : peer;
    }

    PacketEnd destination() {
        return direction == PolicyDirection.EGRESS ? peer : own;
    }

    /** The endpoint whose policy is asked; empty if a node's is. */
    Optional<Pod> pod() {
        return switch (subject) {
            case final Workload workload -> Optional.of(workload.pod);
            case Host _ -> Optional.empty();
        };
    }

    /** Whether it comes in from the node that the endpoint is on. */
    boolean isFromOwnNode() {
        return direction == PolicyDirection.INGRESS
                && pod().isPresent()
                && peer.node()
                        .filter(node -> node.meta().name().equals(pod().get().nodeName()))
                        .isPresent();
    }

    /** Whether the packet's destination port, of this protocol, is one of these. */
    boolean isTo(final int protocol, final int from, final int to) {
        return packet.protocol == protocol && from <= packet.port && packet.port <= to;
    }

    /** Whether the packet's destination port has this name on the destination. */
    boolean isToNamed(final int protocol, final String name) {
        return packet.protocol == protocol && isToNamed(name);
    }

    /** Whether the packet's destination port has this name on the destination. */
    boolean isToNamed(final String name) {
        return destination().hasPort(name, packet.protocol, packet.port);
    }
}
