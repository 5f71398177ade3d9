package io.sluice.control.agent;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongFunction;
import java.util.function.Predicate;

/**
 * The latest flows, in a ring in memory, and behind it those that {@link FlowHistory} keeps on
 * disk.
 *
 * <p>The event handler and the proxies append; any thread reads. The lock is held for an append, or
 * for copying references to at most {@link #COPY_MAX} flows; filters of readers run outside it, so
 * that a slow filter delays its own reader only. What a full ring does: the oldest flow makes room,
 * and a cursor that has not seen it counts it as lost.
 */
final class FlowStore {
    /** Flows copied under the lock at once: 1,024 references are 8 KiB, a few microseconds. */
    private static final int COPY_MAX = 1024;

    /** Hubble's. */
    private static final Duration RATE_WINDOW = Duration.ofMinutes(1);

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Flow[] ring;
    private final Consumer<Flow> counter;
    private final FlowHistory history;
    private final long firstSequence;
    private final boolean off;
    // Guarded by lock. Sequence of the next flow; the flow with sequence s is at s % ring.length.
    private long nextSequence;
    private boolean closed;

    /**
     * @param capacity flows kept in memory, at least 1
     * @param counter told of every flow, on the thread that appends it, outside the lock; of its
     *     sequence it may be told another
     * @param history gets every flow, and says where sequences go on
     */
    FlowStore(final int capacity, final Consumer<Flow> counter, final FlowHistory history) {
        this(capacity, counter, history, false);
    }

    private FlowStore(
            final int capacity,
            final Consumer<Flow> counter,
            final FlowHistory history,
            final boolean off) {
        this.off = off;
        ring = new Flow[capacity];
        this.counter = counter;
        this.history = history;
        this.firstSequence = history.nextSequence();
        this.nextSequence = firstSequence;
    }

    /** Takes no flow, and says so to whoever asks for one. */
    static FlowStore off(final FlowHistory history) {
        return new FlowStore(1, flow -> {}, history, true);
    }

    int capacity() {
        return ring.length;
    }

    int size() {
        lock.lock();
        try {
            return (int) (nextSequence - oldest());
        } finally {
            lock.unlock();
        }
    }

    /**
     * Appends a flow, unless flows are off.
     *
     * @param made makes it with its sequence; called under the lock, so to be quick
     */
    void append(final LongFunction<Flow> made) {
        if (off) {
            return;
        }
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
            history.offer(flow);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        counter.accept(flow);
    }

    /**
     * Appends flows, unless flows are off: one lock, one wake-up for all.
     *
     * @param flows with the sequences from {@link #nextSequence} on, of a time when their maker
     *     asked; where another has appended since, they get those that are next now
     */
    void append(final List<Flow> flows) {
        if (off) {
            return;
        }
        lock.lock();
        try {
            for (final Flow made : flows) {
                final Flow flow =
                        made.sequence() == nextSequence ? made : made.withSequence(nextSequence);
                ring[(int) (nextSequence % ring.length)] = flow;
                nextSequence++;
                history.offer(flow);
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        flows.forEach(counter);
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

    /** Sequence of the first flow that this daemon appended, or will. */
    long firstSequence() {
        return firstSequence;
    }

    /** Flows appended since this daemon started. */
    long seen() {
        return nextSequence() - firstSequence;
    }

    /**
     * Flows a second over the last minute; where the ring does not reach back so far, over what it
     * has.
     */
    double ratePerSecond(final Instant now) {
        final Instant from = now.minus(RATE_WINDOW);
        lock.lock();
        try {
            final long oldest = oldest();
            // Times go nearly with sequences: those of proxies may be a little behind.
            long low = oldest;
            long high = nextSequence;
            while (low < high) {
                final long middle = (low + high) >>> 1;
                if (at(middle).time().isBefore(from)) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            final long flows = nextSequence - low;
            final boolean reachesBack = low > oldest || oldest == firstSequence;
            final double seconds =
                    reachesBack
                            ? RATE_WINDOW.toSeconds()
                            : Math.max(
                                    1e-3, Duration.between(at(oldest).time(), now).toNanos() / 1e9);
            return flows / seconds;
        } finally {
            lock.unlock();
        }
    }

    /** Under the lock. */
    private Flow at(final long sequence) {
        return ring[(int) (sequence % ring.length)];
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

    /** Sequence of the oldest flow in the ring. Under the lock. */
    private long oldest() {
        return Math.max(firstSequence, nextSequence - ring.length);
    }

    /**
     * What is kept of a question, in memory and on disk.
     *
     * @throws RequestException CONFLICT where flows are off
     */
    FlowReader read(final FlowQuery query) {
        refuseIfOff();
        return read(query, nextSequence());
    }

    /**
     * Goes through what is kept of a question, and then on with every flow that its filter takes.
     *
     * @throws RequestException CONFLICT where flows are off
     */
    FlowCursor follow(final FlowQuery query) {
        refuseIfOff();
        final long end = nextSequence();
        return new Cursor(query.filter(), read(query, end), end);
    }

    private void refuseIfOff() {
        if (off) {
            throw new RequestException(
                    RequestException.Reason.CONFLICT,
                    "flows: there are none: flows.enabled is false in the daemon's configuration");
        }
    }

    private FlowReader read(final FlowQuery query, final long end) {
        final boolean fromLatest =
                query.end() == FlowQuery.End.LAST && query.count() < Integer.MAX_VALUE;
        final ArrayDeque<Flow> inMemory = new ArrayDeque<>();
        final long oldest =
                latest(query, fromLatest ? query.count() : Integer.MAX_VALUE, end, inMemory);
        if (fromLatest && inMemory.size() == query.count()) {
            return new Pieces(FlowHistory.nothing(), List.copyOf(inMemory), query.count());
        }
        final FlowQuery before =
                fromLatest
                        ? new FlowQuery(
                                query.filter(),
                                query.clauses(),
                                query.sides(),
                                query.since(),
                                query.until(),
                                FlowQuery.End.LAST,
                                query.count() - inMemory.size())
                        : query;
        history.flush();
        return new Pieces(history.read(before, oldest), List.copyOf(inMemory), query.count());
    }

    /**
     * Walks back from {@code end} until enough flows match or the ring's oldest is reached.
     *
     * @return sequence of the last flow looked at
     */
    private long latest(
            final FlowQuery query, final int count, final long end, final ArrayDeque<Flow> found) {
        long upTo = end;
        while (found.size() < count && upTo > firstSequence) {
            final long from = Math.max(firstSequence, upTo - COPY_MAX);
            final List<Flow> copied = copy(from, upTo);
            for (int i = copied.size() - 1; i >= 0 && found.size() < count; i--) {
                if (query.matches(copied.get(i))) {
                    found.addFirst(copied.get(i));
                }
            }
            if (copied.size() < upTo - from) {
                return upTo - copied.size();
            }
            upTo = from;
        }
        return upTo;
    }

    /** Flows with sequences in [from, to) that are still in the ring. */
    private List<Flow> copy(final long from, final long to) {
        lock.lock();
        try {
            final long first = Math.max(from, oldest());
            final List<Flow> copied = new ArrayList<>((int) Math.max(0, to - first));
            for (long sequence = first; sequence < to; sequence++) {
                copied.add(at(sequence));
            }
            return copied;
        } finally {
            lock.unlock();
        }
    }

    /** Flows of the disk, then those of the memory, as many as are wanted. */
    private static final class Pieces implements FlowReader {
        private final FlowReader onDisk;
        private List<Flow> inMemory;
        private int left;

        Pieces(final FlowReader onDisk, final List<Flow> inMemory, final int count) {
            this.onDisk = onDisk;
            this.inMemory = inMemory;
            this.left = count;
        }

        @Override
        public List<Flow> next() {
            List<Flow> flows = left > 0 ? onDisk.next() : List.of();
            if (flows.isEmpty()) {
                flows = inMemory;
                inMemory = List.of();
            }
            final List<Flow> wanted = flows.subList(0, Math.min(flows.size(), left));
            left -= wanted.size();
            return wanted;
        }

        @Override
        public void close() {
            onDisk.close();
        }
    }

    private final class Cursor implements FlowCursor {
        private final Predicate<Flow> filter;
        private final FlowReader past;
        private boolean pastEnded;
        private long position;
        private long lost;
        private volatile boolean cursorClosed;

        Cursor(final Predicate<Flow> filter, final FlowReader past, final long position) {
            this.filter = filter;
            this.past = past;
            this.position = position;
        }

        @Override
        public List<Flow> next(final Duration wait) throws InterruptedException {
            if (!pastEnded) {
                final List<Flow> flows = past.next();
                pastEnded = flows.isEmpty();
                if (!pastEnded) {
                    return flows;
                }
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
                if (position < oldest()) {
                    lost += oldest() - position;
                    position = oldest();
                }
                final long to = Math.min(nextSequence, position + COPY_MAX);
                for (; position < to; position++) {
                    into.add(at(position));
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
                return cursorClosed || (closed && pastEnded && position == nextSequence);
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void close() {
            past.close();
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
