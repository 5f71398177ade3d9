package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * SCTP common header (RFC 9260 section 3.1). Chunks are not read. The checksum is a CRC-32C over
 * the whole packet, with its own field as 0 (RFC 9260 appendix A).
 *
 * <p>Any thread that owns the segment.
 */
public final class Sctp {
    /** Length, in bytes. */
    public static final int BYTES = 12;

    private static final int SOURCE_PORT = 0;
    private static final int DESTINATION_PORT = 2;
    private static final int CHECKSUM = 8;

    private static final int[] CRC_OF_BYTE = crcOfBytes();

    private Sctp() {}

    /** After NONE every accessor below is safe. The checksum is not looked at. */
    public static WireFault check(
            final MemorySegment frame, final long l4, final int availableBytes) {
        return availableBytes < BYTES ? WireFault.TRUNCATED : WireFault.NONE;
    }

    /** Safe in a quoted packet as well: {@link Icmp#QUOTED_TRANSPORT_BYTES}. */
    public static int sourcePort(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + SOURCE_PORT);
    }

    /** Safe in a quoted packet as well: {@link Icmp#QUOTED_TRANSPORT_BYTES}. */
    public static int destinationPort(final MemorySegment frame, final long l4) {
        return BigEndian.u16(frame, l4 + DESTINATION_PORT);
    }

    /**
     * Computes the checksum where a sender has left it to its device: the field is 0. A packet
     * whose right checksum is 0 stays as it is.
     *
     * @param lengthBytes of header and chunks, at least {@link #BYTES}
     */
    static void completeChecksum(final MemorySegment frame, final long l4, final int lengthBytes) {
        if (BigEndian.u32(frame, l4 + CHECKSUM) != 0) {
            return;
        }
        int crc = -1;
        for (int i = 0; i < lengthBytes; i++) {
            crc = crc >>> 8 ^ CRC_OF_BYTE[(crc ^ BigEndian.u8(frame, l4 + i)) & 0xff];
        }
        BigEndian.put32(frame, l4 + CHECKSUM, Integer.reverseBytes(~crc));
    }

    private static int[] crcOfBytes() {
        final int castagnoliReflected = 0x82f6_3b78;
        final int[] table = new int[256];
        for (int i = 0; i < table.length; i++) {
            int crc = i;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 1) == 0 ? crc >>> 1 : crc >>> 1 ^ castagnoliReflected;
            }
            table[i] = crc;
        }
        return table;
    }
}
