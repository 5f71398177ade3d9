package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Makes an echo request its own reply, in place and of the same length: MAC and IP addresses change
 * places, the type becomes "reply", the TTL starts anew, the virtio-net header is cleared.
 *
 * <p>Checksums are updated for what changes rather than computed anew, so a request damaged on its
 * way becomes a reply that is as damaged, and the asker sees it. Only a partial checksum is
 * completed first.
 *
 * <p>The request must have been sent to one station: the reply's addresses are the request's.
 *
 * <p>Any thread that owns the segment.
 */
public final class IcmpEcho {
    /** Initial TTL and hop limit of what the switch itself sends (RFC 1700, as Linux). */
    static final int TTL = 64;

    private IcmpEcho() {}

    /**
     * Answers an IPv4 echo request.
     *
     * @param vnet start of the virtio-net header
     * @param l4 start of the ICMP header, in a checked echo request
     * @return BAD_CHECKSUM_START, and the frame unchanged, if the virtio-net header makes no sense
     */
    public static WireFault turnIntoReplyIpv4(
            final MemorySegment frame, final long vnet, final long l3, final long l4) {
        final int frameBytes = (int) (l3 - vnet) + Ipv4.totalLength(frame, l3);
        final WireFault fault = VnetHeader.completeChecksum(frame, vnet, frameBytes);
        if (fault != WireFault.NONE) {
            return fault;
        }
        Icmp.setType(frame, l4, Icmp.ECHO_REPLY);
        turnAroundIpv4(frame, vnet, l3);
        return WireFault.NONE;
    }

    private static void turnAroundIpv4(final MemorySegment frame, final long vnet, final long l3) {
        Ipv4.swapAddresses(frame, l3);
        Ipv4.setTtl(frame, l3, TTL);
        Ethernet.swapAddresses(frame, vnet + VnetHeader.BYTES);
        VnetHeader.clear(frame, vnet);
    }

    /**
     * Answers an IPv6 echo request.
     *
     * @param vnet start of the virtio-net header
     * @param l4 start of the ICMPv6 header, in a checked echo request
     * @return BAD_CHECKSUM_START, and the frame unchanged, if the virtio-net header makes no sense
     */
    public static WireFault turnIntoReplyIpv6(
            final MemorySegment frame, final long vnet, final long l3, final long l4) {
        final int frameBytes = (int) (l3 - vnet) + Ipv6.BYTES + Ipv6.payloadLength(frame, l3);
        final WireFault fault = VnetHeader.completeChecksum(frame, vnet, frameBytes);
        if (fault != WireFault.NONE) {
            return fault;
        }
        Icmp.setType(frame, l4, Icmp6.ECHO_REPLY);
        turnAroundIpv6(frame, vnet, l3);
        return WireFault.NONE;
    }

    private static void turnAroundIpv6(final MemorySegment frame, final long vnet, final long l3) {
        Ipv6.swapAddresses(frame, l3);
        Ipv6.setHopLimit(frame, l3, TTL);
        Ethernet.swapAddresses(frame, vnet + VnetHeader.BYTES);
        VnetHeader.clear(frame, vnet);
    }
}
