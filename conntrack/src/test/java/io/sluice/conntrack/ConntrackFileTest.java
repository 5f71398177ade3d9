package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.START_NS;
import static io.sluice.conntrack.Conversation.TCP;
import static io.sluice.conntrack.Conversation.UDP;
import static io.sluice.conntrack.Conversation.ipv4;
import static io.sluice.conntrack.Conversation.reversed;
import static io.sluice.conntrack.Conversation.tuple;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.sluice.conntrack.ConntrackOrigin.Start;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A table in a file: what the next process finds. */
final class ConntrackFileTest {
    private static final String BOOT = "3e6a2f1c-0000-4000-8000-00000000000a";
    private static final long SECOND_NS = TimeUnit.SECONDS.toNanos(1);

    @TempDir private Path folder;

    @Test
    void flowsGoOnAfterAClose() throws IOException {
        final Tuple dns = ipv4(UDP, 0x0a000001, 40_000, 0x0a000002, 53);
        final Tuple six = tuple(TCP, 0xfd00L << 48, 1, 40_000, 0xfd00L << 48, 2, 80);
        try (Conntrack table = open(64, START_NS)) {
            assertThat(table.origin()).isEqualTo(ConntrackOrigin.empty(Start.NEW_FILE));
            for (final Tuple opener : new Tuple[] {dns, six}) {
                table.create(opener, Conversation.SYN, START_NS);
                table.entry().recordVerdict(FlowVerdict.REDIRECT, 15_001, 0, 7);
                table.entry().recordSides(1, 256, 2, 257);
                table.advance(ConntrackState.NEW, Conversation.SYN, 100, 1, START_NS);
            }
        }
        final long laterNs = START_NS + 10 * SECOND_NS;
        try (Conntrack table = open(64, laterNs)) {
            assertThat(table.origin()).isEqualTo(new ConntrackOrigin(Start.AFTER_CLOSE, 2, 0, 0));
            assertThat(table.size()).isEqualTo(2);
            assertThat(table.lookup(reversed(six), Conversation.SYN | Conversation.ACK, laterNs))
                    .isEqualTo(ConntrackState.REPLY);
            assertThat(table.lookup(dns, 0, laterNs)).isEqualTo(ConntrackState.ESTABLISHED);
            final FlowEntry flow = table.entry();
            assertThat(flow.verdict()).isEqualTo(FlowVerdict.REDIRECT);
            assertThat(flow.proxyPort()).isEqualTo(15_001);
            assertThat(flow.initiatorIdentity()).isEqualTo(256);
            assertThat(flow.deadlineNs()).isEqualTo(START_NS + 30 * SECOND_NS);
            // These meant something to the former process only.
            assertThat(flow.policyRevision()).isEqualTo(FlowEntry.NO_REVISION);
            assertThat(flow.initiatorPort()).isEqualTo(FlowEntry.NO_PORT);
            assertThat(flow.responderPort()).isEqualTo(FlowEntry.NO_PORT);
        }
    }

    /** Two tables on one file, as two processes have it while one hands over to the other. */
    @Test
    void aSharedTableIsThePredecessorsWithAllThatItDidUntilItStopped() throws IOException {
        final Tuple early = ipv4(UDP, 1, 1, 2, 53);
        final Tuple late = ipv4(UDP, 1, 2, 2, 53);
        try (Conntrack before = open(64, START_NS)) {
            before.create(early, 0, START_NS);
            before.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 7);
            try (Conntrack after = share(64).orElseThrow()) {
                assertThat(after.origin().start()).isEqualTo(Start.HANDED_OVER);
                before.create(late, 0, START_NS);
                assertThat(after.size()).isEqualTo(2);
                assertThat(after.lookup(early, 0, START_NS)).isEqualTo(ConntrackState.ESTABLISHED);
                assertThat(after.entry().policyRevision()).isEqualTo(7);
                assertThat(after.lookup(late, 0, START_NS)).isEqualTo(ConntrackState.ESTABLISHED);
                final long overNs = START_NS + 31 * SECOND_NS;
                assertThat(after.expire(overNs, 4096)).isEqualTo(2);
                assertThat(after.size()).isZero();
            }
            assertThat(share(128)).as("another capacity").isEmpty();
            assertThat(before.lookup(early, 0, START_NS)).as("left alone").isNotNull();
        }
        assertThat(share(64)).as("closed: nobody hands it over").isEmpty();
    }

    @Test
    void aTableIsHandedOnFromProcessToProcess() throws IOException {
        final Tuple dns = ipv4(UDP, 1, 1, 2, 53);
        final Conntrack first = open(64, START_NS);
        first.create(dns, 0, START_NS);
        share(64).orElseThrow().close();
        final Conntrack second = share(64).orElseThrow();
        assertThat(second.size()).as("after a successor that broke off").isEqualTo(1);
        first.handedOver();
        first.close();
        try (Conntrack third = share(64).orElseThrow()) {
            second.handedOver();
            second.close();
            assertThat(third.lookup(dns, 0, START_NS)).isEqualTo(ConntrackState.ESTABLISHED);
        }
    }

    private Optional<Conntrack> share(final int flows) throws IOException {
        return Conntrack.share(ConntrackLimitsTest.capacity(flows), folder.resolve("flows"), BOOT);
    }

    @Test
    void whatExpiredMeanwhileIsGone() throws IOException {
        try (Conntrack table = open(64, START_NS)) {
            for (int i = 0; i < 40; i++) {
                table.create(ipv4(UDP, 1, i, 2, 53), 0, START_NS + i * SECOND_NS);
            }
        }
        final long laterNs = START_NS + 40 * SECOND_NS;
        try (Conntrack table = open(64, laterNs)) {
            assertThat(table.origin()).isEqualTo(new ConntrackOrigin(Start.AFTER_CLOSE, 29, 11, 0));
            assertThat(table.size()).isEqualTo(29);
            for (int i = 0; i < 40; i++) {
                assertThat(table.lookup(ipv4(UDP, 1, i, 2, 53), 0, laterNs))
                        .isEqualTo(i < 11 ? ConntrackState.NEW : ConntrackState.ESTABLISHED);
            }
        }
    }

    @Test
    void anotherFormatCapacityOrBootBeginsEmptyAndSaysWhy() throws IOException {
        try (Conntrack table = open(64, START_NS)) {
            table.create(ipv4(UDP, 1, 1, 2, 53), 0, START_NS);
        }
        expectEmpty(Start.OTHER_CAPACITY, 128, BOOT);
        expectEmpty(Start.OTHER_BOOT, 128, "another boot");
        Files.write(folder.resolve("flows"), new byte[5000]);
        expectEmpty(Start.OTHER_FORMAT, 128, "another boot");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> expectEmpty(Start.OTHER_BOOT, 128, ""))
                .withMessage("boot id '': accepted are 1 to 64 characters");
    }

    private void expectEmpty(final Start start, final int capacity, final String boot)
            throws IOException {
        try (Conntrack table =
                Conntrack.open(
                        ConntrackLimitsTest.capacity(capacity),
                        9,
                        folder.resolve("flows"),
                        boot,
                        START_NS)) {
            assertThat(table.origin()).isEqualTo(ConntrackOrigin.empty(start));
            assertThat(table.size()).isZero();
            table.create(ipv4(UDP, 1, 1, 2, 53), 0, START_NS);
            assertThat(table.size()).isEqualTo(1);
        }
    }

    /**
     * A process opens, changes and closes flows as fast as it can, and is killed. Each flow's parts
     * say the same number, so that a half-written one would show; one flow of each family stays
     * from the first process to the last.
     */
    @Test
    void aProcessThatIsKilledLeavesWholeFlows() throws IOException, InterruptedException {
        final Random random = new Random(17);
        int afterCrash = 0;
        for (int kill = 0; kill < 20; kill++) {
            final Process process =
                    new ProcessBuilder(
                                    Path.of(System.getProperty("java.home"), "bin", "java")
                                            .toString(),
                                    "--enable-native-access=ALL-UNNAMED",
                                    "-XX:+UseSerialGC",
                                    "-XX:TieredStopAtLevel=1",
                                    "-Xshare:auto",
                                    "-cp",
                                    System.getProperty("java.class.path"),
                                    TableHammer.class.getName(),
                                    folder.resolve("flows").toString(),
                                    Integer.toString(kill))
                            .redirectError(ProcessBuilder.Redirect.INHERIT)
                            .start();
            try {
                // The hammer says so once the table is open and full.
                assertThat(process.getInputStream().read()).isEqualTo('!');
                Thread.onSpinWait();
                process.waitFor(1 + random.nextInt(40), TimeUnit.MILLISECONDS);
            } finally {
                process.destroyForcibly();
                process.waitFor();
            }
            try (Conntrack table = TableHammer.open(folder.resolve("flows"))) {
                assertThat(table.origin().start()).isEqualTo(Start.AFTER_CRASH);
                // One lane writes one slot at a time.
                assertThat(table.origin().tornFlows()).as("kill %d", kill).isBetween(0, 1);
                assertThat(table.origin().flows()).isEqualTo(table.size());
                afterCrash += table.size();
                expectWhole(table, "kill " + kill);
            }
        }
        assertThat(afterCrash).isPositive();
    }

    private static void expectWhole(final Conntrack table, final String where) {
        final Set<Tuple> shown = new HashSet<>();
        final int[] count = new int[1];
        table.forEach(
                TableHammer.NOW_NS,
                flow -> {
                    count[0]++;
                    final long number = flow.initiatorLow() & 0xffff;
                    assertThat(flow.responderLow() & 0xffff).as(where).isEqualTo(number);
                    assertThat(flow.initiatorBytes())
                            .as(where)
                            .isEqualTo(1000 * flow.initiatorPackets());
                    final boolean judged = flow.verdict() == FlowVerdict.REDIRECT;
                    assertThat(flow.proxyPort()).as(where).isEqualTo(judged ? number + 1 : 0);
                    final Tuple tuple =
                            tuple(
                                    flow.protocol(),
                                    flow.initiatorHigh(),
                                    flow.initiatorLow(),
                                    flow.initiatorTransportPort(),
                                    flow.responderHigh(),
                                    flow.responderLow(),
                                    flow.responderTransportPort());
                    shown.add(tuple);
                });
        assertThat(count[0]).as(where).isEqualTo(table.size());
        assertThat(shown).hasSize(count[0]);
        for (final Tuple tuple : shown) {
            assertThat(table.lookup(tuple, 0, TableHammer.NOW_NS))
                    .as(where)
                    .isEqualTo(ConntrackState.ESTABLISHED);
            table.close(table.entry());
        }
        assertThat(table.size()).as(where).isZero();
    }

    private Conntrack open(final int capacity, final long nowNs) throws IOException {
        return Conntrack.open(
                ConntrackLimitsTest.capacity(capacity), 9, folder.resolve("flows"), BOOT, nowNs);
    }
}
