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
    private static final int STEADY_FLOWS = 100;
    private static final int CHANGING_TUPLES = 40;
    private static final int WALKS = 3_000;

    @Test
    void aReaderSeesWholeFlowsAndEverySteadyOneOnceWhileTheLaneChangesTheTable()
            throws ExecutionException, InterruptedException, TimeoutException {
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(256), 21)) {
            for (int i = 0; i < STEADY_FLOWS; i++) {
                table.create(tuple(UDP, 1, i, 1, 2, i, 2), 0, START_NS);
                consistent(table.entry(), 0);
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
        final int i = random.nextInt(CHANGING_TUPLES);
        final Tuple changing = tuple(UDP, family, i, family, family + 1, i, family + 1);
        if (table.lookup(changing, 0, START_NS) == ConntrackState.NEW) {
            table.create(changing, 0, START_NS);
            consistent(table.entry(), round);
        } else {
            table.close(table.entry());
        }
        final long k = round % STEADY_FLOWS;
        final ConntrackState steady = table.lookup(tuple(UDP, 1, k, 1, 2, k, 2), 0, START_NS);
        table.advance(steady, 0, 1000, 1, START_NS);
        consistent(table.entry(), round);
    }

    private static void consistent(final FlowEntry entry, final long round) {
        final int number = (int) (round & 0x7fff);
        entry.recordSides(number, number, number, number);
        entry.recordVerdict(FlowVerdict.REDIRECT, number + 1, 0, number + 1L);
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
                        check(flow);
                        if (flow.initiatorHigh() == 1) {
                            shown[(int) flow.initiatorLow()]++;
                        }
                    });
            assertThat(shown).containsOnly(1);
        }
        return seen[0];
    }

    private static void check(final FlowSnapshot flow) {
        // All parts are of one family, that of the initiator's address.
        assertThat(flow.responderHigh()).isEqualTo(flow.initiatorHigh() + 1);
        assertThat(flow.initiatorTransportPort()).isEqualTo((int) flow.initiatorHigh());
        assertThat(flow.responderTransportPort()).isEqualTo((int) flow.responderHigh());
        assertThat(flow.responderLow()).isEqualTo(flow.initiatorLow());
        assertThat(flow.initiatorBytes()).isEqualTo(flow.initiatorPackets() * 1000);
        if (flow.initiatorPort() != FlowEntry.NO_PORT) {
            assertThat(flow.responderPort()).isEqualTo(flow.initiatorPort());
            assertThat(flow.initiatorIdentity()).isEqualTo(flow.initiatorPort());
            assertThat(flow.responderIdentity()).isEqualTo(flow.initiatorPort());
        }
        if (flow.verdict() == FlowVerdict.REDIRECT) {
            assertThat(flow.policyRevision()).isEqualTo(flow.proxyPort());
        } else {
            assertThat(flow.policyRevision()).isEqualTo(FlowEntry.NO_REVISION);
        }
    }
}
