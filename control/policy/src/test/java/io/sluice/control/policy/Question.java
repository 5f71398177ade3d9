package io.sluice.control.policy;

import java.util.Optional;

/**
 * One packet at one of its two ends: does the policy of the endpoint there let it pass?
 *
 * @param packet the packet
 * @param direction as the endpoint sees it
 * @param subject the endpoint
 * @param own the endpoint's end of the packet
 * @param peer the other end
 */
record Question(
        Packet packet, PolicyDirection direction, Pod subject, PacketEnd own, PacketEnd peer) {
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
     */
    record PacketEnd(IpAddress address, Optional<Pod> pod, Optional<KubeObject.Node> node) {
        static PacketEnd at(final IpAddress address, final World world) {
            final Optional<Pod> pod = world.podAt(address);
            final Optional<KubeObject.Node> node =
                    pod.isPresent()
                            ? Optional.empty()
                            : world.all(KubeObject.Node.class).stream()
                                    .filter(n -> n.addresses().contains(address))
                                    .findFirst();
            return new PacketEnd(address, pod, node);
        }

        boolean isWorld() {
            return pod.isEmpty() && node.isEmpty();
        }

        /** Whether an endpoint is here whose port of this name has this protocol and number. */
        boolean hasPort(final String name, final int protocol, final int port) {
            return pod.isPresent()
                    && pod.get().ports().contains(new Pod.NamedPort(name, protocol, port));
        }
    }

    PacketEnd source() {
        return direction == PolicyDirection.EGRESS ? own : peer;
    }

    PacketEnd destination() {
        return direction == PolicyDirection.EGRESS ? peer : own;
    }

    /** Whether it comes in from the node that the subject is on. */
    boolean isFromOwnNode() {
        return direction == PolicyDirection.INGRESS
                && peer.node()
                        .filter(node -> node.meta().name().equals(subject.nodeName()))
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
