package io.sluice.dataplane.port;

import java.lang.foreign.MemorySegment;

/**
 * Where frames enter and leave the switch.
 *
 * <p>Of a switch with several lanes each has a part of every port ({@link #ofLane}), which it alone
 * receives from and sends to. Lane 0's part is the port itself.
 *
 * <p>Thread: {@link #receive}, {@link #send}, {@link #flush} and {@link #wakeLaneBy} belong to the
 * lane that owns the part; the other methods may be called from any thread.
 */
public interface Port extends AutoCloseable {
    /** Name for people: the device's name, the capture's file name. */
    String name();

    /** Largest IP packet the port carries unsegmented, in bytes. */
    int mtu();

    /**
     * Appends the frames that are ready now to the batch, as long as it has room. Never blocks.
     *
     * @return frames added, or {@link #GONE} when the port can never deliver again (its device or
     *     namespace was removed)
     */
    int receive(PacketBatch batch);

    /**
     * Sends one frame, which begins with its virtio-net header. Where {@link #holdsFrames}, it
     * leaves with {@link #flush} at the latest.
     *
     * @return whether the port took the frame; a refused frame is lost and the caller counts it
     */
    boolean send(MemorySegment memory, long offset, int length);

    /** Sends what {@link #send} has held back; the loop calls it after every batch. */
    default void flush() {}

    /** Whether {@link #send} holds frames back. */
    default boolean holdsFrames() {
        return false;
    }

    /** Whether to look for frames costs less than to ask {@link #pollFd} first. */
    default boolean isCheapToReceive() {
        return pollFd() < 0;
    }

    /**
     * Frames that the kernel lost on their way to or from this port, as far as it says so, and that
     * no drop reason counts. Thread: any, before {@link #close}.
     */
    default long lostByKernel() {
        return 0;
    }

    /**
     * A lane's part of the port.
     *
     * @param lane from 0; below the number of lanes that the port was made for
     */
    default Port ofLane(final int lane) {
        if (lane != 0) {
            throw new IllegalArgumentException("port " + name() + " is made for one lane");
        }
        return this;
    }

    /** The port of which this is a lane's part. */
    default Port whole() {
        return this;
    }

    /**
     * Tells the port how it ends the wait of the lane that has it now, where that is not {@link
     * #pollFd}'s business.
     */
    default void wakeLaneBy(final Runnable wake) {}

    /** File descriptor that polls readable when frames wait, or -1 where there is none. */
    int pollFd();

    /** Frees the port, all parts; a second call does nothing. Only after all lanes let go of it. */
    @Override
    void close();

    /** Answer of {@link #receive} for a port whose device is gone. */
    int GONE = -1;
}
