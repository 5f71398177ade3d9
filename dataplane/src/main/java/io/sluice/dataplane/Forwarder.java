package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.EP_NOT_READY;
import static io.sluice.dataplane.DropReason.FRAGMENTATION_NEEDED;
import static io.sluice.dataplane.DropReason.NONE;
import static io.sluice.dataplane.DropReason.PORT_REFUSED_FRAME;
import static io.sluice.dataplane.DropReason.TTL_EXCEEDED;

import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.port.Port;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.IcmpError;
import io.sluice.dataplane.wire.IpProtocol;
import io.sluice.dataplane.wire.Ipv4;
import io.sluice.dataplane.wire.Ipv4Fragmenter;
import io.sluice.dataplane.wire.Ipv6;
import io.sluice.dataplane.wire.Tcp;
import io.sluice.dataplane.wire.Udp;
import io.sluice.dataplane.wire.VnetHeader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The router's part: hop limit, MTU, MAC rewrite, and out.
 *
 * <p>A super-frame (one frame of up to 64 KiB that the kernel cuts into segments later, or never)
 * leaves as it came: its segments must fit the MTU, not the frame itself. Upper checksums, partial
 * ones included, are not touched: nothing that they cover changes.
 *
 * <p>A packet that does not fit is reported to its sender (RFC 1191, RFC 8201), or cut into
 * fragments where it is an IPv4 packet that allows it.
 *
 * <p>Thread: the lane's.
 */
final class Forwarder {
    private final Gateway gateway;
    private final Ports ports;
    private final LaneCounters counters;
    private final IcmpErrors errors;
    private final Ipv4Fragmenter fragmenter = new Ipv4Fragmenter();
    private final MemorySegment fragment;

    Forwarder(
            final Gateway gateway,
            final Ports ports,
            final LaneCounters counters,
            final Arena arena) {
        this.gateway = gateway;
        this.ports = ports;
        this.counters = counters;
        this.errors = new IcmpErrors(gateway, ports, counters, arena);
        this.fragment = arena.allocate(PacketBatch.FRAME_BYTES_MAX, 64);
    }

    /**
     * A packet whose hop limit runs out here goes no further, whatever policy says: that is what
     * makes the switch visible to traceroute.
     */
    DropReason checkHopLimit(final Packet packet, final Endpoint sender, final long nowNs) {
        if (packet.ttl > 1) {
            return NONE;
        }
        errors.send(IcmpError.HOP_LIMIT_EXCEEDED, packet, sender, 0, nowNs);
        return TTL_EXCEEDED;
    }

    /** Rewrites the Ethernet header and the hop limit, and sends the packet to its port. */
    DropReason forward(
            final Packet packet, final Endpoint sender, final Endpoint receiver, final long nowNs) {
        if (!ports.isOpen(packet.outPort)) {
            return EP_NOT_READY;
        }
        final Port port = ports.at(packet.outPort);
        if (segmentBytes(packet) > receiver.mtu()) {
            return fragment(packet, sender, receiver, port, nowNs);
        }
        rewrite(packet, receiver);
        if (!port.send(packet.memory(), packet.start, packet.length)) {
            return PORT_REFUSED_FRAME;
        }
        count(packet.frameBytes(), sender, receiver);
        return NONE;
    }

    /** The proxy speaks for the endpoint whose flow it reads: what it sends out is that one's. */
    private void count(final int bytes, final Endpoint sender, final Endpoint receiver) {
        counters.forwarded(bytes);
        if (receiver.kind() == Endpoint.Kind.WORKLOAD) {
            counters.forwardedIngress(bytes);
        }
        final boolean leavesEndpoint =
                sender.kind() == Endpoint.Kind.WORKLOAD
                        ? receiver.kind() != Endpoint.Kind.PROXY
                        : sender.kind() == Endpoint.Kind.PROXY
                                && receiver.kind() == Endpoint.Kind.UPLINK;
        if (leavesEndpoint) {
            counters.forwardedEgress(bytes);
        }
    }

    private void rewrite(final Packet packet, final Endpoint receiver) {
        final MemorySegment frame = packet.memory();
        Ethernet.setDestination(frame, packet.l2, receiver.mac());
        Ethernet.setSource(frame, packet.l2, gateway.mac());
        if (packet.isIpv4()) {
            Ipv4.decrementTtl(frame, packet.l3);
        } else {
            Ipv6.decrementHopLimit(frame, packet.l3);
        }
    }

    /** Longest IP packet that this frame becomes on a link without segmentation offload. */
    private static int segmentBytes(final Packet packet) {
        final MemorySegment frame = packet.memory();
        if (!VnetHeader.isSuperFrame(frame, packet.start)) {
            return packet.ipBytes();
        }
        final int headerBytes =
                packet.tuple.protocol == IpProtocol.TCP
                        ? Tcp.headerLength(frame, packet.l4)
                        : Udp.BYTES;
        return packet.l4 - packet.l3 + headerBytes + VnetHeader.gsoSize(frame, packet.start);
    }

    private DropReason fragment(
            final Packet packet,
            final Endpoint sender,
            final Endpoint receiver,
            final Port port,
            final long nowNs) {
        final int mtu = receiver.mtu();
        if (!packet.isIpv4()
                || !fragmenter.start(packet.memory(), packet.start, packet.l3, mtu, fragment, 0)) {
            errors.send(IcmpError.PACKET_TOO_BIG, packet, sender, mtu, nowNs);
            return FRAGMENTATION_NEEDED;
        }
        rewrite(packet, receiver);
        while (fragmenter.next()) {
            if (!port.send(fragment, 0, fragmenter.frameBytes())) {
                return PORT_REFUSED_FRAME;
            }
            counters.fragmentSent();
        }
        count(packet.frameBytes(), sender, receiver);
        return NONE;
    }
}
