package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.EP_NOT_READY;
import static io.sluice.dataplane.DropReason.MALFORMED_NEIGHBOUR_MESSAGE;
import static io.sluice.dataplane.DropReason.MULTICAST_NOT_FORWARDED;
import static io.sluice.dataplane.DropReason.NONE;
import static io.sluice.dataplane.DropReason.NO_SERVICE_AT_GATEWAY;
import static io.sluice.dataplane.DropReason.PORT_REFUSED_FRAME;

import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.wire.Arp;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.Icmp6;
import io.sluice.dataplane.wire.IcmpEcho;
import io.sluice.dataplane.wire.IpProtocol;
import io.sluice.dataplane.wire.NeighborDiscovery;
import io.sluice.dataplane.wire.WireFault;
import java.lang.foreign.MemorySegment;

/**
 * What the switch answers itself: it is the next hop of every address (ARP, neighbour discovery),
 * and it answers ping.
 *
 * <p>The question's frame becomes the answer, and goes back out of the port it came from. Nothing
 * is learned from a question, so a lie in it misleads nobody but its sender. A question about the
 * sender's own side is left unanswered: it is how hosts find duplicate addresses.
 *
 * <p>Thread: the lane's; no state.
 */
final class SwitchResponder {
    private final Gateway gateway;
    private final Ports ports;
    private final LaneCounters counters;
    private final long gatewayIpv4Low;

    SwitchResponder(final Gateway gateway, final Ports ports, final LaneCounters counters) {
        this.gateway = gateway;
        this.ports = ports;
        this.counters = counters;
        this.gatewayIpv4Low = Tuple.mapped(gateway.ipv4());
    }

    /** Whether the packet ends at the switch, answered or not. */
    boolean concerns(final Packet packet) {
        if (packet.etherType == Ethernet.ARP) {
            return true;
        }
        return isNeighborDiscovery(packet) || isForGateway(packet);
    }

    private static boolean isNeighborDiscovery(final Packet packet) {
        return packet.tuple.protocol == IpProtocol.ICMP6
                && packet.knownUpTo == Packet.Known.TUPLE
                && Icmp6.isNeighborDiscovery(packet.icmpTypeCode >>> 8);
    }

    private boolean isForGateway(final Packet packet) {
        final long high = packet.tuple.destinationHigh;
        final long low = packet.tuple.destinationLow;
        return (high == Tuple.IPV4_MAPPED_HIGH && low == gatewayIpv4Low)
                || (high == gateway.ipv6High() && low == gateway.ipv6Low());
    }

    /** Answers, or says why not. */
    DropReason answer(final Packet packet, final Endpoint sender, final Tables tables) {
        if (sender.kind() == Endpoint.Kind.NONE) {
            return EP_NOT_READY;
        }
        if (packet.etherType == Ethernet.ARP) {
            return answerArp(packet, sender, tables.ipcache());
        }
        if (isNeighborDiscovery(packet)) {
            return answerNeighborDiscovery(packet, sender, tables.ipcache());
        }
        return answerEcho(packet);
    }

    private DropReason answerArp(
            final Packet packet, final Endpoint sender, final Ipcache ipcache) {
        final MemorySegment frame = packet.memory();
        if (Arp.check(frame, packet.l3, packet.end - packet.l3) != WireFault.NONE) {
            return MALFORMED_NEIGHBOUR_MESSAGE;
        }
        if (Arp.operation(frame, packet.l3) != Arp.REQUEST
                || Arp.isDuplicateAddressProbe(frame, packet.l3)
                || isOnSide(
                        packet,
                        sender,
                        ipcache,
                        Tuple.IPV4_MAPPED_HIGH,
                        Tuple.mapped(Arp.targetAddress(frame, packet.l3)))) {
            return MULTICAST_NOT_FORWARDED;
        }
        Arp.turnIntoReply(frame, packet.l2, gateway.mac());
        return sendBack(packet, packet.length);
    }

    private DropReason answerNeighborDiscovery(
            final Packet packet, final Endpoint sender, final Ipcache ipcache) {
        final MemorySegment frame = packet.memory();
        if (packet.icmpTypeCode >>> 8 != Icmp6.NEIGHBOR_SOLICITATION) {
            return MULTICAST_NOT_FORWARDED;
        }
        if (NeighborDiscovery.checkSolicitation(
                        frame, packet.start, packet.l3, packet.l4, packet.end - packet.l4)
                != WireFault.NONE) {
            return MALFORMED_NEIGHBOUR_MESSAGE;
        }
        if (NeighborDiscovery.isDuplicateAddressProbe(frame, packet.l3)
                || isOnSide(
                        packet,
                        sender,
                        ipcache,
                        NeighborDiscovery.targetHigh(frame, packet.l4),
                        NeighborDiscovery.targetLow(frame, packet.l4))) {
            return MULTICAST_NOT_FORWARDED;
        }
        return sendBack(
                packet,
                NeighborDiscovery.turnIntoAdvertisement(
                        frame, packet.start, packet.l3, packet.l4, gateway.mac()));
    }

    /** Whether the address lies behind the port that asks for it. */
    private static boolean isOnSide(
            final Packet packet,
            final Endpoint sender,
            final Ipcache ipcache,
            final long high,
            final long low) {
        return sender.hasAddress(high, low)
                || Ipcache.port(ipcache.lookup(high, low)) == packet.inPort;
    }

    private DropReason answerEcho(final Packet packet) {
        if (!packet.isEchoRequest || packet.fragment != Packet.Fragment.NONE) {
            return NO_SERVICE_AT_GATEWAY;
        }
        final MemorySegment frame = packet.memory();
        final WireFault fault =
                packet.isIpv4()
                        ? IcmpEcho.turnIntoReplyIpv4(frame, packet.start, packet.l3, packet.l4)
                        : IcmpEcho.turnIntoReplyIpv6(frame, packet.start, packet.l3, packet.l4);
        return fault == WireFault.NONE
                ? sendBack(packet, packet.length)
                : DropReason.INVALID_PACKET;
    }

    private DropReason sendBack(final Packet packet, final int length) {
        if (!ports.at(packet.inPort).send(packet.memory(), packet.start, length)) {
            return PORT_REFUSED_FRAME;
        }
        counters.answered();
        return NONE;
    }
}
