package io.sluice.dataplane;

import io.sluice.dataplane.linux.Poller;
import io.sluice.dataplane.port.Port;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The open ports of a lane: by index, and in a dense order with a note of which may have frames.
 *
 * <p>One poll(2) per turn finds the ports that have frames, so that a hundred quiet ones cost one
 * system call and not a hundred. A port that is cheap to look at is always looked at, and polled
 * only to sleep: to ask the kernel about an AF_XDP socket takes it longer than to ask a TAP.
 *
 * <p>Thread: the lane's; {@link #wake} any.
 */
final class Ports implements AutoCloseable {
    private final @Nullable Port[] byIndex = new @Nullable Port[ForwardingLoop.PORTS_MAX];
    private final int[] order = new int[ForwardingLoop.PORTS_MAX];
    private final Poller poller = new Poller();
    private int count;
    private boolean changed;

    /** Open ports that hold frames back. */
    private Port[] holding = new Port[0];

    /** The ports that have to be polled to know of their frames are the first in order. */
    private int polled;

    /** Whether the last {@link #await} was a wait, whose answer nobody has looked at yet. */
    private boolean waited;

    /** Open ports. */
    int count() {
        return count;
    }

    /** Index of the n-th open port. */
    int indexAt(final int n) {
        return order[n];
    }

    /** Whether the n-th open port may have frames, as of the last {@link #look}. */
    boolean isReady(final int n) {
        return at(order[n]).isCheapToReceive() || poller.isReady(n);
    }

    /** Whether a port is open at this index. */
    boolean isOpen(final int index) {
        return index >= 0 && index < byIndex.length && byIndex[index] != null;
    }

    /**
     * The open port at this index.
     *
     * @throws IllegalStateException when none is
     */
    Port at(final int index) {
        final Port port = byIndex[index];
        if (port == null) {
            throw new IllegalStateException("no open port at index " + index);
        }
        return port;
    }

    void add(final int index, final Port port) {
        if (byIndex[index] == null) {
            order[count++] = index;
        }
        byIndex[index] = port;
        port.wakeLaneBy(poller::wake);
        changed = true;
        findHolding();
    }

    void remove(final int index) {
        if (byIndex[index] == null) {
            return;
        }
        byIndex[index] = null;
        changed = true;
        for (int i = 0; i < count; i++) {
            if (order[i] == index) {
                order[i] = order[--count];
                break;
            }
        }
        // At once: whoever has the port back may close it while this turn goes on.
        findHolding();
    }

    private void findHolding() {
        final List<Port> found = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            if (at(order[i]).holdsFrames()) {
                found.add(at(order[i]));
            }
        }
        holding = found.toArray(Port[]::new);
    }

    void removeAll() {
        while (count > 0) {
            remove(order[count - 1]);
        }
    }

    /**
     * Waits until a port has frames, or for {@link #wake}.
     *
     * @param timeoutMs longest wait
     */
    void await(final int timeoutMs) {
        watchChanged();
        poller.await(timeoutMs);
        waited = true;
    }

    /** Finds the ports that have frames. What a wait has just found is not asked for again. */
    void look() {
        if (changed || !waited) {
            watchChanged();
            if (polled > 0) {
                poller.look(polled);
            }
        }
        waited = false;
    }

    /** Sends what ports have held back. */
    void flush() {
        for (final Port port : holding) {
            port.flush();
        }
    }

    private void watchChanged() {
        if (changed) {
            changed = false;
            polled = 0;
            for (int i = 0; i < count; i++) {
                if (!at(order[i]).isCheapToReceive()) {
                    final int index = order[i];
                    order[i] = order[polled];
                    order[polled++] = index;
                }
            }
            final int[] fds = new int[count];
            for (int i = 0; i < count; i++) {
                fds[i] = at(order[i]).pollFd();
            }
            poller.watch(fds);
        }
    }

    /** Ends a wait. Thread: any. */
    void wake() {
        poller.wake();
    }

    @Override
    public void close() {
        poller.close();
    }
}
