package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.FRAGMENT_NOT_FOUND;
import static io.sluice.dataplane.DropReason.NONE;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.FragmentTable;
import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.wire.IpProtocol;

/**
 * Gives later fragments the ports of their datagram's first fragment, so that every fragment is
 * judged as part of its flow and none is held back or put together.
 *
 * <p>Limits: a later fragment that overtakes its first one is dropped (senders emit them in order,
 * and one queue of a TAP has all of a datagram and keeps the order; TunPlatformNetnsTest); the
 * table forgets the oldest datagram when it is full.
 *
 * <p>Thread: the lane's.
 */
final class FragmentTracker {
    private final FragmentTable table;

    FragmentTracker(final FragmentTable table) {
        this.table = table;
    }

    /** Completes the packet's tuple. */
    DropReason resolve(final Packet packet, final long nowNs) {
        final Tuple tuple = packet.tuple;
        switch (packet.fragment) {
            case NONE -> {
                return NONE;
            }
            case FIRST ->
                    table.remember(
                            tuple.sourceHigh,
                            tuple.sourceLow,
                            tuple.destinationHigh,
                            tuple.destinationLow,
                            packet.fragmentId,
                            tuple.protocol,
                            tuple.sourcePort,
                            packet.isIcmp() ? packet.icmpTypeCode : tuple.destinationPort,
                            nowNs);
            case LATER -> {
                if (!table.find(
                        tuple.sourceHigh,
                        tuple.sourceLow,
                        tuple.destinationHigh,
                        tuple.destinationLow,
                        packet.fragmentId,
                        tuple.protocol,
                        nowNs)) {
                    return FRAGMENT_NOT_FOUND;
                }
                adopt(packet, table.sourcePort(), table.destinationPort());
            }
        }
        return NONE;
    }

    /** For ICMP the second number is type and code, the first the echo identifier. */
    private static void adopt(final Packet packet, final int first, final int second) {
        packet.tuple.sourcePort = first;
        if (packet.isIcmp()) {
            packet.tuple.destinationPort = first;
            HeaderParser.icmpKind(packet, second);
        } else {
            packet.tuple.destinationPort = second;
            packet.tcpFlags =
                    packet.tuple.protocol == IpProtocol.TCP ? Conntrack.TCP_FLAGS_ABSENT : 0;
        }
        packet.knownUpTo = Packet.Known.TUPLE;
    }
}
