package io.sluice.control.agent;

import io.sluice.dataplane.TraceRing;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Traces of live packets, one at a time: a second one is refused, because the lane puts every
 * packet to one filter only.
 *
 * <p>The reader looks into the ring every {@link #LOOK_MS} and puts what it finds into words; the
 * lane wakes nobody. A trace ends with its count, its time, or its reader: whoever began it closes
 * the cursor, also when the client has gone.
 *
 * <p>Thread: {@link #start} any; a cursor its reader.
 */
final class PacketTracer {
    /** How often a reader looks: an eye sees no delay, and the ring holds 1,024 records. */
    private static final long LOOK_MS = 10;

    private final LaneControl lane;
    private final Supplier<LivePolicy> live;
    private final PacketWords words;
    private final LongSupplier clockNs;
    private final AtomicBoolean isRunning = new AtomicBoolean();

    /**
     * @param live the policy in force, whose pods an expression names
     * @param policyOfRevision the revision a packet was judged by, or the nearest that is known
     * @param clockNs the lane's clock
     */
    PacketTracer(
            final LaneControl lane,
            final Supplier<LivePolicy> live,
            final IntFunction<LivePolicy> policyOfRevision,
            final LongSupplier clockNs) {
        this.lane = lane;
        this.live = live;
        this.words = new PacketWords(policyOfRevision);
        this.clockNs = clockNs;
    }

    /**
     * Begins a trace.
     *
     * @throws RequestException INVALID for an expression that is none; CONFLICT while another trace
     *     runs; UNAVAILABLE if the lane does not answer
     */
    TraceCursor start(final TraceQuery query) {
        final TraceRing ring =
                new TraceRing(
                        PacketExpression.parse(query.match(), live.get().world()), query.packets());
        if (!isRunning.compareAndSet(false, true)) {
            throw new RequestException(
                    RequestException.Reason.CONFLICT,
                    "another trace runs: it ends with its count, its timeout or its client");
        }
        try {
            lane.trace(Optional.of(ring));
        } catch (final IllegalStateException e) {
            isRunning.set(false);
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE,
                    "no trace: " + String.valueOf(e.getMessage()));
        }
        return new Running(ring, clockNs.getAsLong() + query.timeout().toNanos());
    }

    private final class Running implements TraceCursor {
        private final TraceRing ring;
        private final long deadlineNs;
        private boolean isClosed;

        Running(final TraceRing ring, final long deadlineNs) {
            this.ring = ring;
            this.deadlineNs = deadlineNs;
        }

        @Override
        public List<PacketReport> next(final Duration wait) throws InterruptedException {
            final long untilNs = clockNs.getAsLong() + wait.toNanos();
            final List<PacketReport> reports = new ArrayList<>();
            look(reports);
            while (reports.isEmpty()
                    && ended() == Ended.NOT_YET
                    && clockNs.getAsLong() - untilNs < 0) {
                Thread.sleep(LOOK_MS);
                look(reports);
            }
            return reports;
        }

        private void look(final List<PacketReport> reports) {
            final long nowNs = clockNs.getAsLong();
            final Instant now = Instant.now();
            ring.read(
                    record ->
                            reports.add(
                                    words.report(record, now.minusNanos(nowNs - record.atNs()))));
        }

        @Override
        public long lost() {
            return ring.lost();
        }

        @Override
        public Ended ended() {
            if (ring.isComplete()) {
                return Ended.COUNT;
            }
            return clockNs.getAsLong() - deadlineNs >= 0 ? Ended.TIMEOUT : Ended.NOT_YET;
        }

        @Override
        public void close() {
            if (isClosed) {
                return;
            }
            isClosed = true;
            try {
                lane.trace(Optional.empty());
            } catch (final IllegalStateException e) {
                // A lane that has ended, or hangs, takes nothing down either; status says so.
            } finally {
                isRunning.set(false);
            }
        }
    }
}
