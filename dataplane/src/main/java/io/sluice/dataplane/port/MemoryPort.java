package io.sluice.dataplane.port;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ArrayBlockingQueue;
import org.jspecify.annotations.Nullable;

/**
 * A port whose far end is a test: frames are handed in with {@link #inject} and taken out with
 * {@link #takeSent}.
 *
 * <p>Both directions are queues of {@link #FRAMES_MAX} frames. A full queue refuses a sent frame,
 * as a device would, and throws at a test that injects more.
 *
 * <p>Thread: {@link #receive} and {@link #send} the lane; the others any.
 */
public final class MemoryPort implements Port {
    /** Frames that wait in each direction: several batches, so that a test can fill a lane. */
    public static final int FRAMES_MAX = 1024;

    private static final int ETHERNET_BYTES_MAX =
            PacketBatch.FRAME_BYTES_MAX - PacketBatch.VNET_HEADER_BYTES;

    private final String name;
    private final int mtu;
    private final Queue<byte[]> injected = new ArrayBlockingQueue<>(FRAMES_MAX);
    private final Queue<byte[]> sent = new ArrayBlockingQueue<>(FRAMES_MAX);
    private volatile boolean gone;

    /**
     * @param mtu largest IP packet in bytes
     */
    public MemoryPort(final String name, final int mtu) {
        this.name = name;
        this.mtu = mtu;
    }

    /**
     * Lets a frame arrive that has a finished checksum and is not segmented.
     *
     * @param ethernet the frame from its Ethernet header on
     * @throws IllegalStateException where {@link #FRAMES_MAX} frames wait already
     */
    public void inject(final byte[] ethernet) {
        final byte[] frame = new byte[PacketBatch.VNET_HEADER_BYTES + ethernet.length];
        System.arraycopy(ethernet, 0, frame, PacketBatch.VNET_HEADER_BYTES, ethernet.length);
        injectWithHeader(frame);
    }

    /**
     * Lets a frame arrive as it is.
     *
     * @param frame virtio-net header, then the Ethernet header
     * @throws IllegalStateException where {@link #FRAMES_MAX} frames wait already
     */
    public void injectWithHeader(final byte[] frame) {
        if (frame.length < PacketBatch.VNET_HEADER_BYTES
                || frame.length > PacketBatch.FRAME_BYTES_MAX) {
            throw new IllegalArgumentException(
                    "port "
                            + name
                            + ": frame of "
                            + frame.length
                            + " bytes; accepted are 0 to "
                            + ETHERNET_BYTES_MAX
                            + " behind the virtio-net header");
        }
        if (!injected.offer(frame.clone())) {
            throw new IllegalStateException(
                    "port " + name + ": " + FRAMES_MAX + " frames wait already; let the lane run");
        }
    }

    /**
     * The oldest frame the lane has sent, from its Ethernet header on; null where there is none.
     */
    public byte @Nullable [] takeSent() {
        final byte[] frame = sent.poll();
        return frame == null
                ? null
                : Arrays.copyOfRange(frame, PacketBatch.VNET_HEADER_BYTES, frame.length);
    }

    /** The oldest frame the lane has sent, with its virtio-net header; null where there is none. */
    public byte @Nullable [] takeSentWithHeader() {
        return sent.poll();
    }

    /** Frames the lane has sent and nobody has taken. */
    public int sentCount() {
        return sent.size();
    }

    /** Ends the port as if its device had been removed; frames that wait are lost. */
    public void removeDevice() {
        gone = true;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int mtu() {
        return mtu;
    }

    @Override
    public int receive(final PacketBatch batch) {
        if (gone) {
            return GONE;
        }
        int received = 0;
        while (batch.hasRoom()) {
            final byte[] frame = injected.poll();
            if (frame == null) {
                break;
            }
            MemorySegment.copy(
                    frame, 0, batch.memory(), JAVA_BYTE, batch.nextOffset(), frame.length);
            batch.add(frame.length);
            received++;
        }
        return received;
    }

    @Override
    public boolean send(final MemorySegment memory, final long offset, final int length) {
        return !gone && sent.offer(memory.asSlice(offset, length).toArray(JAVA_BYTE));
    }

    @Override
    public int pollFd() {
        return -1;
    }

    @Override
    public void close() {
        gone = true;
    }
}
