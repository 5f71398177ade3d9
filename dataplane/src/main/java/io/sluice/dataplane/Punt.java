package io.sluice.dataplane;

/**
 * A UDP datagram on its way through the DNS agent: a copy of its frame, and what the lane knows of
 * its flow. Immutable, but for the one that owns the bytes.
 *
 * <p>Thread: the DNS agent's.
 */
public final class Punt {
    /** Which way it goes. */
    public enum Way {
        /** From who opened the flow: a query. */
        TO_RESPONDER,
        /** Back to who opened the flow: an answer. */
        TO_INITIATOR
    }

    private final PuntRing ring;
    private final Way way;
    private final int inPort;
    private final long initiatorHigh;
    private final long initiatorLow;
    private final int initiatorPort;
    private final long responderHigh;
    private final long responderLow;
    private final int responderPort;
    private final byte[] frame;
    private final int dataOffset;
    private final int dataLength;

    Punt(
            final PuntRing ring,
            final Way way,
            final int inPort,
            final long initiatorHigh,
            final long initiatorLow,
            final int initiatorPort,
            final long responderHigh,
            final long responderLow,
            final int responderPort,
            final byte[] frame,
            final int dataOffset,
            final int dataLength) {
        this.ring = ring;
        this.way = way;
        this.inPort = inPort;
        this.initiatorHigh = initiatorHigh;
        this.initiatorLow = initiatorLow;
        this.initiatorPort = initiatorPort;
        this.responderHigh = responderHigh;
        this.responderLow = responderLow;
        this.responderPort = responderPort;
        this.frame = frame;
        this.dataOffset = dataOffset;
        this.dataLength = dataLength;
    }

    /** The ring that it came from, and goes back into: its lane's. */
    PuntRing ring() {
        return ring;
    }

    public Way way() {
        return way;
    }

    /** Index of the switch port that the frame came from. */
    int inPort() {
        return inPort;
    }

    /** High half of the address of who opened the flow. */
    public long initiatorHigh() {
        return initiatorHigh;
    }

    /** Low half of the address of who opened the flow. */
    public long initiatorLow() {
        return initiatorLow;
    }

    /** UDP port of who opened the flow. */
    public int initiatorPort() {
        return initiatorPort;
    }

    /** High half of the other side's address. */
    public long responderHigh() {
        return responderHigh;
    }

    /** Low half of the other side's address. */
    public long responderLow() {
        return responderLow;
    }

    /** UDP port of the other side. */
    public int responderPort() {
        return responderPort;
    }

    /** The frame, from its virtio-net header on; not to be changed. */
    public byte[] frame() {
        return frame;
    }

    /** Where the datagram's data begin in {@link #frame}. */
    public int dataOffset() {
        return dataOffset;
    }

    /** Length of the datagram's data, in bytes. */
    public int dataLength() {
        return dataLength;
    }
}
