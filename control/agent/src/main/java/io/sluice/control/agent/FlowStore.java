package io.sluice.control.agent;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongFunction;
import java.util.function.Predicate;

/**
 * The latest flows, in a ring in memory.
 *
 * <p>The event handler and the proxies append; any thread reads. The lock is held for an append, or
 * for copying references to at most {@link #COPY_MAX} flows; filters of readers run outside it, so
 * that a slow filter delays its own reader only. What a full ring does: the oldest flow makes room,
 * and a cursor that has not seen it counts it as lost.
 */
final class FlowStore {
    /** Flows copied under the lock at once: 1,024 references are 8 KiB, a few microseconds. */
    private static final int COPY_MAX = 1024;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Flow[] ring;
    private final Consumer<Flow> counter;
    // Guarded by lock. Sequence of the next flow; the flow with sequence s is at s % ring.length.
    private long nextSequence;
    private boolean closed;

    /**
     * @param capacity flows kept, at least 1
     * @param counter told of every flow, on the thread that appends it, outside the lock
     */
    FlowStore(final int capacity, final Consumer<Flow> counter) {
        ring = new Flow[capacity];
        this.counter = counter;
    }

    int capacity() {
        return ring.length;
    }

    int size() {
        lock.lock();
        try {
            return (int) Math.min(nextSequence, ring.length);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Appends a flow.
     *
     * @param made makes it with its sequence; called under the lock, so to be quick
     */
    void append(final LongFunction<Flow> made) {
        final Flow flow;
        lock.lock();
        try {
            flow = made.apply(nextSequence);
            if (flow.sequence() != nextSequence) {
                throw new IllegalArgumentException(
                        "flow " + flow.sequence() + " appended where " + nextSequence + " is next");
            }
            ring[(int) (nextSequence % ring.length)] = flow;
            nextSequence++;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        counter.accept(flow);
    }

    /** Sequence of the flow to be appended next. */
    long nextSequence() {
        lock.lock();
        try {
            return nextSequence;
        } finally {
            lock.unlock();
        }
    }

    /** Ends all cursors once they have read what is there. */
    void close() {
        lock.lock();
        try {
            closed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** The latest matching flows, oldest first. */
    List<Flow> last(final Predicate<Flow> filter, final int count) {
        return List.copyOf(latest(filter, count, end()));
    }

    /** Follows the ring from its end on, after at most {@code last} recent matching flows. */
    FlowCursor follow(final Predicate<Flow> filter, final int last) {
        final long end = end();
        return new Cursor(filter, latest(filter, last, end), end);
    }

    private long end() {
        return nextSequence();
    }

    /** Walks back from {@code end} until enough flows match or the ring's oldest is reached. */
    private ArrayDeque<Flow> latest(final Predicate<Flow> filter, final int count, final long end) {
        final ArrayDeque<Flow> found = new ArrayDeque<>();
        long upTo = end;
        while (found.size() < count && upTo > 0) {
            final long from = Math.max(0, upTo - COPY_MAX);
            final List<Flow> copied = copy(from, upTo);
            for (int i = copied.size() - 1; i >= 0 && found.size() < count; i--) {
                if (filter.test(copied.get(i))) {
                    found.addFirst(copied.get(i));
                }
            }
            if (copied.size() < upTo - from) {
                break;
            }
            upTo = from;
        }
        return found;
    }

    /** Flows with sequences in [from, to) that are still in the ring. */
    private List<Flow> copy(final long from, final long to) {
        lock.lock();
        try {
            final long first = Math.max(from, nextSequence - ring.length);
            final List<Flow> copied = new ArrayList<>((int) Math.max(0, to - first));
            for (long sequence = first; sequence < to; sequence++) {
                copied.add(ring[(int) (sequence % ring.length)]);
            }
            return copied;
        } finally {
            lock.unlock();
        }
    }

    private final class Cursor implements FlowCursor {
        private final Predicate<Flow> filter;
        private final ArrayDeque<Flow> recent;
        private long position;
        private long lost;
        private volatile boolean cursorClosed;

        Cursor(final Predicate<Flow> filter, final ArrayDeque<Flow> recent, final long position) {
            this.filter = filter;
            this.recent = recent;
            this.position = position;
        }

        @Override
        public List<Flow> next(final Duration wait) throws InterruptedException {
            if (!recent.isEmpty()) {
                final List<Flow> first = List.copyOf(recent);
                recent.clear();
                return first;
            }
            long remainingNs = wait.toNanos();
            while (true) {
                final List<Flow> copied = new ArrayList<>();
                remainingNs = await(copied, remainingNs);
                final List<Flow> matching = copied.stream().filter(filter).toList();
                if (!matching.isEmpty() || remainingNs <= 0 || ended()) {
                    return matching;
                }
            }
        }

        /** Fills {@code into} with what came after the position; waits if nothing did. */
        private long await(final List<Flow> into, final long waitNs) throws InterruptedException {
            long remainingNs = waitNs;
            lock.lockInterruptibly();
            try {
                while (position == nextSequence && !closed && !cursorClosed && remainingNs > 0) {
                    remainingNs = changed.awaitNanos(remainingNs);
                }
                final long oldest = Math.max(0, nextSequence - ring.length);
                if (position < oldest) {
                    lost += oldest - position;
                    position = oldest;
                }
                final long to = Math.min(nextSequence, position + COPY_MAX);
                for (; position < to; position++) {
                    into.add(ring[(int) (position % ring.length)]);
                }
                return remainingNs;
            } finally {
                lock.unlock();
            }
        }

        @Override
        public long lost() {
            return lost;
        }

        @Override
        public boolean ended() {
            lock.lock();
            try {
                return cursorClosed || (closed && position == nextSequence && recent.isEmpty());
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void close() {
            lock.lock();
            try {
                cursorClosed = true;
                changed.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }
}
