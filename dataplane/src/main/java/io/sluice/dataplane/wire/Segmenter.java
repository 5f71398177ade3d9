package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Cuts a super-frame into the packets that it stands for, as a device would (tcp_gso_segment in
 * net/ipv4/tcp_offload.c, __udp_gso_segment in net/ipv4/udp_offload.c), one at a time into memory
 * of the caller's.
 *
 * <p>Every packet has the headers of the whole, with its own lengths. TCP: the sequence number
 * counts on, FIN and PSH go with the last packet, CWR with the first. IPv4: the identification
 * counts on, as receivers that put packets together again expect. Upper checksums stay open, over
 * the pseudo header of the packet: who sends it completes them or leaves that to a device.
 *
 * <p>The super-frame must stay as it is between {@link #start} and the last {@link #next}. Nothing
 * is allocated. Thread: owned by one lane.
 */
public final class Segmenter {
    private final Ipv6Extensions extensions = new Ipv6Extensions();

    private MemorySegment frame = MemorySegment.NULL;
    private long vnet;
    private long l3;
    private long l4;
    private boolean isIpv4;
    private boolean isTcp;

    /** Of everything before the payload, from the virtio-net header on, in bytes. */
    private int headerBytes;

    private int payloadBytes;
    private int doneBytes;
    private int gsoSize;
    private int index;

    /**
     * Begins a super-frame.
     *
     * @param lengthBytes of virtio-net header and frame
     * @return false if it is none of TCP or UDP over IPv4 or IPv6, is not well formed, is itself a
     *     fragment, or does not say how it is to be cut
     */
    public boolean start(final MemorySegment frame, final long vnet, final int lengthBytes) {
        this.frame = frame;
        this.vnet = vnet;
        this.l3 = vnet + VnetHeader.BYTES + Ethernet.BYTES;
        this.payloadBytes = 0;
        this.doneBytes = 0;
        this.index = 0;
        this.gsoSize = VnetHeader.gsoSize(frame, vnet);
        final int availableBytes = lengthBytes - VnetHeader.BYTES - Ethernet.BYTES;
        if (gsoSize == 0 || availableBytes <= 0) {
            return false;
        }
        return switch (VnetHeader.gsoType(frame, vnet) & ~VnetHeader.GSO_ECN) {
            case VnetHeader.GSO_TCPV4 -> startIpv4(availableBytes, IpProtocol.TCP);
            case VnetHeader.GSO_TCPV6 -> startIpv6(availableBytes, IpProtocol.TCP);
            case VnetHeader.GSO_UDP_L4 ->
                    Ethernet.type(frame, vnet + VnetHeader.BYTES) == Ethernet.IPV4
                            ? startIpv4(availableBytes, IpProtocol.UDP)
                            : startIpv6(availableBytes, IpProtocol.UDP);
            default -> false;
        };
    }

    private boolean startIpv4(final int availableBytes, final int protocol) {
        if (Ipv4.check(frame, l3, availableBytes) != WireFault.NONE
                || Ipv4.isFragment(frame, l3)
                || Ipv4.protocol(frame, l3) != protocol) {
            return false;
        }
        isIpv4 = true;
        final int ipHeaderBytes = Ipv4.headerLength(frame, l3);
        l4 = l3 + ipHeaderBytes;
        return startUpper(protocol, Ipv4.totalLength(frame, l3) - ipHeaderBytes);
    }

    private boolean startIpv6(final int availableBytes, final int protocol) {
        if (Ipv6.check(frame, l3, availableBytes) != WireFault.NONE
                || extensions.walk(frame, l3) != WireFault.NONE
                || extensions.isFragment()
                || extensions.protocol != protocol) {
            return false;
        }
        isIpv4 = false;
        l4 = extensions.upperOffset;
        return startUpper(protocol, extensions.upperBytes);
    }

    private boolean startUpper(final int protocol, final int upperBytes) {
        isTcp = protocol == IpProtocol.TCP;
        if (isTcp ? Tcp.check(frame, l4, upperBytes) != WireFault.NONE : upperBytes < Udp.BYTES) {
            return false;
        }
        final int upperHeaderBytes = isTcp ? Tcp.headerLength(frame, l4) : Udp.BYTES;
        headerBytes = (int) (l4 - vnet) + upperHeaderBytes;
        payloadBytes = upperBytes - upperHeaderBytes;
        return payloadBytes > 0;
    }

    /** Whether there is a packet that {@link #next} has not written yet. */
    public boolean hasNext() {
        return doneBytes < payloadBytes;
    }

    /** Length of the next packet's frame with its virtio-net header, in bytes. */
    public int nextBytes() {
        return headerBytes + Math.min(gsoSize, payloadBytes - doneBytes);
    }

    /**
     * Writes the next packet; only while {@link #hasNext}.
     *
     * @param out at least {@link #nextBytes} from {@code outVnet}
     */
    public void next(final MemorySegment out, final long outVnet) {
        final int partBytes = Math.min(gsoSize, payloadBytes - doneBytes);
        MemorySegment.copy(frame, vnet, out, outVnet, headerBytes);
        MemorySegment.copy(
                frame, vnet + headerBytes + doneBytes, out, outVnet + headerBytes, partBytes);
        final boolean isLast = doneBytes + partBytes == payloadBytes;
        final long outL3 = outVnet + (l3 - vnet);
        final long outL4 = outVnet + (l4 - vnet);
        final int upperBytes = (int) (headerBytes - (l4 - vnet)) + partBytes;

        final int pseudoSum;
        if (isIpv4) {
            Ipv4.setId(out, outL3, Ipv4.id(frame, l3) + index);
            Ipv4.setTotalLength(out, outL3, (int) (l4 - l3) + upperBytes);
            pseudoSum = Ipv4.pseudoHeaderSum(out, outL3, upperBytes);
        } else {
            Ipv6.setPayloadLength(out, outL3, (int) (l4 - l3) - Ipv6.BYTES + upperBytes);
            pseudoSum =
                    Ipv6.pseudoHeaderSum(
                            out, outL3, isTcp ? IpProtocol.TCP : IpProtocol.UDP, upperBytes);
        }
        final int field;
        if (isTcp) {
            field = Tcp.CHECKSUM;
            Tcp.setSegment(
                    out,
                    outL4,
                    Tcp.sequence(frame, l4) + doneBytes,
                    flags(Tcp.flags(frame, l4), isLast));
        } else {
            field = Udp.CHECKSUM;
            Udp.setLength(out, outL4, upperBytes);
        }
        BigEndian.put16(out, outL4 + field, pseudoSum);
        VnetHeader.clear(out, outVnet);
        VnetHeader.setNeedsChecksum(
                out, outVnet, (int) (outL4 - outVnet) - VnetHeader.BYTES, field);
        doneBytes += partBytes;
        index++;
    }

    private int flags(final int whole, final boolean isLast) {
        final int notLast = isLast ? whole : whole & ~(Tcp.FIN | Tcp.PSH);
        return index == 0 ? notLast : notLast & ~Tcp.CWR;
    }
}
