package io.sluice.control.agent;

import io.sluice.dataplane.port.PacketBatch;
import io.sluice.dataplane.port.Port;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * A port that counts its frames, so that every endpoint has figures of its own.
 *
 * <p>Two plain longs with one writer: an add and an ordered store per batch received and per frame
 * sent, no locked instruction. All ports of a lane are wrapped, so its calls see one type.
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

    // Written by the lane (release), read by control (acquire).
    private long received;
    private long sent;

    CountedPort(final Port port) {
        this.port = port;
    }

    /** Frames received since the port was made. */
    long framesReceived() {
        return (long) RECEIVED.getAcquire(this);
    }

    /** Frames that the port took since it was made. */
    long framesSent() {
        return (long) SENT.getAcquire(this);
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
