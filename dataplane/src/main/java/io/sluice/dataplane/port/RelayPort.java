package io.sluice.dataplane.port;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.BitUtil;
import org.agrona.BufferUtil;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.MessageHandler;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.ringbuffer.ManyToOneRingBuffer;
import org.agrona.concurrent.ringbuffer.RingBuffer;
import org.agrona.concurrent.ringbuffer.RingBufferDescriptor;

/**
 * A port that one lane owns whole, such as one of AF_XDP, in a switch with several lanes.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Lane 0 owns the port behind: it alone receives from it and sends to it. Another lane that has
 * a frame for it copies the frame into a ring, all of those lanes into the same one, and lane 0
 * sends what is in the ring whenever it looks at the port. The other lanes receive nothing here.
 *
 * <p>Wake-ups. A lane that has put in a batch, and is the first to do so since lane 0 looked, wakes
 * lane 0, which may sleep in poll(2). Lane 0 takes the mark away before it looks into the ring: so
 * what comes after its look finds no mark and wakes it again.
 *
 * <p>Limits and losses. {@link #RING_BYTES}; a frame that finds no room is refused, as a device
 * would, and its lane counts the drop. A frame that the port refuses later was forwarded as far as
 * its lane knows, as one that a kernel loses after send: {@link #lostByKernel} counts both. Frames
 * of a flow keep their order, as a flow is one lane's.
 *
 * <p>Thread: see {@link Port}; the parts of lanes above 0 each theirs.
 */
public final class RelayPort implements Port {
    /** Frames under way between lanes: 16 of 64 KiB, or 700 of 1,500 bytes. */
    static final int RING_BYTES = 1 << 20;

    /** Frames that one look of lane 0 sends, so that it comes to its own. */
    private static final int FRAMES_PER_LOOK = 256;

    private static final int FRAME = 1;

    private final Port port;
    private final List<Part> parts = new ArrayList<>();
    private final ByteBuffer memory =
            BufferUtil.allocateDirectAligned(
                    RING_BYTES + RingBufferDescriptor.TRAILER_LENGTH, BitUtil.CACHE_LINE_LENGTH);
    private final MemorySegment segment = MemorySegment.ofBuffer(memory);
    private final RingBuffer ring = new ManyToOneRingBuffer(new UnsafeBuffer(memory));
    private final MessageHandler sender = this::sendFromRing;
    private final AtomicBoolean waits = new AtomicBoolean();
    private final AtomicLong refused = new AtomicLong();
    private volatile Runnable waker = () -> {};

    /**
     * @param port whose only lane is lane 0
     * @param lanes of the switch
     */
    public RelayPort(final Port port, final int lanes) {
        this.port = port;
        for (int lane = 1; lane < lanes; lane++) {
            parts.add(new Part());
        }
    }

    /** What a lane above 0 has. */
    private final class Part implements Port {
        private boolean offered;

        @Override
        public String name() {
            return port.name();
        }

        @Override
        public int mtu() {
            return port.mtu();
        }

        @Override
        public int receive(final PacketBatch batch) {
            return 0;
        }

        @Override
        public boolean send(final MemorySegment frame, final long offset, final int length) {
            final int index = ring.tryClaim(FRAME, length);
            if (index < 0) {
                return false;
            }
            MemorySegment.copy(frame, offset, segment, index, length);
            ring.commit(index);
            offered = true;
            return true;
        }

        @Override
        public boolean holdsFrames() {
            return true;
        }

        @Override
        public void flush() {
            if (offered) {
                offered = false;
                if (!waits.getAndSet(true)) {
                    waker.run();
                }
            }
        }

        @Override
        public int pollFd() {
            return -1;
        }

        @Override
        public Port whole() {
            return RelayPort.this;
        }

        /** The whole port is closed, not its parts. */
        @Override
        public void close() {}
    }

    @Override
    public Port ofLane(final int lane) {
        return lane == 0 ? this : parts.get(lane - 1);
    }

    @Override
    public void wakeLaneBy(final Runnable wake) {
        waker = wake;
        // What came before this lane had the port has woken nobody.
        if (ring.size() > 0) {
            wake.run();
        }
    }

    @Override
    public int receive(final PacketBatch batch) {
        if (waits.get()) {
            waits.set(false);
            ring.read(sender, FRAMES_PER_LOOK);
            if (ring.size() > 0) {
                // More than one look sends, or behind the end of the ring's memory.
                waits.set(true);
                waker.run();
            }
        }
        return port.receive(batch);
    }

    private void sendFromRing(
            final int type, final MutableDirectBuffer buffer, final int index, final int length) {
        if (!port.send(segment, index, length)) {
            refused.incrementAndGet();
        }
    }

    @Override
    public boolean send(final MemorySegment frame, final long offset, final int length) {
        return port.send(frame, offset, length);
    }

    @Override
    public void flush() {
        port.flush();
    }

    @Override
    public boolean holdsFrames() {
        return port.holdsFrames();
    }

    /** The ring is looked at in every turn. */
    @Override
    public boolean isCheapToReceive() {
        return true;
    }

    /** Those of the port behind, and frames of other lanes that it refused. */
    @Override
    public long lostByKernel() {
        return port.lostByKernel() + refused.get();
    }

    @Override
    public String name() {
        return port.name();
    }

    @Override
    public int mtu() {
        return port.mtu();
    }

    @Override
    public int pollFd() {
        return port.pollFd();
    }

    @Override
    public void close() {
        port.close();
    }
}
