package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.EP_NOT_READY;
import static io.sluice.dataplane.DropReason.INVALID_SOURCE_IP;
import static io.sluice.dataplane.DropReason.INVALID_SOURCE_MAC;
import static io.sluice.dataplane.DropReason.MULTICAST_NOT_FORWARDED;
import static io.sluice.dataplane.DropReason.NONE;
import static io.sluice.dataplane.DropReason.STALE_OR_UNROUTABLE_IP;

import io.sluice.conntrack.Tuple;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.Ipv4;
import io.sluice.dataplane.wire.Ipv6;

/**
 * Anti-spoofing, and no martians: policy looks identities up by address, so an address must belong
 * to who uses it, and one that means something else on every link must not travel.
 *
 * <p>A workload sends from its own MAC and its own addresses. The uplink, which speaks for the node
 * and the world, sends from any address that the ipcache finds behind it: not from a local
 * endpoint's, an unused one of the node's pool, or the gateway's. The proxy, which speaks for both
 * ends of the flows that were sent to it, from any; but only flows that are known go on.
 *
 * <p>Nobody sends from or to loopback, unspecified and IPv6 link-local addresses (RFC 1122 section
 * 3.2.1.3, RFC 4291 section 2.5): the receiver would take them for its own, policy for the world's.
 * IPv4 link-local addresses travel: that is where clouds keep their metadata service, and policies
 * name it.
 *
 * <p>Thread: the lane's; no state.
 */
final class AddressGuard {
    private final Gateway gateway;

    AddressGuard(final Gateway gateway) {
        this.gateway = gateway;
    }

    /** NONE if the packet's addresses are what they say. */
    DropReason verify(final Packet packet, final Endpoint sender, final Ipcache ipcache) {
        final Tuple tuple = packet.tuple;
        if (sender.kind() == Endpoint.Kind.NONE) {
            return EP_NOT_READY;
        }
        if (sender.kind() == Endpoint.Kind.WORKLOAD && packet.sourceMac != sender.mac()) {
            return INVALID_SOURCE_MAC;
        }
        if (Ethernet.isMulticast(packet.destinationMac)
                || isMulticast(tuple.destinationHigh, tuple.destinationLow)) {
            return MULTICAST_NOT_FORWARDED;
        }
        if (neverTravels(tuple.destinationHigh, tuple.destinationLow)) {
            return STALE_OR_UNROUTABLE_IP;
        }
        final boolean own =
                switch (sender.kind()) {
                    case WORKLOAD -> sender.hasAddress(tuple.sourceHigh, tuple.sourceLow);
                    case UPLINK -> isBehindUplink(packet, ipcache);
                    case PROXY -> true;
                    case NONE, RESOLVER -> false;
                };
        return own ? NONE : INVALID_SOURCE_IP;
    }

    private boolean isBehindUplink(final Packet packet, final Ipcache ipcache) {
        final long high = packet.tuple.sourceHigh;
        final long low = packet.tuple.sourceLow;
        final boolean isGateway =
                high == Tuple.IPV4_MAPPED_HIGH && low == Tuple.mapped(gateway.ipv4());
        return !isGateway
                && !isMulticast(high, low)
                && !neverTravels(high, low)
                && Ipcache.port(ipcache.lookup(high, low)) == packet.inPort;
    }

    private static boolean isMulticast(final long high, final long low) {
        return Ipv6.isMapped(high, low)
                ? Ipv4.isMulticast((int) low) || (int) low == 0xffff_ffff
                : Ipv6.isMulticast(high);
    }

    private static boolean neverTravels(final long high, final long low) {
        return Ipv6.isMapped(high, low)
                ? Ipv4.isMartianSource((int) low)
                : Ipv6.isUnspecified(high, low)
                        || Ipv6.isLoopback(high, low)
                        || Ipv6.isLinkLocal(high);
    }
}
