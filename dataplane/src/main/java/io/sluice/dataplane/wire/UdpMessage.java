package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Other data in a UDP datagram, in place: an answer of the switch, back to the sender, or on to the
 * receiver in place of what came.
 *
 * <p>Headers in between (IPv4 options, IPv6 extensions) stay. Lengths and checksums are written
 * anew, the virtio-net header is cleared: nothing is left undone.
 *
 * <p>Any thread that owns the segment, which has room for the longer frame.
 */
public final class UdpMessage {
    /** Most data that fits a datagram behind 60 bytes of IPv4 header (RFC 791, RFC 768). */
    public static final int DATA_BYTES_MAX = Ipv4.PACKET_BYTES_MAX - Ipv4.BYTES_MAX - Udp.BYTES;

    private UdpMessage() {}

    /**
     * Turns the datagram around, with other data.
     *
     * @param vnet start of the virtio-net header
     * @param l4 start of the UDP header, in a checked datagram that is no fragment
     * @param data at most {@link #DATA_BYTES_MAX} bytes
     * @return length of the frame with its virtio-net header
     */
    public static int turnIntoAnswer(
            final MemorySegment frame,
            final long vnet,
            final long l3,
            final long l4,
            final MemorySegment data) {
        final int source = Udp.sourcePort(frame, l4);
        Udp.setSourcePort(frame, l4, Udp.destinationPort(frame, l4));
        Udp.setDestinationPort(frame, l4, source);
        Ethernet.swapAddresses(frame, vnet + VnetHeader.BYTES);
        if (isIpv4(frame, vnet)) {
            Ipv4.swapAddresses(frame, l3);
            Ipv4.setTtl(frame, l3, IcmpEcho.TTL);
        } else {
            Ipv6.swapAddresses(frame, l3);
            Ipv6.setHopLimit(frame, l3, IcmpEcho.TTL);
        }
        return replaceData(frame, vnet, l3, l4, data);
    }

    /** Replaces the data; see {@link #turnIntoAnswer}. */
    public static int replaceData(
            final MemorySegment frame,
            final long vnet,
            final long l3,
            final long l4,
            final MemorySegment data) {
        final int dataBytes = Math.toIntExact(data.byteSize());
        if (dataBytes > DATA_BYTES_MAX) {
            throw new IllegalArgumentException(
                    "a datagram of " + dataBytes + " bytes: 0 to " + DATA_BYTES_MAX);
        }
        final int udpBytes = Udp.BYTES + dataBytes;
        final int headerBytes = (int) (l4 - l3);
        MemorySegment.copy(data, 0, frame, l4 + Udp.BYTES, dataBytes);
        Udp.setLength(frame, l4, udpBytes);
        final int pseudoSum;
        if (isIpv4(frame, vnet)) {
            Ipv4.setTotalLength(frame, l3, headerBytes + udpBytes);
            pseudoSum = Ipv4.pseudoHeaderSum(frame, l3, udpBytes);
        } else {
            Ipv6.setPayloadLength(frame, l3, headerBytes - Ipv6.BYTES + udpBytes);
            pseudoSum = Ipv6.pseudoHeaderSum(frame, l3, IpProtocol.UDP, udpBytes);
        }
        Udp.writeChecksum(frame, l4, pseudoSum);
        VnetHeader.clear(frame, vnet);
        return (int) (l4 - vnet) + udpBytes;
    }

    private static boolean isIpv4(final MemorySegment frame, final long vnet) {
        return Ethernet.type(frame, vnet + VnetHeader.BYTES) == Ethernet.IPV4;
    }
}
