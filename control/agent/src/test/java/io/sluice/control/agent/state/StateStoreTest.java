package io.sluice.control.agent.state;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.state.PrefixRow.Source;
import io.sluice.control.agent.state.StateStore.Publication;
import io.sluice.control.agent.state.StateTables.Which;
import io.sluice.control.agent.state.TableFile.Condition;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.IpAddress;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class StateStoreTest {
    private static final Clock CLOCK =
            Clock.fixed(Instant.parse("2026-11-27T02:00:00Z"), ZoneOffset.UTC);
    private static final Instant LEARNED = Instant.parse("2026-11-27T02:00:00.456Z");
    private static final Instant EXPIRY = Instant.parse("2026-11-27T03:00:00.123Z");

    @TempDir private Path folder;

    private StateStore open() throws StateException {
        return StateStore.open(folder, CLOCK);
    }

    private Path table(final TableKind kind) {
        return StateFolder.tables(folder).resolve(kind.fileName());
    }

    private List<PrefixRow> prefixes() throws Exception {
        return StateTables.read(folder, Which.PREFIXES).prefixes();
    }

    private List<IdentityRow> identities() throws Exception {
        return StateTables.read(folder, Which.IDENTITIES).identities();
    }

    private List<Path> setAside() throws IOException {
        try (Stream<Path> files = Files.list(StateFolder.tables(folder))) {
            return files.filter(file -> file.toString().contains(".aside-")).toList();
        }
    }

    private static PrefixRow row(final int address, final int identity) {
        return new PrefixRow(Cidr.host(IpAddress.ofIpv4(address)), identity, Source.OBJECTS, "");
    }

    private static NameRow name(final String name, final int address) {
        return new NameRow(name, IpAddress.ofIpv4(address), "shop/web", LEARNED, EXPIRY, false);
    }

    private static IdentityRow live(final int number, final int endpointCount) {
        return new IdentityRow(number, "", true, List.of("k8s:app=" + number), endpointCount);
    }

    private static void publish(
            final StateStore store,
            final List<IdentityRow> identities,
            final List<PrefixRow> prefixes) {
        store.published(() -> new Publication(identities, prefixes));
        store.awaitWritten();
    }

    @Test
    void everythingIsThereAgainAfterAStop() throws Exception {
        final PrefixRow ipv6 =
                new PrefixRow(Cidr.parse("2001:db8::/33").orElseThrow(), 9, Source.POOL, "");
        final PrefixRow endpoint =
                new PrefixRow(
                        Cidr.parse("10.0.0.9/32").orElseThrow(), 300, Source.ENDPOINT, "shop/ü");
        try (StateStore store = open()) {
            store.identities().remember("pod\nlabel\tk8s:app\tweb", 300);
            publish(store, List.of(live(1, 0), live(300, 2)), List.of(ipv6, endpoint));
            store.names().learn(name("a.example.", 7));
        }
        try (StateStore store = open()) {
            assertThat(store.identities().recall())
                    .isEqualTo(Map.of("pod\nlabel\tk8s:app\tweb", 300));
            assertThat(store.names().names()).containsExactly(name("a.example.", 7));
            assertThat(store.problems()).isEmpty();
        }
        assertThat(prefixes()).containsExactlyInAnyOrder(endpoint, ipv6);
        assertThat(identities())
                .containsExactly(
                        live(1, 0),
                        new IdentityRow(
                                300, "pod\nlabel\tk8s:app\tweb", true, List.of("k8s:app=300"), 2));
    }

    @Test
    void aNumberThatNothingLivesUnderIsKeptButNotLive() throws Exception {
        try (StateStore store = open()) {
            store.identities().remember("x", 300);
            publish(store, List.of(live(300, 1)), List.of());
            publish(store, List.of(), List.of());
        }
        assertThat(identities())
                .containsExactly(new IdentityRow(300, "x", false, List.of("k8s:app=300"), 0));
    }

    @Test
    void aForgottenNumberDoesNotComeBackWithALatePublication() throws Exception {
        try (StateStore store = open()) {
            store.identities().remember("x", 300);
            store.identities().forget(300);
            publish(store, List.of(live(300, 1)), List.of());
        }
        assertThat(identities()).isEmpty();
    }

    @Test
    void aSecondProcessGivesNoNumberOfTheFirstToAnotherPeer() throws Exception {
        try (StateStore store = open()) {
            store.identities().remember("x", Identity.CLUSTER_FIRST);
            assertThat(new IdentityAllocator(store.identities())).isNotNull();
        }
        try (StateStore store = open()) {
            assertThat(store.identities().recall()).containsValue(Identity.CLUSTER_FIRST);
        }
    }

    @Test
    void theTableFollowsPublicationsByTheirDifferences() throws Exception {
        final Random random = new Random(20_261_127);
        final Map<Integer, Integer> wanted = new HashMap<>();
        try (StateStore store = open()) {
            for (int round = 0; round < 60; round++) {
                for (int i = 0; i < 200; i++) {
                    if (random.nextInt(3) == 0) {
                        wanted.remove(random.nextInt(1000));
                    } else {
                        wanted.put(random.nextInt(1000), random.nextInt(4));
                    }
                }
                final List<PrefixRow> rows = new ArrayList<>();
                wanted.forEach((address, identity) -> rows.add(row(address, identity)));
                publish(store, List.of(), rows);
                if (round % 20 == 10) {
                    store.suspend();
                    assertThat(prefixes()).containsExactlyInAnyOrderElementsOf(rows);
                    store.resume();
                }
            }
        }
        assertThat(prefixes()).hasSameSizeAs(wanted.keySet());
        for (final PrefixRow row : prefixes()) {
            assertThat(wanted).containsEntry((int) row.prefix().network().low(), row.identity());
        }
    }

    /** Maps of generated value types lost rows here; maps of byte arrays must not. */
    @Test
    void twentyThousandRowsAreOverwrittenAndNoneIsLostOrDoubled() throws Exception {
        Files.createDirectories(folder);
        for (int round = 1; round <= 5; round++) {
            try (TableFile table = TableFile.open(folder, TableKind.IPCACHE, Condition.CLEAN)) {
                for (int i = 0; i < 20_000; i++) {
                    final PrefixRow row = row(i, round * i);
                    assertThat(
                                    table.put(
                                            RowFormat.prefixKey(row.prefix()),
                                            RowFormat.prefixValue(row)))
                            .isTrue();
                }
                assertThat(table.rowCount()).isEqualTo(20_000);
                final Map<Integer, Integer> found = new HashMap<>();
                table.forEach(
                        (key, value) -> {
                            final PrefixRow row = RowFormat.prefix(key, value);
                            found.merge(
                                    (int) row.prefix().network().low(),
                                    row.identity(),
                                    (first, second) -> -1);
                        });
                assertThat(found).hasSize(20_000);
                final int factor = round;
                found.forEach((i, identity) -> assertThat(identity).isEqualTo(factor * i));
            }
        }
    }

    @Test
    void whatIsWrittenWhileSuspendedIsWrittenAfterwards() throws Exception {
        try (StateStore store = open()) {
            store.identities().remember("before", 300);
            store.identities().remember("forgotten", 301);
            store.names().learn(name("before.", 1));
            store.suspend();
            store.identities().remember("meanwhile", 302);
            store.identities().forget(301);
            store.names().learn(name("meanwhile.", 2));
            publish(store, List.of(live(302, 1)), List.of(row(1, 302)));
            assertThat(store.names().names()).hasSize(1);
            store.resume();
            store.awaitWritten();
        }
        assertThat(identities().stream().map(IdentityRow::number)).containsExactly(300, 302);
        assertThat(identities().getLast().live()).isTrue();
        assertThat(prefixes()).containsExactly(row(1, 302));
        try (StateStore store = open()) {
            assertThat(store.names().names())
                    .containsExactly(name("before.", 1), name("meanwhile.", 2));
        }
    }

    @Test
    void whatHappensToNamesWhileSuspendedIsToldAndDoneOnceResumed() throws Exception {
        try (StateStore store = open()) {
            store.names().learn(name("kept.", 1));
            store.names().learn(name("forgotten.", 2));
            assertThat(store.nameChanges()).isEqualTo(NameChanges.none());
            store.suspend();
            store.names().learn(name("meanwhile.", 3));
            store.names().learn(name("came and went.", 4));
            store.names().forget("came and went.", IpAddress.ofIpv4(4), "shop/web");
            store.names().forget("forgotten.", IpAddress.ofIpv4(2), "shop/web");

            final NameChanges changes = store.nameChanges();
            assertThat(changes.learned()).containsExactly(name("meanwhile.", 3));
            assertThat(changes.forgotten())
                    .extracting(NameChanges.Key::name)
                    .contains("forgotten.")
                    .doesNotContain("kept.");
            store.resume();
            assertThat(store.nameChanges()).isEqualTo(NameChanges.none());
        }
        try (StateStore store = open()) {
            assertThat(store.names().names())
                    .containsExactly(name("kept.", 1), name("meanwhile.", 3));
        }
    }

    @Test
    void aForgottenNameIsGoneAndAnAnswerThatComesAgainReplacesTheFirst() throws Exception {
        final NameRow again =
                new NameRow(
                        "again.",
                        IpAddress.ofIpv4(1),
                        "shop/web",
                        LEARNED.plusSeconds(60),
                        EXPIRY.plusSeconds(60),
                        true);
        try (StateStore store = open()) {
            final NameMemory names = store.names();
            names.learn(name("old.", 1));
            names.learn(name("again.", 1));
            names.learn(again);
            names.forget("old.", IpAddress.ofIpv4(2), "shop/web");
            assertThat(names.names()).hasSize(2);
            names.forget("old.", IpAddress.ofIpv4(1), "shop/web");
            assertThat(names.names()).containsExactly(again);
        }
        try (StateStore store = open()) {
            assertThat(store.names().names()).containsExactly(again);
        }
    }

    @Test
    void aNewerVersionIsNotTouched() throws Exception {
        try (StateStore store = open()) {
            store.identities().remember("x", 300);
        }
        final Path version = StateFolder.tables(folder).resolve("version");
        Files.writeString(version, "2\n");
        final byte[] before = Files.readAllBytes(table(TableKind.IDENTITIES));
        assertThatThrownBy(this::open)
                .isInstanceOf(StateException.class)
                .hasMessageContaining("written by a newer Sluice (format 2, this one knows 1)");
        assertThatThrownBy(() -> StateTables.read(folder, Which.IDENTITIES))
                .isInstanceOf(StateException.class);
        assertThat(Files.readAllBytes(table(TableKind.IDENTITIES))).isEqualTo(before);
        assertThat(version).hasContent("2");
        assertThat(StateFolder.tables(folder).resolve("clean")).exists();
    }

    @Test
    void anOlderFormatIsRebuiltAndSaidSo() throws Exception {
        try (StateStore store = open()) {
            store.identities().remember("x", 300);
        }
        Files.writeString(StateFolder.tables(folder).resolve("version"), "0\n");
        try (StateStore store = open()) {
            assertThat(store.identities().recall()).isEmpty();
            assertThat(store.problems())
                    .anySatisfy(
                            problem ->
                                    assertThat(problem)
                                            .contains("identities was set aside")
                                            .contains("older format (0)"));
        }
        assertThat(StateFolder.tables(folder).resolve("version")).hasContent("1");
    }

    enum Damage {
        EMPTY {
            @Override
            void inflict(final FileChannel file, final Random random) throws IOException {
                file.truncate(0);
            }
        },
        SHORT {
            @Override
            void inflict(final FileChannel file, final Random random) throws IOException {
                file.truncate(7);
            }
        },
        HALF {
            @Override
            void inflict(final FileChannel file, final Random random) throws IOException {
                file.truncate(file.size() / 2);
            }
        },
        HEADER_ONLY {
            @Override
            void inflict(final FileChannel file, final Random random) throws IOException {
                file.truncate(4096);
            }
        },
        GARBAGE {
            @Override
            void inflict(final FileChannel file, final Random random) throws IOException {
                garbage(file, random, 0, 1 << 20);
            }
        },
        HEADER_TEXT {
            @Override
            void inflict(final FileChannel file, final Random random) throws IOException {
                garbage(file, random, 100, 200);
            }
        },
        ZEROS {
            @Override
            void inflict(final FileChannel file, final Random random) throws IOException {
                file.write(ByteBuffer.allocate(1 << 20), 0);
            }
        };

        abstract void inflict(FileChannel file, Random random) throws IOException;

        private static void garbage(
                final FileChannel file, final Random random, final long from, final int length)
                throws IOException {
            final byte[] bytes = new byte[length];
            random.nextBytes(bytes);
            file.write(ByteBuffer.wrap(bytes), from);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aDamagedFileIsNoReasonNotToStart(final Damage damage) throws Exception {
        try (StateStore store = open()) {
            IntStream.range(300, 400)
                    .forEach(number -> store.identities().remember("x" + number, number));
        }
        Files.delete(StateFolder.tables(folder).resolve("clean"));
        try (FileChannel file =
                FileChannel.open(
                        table(TableKind.IDENTITIES),
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE)) {
            damage.inflict(file, new Random(4));
        }
        try (StateStore store = open()) {
            // Recovered in part, or set aside: either way what there is is right, and it goes on.
            store.identities()
                    .recall()
                    .forEach((facts, number) -> assertThat(facts).isEqualTo("x" + number));
            if (!setAside().isEmpty()) {
                assertThat(store.problems())
                        .anySatisfy(problem -> assertThat(problem).contains("set aside as"));
            }
            store.identities().remember("new", 1000);
        }
        try (StateStore store = open()) {
            assertThat(store.identities().recall()).containsEntry("new", 1000);
            assertThat(store.problems()).isEmpty();
        }
    }

    @Test
    void aTableThatWasNotOpenedIsNotTakenForCleanAfterACrash() throws Exception {
        try (StateStore store = open()) {
            publish(store, List.of(), List.of(row(1, 9)));
        }
        final Path clean = StateFolder.tables(folder).resolve("clean");
        assertThat(Files.readString(clean)).contains("ipcache ");
        Files.delete(clean);
        try (StateStore store = open()) {
            store.identities().remember("x", 300);
        }
        assertThat(Files.readString(clean)).contains("identities ").doesNotContain("ipcache ");
        assertThat(prefixes()).containsExactly(row(1, 9));
    }

    @Test
    void aTableOfWhichTwoProcessesDiedIsNotTriedAgain() throws Exception {
        try (StateStore store = open()) {
            store.identities().remember("x", 300);
        }
        final Path attempts = StateFolder.tables(folder).resolve("identities.opening");
        Files.write(attempts, new byte[1]);
        try (StateStore store = open()) {
            assertThat(store.identities().recall()).containsEntry("x", 300);
        }
        assertThat(attempts).doesNotExist();
        Files.write(attempts, new byte[StateFolder.ATTEMPTS_MAX]);
        try (StateStore store = open()) {
            assertThat(store.identities().recall()).isEmpty();
            assertThat(store.problems())
                    .anySatisfy(problem -> assertThat(problem).contains("died of it"));
        }
        assertThat(attempts).doesNotExist();
        assertThat(setAside()).hasSize(1);
    }

    @Test
    void aTableThatIsFullSaysSoAndTheRowWaits() throws Exception {
        Files.createDirectories(folder);
        try (TableFile table = TableFile.open(folder, TableKind.FQDN, Condition.CLEAN)) {
            int written = 0;
            while (written < 2 * TableKind.FQDN.rowsMax()) {
                final NameRow row = name("name-" + written, written);
                if (!table.put(RowFormat.nameKey(row), RowFormat.nameValue(row))) {
                    break;
                }
                written++;
            }
            assertThat(written).isBetween(TableKind.FQDN.rowsMax(), TableKind.FQDN.rowsMax() + 64);
            assertThat(table.problem()).contains("full: 100000 rows at most");
        }
    }
}
