package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 * <p>Any thread that owns the segment.
 */
public final class Arp {
    /** Length, in bytes; Ethernet may pad behind it. */
    public static final int BYTES = 28;

    public static final int REQUEST = 1;
    public static final int REPLY = 2;

    private static final int OPERATION = 6;
    private static final int SENDER_MAC = 8;
    private static final int SENDER_ADDRESS = 14;
    private static final int TARGET_MAC = 18;
    private static final int TARGET_ADDRESS = 24;

    /** Hardware type 1, protocol type 0x0800, address lengths 6 and 4: the first eight bytes. */
    private static final long ETHERNET_IPV4 = 0x0001_0800_0604_0000L;

    private Arp() {}

    /**
     * After NONE every accessor below is safe, and the sender's MAC address is that of one station.
     */
    public static WireFault check(
            final MemorySegment frame, final long arp, final int availableBytes) {
        if (availableBytes < BYTES) {
            return WireFault.TRUNCATED;
        }
        if ((BigEndian.u64(frame, arp) & ~0xffffL) != ETHERNET_IPV4
                || Ethernet.isMulticast(senderMac(frame, arp))) {
            return WireFault.BAD_ARP;
        }
        return WireFault.NONE;
    }

    public static int operation(final MemorySegment frame, final long arp) {
        return BigEndian.u16(frame, arp + OPERATION);
    }

    public static long senderMac(final MemorySegment frame, final long arp) {
        return BigEndian.u48(frame, arp + SENDER_MAC);
    }

    /** IPv4 address of the sender; 0 in a probe for a duplicate (RFC 5227). */
    public static int senderAddress(final MemorySegment frame, final long arp) {
        return BigEndian.u32(frame, arp + SENDER_ADDRESS);
    }

    public static long targetMac(final MemorySegment frame, final long arp) {
        return BigEndian.u48(frame, arp + TARGET_MAC);
    }

    public static int targetAddress(final MemorySegment frame, final long arp) {
        return BigEndian.u32(frame, arp + TARGET_ADDRESS);
    }

    /**
     * Whether the sender only asks if somebody has the target address already (RFC 5227 section
     * 2.1.1). Saying yes keeps it from using the address.
     */
    public static boolean isDuplicateAddressProbe(final MemorySegment frame, final long arp) {
        return operation(frame, arp) == REQUEST && senderAddress(frame, arp) == 0;
    }

    /**
     * Makes a checked request of an untagged frame its own reply: {@code mac} has the target
     * address. The length stays, the virtio-net header in front is cleared.
     *
     * @param ethernet start of the Ethernet header
     */
    public static void turnIntoReply(
            final MemorySegment frame, final long ethernet, final long mac) {
        final long arp = ethernet + Ethernet.BYTES;
        final int asked = targetAddress(frame, arp);
        final long requesterMac = senderMac(frame, arp);

        BigEndian.put16(frame, arp + OPERATION, REPLY);
        BigEndian.put48(frame, arp + TARGET_MAC, requesterMac);
        BigEndian.put32(frame, arp + TARGET_ADDRESS, senderAddress(frame, arp));
        BigEndian.put48(frame, arp + SENDER_MAC, mac);
        BigEndian.put32(frame, arp + SENDER_ADDRESS, asked);
        Ethernet.setDestination(frame, ethernet, requesterMac);
        Ethernet.setSource(frame, ethernet, mac);
        VnetHeader.clear(frame, ethernet - VnetHeader.BYTES);
    }
}
