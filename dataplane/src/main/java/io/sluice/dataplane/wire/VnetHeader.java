package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * {@code struct virtio_net_hdr} (include/uapi/linux/virtio_net.h), 10 bytes in front of every
 * frame: what the kernel has left undone on it.
 *
 * <p>With {@link #NEEDS_CSUM} the upper checksum field holds only the sum of the pseudo header, and
 * is to be completed over everything from {@code csumStart} on; between local pods nobody ever
 * does. With a {@code gsoType} the frame is a super-frame that a device would cut into packets of
 * {@code gsoSize} payload bytes.
 *
 * <p>Multi-byte fields are little endian: TAP uses the host's order unless told otherwise, and the
 * switch runs on little-endian machines only.
 *
 * <p>Any thread that owns the segment.
 */
public final class VnetHeader {
    /** Length, in bytes; the Ethernet header follows directly. */
    public static final int BYTES = 10;

    /** Flag: the upper checksum is partial. */
    public static final int NEEDS_CSUM = 1;

    /** Flag: the upper checksum was verified. */
    public static final int DATA_VALID = 2;

    public static final int GSO_NONE = 0;
    public static final int GSO_TCPV4 = 1;
    public static final int GSO_UDP = 3;
    public static final int GSO_TCPV6 = 4;
    public static final int GSO_UDP_L4 = 5;

    /** Bit of the GSO type: TCP has the ECN bit set. */
    public static final int GSO_ECN = 0x80;

    private static final int FLAGS = 0;
    private static final int GSO_TYPE = 1;
    private static final int HEADER_LENGTH = 2;
    private static final int GSO_SIZE = 4;
    private static final int CSUM_START = 6;
    private static final int CSUM_OFFSET = 8;

    private static final ValueLayout.OfShort LE16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LE64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private VnetHeader() {}

    /** After NONE every accessor below is safe. */
    public static WireFault check(
            final MemorySegment frame, final long vnet, final int availableBytes) {
        return availableBytes < BYTES ? WireFault.TRUNCATED : WireFault.NONE;
    }

    public static int flags(final MemorySegment frame, final long vnet) {
        return BigEndian.u8(frame, vnet + FLAGS);
    }

    public static boolean needsChecksum(final MemorySegment frame, final long vnet) {
        return (flags(frame, vnet) & NEEDS_CSUM) != 0;
    }

    /**
     * Whether the upper checksum need not be looked at: it is partial and thus from a local sender,
     * or the kernel has verified it.
     */
    public static boolean vouchesForChecksum(final MemorySegment frame, final long vnet) {
        return (flags(frame, vnet) & (NEEDS_CSUM | DATA_VALID)) != 0;
    }

    /** GSO type with its ECN bit. */
    public static int gsoType(final MemorySegment frame, final long vnet) {
        return BigEndian.u8(frame, vnet + GSO_TYPE);
    }

    public static boolean isSuperFrame(final MemorySegment frame, final long vnet) {
        return (gsoType(frame, vnet) & ~GSO_ECN) != GSO_NONE;
    }

    /** Ethernet to upper header, in bytes; a hint, 0 where unknown. */
    public static int headerLength(final MemorySegment frame, final long vnet) {
        return u16(frame, vnet + HEADER_LENGTH);
    }

    /** Payload per packet that a super-frame is to be cut into, in bytes. */
    public static int gsoSize(final MemorySegment frame, final long vnet) {
        return u16(frame, vnet + GSO_SIZE);
    }

    /** Where the partial checksum starts, in bytes from the Ethernet header. */
    public static int checksumStart(final MemorySegment frame, final long vnet) {
        return u16(frame, vnet + CSUM_START);
    }

    /** Where the checksum field lies, in bytes from {@link #checksumStart}. */
    public static int checksumOffset(final MemorySegment frame, final long vnet) {
        return u16(frame, vnet + CSUM_OFFSET);
    }

    /** Makes the header say that nothing is left undone. */
    public static void clear(final MemorySegment frame, final long vnet) {
        frame.set(LE64, vnet, 0L);
        frame.set(LE16, vnet + CSUM_OFFSET, (short) 0);
    }

    /** Marks the upper checksum of the frame as partial. */
    public static void setNeedsChecksum(
            final MemorySegment frame,
            final long vnet,
            final int checksumStart,
            final int checksumOffset) {
        BigEndian.put8(frame, vnet + FLAGS, flags(frame, vnet) | NEEDS_CSUM);
        frame.set(LE16, vnet + CSUM_START, (short) checksumStart);
        frame.set(LE16, vnet + CSUM_OFFSET, (short) checksumOffset);
    }

    /**
     * Says how a device is to cut the frame.
     *
     * @param gsoType one of the GSO constants
     * @param gsoSize payload per packet, in bytes
     */
    public static void setSegmentation(
            final MemorySegment frame, final long vnet, final int gsoType, final int gsoSize) {
        BigEndian.put8(frame, vnet + GSO_TYPE, gsoType);
        frame.set(LE16, vnet + GSO_SIZE, (short) gsoSize);
    }

    /**
     * Completes a partial upper checksum, as the device would have (skb_checksum_help,
     * net/core/dev.c), and takes the flag away. Does nothing to other frames. Not for super-frames,
     * whose packets have a checksum each.
     *
     * @param lengthBytes from the virtio-net header to the end of the IP packet; padding behind it
     *     would be summed as well
     * @return BAD_CHECKSUM_START, and the frame unchanged, if the field lies outside the frame
     */
    public static WireFault completeChecksum(
            final MemorySegment frame, final long vnet, final int lengthBytes) {
        if (!needsChecksum(frame, vnet)) {
            return WireFault.NONE;
        }
        final int start = checksumStart(frame, vnet);
        final int offset = checksumOffset(frame, vnet);
        if (start < Ethernet.BYTES || BYTES + start + offset + 2 > lengthBytes) {
            return WireFault.BAD_CHECKSUM_START;
        }
        final long upper = vnet + BYTES + start;
        final int sum = Checksum.sum(frame, upper, lengthBytes - BYTES - start);
        // A UDP checksum of 0 means "none" (RFC 768), so the other zero is sent, for all protocols.
        final int checksum = sum == 0xffff ? 0xffff : Checksum.finish(sum);
        BigEndian.put16(frame, upper + offset, checksum);
        BigEndian.put8(frame, vnet + FLAGS, flags(frame, vnet) & ~NEEDS_CSUM);
        frame.set(LE16, vnet + CSUM_START, (short) 0);
        frame.set(LE16, vnet + CSUM_OFFSET, (short) 0);
        return WireFault.NONE;
    }

    private static int u16(final MemorySegment frame, final long offset) {
        return Short.toUnsignedInt(frame.get(LE16, offset));
    }
}
