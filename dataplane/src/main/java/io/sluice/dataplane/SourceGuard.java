package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.EP_NOT_READY;
import static io.sluice.dataplane.DropReason.INVALID_SOURCE_IP;
import static io.sluice.dataplane.DropReason.INVALID_SOURCE_MAC;
import static io.sluice.dataplane.DropReason.MULTICAST_NOT_FORWARDED;
import static io.sluice.dataplane.DropReason.NONE;

import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.wire.Ethernet;

/**
 * Anti-spoofing: identity is looked up by address, so an address must belong to who uses it.
 *
 * <p>A workload sends from its own MAC and its own addresses. The uplink, which speaks for the node
 * and the world, sends from any address but those of local endpoints and those that never travel
 * (loopback, multicast, unspecified; RFC 1122 section 3.2.1.3, RFC 4291 section 2.5-2.7).
 *
 * <p>Thread: the lane's; no state.
 */
final class SourceGuard {
    /** NONE if the source is what it says. */
    DropReason verify(final Packet packet, final Endpoint sender, final Ipcache ipcache) {
        return switch (sender.kind()) {
            case NONE -> EP_NOT_READY;
            case WORKLOAD -> verifyWorkload(packet, sender);
            case UPLINK -> verifyUplink(packet, ipcache);
        };
    }

    private static DropReason verifyWorkload(final Packet packet, final Endpoint sender) {
        if (packet.sourceMac != sender.mac()) {
            return INVALID_SOURCE_MAC;
        }
        if (isMulticast(packet)) {
            return MULTICAST_NOT_FORWARDED;
        }
        if (!sender.hasAddress(packet.tuple.sourceHigh, packet.tuple.sourceLow)) {
            return INVALID_SOURCE_IP;
        }
        return NONE;
    }

    private static DropReason verifyUplink(final Packet packet, final Ipcache ipcache) {
        if (isMulticast(packet)) {
            return MULTICAST_NOT_FORWARDED;
        }
        if (neverTravels(packet.tuple.sourceHigh, packet.tuple.sourceLow)) {
            return INVALID_SOURCE_IP;
        }
        final long source = ipcache.lookup(packet.tuple.sourceHigh, packet.tuple.sourceLow);
        final int port = Ipcache.port(source);
        if (port != packet.inPort && port != Ipcache.NO_PORT) {
            return INVALID_SOURCE_IP;
        }
        return NONE;
    }

    /** Multicast and broadcast, by MAC or by address: chatter that ends here, whoever sends it. */
    private static boolean isMulticast(final Packet packet) {
        return Ethernet.isMulticast(packet.destinationMac)
                || isMulticast(packet.tuple.destinationHigh, packet.tuple.destinationLow);
    }

    private static boolean isMulticast(final long high, final long low) {
        if (isIpv4(high, low)) {
            final int address = (int) low;
            return address >>> 28 == 0xe || address == 0xffff_ffff;
        }
        return high >>> 56 == 0xff;
    }

    private static boolean neverTravels(final long high, final long low) {
        if (isMulticast(high, low)) {
            return true;
        }
        if (isIpv4(high, low)) {
            final int firstOctet = (int) low >>> 24;
            return firstOctet == 127 || firstOctet == 0;
        }
        return high == 0 && (low == 0 || low == 1);
    }

    private static boolean isIpv4(final long high, final long low) {
        return high == 0 && low >>> 32 == 0xffffL;
    }
}
