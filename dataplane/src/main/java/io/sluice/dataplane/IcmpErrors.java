package io.sluice.dataplane;

import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.IcmpError;
import io.sluice.dataplane.wire.Ipv6Extensions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Tells senders why their packets go no further, where ICMP allows it and a rate limit permits it
 * (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).
 *
 * <p>An error goes back out of the port its packet came from, and comes from the gateway's address.
 * It is an extra frame: the packet it is about is counted as dropped.
 *
 * <p>Thread: the lane's.
 */
final class IcmpErrors {
    private final Gateway gateway;
    private final Ports ports;
    private final LaneCounters counters;
    private final MemorySegment message;
    private final Ipv6Extensions extensions = new Ipv6Extensions();
    private final IcmpErrorBudgets budgets = new IcmpErrorBudgets();

    IcmpErrors(
            final Gateway gateway,
            final Ports ports,
            final LaneCounters counters,
            final Arena arena) {
        this.gateway = gateway;
        this.ports = ports;
        this.counters = counters;
        this.message = arena.allocate(IcmpError.FRAME_BYTES_MAX, 64);
    }

    /**
     * Sends an error about the packet, which is as it was received.
     *
     * @param mtu largest packet that would have fitted, in bytes; only for PACKET_TOO_BIG
     */
    void send(
            final IcmpError error,
            final Packet packet,
            final Endpoint sender,
            final int mtu,
            final long nowNs) {
        if (sender.kind() == Endpoint.Kind.NONE
                || !mayAnswer(error, packet)
                || !budgets.take(packet.inPort, nowNs)) {
            return;
        }
        final MemorySegment frame = packet.memory();
        final int length =
                packet.isIpv4()
                        ? error.writeIpv4(
                                message, 0, frame, packet.l3, gateway.mac(), gateway.ipv4(), mtu)
                        : error.writeIpv6(
                                message,
                                0,
                                frame,
                                packet.l3,
                                gateway.mac(),
                                gateway.ipv6High(),
                                gateway.ipv6Low(),
                                mtu);
        if (ports.isOpen(packet.inPort) && ports.at(packet.inPort).send(message, 0, length)) {
            counters.icmpErrorSent();
        }
    }

    private boolean mayAnswer(final IcmpError error, final Packet packet) {
        final MemorySegment frame = packet.memory();
        if (packet.etherType == Ethernet.IPV4) {
            return IcmpError.mayAnswerIpv4(frame, packet.l2, packet.l3);
        }
        // The packet was walked when it was parsed, so this walk cannot fail.
        extensions.walk(frame, packet.l3);
        return error.mayAnswerIpv6(frame, packet.l2, packet.l3, extensions);
    }
}
