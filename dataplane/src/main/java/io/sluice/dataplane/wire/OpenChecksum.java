package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Finds out whether a sender has left the upper checksum of a frame to its device, where no
 * virtio-net header tells.
 *
 * <p>A local sender leaves the folded sum of the pseudo header in the field (RFC 9293 section 3.1;
 * CHECKSUM_PARTIAL in include/linux/skbuff.h). So a field that holds exactly this sum is open. A
 * finished checksum may by chance have the same value; completing it then gives the same value
 * again: let p be the pseudo header's sum and d that of the rest; finished means field = not(p +
 * d), and completing an open field means not(field + d), which for field = p is the same. So
 * nothing that was right becomes wrong.
 *
 * <p>The CRC of SCTP is left as 0 and cannot be named in a virtio-net header: it is computed here.
 *
 * <p>A reused cursor. Thread: owned by one lane.
 */
public final class OpenChecksum {
    private final Ipv6Extensions extensions = new Ipv6Extensions();

    /**
     * Writes the virtio-net header of a frame that came without: open or nothing left undone.
     * Frames that are not well formed count as the latter; whoever parses them drops them.
     *
     * @param vnet where the header goes; the frame follows
     * @param lengthBytes of header and frame
     */
    public void describe(final MemorySegment frame, final long vnet, final int lengthBytes) {
        VnetHeader.clear(frame, vnet);
        final long ethernet = vnet + VnetHeader.BYTES;
        final long l3 = ethernet + Ethernet.BYTES;
        final int availableBytes = lengthBytes - VnetHeader.BYTES - Ethernet.BYTES;
        if (availableBytes <= 0) {
            return;
        }
        switch (Ethernet.type(frame, ethernet)) {
            case Ethernet.IPV4 -> describeIpv4(frame, vnet, l3, availableBytes);
            case Ethernet.IPV6 -> describeIpv6(frame, vnet, l3, availableBytes);
            default -> {}
        }
    }

    private static void describeIpv4(
            final MemorySegment frame, final long vnet, final long l3, final int availableBytes) {
        if (Ipv4.check(frame, l3, availableBytes) != WireFault.NONE || Ipv4.isFragment(frame, l3)) {
            return;
        }
        final int headerLength = Ipv4.headerLength(frame, l3);
        final int upperBytes = Ipv4.totalLength(frame, l3) - headerLength;
        describeUpper(
                frame,
                vnet,
                l3 + headerLength,
                Ipv4.protocol(frame, l3),
                upperBytes,
                Ipv4.pseudoHeaderSum(frame, l3, upperBytes));
    }

    private void describeIpv6(
            final MemorySegment frame, final long vnet, final long l3, final int availableBytes) {
        if (Ipv6.check(frame, l3, availableBytes) != WireFault.NONE
                || extensions.walk(frame, l3) != WireFault.NONE
                || extensions.isFragment()) {
            return;
        }
        describeUpper(
                frame,
                vnet,
                extensions.upperOffset,
                extensions.protocol,
                extensions.upperBytes,
                Ipv6.pseudoHeaderSum(frame, l3, extensions.protocol, extensions.upperBytes));
    }

    private static void describeUpper(
            final MemorySegment frame,
            final long vnet,
            final long l4,
            final int protocol,
            final int upperBytes,
            final int pseudoSum) {
        switch (protocol) {
            case IpProtocol.TCP -> {
                if (upperBytes >= Tcp.BYTES_MIN
                        && BigEndian.u16(frame, l4 + Tcp.CHECKSUM) == pseudoSum) {
                    mark(frame, vnet, l4, Tcp.CHECKSUM);
                }
            }
            case IpProtocol.UDP -> {
                if (upperBytes >= Udp.BYTES
                        && BigEndian.u16(frame, l4 + Udp.CHECKSUM) == pseudoSum) {
                    mark(frame, vnet, l4, Udp.CHECKSUM);
                }
            }
            case IpProtocol.SCTP -> {
                if (upperBytes >= Sctp.BYTES) {
                    Sctp.completeChecksum(frame, l4, upperBytes);
                }
            }
            default -> {}
        }
    }

    private static void mark(
            final MemorySegment frame, final long vnet, final long l4, final int field) {
        VnetHeader.setNeedsChecksum(frame, vnet, (int) (l4 - vnet - VnetHeader.BYTES), field);
    }
}
