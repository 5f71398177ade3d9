package io.sluice.conntrack;

/**
 * What of a TCP header the window check needs (RFC 9293 section 3.1). A reused cursor, filled by
 * the parser. Thread: owned by one lane.
 */
public final class TcpSegment {
    /** {@link #windowScale} of a segment without that option. */
    public static final int NO_SCALE = -1;

    /** Sequence number of the first byte, or of the SYN. */
    public int sequence;

    /** Acknowledgment number; meaningless without the flag ACK. */
    public int acknowledgment;

    /** Window field as it stands in the header, 0 to 65535. */
    public int window;

    /** Bytes of data, 0 to 65535: of a super-frame all of them. */
    public int payloadBytes;

    /** Shift of the window scale option (RFC 7323), or {@link #NO_SCALE}; read of SYNs only. */
    public int windowScale = NO_SCALE;
}
