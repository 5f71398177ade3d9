package io.sluice.dataplane.port;

import java.lang.foreign.MemorySegment;

/**
 * Where frames enter and leave the switch.
 *
 * <p>Thread: {@link #receive} and {@link #send} belong to the lane that owns the port; the other
 * methods may be called from any thread.
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

    /** File descriptor that polls readable when frames wait, or -1 where there is none. */
    int pollFd();

    /** Frees the port; a second call does nothing. Only after its lane has let go of it. */
    @Override
    void close();

    /** Answer of {@link #receive} for a port whose device is gone. */
    int GONE = -1;
}
