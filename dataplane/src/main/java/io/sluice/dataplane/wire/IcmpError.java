package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * The ICMP errors the switch sends, and when it may.
 *
 * <p>A message is composed in memory of its own, because the packet it is about is quoted in it.
 * The quote is the packet as it stands: a partial checksum in it, and the length of a super-frame,
 * stay as they are, which is what Linux does; receivers find the flow by addresses and ports.
 *
 * <p>Limits: 576 bytes for IPv4 (RFC 1812 section 4.3.2.3), 1280 for IPv6 (RFC 4443 section
 * 2.4(c)), so that the message itself fits every link. Rate limits are the caller's.
 *
 * <p>Immutable; the methods belong to the thread that owns the segments.
 */
public enum IcmpError {
    HOP_LIMIT_EXCEEDED(Icmp.TIME_EXCEEDED, 0, Icmp6.TIME_EXCEEDED, 0),

    /** Carries an MTU: RFC 1191 section 4, RFC 4443 section 3.2. */
    PACKET_TOO_BIG(Icmp.UNREACHABLE, Icmp.CODE_FRAGMENTATION_NEEDED, Icmp6.PACKET_TOO_BIG, 0),
    PROHIBITED(
            Icmp.UNREACHABLE,
            Icmp.CODE_ADMINISTRATIVELY_PROHIBITED,
            Icmp6.UNREACHABLE,
            Icmp6.CODE_ADMINISTRATIVELY_PROHIBITED),
    NO_ROUTE(Icmp.UNREACHABLE, Icmp.CODE_NET, Icmp6.UNREACHABLE, Icmp6.CODE_NO_ROUTE),
    HOST_UNREACHABLE(Icmp.UNREACHABLE, Icmp.CODE_HOST, Icmp6.UNREACHABLE, Icmp6.CODE_ADDRESS);

    /** Room a message needs, virtio-net and Ethernet header included, in bytes. */
    public static final int FRAME_BYTES_MAX = VnetHeader.BYTES + Ethernet.BYTES + Ipv6.MTU_MIN;

    private static final int IPV4_PACKET_BYTES_MAX = 576;

    /** Internetwork control, as RFC 1812 section 4.3.2.5 asks for. */
    private static final int TYPE_OF_SERVICE = 0xc0;

    private final int type;
    private final int code;
    private final int type6;
    private final int code6;

    IcmpError(final int type, final int code, final int type6, final int code6) {
        this.type = type;
        this.code = code;
        this.type6 = type6;
        this.code6 = code6;
    }

    /**
     * Whether a host may be sent an error about this packet (RFC 1122 section 3.2.2): not about an
     * ICMP error or an ICMP message whose kind cannot be told, a fragment other than the first, a
     * packet to more than one station, or one from no single host.
     *
     * @param ethernet start of the Ethernet header
     * @param l3 start of a checked IPv4 header
     */
    public static boolean mayAnswerIpv4(
            final MemorySegment frame, final long ethernet, final long l3) {
        final int destination = Ipv4.destination(frame, l3);
        if (Ethernet.isMulticast(Ethernet.destination(frame, ethernet))
                || Ipv4.isMulticast(destination)
                || destination == 0xffff_ffff
                || Ipv4.isMartianSource(Ipv4.source(frame, l3))
                || Ipv4.fragmentOffsetBytes(frame, l3) != 0) {
            return false;
        }
        if (Ipv4.protocol(frame, l3) != IpProtocol.ICMP) {
            return true;
        }
        final int headerLength = Ipv4.headerLength(frame, l3);
        return Ipv4.totalLength(frame, l3) > headerLength
                && !Icmp.isError(Icmp.type(frame, l3 + headerLength));
    }

    /**
     * Whether a host may be sent this error about this packet (RFC 4443 section 2.4(e)): not about
     * an ICMPv6 error or redirect, a fragment other than the first, whose upper protocol cannot be
     * told, or a packet from no single host; nor about one to more than one station, unless it is
     * to learn the path MTU.
     *
     * @param ethernet start of the Ethernet header
     * @param l3 start of a checked IPv6 header
     * @param extensions walked over the same packet
     */
    public boolean mayAnswerIpv6(
            final MemorySegment frame,
            final long ethernet,
            final long l3,
            final Ipv6Extensions extensions) {
        final long sourceHigh = Ipv6.sourceHigh(frame, l3);
        final long sourceLow = Ipv6.sourceLow(frame, l3);
        if (Ipv6.isMulticast(sourceHigh)
                || Ipv6.isUnspecified(sourceHigh, sourceLow)
                || Ipv6.isLoopback(sourceHigh, sourceLow)
                || extensions.fragmentOffsetBytes != 0) {
            return false;
        }
        final boolean toMany =
                Ethernet.isMulticast(Ethernet.destination(frame, ethernet))
                        || Ipv6.isMulticast(Ipv6.destinationHigh(frame, l3));
        if (toMany && this != PACKET_TOO_BIG) {
            return false;
        }
        if (extensions.protocol != IpProtocol.ICMP6) {
            return true;
        }
        if (extensions.upperBytes == 0) {
            return false;
        }
        final int upperType = Icmp6.type(frame, extensions.upperOffset);
        return !Icmp6.isError(upperType) && upperType != Icmp6.REDIRECT;
    }

    /**
     * Composes the message about the checked IPv4 packet at {@code l3} of an untagged frame.
     *
     * @param out at least {@link #FRAME_BYTES_MAX} bytes from {@code outOffset}, apart from the
     *     packet
     * @param sourceMac the gateway's, also where the packet was sent to another
     * @param source IPv4 address the message comes from
     * @param mtu largest packet that would have fitted, 68 to 65535 bytes; read only by {@link
     *     #PACKET_TOO_BIG}
     * @return length of the frame with its virtio-net header, in bytes
     */
    public int writeIpv4(
            final MemorySegment out,
            final long outOffset,
            final MemorySegment frame,
            final long l3,
            final long sourceMac,
            final int source,
            final int mtu) {
        final long ip = writeEthernet(out, outOffset, frame, l3, sourceMac, Ethernet.IPV4);
        final int overhead = Ipv4.BYTES_MIN + Icmp.BYTES;
        final int quoted = Math.min(Ipv4.totalLength(frame, l3), IPV4_PACKET_BYTES_MAX - overhead);
        Ipv4.write(
                out,
                ip,
                TYPE_OF_SERVICE,
                overhead + quoted,
                IcmpEcho.TTL,
                IpProtocol.ICMP,
                source,
                Ipv4.source(frame, l3));
        final long icmp = ip + Ipv4.BYTES_MIN;
        Icmp.write(out, icmp, type, code, this == PACKET_TOO_BIG ? mtu : 0);
        MemorySegment.copy(frame, l3, out, icmp + Icmp.BYTES, quoted);
        Icmp.setChecksum(out, icmp, Checksum.finish(Checksum.sum(out, icmp, Icmp.BYTES + quoted)));
        return (int) (icmp - outOffset) + Icmp.BYTES + quoted;
    }

    /**
     * Composes the message about the checked IPv6 packet at {@code l3} of an untagged frame.
     *
     * @param out at least {@link #FRAME_BYTES_MAX} bytes from {@code outOffset}, apart from the
     *     packet
     * @param sourceMac the gateway's, also where the packet was sent to another
     * @param sourceHigh high half of the address the message comes from
     * @param sourceLow its low half
     * @param mtu largest packet that would have fitted, 1280 to 65535 bytes; read only by {@link
     *     #PACKET_TOO_BIG}
     * @return length of the frame with its virtio-net header, in bytes
     */
    public int writeIpv6(
            final MemorySegment out,
            final long outOffset,
            final MemorySegment frame,
            final long l3,
            final long sourceMac,
            final long sourceHigh,
            final long sourceLow,
            final int mtu) {
        final long ip = writeEthernet(out, outOffset, frame, l3, sourceMac, Ethernet.IPV6);
        final int packetBytes = Ipv6.BYTES + Ipv6.payloadLength(frame, l3);
        final int quoted = Math.min(packetBytes, Ipv6.MTU_MIN - Ipv6.BYTES - Icmp6.BYTES);
        Ipv6.write(
                out,
                ip,
                Icmp6.BYTES + quoted,
                IpProtocol.ICMP6,
                IcmpEcho.TTL,
                sourceHigh,
                sourceLow,
                Ipv6.sourceHigh(frame, l3),
                Ipv6.sourceLow(frame, l3));
        final long icmp = ip + Ipv6.BYTES;
        Icmp.write(out, icmp, type6, code6, this == PACKET_TOO_BIG ? mtu : 0);
        MemorySegment.copy(frame, l3, out, icmp + Icmp6.BYTES, quoted);
        Icmp6.writeChecksum(out, ip, icmp, Icmp6.BYTES + quoted);
        return (int) (icmp - outOffset) + Icmp6.BYTES + quoted;
    }

    /** Addressed to the sender of the frame; answers where the IP header starts. */
    private static long writeEthernet(
            final MemorySegment out,
            final long outOffset,
            final MemorySegment frame,
            final long l3,
            final long sourceMac,
            final int etherType) {
        VnetHeader.clear(out, outOffset);
        final long ethernet = outOffset + VnetHeader.BYTES;
        Ethernet.setDestination(out, ethernet, Ethernet.source(frame, l3 - Ethernet.BYTES));
        Ethernet.setSource(out, ethernet, sourceMac);
        Ethernet.setType(out, ethernet, etherType);
        return ethernet + Ethernet.BYTES;
    }
}
