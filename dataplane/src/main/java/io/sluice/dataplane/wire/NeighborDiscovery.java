package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Neighbour solicitations and the advertisements that answer them (RFC 4861).
 *
 * <p>Any thread that owns the segment.
 */
public final class NeighborDiscovery {
    /** Solicitation without options, in bytes. */
    public static final int SOLICITATION_BYTES = 24;

    /** Advertisement with its one option, in bytes. */
    public static final int ADVERTISEMENT_BYTES = 32;

    /** Frame of an advertisement, virtio-net header included, in bytes. */
    public static final int ADVERTISEMENT_FRAME_BYTES =
            VnetHeader.BYTES + Ethernet.BYTES + Ipv6.BYTES + ADVERTISEMENT_BYTES;

    /** Answer of {@link #sourceLinkAddress} where the option is missing. */
    public static final long NO_LINK_ADDRESS = -1;

    /** Advertisement flags, first word behind the checksum (RFC 4861 section 4.4). */
    private static final int ROUTER = 0x8000_0000;

    private static final int SOLICITED = 0x4000_0000;
    private static final int OVERRIDE = 0x2000_0000;

    /** Nobody behind a router can send it. */
    private static final int HOP_LIMIT = 255;

    private static final int TARGET = 8;
    private static final int OPTIONS = 24;
    private static final int OPTION_SOURCE_LINK_ADDRESS = 1;
    private static final int OPTION_TARGET_LINK_ADDRESS = 2;

    /** ff02::1 and the MAC address it maps to (RFC 2464 section 7). */
    private static final long ALL_NODES_HIGH = 0xff02_0000_0000_0000L;

    private static final long ALL_NODES_LOW = 1;
    private static final long ALL_NODES_MAC = 0x3333_0000_0001L;

    /** ff02::1:ff00:0/104. */
    private static final long SOLICITED_NODE_LOW = 0x0000_0001_ff00_0000L;

    private static final long SOLICITED_NODE_LOW_MASK = 0xffff_ffff_ff00_0000L;

    private NeighborDiscovery() {}

    /**
     * Validates a solicitation (RFC 4861 section 7.1.1). After NONE every accessor below is safe.
     *
     * @param l4 start of the ICMPv6 header
     * @param lengthBytes ICMPv6 header to the end of the packet
     */
    public static WireFault checkSolicitation(
            final MemorySegment frame,
            final long vnet,
            final long l3,
            final long l4,
            final int lengthBytes) {
        if (lengthBytes < SOLICITATION_BYTES) {
            return WireFault.TRUNCATED;
        }
        if (Ipv6.hopLimit(frame, l3) != HOP_LIMIT) {
            return WireFault.BAD_HOP_LIMIT;
        }
        if (!VnetHeader.vouchesForChecksum(frame, vnet)
                && !Icmp6.isChecksumValid(frame, l3, l4, lengthBytes)) {
            return WireFault.BAD_CHECKSUM;
        }
        if (Icmp6.code(frame, l4) != 0 || Ipv6.isMulticast(targetHigh(frame, l4))) {
            return WireFault.BAD_NEIGHBOR_SOLICITATION;
        }
        if (!optionsAreWalkable(frame, l4, lengthBytes)) {
            return WireFault.BAD_NEIGHBOR_SOLICITATION;
        }
        if (isDuplicateAddressProbe(frame, l3)
                && (!isSolicitedNode(
                                Ipv6.destinationHigh(frame, l3), Ipv6.destinationLow(frame, l3))
                        || sourceLinkAddress(frame, l4, lengthBytes) != NO_LINK_ADDRESS)) {
            return WireFault.BAD_NEIGHBOR_SOLICITATION;
        }
        return WireFault.NONE;
    }

    private static boolean optionsAreWalkable(
            final MemorySegment frame, final long l4, final int lengthBytes) {
        int at = OPTIONS;
        while (at < lengthBytes) {
            if (at + 8 > lengthBytes) {
                return false;
            }
            final int optionBytes = BigEndian.u8(frame, l4 + at + 1) << 3;
            if (optionBytes == 0 || at + optionBytes > lengthBytes) {
                return false;
            }
            at += optionBytes;
        }
        return true;
    }

    private static boolean isSolicitedNode(final long high, final long low) {
        return high == ALL_NODES_HIGH && (low & SOLICITED_NODE_LOW_MASK) == SOLICITED_NODE_LOW;
    }

    /** High half of the address whose owner is asked for. */
    public static long targetHigh(final MemorySegment frame, final long l4) {
        return BigEndian.u64(frame, l4 + TARGET);
    }

    /** Low half of the address whose owner is asked for. */
    public static long targetLow(final MemorySegment frame, final long l4) {
        return BigEndian.u64(frame, l4 + TARGET + 8);
    }

    /** MAC address the asker gives as its own, or {@link #NO_LINK_ADDRESS}. */
    public static long sourceLinkAddress(
            final MemorySegment frame, final long l4, final int lengthBytes) {
        int at = OPTIONS;
        while (at + 8 <= lengthBytes) {
            final int optionBytes = BigEndian.u8(frame, l4 + at + 1) << 3;
            if (BigEndian.u8(frame, l4 + at) == OPTION_SOURCE_LINK_ADDRESS && optionBytes == 8) {
                return BigEndian.u48(frame, l4 + at + 2);
            }
            at += optionBytes;
        }
        return NO_LINK_ADDRESS;
    }

    /**
     * Whether the sender only asks if somebody has the target address already (RFC 4862 section
     * 5.4). Saying yes keeps it from using the address.
     */
    public static boolean isDuplicateAddressProbe(final MemorySegment frame, final long l3) {
        return Ipv6.isUnspecified(Ipv6.sourceHigh(frame, l3), Ipv6.sourceLow(frame, l3));
    }

    /**
     * Makes a checked solicitation in an untagged frame the advertisement that answers it: the
     * router at {@code mac} has the target address. It goes to the asker, or to all nodes if that
     * has no address yet (RFC 4861 section 7.2.4).
     *
     * <p>Up to {@link #ADVERTISEMENT_FRAME_BYTES} bytes from {@code vnet} are written, at most 8
     * more than the solicitation had: a probe for duplicates is 88 bytes long without options. A
     * batch keeps that room, as its frames start on multiples of 64 bytes.
     *
     * @return length of the frame with its virtio-net header, in bytes
     */
    public static int turnIntoAdvertisement(
            final MemorySegment frame,
            final long vnet,
            final long l3,
            final long l4,
            final long mac) {
        final long ethernet = vnet + VnetHeader.BYTES;
        final long targetHigh = targetHigh(frame, l4);
        final long targetLow = targetLow(frame, l4);
        final boolean probe = isDuplicateAddressProbe(frame, l3);
        final long askerHigh = probe ? ALL_NODES_HIGH : Ipv6.sourceHigh(frame, l3);
        final long askerLow = probe ? ALL_NODES_LOW : Ipv6.sourceLow(frame, l3);
        final long askerMac = probe ? ALL_NODES_MAC : Ethernet.source(frame, ethernet);

        VnetHeader.clear(frame, vnet);
        Ethernet.setDestination(frame, ethernet, askerMac);
        Ethernet.setSource(frame, ethernet, mac);

        final long ip = ethernet + Ethernet.BYTES;
        Ipv6.write(
                frame,
                ip,
                ADVERTISEMENT_BYTES,
                IpProtocol.ICMP6,
                HOP_LIMIT,
                targetHigh,
                targetLow,
                askerHigh,
                askerLow);
        final long icmp = ip + Ipv6.BYTES;
        Icmp.write(
                frame,
                icmp,
                Icmp6.NEIGHBOR_ADVERTISEMENT,
                0,
                ROUTER | OVERRIDE | (probe ? 0 : SOLICITED));
        BigEndian.put64(frame, icmp + TARGET, targetHigh);
        BigEndian.put64(frame, icmp + TARGET + 8, targetLow);
        BigEndian.put8(frame, icmp + OPTIONS, OPTION_TARGET_LINK_ADDRESS);
        BigEndian.put8(frame, icmp + OPTIONS + 1, 1);
        BigEndian.put48(frame, icmp + OPTIONS + 2, mac);
        Icmp6.writeChecksum(frame, ip, icmp, ADVERTISEMENT_BYTES);
        return ADVERTISEMENT_FRAME_BYTES;
    }
}
