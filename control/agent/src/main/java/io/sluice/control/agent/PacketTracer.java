package io.sluice.control.agent;

import io.sluice.dataplane.TraceRecord;
import io.sluice.dataplane.TraceRing;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Traces of live packets, one at a time: a second one is refused, because a lane puts every packet
 * to one filter only.
 *
 * <p>Each lane has a ring. The reader looks into all of them every {@link #LOOK_MS} and puts what
 * it finds into words, in the order of time within a look; the lanes wake nobody. Each ring takes
 * down as many packets as were asked for; the reader takes so many of all. A trace ends with its
 * count, its time, or its reader: whoever began it closes the cursor, also when the client has
 * gone.
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
        final List<TraceRing> rings = new ArrayList<>();
        for (int i = 0; i < lane.count(); i++) {
            rings.add(
                    new TraceRing(
                            PacketExpression.parse(query.match(), live.get().world()),
                            query.packets()));
        }
        if (!isRunning.compareAndSet(false, true)) {
            throw new RequestException(
                    RequestException.Reason.CONFLICT,
                    "another trace runs: it ends with its count, its timeout or its client");
        }
        try {
            lane.trace(rings);
        } catch (final IllegalStateException e) {
            isRunning.set(false);
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE,
                    "no trace: " + String.valueOf(e.getMessage()));
        }
        return new Running(rings, query.packets(), clockNs.getAsLong() + query.timeout().toNanos());
    }

    private final class Running implements TraceCursor {
        private final List<TraceRing> rings;
        private final long packetsMax;
        private final long deadlineNs;
        private long reported;
        private boolean isClosed;

        Running(final List<TraceRing> rings, final long packetsMax, final long deadlineNs) {
            this.rings = rings;
            this.packetsMax = packetsMax;
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
            final List<TraceRecord> records = new ArrayList<>();
            rings.forEach(ring -> ring.read(records::add));
            records.sort((a, b) -> Long.signum(a.atNs() - b.atNs()));
            for (final TraceRecord record : records) {
                if (reported + lost() < packetsMax) {
                    reported++;
                    reports.add(words.report(record, now.minusNanos(nowNs - record.atNs())));
                }
            }
        }

        @Override
        public long lost() {
            return rings.stream().mapToLong(TraceRing::lost).sum();
        }

        @Override
        public Ended ended() {
            if (reported + lost() >= packetsMax) {
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
                lane.trace(List.of());
            } catch (final IllegalStateException e) {
                // A lane that has ended, or hangs, takes nothing down either; status says so.
            } finally {
                isRunning.set(false);
            }
        }
    }
}
