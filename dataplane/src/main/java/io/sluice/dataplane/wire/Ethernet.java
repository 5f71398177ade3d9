package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * Ethernet II header. MAC addresses are the low 48 bits of a long, first byte most significant.
 *
 * <p>Any thread that owns the segment.
 */
public final class Ethernet {
    /** Length without tags, in bytes. */
    public static final int BYTES = 14;

    public static final int IPV4 = 0x0800;
    public static final int ARP = 0x0806;
    public static final int VLAN = 0x8100;
    public static final int IPV6 = 0x86dd;
    public static final int VLAN_AD = 0x88a8;

    public static final long BROADCAST = 0xffff_ffff_ffffL;

    private static final int DESTINATION = 0;
    private static final int SOURCE = 6;
    private static final int TYPE = 12;

    private static final long GROUP_BIT = 0x0100_0000_0000L;

    private Ethernet() {}

    /** After NONE every accessor below is safe. */
    public static WireFault check(
            final MemorySegment frame, final long ethernet, final int availableBytes) {
        return availableBytes < BYTES ? WireFault.TRUNCATED : WireFault.NONE;
    }

    public static long destination(final MemorySegment frame, final long ethernet) {
        return BigEndian.u48(frame, ethernet + DESTINATION);
    }

    public static long source(final MemorySegment frame, final long ethernet) {
        return BigEndian.u48(frame, ethernet + SOURCE);
    }

    /** EtherType; of a tagged frame that of the tag. */
    public static int type(final MemorySegment frame, final long ethernet) {
        return BigEndian.u16(frame, ethernet + TYPE);
    }

    /** Whether the address names a group of stations; broadcast is one. */
    public static boolean isMulticast(final long mac) {
        return (mac & GROUP_BIT) != 0;
    }

    public static void setDestination(
            final MemorySegment frame, final long ethernet, final long mac) {
        BigEndian.put48(frame, ethernet + DESTINATION, mac);
    }

    public static void setSource(final MemorySegment frame, final long ethernet, final long mac) {
        BigEndian.put48(frame, ethernet + SOURCE, mac);
    }

    public static void setType(final MemorySegment frame, final long ethernet, final int type) {
        BigEndian.put16(frame, ethernet + TYPE, type);
    }

    /** Exchanges source and destination. */
    static void swapAddresses(final MemorySegment frame, final long ethernet) {
        final long destination = destination(frame, ethernet);
        setDestination(frame, ethernet, source(frame, ethernet));
        setSource(frame, ethernet, destination);
    }
}
