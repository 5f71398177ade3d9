package io.sluice.control.agent.export;

import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowCursor;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * Exports flows without end, as fast as they are written, and says how many are: the process that a
 * test kills. Arguments: brokers, topic.
 */
final class FloodProcess {
    /** On their way at most: none is to be lost but by the kill. */
    private static final int WAITING_MAX = 5_000;

    private static final int PIECE = 500;

    private FloodProcess() {}

    public static void main(final String[] args) throws Exception {
        final ExportCounts counts = new ExportCounts();
        final FlowExporter exporter =
                new FlowExporter(
                        "flood",
                        new Flood(counts),
                        KafkaDestination.open(
                                "node-1", KafkaExportTest.kafka(args[0], args[1]), counts),
                        new FieldMask(List.of()),
                        counts);
        exporter.begin();
        long told = 0;
        while (counts.lost() == 0) {
            final long written = counts.written();
            if (written > told) {
                System.out.println(written);
                told = written;
            }
            LockSupport.parkNanos(1_000_000);
        }
        throw new IllegalStateException(counts.lost() + " lost: " + counts.trouble());
    }

    private static final class Flood implements FlowCursor {
        private final ExportCounts counts;
        private long next;

        Flood(final ExportCounts counts) {
            this.counts = counts;
        }

        @Override
        public List<Flow> next(final Duration wait) {
            while (counts.offered() - counts.written() > WAITING_MAX) {
                LockSupport.parkNanos(100_000);
            }
            final List<Flow> flows = new ArrayList<>();
            for (int i = 0; i < PIECE; i++) {
                flows.add(RingOfPieces.flow(next++, Instant.EPOCH));
            }
            return flows;
        }

        @Override
        public long lost() {
            return 0;
        }

        @Override
        public boolean ended() {
            return false;
        }

        @Override
        public void close() {
            next = 0;
        }
    }
}
