package io.sluice.control.agent;

import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.port.Port;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * A port that counts its frames, so that every endpoint has figures of its own.
 *
 * <p>Two plain longs with one writer: an add and an ordered store per batch received and per frame
 * sent, no locked instruction. All ports of a lane are wrapped, so its calls see one type. Each
 * lane's part counts for itself; the whole tells the sum.
 *
 * <p>Thread: as {@link Port}; the counts are read from any.
 */
final class CountedPort implements Port {
    private static final VarHandle RECEIVED;
    private static final VarHandle SENT;

    static {
        try {
            final MethodHandles.Lookup lookup = MethodHandles.lookup();
            RECEIVED = lookup.findVarHandle(CountedPort.class, "received", long.class);
            SENT = lookup.findVarHandle(CountedPort.class, "sent", long.class);
        } catch (final ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final Port port;

    /** Lane 0's part, which has the others; itself there. */
    private final CountedPort whole;

    private final List<CountedPort> others = new CopyOnWriteArrayList<>();

    // Written by the lane (release), read by control (acquire).
    private long received;
    private long sent;

    CountedPort(final Port port) {
        this.port = port;
        this.whole = this;
    }

    private CountedPort(final Port part, final CountedPort whole) {
        this.port = part;
        this.whole = whole;
    }

    /** Frames received since the port was made, by all lanes. */
    long framesReceived() {
        long sum = (long) RECEIVED.getAcquire(this);
        for (final CountedPort other : others) {
            sum += (long) RECEIVED.getAcquire(other);
        }
        return sum;
    }

    /** Frames that the port took since it was made, from all lanes. */
    long framesSent() {
        long sum = (long) SENT.getAcquire(this);
        for (final CountedPort other : others) {
            sum += (long) SENT.getAcquire(other);
        }
        return sum;
    }

    /** Thread: control. */
    @Override
    public Port ofLane(final int lane) {
        while (others.size() < lane) {
            others.add(new CountedPort(port.ofLane(others.size() + 1), this));
        }
        return lane == 0 ? this : others.get(lane - 1);
    }

    @Override
    public Port whole() {
        return whole;
    }

    @Override
    public void wakeLaneBy(final Runnable wake) {
        port.wakeLaneBy(wake);
    }

    @Override
    public int receive(final PacketBatch batch) {
        final int count = port.receive(batch);
        if (count > 0) {
            RECEIVED.setRelease(this, received + count);
        }
        return count;
    }

    @Override
    public boolean send(final MemorySegment memory, final long offset, final int length) {
        final boolean taken = port.send(memory, offset, length);
        if (taken) {
            SENT.setRelease(this, sent + 1);
        }
        return taken;
    }

    @Override
    public void flush() {
        port.flush();
    }

    @Override
    public boolean holdsFrames() {
        return port.holdsFrames();
    }

    @Override
    public boolean isCheapToReceive() {
        return port.isCheapToReceive();
    }

    @Override
    public long lostByKernel() {
        return port.lostByKernel();
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
