package io.sluice.perf;

import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.port.Port;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A port in memory that delivers the same frames for ever, and swallows what it is sent: the cost
 * of the pipeline without that of a device.
 *
 * <p>Each turn delivers {@link PacketBatch#FRAMES_MAX} frames; the copy into the batch stands for
 * the copy that any port makes.
 */
final class LoopbackPort implements Port {
    private final MemorySegment frames;
    private final int frameBytes;
    private final int frameCount;
    private int next;
    private long sentFrames;
    private boolean silent;

    /**
     * @param frames with their virtio-net headers, one behind the other
     * @param frameBytes length of each
     */
    LoopbackPort(final MemorySegment frames, final int frameBytes) {
        this.frames = frames;
        this.frameBytes = frameBytes;
        this.frameCount = (int) (frames.byteSize() / frameBytes);
    }

    /** Whether no frames come from here on. */
    void silence(final boolean isSilent) {
        silent = isSilent;
    }

    long sentFrames() {
        return sentFrames;
    }

    @Override
    public String name() {
        return "loopback";
    }

    @Override
    public int mtu() {
        return 1500;
    }

    @Override
    public int receive(final PacketBatch batch) {
        if (silent) {
            return 0;
        }
        for (int i = 0; i < PacketBatch.FRAMES_MAX; i++) {
            MemorySegment.copy(
                    frames,
                    ValueLayout.JAVA_BYTE,
                    (long) next * frameBytes,
                    batch.memory(),
                    ValueLayout.JAVA_BYTE,
                    batch.nextOffset(),
                    frameBytes);
            batch.add(frameBytes);
            next = next + 1 == frameCount ? 0 : next + 1;
        }
        return PacketBatch.FRAMES_MAX;
    }

    @Override
    public boolean send(final MemorySegment memory, final long offset, final int length) {
        sentFrames++;
        return true;
    }

    @Override
    public int pollFd() {
        return -1;
    }

    @Override
    public void close() {}
}
