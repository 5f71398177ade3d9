package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.START_NS;
import static io.sluice.conntrack.Conversation.UDP;
import static io.sluice.conntrack.Conversation.tuple;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Listings from another thread while the lane works. */
final class ConntrackReaderTest {
    /** Few flows, so that reader and lane are in the same slot often. */
    private static final int STEADY_FLOWS = 3;

    private static final int CHANGING_FLOWS = 2;

    /** Enough for a walk to meet a torn flow if the sequence were not checked. */
    private static final int WALKS = 300_000;

    @Test
    void aReaderSeesWholeFlowsAndEverySteadyOneOnceWhileTheLaneChangesTheTable()
            throws ExecutionException, InterruptedException, TimeoutException {
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 21)) {
            for (int i = 0; i < STEADY_FLOWS; i++) {
                table.create(tuple(UDP, 1, i, 1, 2, i, 2), 0, START_NS);
                record(table.entry(), 0);
            }
            final AtomicBoolean done = new AtomicBoolean();
            final FutureTask<Long> reader =
                    new FutureTask<>(
                            () -> {
                                try {
                                    return read(table);
                                } finally {
                                    done.set(true);
                                }
                            });
            final Thread thread = new Thread(reader, "reader");
            thread.start();
            final Random random = new Random(4);
            for (long round = 1; !done.get(); round++) {
                write(table, random, round);
            }
            assertThat(reader.get(60, TimeUnit.SECONDS)).isPositive();
            thread.join(TimeUnit.SECONDS.toMillis(60));
        }
    }

    @Test
    void aReaderOfAClosedTableGetsAnException() {
        final Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 21);
        table.close();
        assertThatIllegalStateException().isThrownBy(() -> table.forEach(0, flow -> {}));
    }

    /**
     * Opens or closes a flow of one of three families, which take each other's slots, and changes a
     * steady one. All parts of a flow say the same number.
     */
    private static void write(final Conntrack table, final Random random, final long round) {
        final int family = 3 + 2 * random.nextInt(3);
        final int i = random.nextInt(CHANGING_FLOWS);
        final Tuple changing = tuple(UDP, family, i, family, family + 1, i, family + 1);
        if (table.lookup(changing, 0, START_NS) == ConntrackState.NEW) {
            table.create(changing, 0, START_NS);
            record(table.entry(), round);
        } else {
            table.close(table.entry());
        }
        final long k = round % STEADY_FLOWS;
        final ConntrackState steady = table.lookup(tuple(UDP, 1, k, 1, 2, k, 2), 0, START_NS);
        table.advance(steady, 0, 1000, 1, START_NS);
        record(table.entry(), round);
    }

    private static void record(final FlowEntry entry, final long round) {
        final int number = (int) (round & 0x7fff);
        entry.recordSides(number, number, number, number);
        entry.recordVerdict(FlowVerdict.REDIRECT, number + 1, 0, number + 1);
    }

    /** The number of flows seen. */
    private static long read(final Conntrack table) {
        final long[] seen = new long[1];
        for (int walk = 0; walk < WALKS; walk++) {
            final int[] shown = new int[STEADY_FLOWS];
            table.forEach(
                    START_NS,
                    flow -> {
                        seen[0]++;
                        if (!isWhole(flow)) {
                            throw new AssertionError("parts of two moments: " + flow);
                        }
                        if (flow.initiatorHigh() == 1) {
                            shown[(int) flow.initiatorLow()]++;
                        }
                    });
            for (final int times : shown) {
                if (times != 1) {
                    throw new AssertionError("walk " + walk + " shows a steady flow " + times);
                }
            }
        }
        return seen[0];
    }

    private static boolean isWhole(final FlowSnapshot flow) {
        final long family = flow.initiatorHigh();
        final boolean sides =
                flow.initiatorPort() == FlowEntry.NO_PORT
                        || (flow.initiatorIdentity() == flow.initiatorPort()
                                && flow.responderPort() == flow.initiatorPort()
                                && flow.responderIdentity() == flow.initiatorPort());
        final boolean verdict =
                flow.verdict() == FlowVerdict.REDIRECT
                        ? flow.policyRevision() == flow.proxyPort()
                        : flow.policyRevision() == FlowEntry.NO_REVISION;
        return flow.responderHigh() == family + 1
                && flow.initiatorTransportPort() == family
                && flow.responderTransportPort() == family + 1
                && flow.responderLow() == flow.initiatorLow()
                && flow.initiatorBytes() == flow.initiatorPackets() * 1000
                && sides
                && verdict;
    }
}
