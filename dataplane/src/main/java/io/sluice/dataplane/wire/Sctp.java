package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;

/**
 * SCTP common header (RFC 9260 section 3.1). Chunks are not read.
 *
 * <p>Any thread that owns the segment.
 */
public final class Sctp {
    /** Length, in bytes. */
    public static final int BYTES = 12;

    private static final int SOURCE_PORT = 0;
    private static final int DESTINATION_PORT = 2;

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
}
