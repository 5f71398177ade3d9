package io.sluice.control.agent;

import io.sluice.control.agent.flowlog.BlockCursor;
import io.sluice.control.agent.flowlog.BlockQuery;
import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.agent.flowlog.FlowLog.Direction;
import io.sluice.control.agent.flowlog.KeyFilter;
import io.sluice.control.agent.flowlog.LogBlock;
import io.sluice.control.agent.flowlog.LogLimits;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.agrona.concurrent.ManyToOneConcurrentArrayQueue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The flows of the past, on disk: what {@code observe --since} answers from when the ring in memory
 * does not reach back so far.
 *
 * <p><b>Theory of operation.</b> The flow ring offers every flow to a queue and never waits; a full
 * queue loses the flow for the history, and counts it. The writer's thread looks at the queue every
 * {@link #PAUSE_MS} while flows come; when a look has found none, the next flow wakes it. What it
 * finds goes to the log's tail at once, so a kill loses at most what was offered within one pause
 * and one write; when {@link #BLOCK_FLOWS} have come together they are encoded once more, as one
 * block of a segment. Under load whole blocks are in the queue, and go to the segment straight
 * away. The writer has the processors that others leave ({@link ProcessorShare#ofHistory}): where
 * none is to spare it is late, and in the end loses flows, rather than hold up a packet.
 *
 * <p>Every flow offered is in exactly one of three states: stored, lost, or on its way; {@link
 * #offered} is their sum. Sequences go on where the log ended, so a gap in the sequences of stored
 * flows is exactly what was lost.
 *
 * <p><b>Failures.</b> Flows of a block that cannot be written (file system full, folder gone) are
 * lost and counted; the next block is tried again, and the log says when it begins and ends. A
 * folder that cannot be opened leaves the daemon without a history: everything is lost and counted.
 *
 * <p>Thread: {@link #offer} the ring's, under its lock; {@link #read} any; the writer its own,
 * {@code sluice-flow-log}.
 */
final class FlowHistory implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(FlowHistory.class);

    /** Flows of a block: some 60 KB deflated, and what a question inflates at least. */
    static final int BLOCK_FLOWS = 4096;

    /**
     * Flows that may wait for the writer. At 1 us each it writes a million a second; a disk that
     * makes it wait for 200 ms while 300,000 a second come loses none. Some 20 MB when full.
     */
    static final int QUEUE_FLOWS = 1 << 16;

    /** How long the writer sleeps when it has written what there was: a twentieth of a second. */
    private static final int PAUSE_MS = 50;

    /** How long it sleeps when nothing came meanwhile and nothing wakes it. */
    private static final int SILENCE_MS = 1_000;

    /** Segments are looked at for their age once a minute. */
    private static final long RETENTION_NS = TimeUnit.MINUTES.toNanos(1);

    /**
     * The last so many flows are kept as they are found: 8 MB. Of more the blocks are read twice.
     */
    private static final int KEPT_FLOWS = 1 << 14;

    /** Longest wait of a reader for what is in the queue. */
    private static final int FLUSH_MS = 2_000;

    private final ManyToOneConcurrentArrayQueue<Flow> queue =
            new ManyToOneConcurrentArrayQueue<>(QUEUE_FLOWS);
    private final Optional<FlowLog> log;
    private final Thread writer;
    private final AtomicLong offered = new AtomicLong();
    private final AtomicLong lost = new AtomicLong();
    private final AtomicLong stored = new AtomicLong();

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    // Guarded by lock. Flows that are in the tail and in no segment yet, at most BLOCK_FLOWS.
    private final List<Flow> pending = new ArrayList<>();
    private long handled;
    private boolean stopping;
    private boolean flushing;
    private boolean adopting;

    /** Whether the next offer is to wake the writer; as {@link SleepUntilWoken} does it. */
    private volatile boolean silent;

    // The writer's.
    private boolean failing;
    private long sleptNs = RETENTION_NS;

    /**
     * @param log to write to, closed with this; empty for no history at all
     */
    FlowHistory(final Optional<FlowLog> log) {
        this.log = log;
        log.ifPresent(this::keepRecovered);
        this.writer = Thread.ofPlatform().name("sluice-flow-log").daemon().unstarted(this::write);
    }

    /**
     * Opens the history of a folder.
     *
     * @param limits empty for no history at all
     */
    static FlowHistory open(
            final Path folder, final Optional<LogLimits> limits, final FlowLog.Start start) {
        if (limits.isEmpty()) {
            return new FlowHistory(Optional.empty());
        }
        try {
            return new FlowHistory(
                    Optional.of(FlowLog.open(folder, limits.get(), Clock.systemUTC(), start)));
        } catch (final IOException e) {
            LOG.warn("flow store: {}: cannot be opened: flows are in memory only", folder, e);
            return new FlowHistory(Optional.empty());
        }
    }

    /** Begins to write, where there is something to write to. */
    void start() {
        if (log.isPresent()) {
            writer.start();
        }
    }

    /** Whether flows are kept at all. */
    boolean isKept() {
        return log.isPresent();
    }

    /** Sequence for the first flow. */
    long nextSequence() {
        return log.map(FlowLog::nextSequence).orElse(0L);
    }

    /** Takes a flow, or counts it as lost. */
    void offer(final Flow flow) {
        offered.incrementAndGet();
        if (log.isEmpty() || !queue.offer(flow)) {
            lost.incrementAndGet();
        } else if (silent) {
            endSilence();
        }
    }

    private void endSilence() {
        lock.lock();
        try {
            silent = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Flows offered since start. */
    long offered() {
        return offered.get();
    }

    /** Flows that will not be in the history, since start. */
    long lost() {
        return lost.get();
    }

    /** Flows that a kill does not lose any more, since start. */
    long stored() {
        return stored.get();
    }

    /** Size of the files, in bytes. */
    long bytes() {
        return log.map(FlowLog::bytes).orElse(0L);
    }

    /** Flows in the files. */
    long flows() {
        lock.lock();
        try {
            return pending.size() + log.map(FlowLog::entries).orElse(0L);
        } finally {
            lock.unlock();
        }
    }

    /** What a predecessor left is this daemon's now that it has ended. */
    void adopt() {
        lock.lock();
        try {
            adopting = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    // The writer.

    private void write() {
        final FlowLog files = log.orElseThrow();
        final List<Flow> batch = new ArrayList<>();
        ProcessorShare.ofHistory();
        boolean goesOn = true;
        boolean foundNone = false;
        while (goesOn) {
            goesOn = pause(foundNone);
            if (!goesOn) {
                // Somebody waits for what is left.
                ProcessorShare.ordinary();
            }
            adoptIfAsked(files);
            // One look more after the end was asked for: offers came before it.
            foundNone = true;
            while (queue.drainTo(batch, BLOCK_FLOWS) > 0) {
                foundNone = false;
                store(files, batch);
                batch.clear();
            }
            drained(files);
        }
        if (!pending.isEmpty()) {
            storeBlock(files, List.copyOf(pending));
        }
    }

    /**
     * Sleeps, unless there is a reason not to; says whether to go on.
     *
     * @param untilOffered whether the next offer ends the sleep
     */
    private boolean pause(final boolean untilOffered) {
        final long limitNs = TimeUnit.MILLISECONDS.toNanos(untilOffered ? SILENCE_MS : PAUSE_MS);
        long leftNs = limitNs;
        lock.lock();
        try {
            silent = untilOffered;
            // An offer that did not see the announcement is in the queue already.
            if (untilOffered && !queue.isEmpty()) {
                silent = false;
            }
            while (!stopping && !flushing && !adopting && silent == untilOffered && leftNs > 0) {
                leftNs = changed.awaitNanos(leftNs);
            }
            return !stopping;
        } catch (final InterruptedException e) {
            // Nobody interrupts this thread but to end it.
            return false;
        } finally {
            silent = false;
            sleptNs += limitNs - leftNs;
            lock.unlock();
        }
    }

    private void drained(final FlowLog files) {
        if (sleptNs >= RETENTION_NS) {
            sleptNs = 0;
            retain(files);
        }
        lock.lock();
        try {
            flushing = false;
            handled++;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Age goes by without writes, too. */
    private static void retain(final FlowLog files) {
        try {
            files.retain();
        } catch (final IOException e) {
            LOG.warn("flow store: what is too old cannot be deleted", e);
        }
    }

    private void adoptIfAsked(final FlowLog files) {
        lock.lock();
        try {
            if (!adopting) {
                return;
            }
            adopting = false;
        } finally {
            lock.unlock();
        }
        try {
            files.adopt();
            keepRecovered(files);
        } catch (final IOException e) {
            LOG.warn("the flows of the daemon before cannot be taken over", e);
        }
    }

    /** Flows of a tail become a block. */
    private void keepRecovered(final FlowLog files) {
        final List<Flow> recovered = new ArrayList<>();
        for (final byte[] block : files.recovered()) {
            recovered.addAll(decode(block, List.of()));
        }
        if (recovered.isEmpty()) {
            return;
        }
        try {
            files.appendRecovered(block(recovered));
            LOG.info("flow store: {} flows of a daemon that was killed", recovered.size());
        } catch (final IOException e) {
            // The tail stays, and the next start tries again.
            LOG.warn("flow store: flows of a daemon that was killed cannot be written", e);
        }
    }

    private void store(final FlowLog files, final List<Flow> batch) {
        final int waiting = pending.size();
        if (waiting + batch.size() < BLOCK_FLOWS) {
            try {
                files.appendTail(block(batch));
                written();
            } catch (final IOException e) {
                // Not lost yet: they are in the next block.
                failed(e, 0);
            }
            stored.addAndGet(batch.size());
            changePending(() -> pending.addAll(batch));
            return;
        }
        final List<Flow> block = new ArrayList<>(waiting + batch.size());
        block.addAll(pending);
        block.addAll(batch);
        stored.addAndGet(batch.size());
        storeBlock(files, block);
    }

    private void storeBlock(final FlowLog files, final List<Flow> flows) {
        try {
            files.append(block(flows));
            written();
        } catch (final IOException e) {
            stored.addAndGet(-flows.size());
            failed(e, flows.size());
        }
        changePending(pending::clear);
    }

    private void changePending(final Runnable change) {
        lock.lock();
        try {
            change.run();
        } finally {
            lock.unlock();
        }
    }

    private void failed(final IOException e, final int flows) {
        lost.addAndGet(flows);
        if (!failing) {
            LOG.warn("flow store: cannot be written, flows are lost to observe --since", e);
        }
        failing = true;
    }

    private void written() {
        if (failing) {
            LOG.info("flow store: is written again; {} flows were lost", lost.get());
        }
        failing = false;
    }

    private static LogBlock block(final List<Flow> flows) {
        Instant earliest = Instant.MAX;
        Instant latest = Instant.MIN;
        for (final Flow flow : flows) {
            earliest = flow.time().isBefore(earliest) ? flow.time() : earliest;
            latest = flow.time().isAfter(latest) ? flow.time() : latest;
        }
        final List<FlowSide> sides = new ArrayList<>();
        final byte[] bytes = FlowCodec.encode(flows, sides);
        return new LogBlock(
                flows.size(),
                flows.getFirst().sequence(),
                flows.getLast().sequence(),
                earliest,
                latest,
                KeyFilter.of(FlowKeys.of(flows, sides)),
                bytes);
    }

    private static List<Flow> decode(final byte[] block, final List<SideCondition> sides) {
        try {
            return FlowCodec.decode(block, sides);
        } catch (final FlowCodec.FormatException e) {
            LOG.warn("flow store: a block is left out: {}", e.getMessage());
            return List.of();
        }
    }

    // Readers.

    /**
     * Has what was offered before in the files, as far as it goes.
     *
     * @return false if the writer, which gets what others leave of the processors, has not come to
     *     the end of it in {@value #FLUSH_MS} ms
     */
    boolean flush() {
        if (!writer.isAlive()) {
            return true;
        }
        long waitNs = TimeUnit.MILLISECONDS.toNanos(FLUSH_MS);
        lock.lock();
        try {
            // The round that goes on may have drained the queue already: the one after it counts.
            final long until = handled + 2;
            while (handled < until && !stopping && waitNs > 0) {
                flushing = true;
                changed.signalAll();
                waitNs = changed.awaitNanos(waitNs);
            }
            return handled >= until;
        } catch (final InterruptedException e) {
            // The reader's thread is to end: it need not have the last flows.
            Thread.currentThread().interrupt();
            return false;
        } finally {
            lock.unlock();
        }
    }

    /** An answer without flows. */
    static FlowReader nothing() {
        return new Reader(FlowQuery.ALL, List.of(), Optional.empty(), 0, 0);
    }

    /**
     * What is in the files, oldest first.
     *
     * @param query whose count is of these flows alone
     * @param beforeSequence only flows with lower sequences
     */
    FlowReader read(final FlowQuery query, final long beforeSequence) {
        if (log.isEmpty()) {
            return nothing();
        }
        final FlowLog files = log.get();
        final List<Flow> recent = new ArrayList<>();
        lock.lock();
        try {
            for (final Flow flow : pending) {
                if (flow.sequence() < beforeSequence && query.matches(flow)) {
                    recent.add(flow);
                }
            }
        } finally {
            lock.unlock();
        }
        // A block that is written right now is in both: sequences tell.
        final long end =
                recent.isEmpty()
                        ? beforeSequence
                        : Math.min(beforeSequence, recent.getFirst().sequence());
        long from = 0;
        long skipped = 0;
        if (query.end() == FlowQuery.End.LAST && query.count() < Integer.MAX_VALUE) {
            long missing = query.count() - (long) recent.size();
            if (missing <= 0) {
                final List<Flow> last =
                        recent.subList(recent.size() - query.count(), recent.size());
                return new Reader(query, List.copyOf(last), Optional.empty(), 0, 0);
            }
            if (query.count() <= KEPT_FLOWS) {
                final List<Flow> last = latest(query, missing, files, end);
                last.addAll(recent);
                return new Reader(query, last, Optional.empty(), 0, 0);
            }
            // Backwards only to count, so that the answer need not be in memory.
            try (BlockCursor cursor = files.read(blocks(query, 0, end), Direction.BACKWARD)) {
                Optional<BlockCursor.Block> block = cursor.next();
                while (missing > 0 && block.isPresent()) {
                    from = block.get().firstSequence();
                    missing -= matching(block.get(), query, end).size();
                    block = missing > 0 ? cursor.next() : block;
                }
            } catch (final IOException e) {
                throw new UncheckedIOException(e);
            }
            skipped = Math.max(0, -missing);
        }
        return new Reader(
                query,
                List.copyOf(recent),
                Optional.of(files.read(blocks(query, from, end), Direction.FORWARD)),
                skipped,
                end);
    }

    /** The last flows in the files that match, oldest first: the blocks are read once. */
    private static List<Flow> latest(
            final FlowQuery query, final long wanted, final FlowLog files, final long end) {
        final Deque<Flow> found = new ArrayDeque<>();
        try (BlockCursor cursor = files.read(blocks(query, 0, end), Direction.BACKWARD)) {
            Optional<BlockCursor.Block> block = cursor.next();
            while (found.size() < wanted && block.isPresent()) {
                final List<Flow> matching = matching(block.get(), query, end);
                for (int i = matching.size() - 1; i >= 0 && found.size() < wanted; i--) {
                    found.addFirst(matching.get(i));
                }
                block = found.size() < wanted ? cursor.next() : block;
            }
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        return new ArrayList<>(found);
    }

    private static BlockQuery blocks(final FlowQuery query, final long from, final long end) {
        return new BlockQuery(query.since(), query.until(), from, end, query.clauses());
    }

    private static List<Flow> matching(
            final BlockCursor.Block block, final FlowQuery query, final long end) {
        final List<Flow> matching = new ArrayList<>();
        for (final Flow flow : decode(block.bytes(), query.sides())) {
            if (flow.sequence() < end && query.matches(flow)) {
                matching.add(flow);
            }
        }
        return matching;
    }

    private static final class Reader implements FlowReader {
        private final FlowQuery query;
        private final Optional<BlockCursor> blocks;
        private final long end;
        private List<Flow> recent;
        private long toSkip;
        private long left;

        Reader(
                final FlowQuery query,
                final List<Flow> recent,
                final Optional<BlockCursor> blocks,
                final long toSkip,
                final long end) {
            this.query = query;
            this.recent = recent;
            this.blocks = blocks;
            this.toSkip = toSkip;
            this.end = end;
            this.left = query.count();
        }

        @Override
        public List<Flow> next() {
            while (left > 0 && blocks.isPresent()) {
                final Optional<BlockCursor.Block> block = blocks.get().next();
                if (block.isEmpty()) {
                    break;
                }
                final List<Flow> flows = take(matching(block.get(), query, end));
                if (!flows.isEmpty()) {
                    return flows;
                }
            }
            final List<Flow> flows = take(recent);
            recent = List.of();
            return flows;
        }

        private List<Flow> take(final List<Flow> flows) {
            final int from = (int) Math.min(toSkip, flows.size());
            final int to = (int) Math.min(flows.size(), from + left);
            toSkip -= from;
            left -= to - from;
            return flows.subList(from, to);
        }

        @Override
        public void close() {
            try {
                if (blocks.isPresent()) {
                    blocks.get().close();
                }
            } catch (final IOException e) {
                LOG.debug("flow store: a file did not close", e);
            }
        }
    }

    /** Writes what is there and ends the thread. */
    @Override
    public void close() throws IOException {
        lock.lock();
        try {
            stopping = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        try {
            writer.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (log.isPresent()) {
            log.get().close();
        }
    }
}
