package io.sluice.dataplane.port;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Frames received together from one port and processed together.
 *
 * <p>All frames lie in one native buffer. Each begins with a virtio-net header of {@link
 * #VNET_HEADER_BYTES} bytes (checksum state, segmentation size and type; zero where the port has
 * none), directly followed by the Ethernet header. The start of every frame is chosen so that the
 * IP header behind an untagged Ethernet header is 8-byte aligned.
 *
 * <p>A batch is bounded in frames and in bytes: 64 small frames, or as many super-frames as the
 * buffer holds. The byte bound keeps a bulk batch inside the L2 cache, so that the copy out of a
 * port finds the bytes the copy in has just written.
 *
 * <p>Thread: owned by one lane.
 */
public final class PacketBatch {
    /** Length of {@code struct virtio_net_hdr} (include/uapi/linux/virtio_net.h), in bytes. */
    public static final int VNET_HEADER_BYTES = 10;

    /** Frames per batch: deep enough to amortise a wake-up, small enough for a short queue. */
    public static final int FRAMES_MAX = 64;

    /**
     * Room one frame may need, in bytes: virtio-net header, Ethernet header with one VLAN tag, and
     * an IP packet of 65,535 bytes, rounded up to whole cache lines.
     */
    public static final int FRAME_BYTES_MAX = 65_600;

    /** Four super-frames: 256 KiB stay in the L2 cache of current cores. */
    public static final int BUFFER_BYTES = 4 * FRAME_BYTES_MAX;

    /** Each frame starts on a multiple of this, in bytes. */
    private static final int FRAME_ALIGNMENT = 64;

    private final MemorySegment memory;
    private final int[] offsets = new int[FRAMES_MAX];
    private final int[] lengths = new int[FRAMES_MAX];
    private int count;
    private int next;

    /**
     * @param arena owner of the native buffer
     */
    public PacketBatch(final Arena arena) {
        this.memory = arena.allocate(BUFFER_BYTES, FRAME_ALIGNMENT);
    }

    /** The buffer that {@link #offset(int)} counts in. */
    public MemorySegment memory() {
        return memory;
    }

    /** Frames in this batch, 0 to {@link #FRAMES_MAX}. */
    public int count() {
        return count;
    }

    /** Start of the frame's virtio-net header in {@link #memory()}, in bytes. */
    public int offset(final int index) {
        return offsets[index];
    }

    /** Length of the frame with its virtio-net header, in bytes. */
    public int length(final int index) {
        return lengths[index];
    }

    /** Empties the batch. */
    public void clear() {
        count = 0;
        next = 0;
    }

    /** Whether another frame of any length fits. */
    public boolean hasRoom() {
        return count < FRAMES_MAX && next + FRAME_BYTES_MAX <= BUFFER_BYTES;
    }

    /**
     * Where the next frame is to be written; at least {@link #FRAME_BYTES_MAX} bytes are free there
     * while {@link #hasRoom()}.
     */
    public int nextOffset() {
        return next;
    }

    /**
     * Adds the frame that was written at {@link #nextOffset()}.
     *
     * @param length bytes written, virtio-net header included
     */
    public void add(final int length) {
        offsets[count] = next;
        lengths[count] = length;
        count++;
        next = (next + length + FRAME_ALIGNMENT - 1) & -FRAME_ALIGNMENT;
    }
}
