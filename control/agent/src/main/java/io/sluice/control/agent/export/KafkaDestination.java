package io.sluice.control.agent.export;

import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.ExportCounts.Cause;
import io.sluice.control.agent.SluiceConfig.FlowExport.Kafka;
import io.sluice.control.agent.StartupException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.apache.kafka.clients.producer.BufferExhaustedException;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A topic of Kafka.
 *
 * <p>Theory of operation. Lines wait in a queue here; a thread of its own gives them to the
 * library's producer, which sends them. The queue and the producer have one half of the buffer
 * each, in bytes. So whatever a broker does, the exporter that brings the lines never waits.
 *
 * <p>A line ends in exactly one of three ways: it is <em>written</em> when the brokers have
 * acknowledged it; lost for want of room ({@code full}) when the queue is; lost ({@code failed})
 * when it waited longer than the time-out, or was on its way longer than that, or was refused, or
 * was not written at a stop. A refusal that is about the line (too large) loses it. One that is
 * about the topic or about us (no such topic, not authorized) lets it wait: somebody may mend that.
 *
 * <p>A record has the node's name for a key: the lines of a node are in one partition, in the order
 * of its flows, and nodes are spread over partitions. The uuid of a flow would spread better and
 * keep no order, although what is told of a connection is told by its node alone.
 *
 * <p>States of the destination, told by a line of the log at each change, and by {@code status}:
 *
 * <ul>
 *   <li>It <em>takes lines</em>: the state at the start.
 *   <li>It <em>fails</em>: since a line was lost, or since lines have been waiting for {@link
 *       #STALL_NS} without a word from a broker. Then nothing more is given to a producer that
 *       waits for word, so that what it holds can end. One that holds nothing, and has been of no
 *       use for {@link #RENEW_NS}, is made anew: addresses are looked up and the file of properties
 *       is read again. It takes lines again when one is written, and none was lost for {@link
 *       #QUIET_NS}: a destination at its limit does not fill the log.
 * </ul>
 *
 * <p>Thread: {@link #take} the exporter's; {@code sluice-kafka-export} sends and judges; the
 * producer's own tells how records ended. A lock guards what they share, and nobody holds it while
 * waiting for another.
 */
final class KafkaDestination implements Destination {
    private static final Logger LOG = LoggerFactory.getLogger(KafkaDestination.class);

    /** A broker that is well answers within milliseconds; one that restarts, within seconds. */
    static final long STALL_NS = TimeUnit.SECONDS.toNanos(10);

    /** At most one line of the log in so long. */
    static final long QUIET_NS = TimeUnit.SECONDS.toNanos(10);

    /** From one try to the next. */
    static final long AGAIN_NS = TimeUnit.SECONDS.toNanos(1);

    static final long RENEW_NS = TimeUnit.SECONDS.toNanos(30);

    /** A stop waits so long for lines to be written: the next daemon may wait for it. */
    static final Duration CLOSE_WAIT = Duration.ofSeconds(3);

    /** And so much longer for the threads to end: one may be looking up a name. */
    private static final Duration JOIN_WAIT = CLOSE_WAIT.plusSeconds(5);

    private static final long IDLE_NS = TimeUnit.MILLISECONDS.toNanos(100);

    /** Headers of an array and of a line, and its place in the queue. */
    static final int LINE_OVERHEAD_BYTES = 64;

    /** Makes a producer. */
    interface Opener {
        /**
         * A new one.
         *
         * @throws StartupException when the file of properties is not right
         */
        Producer<byte[], byte[]> open() throws StartupException;
    }

    private static final class Line {
        private final byte[] json;
        private final long takenNs;

        Line(final byte[] json, final long takenNs) {
            this.json = json;
            this.takenNs = takenNs;
        }

        long bytes() {
            return (long) json.length + LINE_OVERHEAD_BYTES;
        }
    }

    private final Kafka kafka;
    private final byte[] key;
    private final long waitingBytesMax;
    private final long timeoutNs;
    private final Opener opener;
    private final ExportCounts counts;
    private final LongSupplier clockNs;
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    // Guarded by the lock.
    private final Deque<Line> waiting = new ArrayDeque<>();
    private long waitingBytes;

    /** Lines that the producer has. */
    private long inFlight;

    /** When the latest word of a broker came, or the first line after a time without any went. */
    private long heardNs;

    private long writtenNs;
    private long lostNs;
    private boolean lostAny;
    private boolean writtenAny;

    /** Why the latest line was lost. */
    private String lostWhy = "";

    /** Why the first line that waits did not go; nothing once one is written. */
    private @Nullable Exception refusedWhy;

    private boolean stopping;
    private long endNs;

    // Of the thread that sends.
    private @Nullable Producer<byte[], byte[]> producer;
    private boolean failing;
    private boolean resting;
    private long restUntilNs;
    private long openedNs;
    private long heldSinceNs;
    private boolean heldAny;

    /**
     * @param nodeName key of the records
     * @param waitingBytesMax size of the queue
     */
    KafkaDestination(
            final String nodeName,
            final Kafka kafka,
            final long waitingBytesMax,
            final Opener opener,
            final ExportCounts counts,
            final LongSupplier clockNs) {
        this.kafka = kafka;
        this.key = nodeName.getBytes(StandardCharsets.UTF_8);
        this.waitingBytesMax = waitingBytesMax;
        this.timeoutNs = TimeUnit.SECONDS.toNanos(kafka.timeoutSeconds());
        this.opener = opener;
        this.counts = counts;
        this.clockNs = clockNs;
        this.thread = Thread.ofPlatform().name("sluice-kafka-export").daemon().unstarted(this::run);
    }

    /**
     * Begins to send. Whether there is a broker makes no difference.
     *
     * @throws StartupException when the file of properties cannot be read, or says what it may not
     */
    static KafkaDestination open(
            final String nodeName, final Kafka kafka, final ExportCounts counts)
            throws StartupException {
        final KafkaProperties properties = new KafkaProperties(nodeName, kafka);
        properties.all();
        final KafkaDestination destination =
                new KafkaDestination(
                        nodeName,
                        kafka,
                        properties.waitingBytes(),
                        () ->
                                new KafkaProducer<>(
                                        properties.all(),
                                        new ByteArraySerializer(),
                                        new ByteArraySerializer()),
                        counts,
                        System::nanoTime);
        destination.thread.start();
        return destination;
    }

    @Override
    public void take(final List<byte[]> lines) {
        final long nowNs = clockNs.getAsLong();
        long full = 0;
        lock.lock();
        try {
            for (final byte[] json : lines) {
                final Line line = new Line(json, nowNs);
                if (waitingBytes + line.bytes() > waitingBytesMax) {
                    full++;
                } else {
                    waiting.addLast(line);
                    waitingBytes += line.bytes();
                }
            }
            if (full > 0) {
                lost(
                        nowNs,
                        "more lines than it takes: the buffer of %d MiB is full"
                                .formatted(kafka.bufferMebibytes()));
            }
            changed.signal();
        } finally {
            lock.unlock();
        }
        counts.lost(Cause.FULL, full);
    }

    /** Under the lock. */
    private void lost(final long nowNs, final String why) {
        lostAny = true;
        lostNs = nowNs;
        lostWhy = why;
    }

    private void run() {
        try {
            while (!ended()) {
                if (!turn()) {
                    rest();
                }
            }
        } catch (final InterruptedException e) {
            // Nobody interrupts this thread but to end it.
            Thread.currentThread().interrupt();
        }
        giveUp();
    }

    private boolean ended() {
        lock.lock();
        try {
            return stopping
                    && ((waiting.isEmpty() && inFlight == 0) || clockNs.getAsLong() - endNs >= 0);
        } finally {
            lock.unlock();
        }
    }

    private void rest() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            long leftNs = IDLE_NS;
            while (leftNs > 0 && hasNothingToDo()) {
                leftNs = changed.awaitNanos(leftNs);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Under the lock. */
    private boolean hasNothingToDo() {
        return waiting.isEmpty()
                ? !stopping || inFlight > 0
                : resting || awaitsWord(clockNs.getAsLong());
    }

    /** Sends a line, if there is one and it is its time; says whether to go on at once. */
    boolean turn() {
        final long nowNs = clockNs.getAsLong();
        dropOld(nowNs);
        judge(nowNs);
        if (resting && nowNs - restUntilNs < 0) {
            return false;
        }
        resting = false;
        final Producer<byte[], byte[]> to = producer(nowNs);
        if (to == null) {
            restFrom(nowNs);
            return false;
        }
        final Line line = next(nowNs);
        return line != null && send(to, line);
    }

    private void restFrom(final long nowNs) {
        resting = true;
        restUntilNs = nowNs + AGAIN_NS;
    }

    /** Lines that have waited too long are lost. */
    private void dropOld(final long nowNs) {
        long old = 0;
        lock.lock();
        try {
            for (Line line = waiting.peekFirst();
                    line != null && nowNs - line.takenNs > timeoutNs;
                    line = waiting.peekFirst()) {
                removeFirst();
                old++;
            }
            if (old > 0) {
                lost(
                        nowNs,
                        refusedWhy == null
                                ? "lines waited longer than %d s".formatted(kafka.timeoutSeconds())
                                : words(refusedWhy));
            }
        } finally {
            lock.unlock();
        }
        counts.lost(Cause.FAILED, old);
    }

    /** Under the lock. */
    private void removeFirst() {
        waitingBytes -= waiting.removeFirst().bytes();
    }

    /** The next line to send; nothing where there is none, or where the producer waits for word. */
    private @Nullable Line next(final long nowNs) {
        lock.lock();
        try {
            final Line line = waiting.peekFirst();
            if (line == null || awaitsWord(nowNs)) {
                return null;
            }
            if (inFlight == 0) {
                heardNs = nowNs;
            }
            // Before it goes: its end may be told before send returns.
            inFlight++;
            return line;
        } finally {
            lock.unlock();
        }
    }

    /** Whether the producer has lines, and no broker has said a word for long. Under the lock. */
    private boolean awaitsWord(final long nowNs) {
        return inFlight > 0 && nowNs - heardNs > STALL_NS;
    }

    private @Nullable Producer<byte[], byte[]> producer(final long nowNs) {
        Producer<byte[], byte[]> current = producer;
        if (current != null && isUseless(nowNs)) {
            discard(current);
            current = null;
        }
        if (current == null) {
            openedNs = nowNs;
            try {
                current = opener.open();
                producer = current;
            } catch (final StartupException | RuntimeException e) {
                // A name that is not known, a file that is not there: it may be, the next time.
                refused(e);
            }
        }
        return current;
    }

    private boolean isUseless(final long nowNs) {
        lock.lock();
        try {
            return failing
                    && inFlight == 0
                    && nowNs - openedNs > RENEW_NS
                    && (!writtenAny || nowNs - writtenNs > RENEW_NS);
        } finally {
            lock.unlock();
        }
    }

    private void discard(final Producer<byte[], byte[]> old) {
        producer = null;
        try {
            // What it still holds is told as failed, each line, before this returns.
            old.close(Duration.ZERO);
        } catch (final RuntimeException e) {
            LOG.debug("flows.export.kafka: a producer did not close", e);
        }
    }

    private void refused(final Exception e) {
        lock.lock();
        try {
            refusedWhy = e;
        } finally {
            lock.unlock();
        }
    }

    private boolean send(final Producer<byte[], byte[]> to, final Line line) {
        final Sent sent = new Sent(Thread.currentThread());
        try {
            final Future<RecordMetadata> _ =
                    to.send(new ProducerRecord<>(kafka.topic(), key, line.json), sent);
        } catch (final RuntimeException e) {
            sent.refuse(e);
        }
        final Exception refused = sent.returned();
        if (refused == null) {
            doneWith("");
            return true;
        }
        if (refused instanceof RecordTooLargeException
                || refused instanceof SerializationException) {
            doneWith(words(refused));
            return true;
        }
        if (refused instanceof BufferExhaustedException) {
            // The producer itself has waited for room.
            return true;
        }
        refused(refused);
        restFrom(clockNs.getAsLong());
        if (!(refused instanceof ApiException) || refused instanceof AuthenticationException) {
            // A producer that says so never works again, or not with what it was told.
            discard(to);
        }
        return false;
    }

    /**
     * The first line waits no more.
     *
     * @param why it is lost; empty when the producer has it
     */
    private void doneWith(final String why) {
        final long nowNs = clockNs.getAsLong();
        lock.lock();
        try {
            removeFirst();
            if (!why.isEmpty()) {
                lost(nowNs, why);
                counts.lost(Cause.FAILED, 1);
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * A record that is given to the producer, until it ends or turns out not to be taken. A
     * producer says that one was not taken by an exception, or by telling its end before {@code
     * send} returns; in an error state it may throw and tell the end as well, later. Whichever
     * comes first counts.
     */
    private final class Sent implements Callback {
        private final Thread sender;

        // Guarded by the lock.
        private boolean isOver;
        private boolean hasReturned;
        private @Nullable Exception refusal;

        Sent(final Thread sender) {
            this.sender = sender;
        }

        @Override
        public void onCompletion(
                final @Nullable RecordMetadata place, final @Nullable Exception e) {
            final long nowNs = clockNs.getAsLong();
            lock.lock();
            try {
                if (e != null && !hasReturned && Thread.currentThread().equals(sender)) {
                    refuse(e);
                } else if (!isOver) {
                    isOver = true;
                    end(nowNs, e);
                }
            } finally {
                lock.unlock();
            }
        }

        void refuse(final Exception e) {
            lock.lock();
            try {
                if (!isOver) {
                    isOver = true;
                    refusal = e;
                    inFlight--;
                }
            } finally {
                lock.unlock();
            }
        }

        /** Called when {@code send} has returned: why the record was not taken, if it was not. */
        @Nullable Exception returned() {
            lock.lock();
            try {
                hasReturned = true;
                return refusal;
            } finally {
                lock.unlock();
            }
        }
    }

    /** A record has ended. Under the lock. */
    private void end(final long nowNs, final @Nullable Exception e) {
        inFlight--;
        if (e == null) {
            counts.written(1);
            writtenAny = true;
            writtenNs = nowNs;
            refusedWhy = null;
        } else {
            counts.lost(Cause.FAILED, 1);
            lost(nowNs, words(e));
        }
        if (!(e instanceof TimeoutException)) {
            heardNs = nowNs;
        }
        if (inFlight == 0) {
            changed.signal();
        }
    }

    /** Sees whether the destination takes lines, and says so when that is new. */
    private void judge(final long nowNs) {
        final boolean isStalled;
        final boolean isLosing;
        final boolean hasWritten;
        lock.lock();
        try {
            final boolean holdsAny = inFlight > 0 || !waiting.isEmpty();
            if (holdsAny && !heldAny) {
                heldSinceNs = nowNs;
            }
            heldAny = holdsAny;
            final boolean isWriting = writtenAny && writtenNs - heldSinceNs >= 0;
            isStalled = holdsAny && nowNs - (isWriting ? writtenNs : heldSinceNs) > STALL_NS;
            isLosing = lostAny && nowNs - lostNs <= QUIET_NS;
            hasWritten = writtenAny && (!lostAny || writtenNs - lostNs > 0);
        } finally {
            lock.unlock();
        }
        if (!failing && (isStalled || isLosing)) {
            failing = true;
            final String why = (isConnected() ? "" : "not connected: ") + why(isLosing);
            LOG.warn(
                    "flows.export.kafka: {} at {}: lines wait or are lost: {}",
                    kafka.topic(),
                    String.join(",", kafka.bootstrapServers()),
                    why);
            counts.trouble("lines wait or are lost: " + why);
        } else if (failing && !isStalled && !isLosing && hasWritten) {
            failing = false;
            LOG.info("flows.export.kafka: goes on; {} lines were lost", counts.lost());
            counts.trouble("");
        }
    }

    private String why(final boolean isLosing) {
        lock.lock();
        try {
            if (isLosing) {
                return lostWhy;
            }
            return refusedWhy == null
                    ? "no word for %d s".formatted(TimeUnit.NANOSECONDS.toSeconds(STALL_NS))
                    : words(refusedWhy);
        } finally {
            lock.unlock();
        }
    }

    /** What went wrong, with what lies behind it, in a line. */
    private static String words(final Exception why) {
        final StringBuilder words = new StringBuilder();
        for (Throwable e = why; e != null; e = e.getCause()) {
            words.append(words.isEmpty() ? "" : ": ").append(e.getMessage());
        }
        return words.toString().replace('\n', ' ');
    }

    private boolean isConnected() {
        final Producer<byte[], byte[]> of = producer;
        return of != null
                && of.metrics().entrySet().stream()
                        .filter(metric -> metric.getKey().name().equals("connection-count"))
                        .map(metric -> metric.getValue().metricValue())
                        .anyMatch(value -> value instanceof final Double count && count > 0);
    }

    /** Gives up what is not written by now. */
    private void giveUp() {
        final Producer<byte[], byte[]> last = producer;
        if (last != null) {
            discard(last);
        }
        final long left;
        lock.lock();
        try {
            left = waiting.size();
            waiting.clear();
            waitingBytes = 0;
        } finally {
            lock.unlock();
        }
        counts.lost(Cause.FAILED, left);
        if (counts.lost() > 0) {
            LOG.info("flows.export.kafka: ends; {} lines were lost", counts.lost());
        }
    }

    /** Waits {@link #CLOSE_WAIT} for lines to be written; the others are lost. */
    @Override
    public void close() {
        lock.lock();
        try {
            stopping = true;
            endNs = clockNs.getAsLong() + CLOSE_WAIT.toNanos();
            changed.signal();
        } finally {
            lock.unlock();
        }
        try {
            if (!thread.join(JOIN_WAIT)) {
                LOG.warn("flows.export.kafka: the producer does not end");
            }
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
