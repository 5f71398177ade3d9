package io.sluice.control.agent.state;

import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IdentityMemory;
import io.sluice.control.policy.IpAddress;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the daemon remembers beside its objects: numbers of identities, the ipcache, learned names.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. Numbers of identities mean the same after a restart; the command line can read the
 * tables with the daemon down; names that were learned are good until they expire. No packet and no
 * request waits for this: it is the durable form, and nothing reads it between start and stop.
 *
 * <p>Storage. Three Chronicle Maps ({@link TableFile}) in a folder that says of which format and
 * whether it was closed in order ({@link StateFolder}). Limits: {@link TableKind}. On the heap: the
 * rows of the identities, about a kilobyte each, and the prefixes that were written last.
 *
 * <p>What survives. The end of the process, by whatever signal: everything written, which is a
 * number before any packet is judged by it, a name before {@link NameMemory#learn} returns, and
 * prefixes within milliseconds after their publication; at most the one row that was being written
 * is missing. The end of the machine: everything up to {@link #SYNC_SECONDS} before. More would
 * cost an fsync for each number, milliseconds on a disk, in every publication; and after a power
 * cut there are no connections left that were judged by the lost numbers.
 *
 * <p>Identities are written by whoever compiles, before the number leaves the allocator: these are
 * few. The ipcache is written by a thread of its own, from the latest publication; those in between
 * are skipped. Only rows that differ are written.
 *
 * <p>Failures. A table that cannot be used is set aside and begins anew; a folder that cannot be
 * used leaves all of this in memory. {@link #problems} says so, and nothing else changes. A row
 * that was refused, as on a full file system, is tried again every {@link #SYNC_SECONDS}.
 *
 * <p>States: running, suspended (another process may have the folder; rows wait in memory), closed.
 *
 * <p>Thread: {@link #identities} that of the compiler, {@link #names} one writer, the rest control;
 * {@link #problems} any.
 */
public final class StateStore implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(StateStore.class);

    /** A power cut may cost what was written in so many seconds. */
    private static final int SYNC_SECONDS = 5;

    private static final Comparator<PrefixRow> BY_PREFIX = Comparator.comparing(PrefixRow::prefix);

    /**
     * What was published.
     *
     * @param identities of the live policy, with their labels and endpoints; facts are ignored
     * @param prefixes of the ipcache, in any order, each once
     */
    public record Publication(List<IdentityRow> identities, List<PrefixRow> prefixes) {}

    /** A table and why it does not hold all it should. */
    private static final class Slot {
        private Optional<TableFile> table = Optional.empty();
        private String problem = "";

        private void refused() {
            final String reason = table.map(TableFile::problem).orElse("");
            if (!reason.isEmpty() && !reason.equals(problem)) {
                LOG.error("a table of the state folder is not written: {}", reason);
            }
            problem = reason;
        }
    }

    private final Path folder;
    private final Clock clock;
    private final ScheduledThreadPoolExecutor writer;

    // Guarded by itself.
    private final Slot identitySlot = new Slot();
    private final TreeMap<Integer, IdentityRow> identityRows = new TreeMap<>();
    private final TreeSet<Integer> identitiesUnwritten = new TreeSet<>();

    // Guarded by itself; the rest of the ipcache is the writer's.
    private final Slot prefixSlot = new Slot();
    // What is in the table, by prefix; empty when that is not known.
    private Optional<List<PrefixRow>> prefixesWritten = Optional.empty();
    private final AtomicReference<Optional<Supplier<Publication>>> latest =
            new AtomicReference<>(Optional.empty());
    private Optional<Publication> unwritten = Optional.empty();

    // Guarded by itself.
    private final Slot nameSlot = new Slot();
    private final Map<NameChanges.Key, NameRow> namesUnwritten = new LinkedHashMap<>();
    // Forgotten while there was no table to remove them from.
    private final Set<NameChanges.Key> namesForgotten = new LinkedHashSet<>();

    private Optional<Future<?>> tending = Optional.empty();
    private volatile Optional<StateFolder> open = Optional.empty();
    private volatile String folderProblem = "";
    private volatile List<String> notes = List.of();

    private StateStore(final Path folder, final Clock clock) {
        this.folder = folder;
        this.clock = clock;
        this.writer =
                new ScheduledThreadPoolExecutor(
                        1, Thread.ofPlatform().name("sluice-state").daemon().factory());
    }

    /**
     * Opens the tables, which takes a second of class loading in a process that does it for the
     * first time, see {@link #prepare}.
     *
     * @param stateFolder which the caller has locked
     * @throws StateException when a newer version has written it; every other failure leaves the
     *     store in memory
     */
    public static StateStore open(final Path stateFolder, final Clock clock) throws StateException {
        final StateStore store = new StateStore(StateFolder.tables(stateFolder), clock);
        try {
            store.openTables();
        } catch (final StateException e) {
            store.writer.shutdownNow();
            throw e;
        }
        store.tending =
                Optional.of(
                        store.writer.scheduleWithFixedDelay(
                                store::tend, SYNC_SECONDS, SYNC_SECONDS, TimeUnit.SECONDS));
        return store;
    }

    private void openTables() throws StateException {
        folderProblem = "";
        try {
            final StateFolder opened = StateFolder.open(folder, clock);
            synchronized (identitySlot) {
                final Map<Integer, IdentityRow> found = new HashMap<>();
                identitySlot.table =
                        Optional.of(
                                opened.table(
                                        TableKind.IDENTITIES,
                                        table -> readIdentities(table, found)));
                // What was forgotten while suspended is still there.
                found.forEach(
                        (number, row) -> {
                            if (!identitiesUnwritten.contains(number)) {
                                identityRows.putIfAbsent(number, row);
                            }
                        });
                for (final Map.Entry<Integer, IdentityRow> row : identityRows.entrySet()) {
                    if (!row.getValue().equals(found.get(row.getKey()))) {
                        identitiesUnwritten.add(row.getKey());
                    }
                }
                writeIdentities();
            }
            synchronized (nameSlot) {
                nameSlot.table =
                        Optional.of(opened.table(TableKind.FQDN, table -> readNames(table)));
                writeNames();
            }
            open = Optional.of(opened);
            tellNotes(opened);
        } catch (final IOException e) {
            folderProblem =
                    "state: %s cannot be used, identities, ipcache and names are not remembered: %s"
                            .formatted(folder, e);
            LOG.error("{}", folderProblem, e);
        }
    }

    private void tellNotes(final StateFolder opened) {
        final List<String> now = opened.notes();
        now.stream().filter(note -> !notes.contains(note)).forEach(note -> LOG.warn("{}", note));
        notes = now;
    }

    /**
     * Loads what opening needs, without a file: call it early, on a thread of its own, and {@link
     * #open} takes a tenth of the time.
     */
    public static void prepare() {
        TableFile.prepare();
    }

    /** Sentences about what is wrong now; any thread. */
    public List<String> problems() {
        final List<String> problems = new ArrayList<>(notes);
        if (!folderProblem.isEmpty()) {
            problems.add(folderProblem);
        }
        addProblem(problems, TableKind.IDENTITIES, identitySlot);
        addProblem(problems, TableKind.IPCACHE, prefixSlot);
        addProblem(problems, TableKind.FQDN, nameSlot);
        return problems;
    }

    private static void addProblem(
            final List<String> problems, final TableKind kind, final Slot slot) {
        synchronized (slot) {
            if (!slot.problem.isEmpty()) {
                problems.add(
                        "state: the table %s is not written: %s"
                                .formatted(kind.fileName(), slot.problem));
            }
        }
    }

    // Identities

    /** Numbers and the facts they stand for. */
    public IdentityMemory identities() {
        return new Identities();
    }

    private final class Identities implements IdentityMemory {
        @Override
        public Map<String, Integer> recall() {
            synchronized (identitySlot) {
                final Map<String, Integer> numbers = new HashMap<>();
                identityRows.forEach(
                        (number, row) -> {
                            if (!row.facts().isEmpty()) {
                                numbers.putIfAbsent(row.facts(), number);
                            }
                        });
                return numbers;
            }
        }

        @Override
        public void remember(final String facts, final int number) {
            synchronized (identitySlot) {
                putIdentity(new IdentityRow(number, facts, false, List.of(), 0));
            }
        }

        @Override
        public void forget(final int number) {
            synchronized (identitySlot) {
                identityRows.remove(number);
                writeIdentity(number);
            }
        }
    }

    private static void readIdentities(final TableFile table, final Map<Integer, IdentityRow> found)
            throws IOException {
        found.clear();
        table.forEach(
                (key, value) -> {
                    final IdentityRow row = RowFormat.identity(key, value);
                    found.put(row.number(), row);
                });
    }

    private void putIdentity(final IdentityRow row) {
        identityRows.put(row.number(), row);
        writeIdentity(row.number());
    }

    private void writeIdentity(final int number) {
        final Optional<IdentityRow> row = Optional.ofNullable(identityRows.get(number));
        final byte[] key = RowFormat.identityKey(number);
        final boolean written =
                identitySlot
                        .table
                        .filter(
                                table ->
                                        row.isPresent()
                                                ? table.put(key, RowFormat.identityValue(row.get()))
                                                : table.remove(key))
                        .isPresent();
        if (written) {
            identitiesUnwritten.remove(number);
        } else {
            identitiesUnwritten.add(number);
        }
        if (!written || identitiesUnwritten.isEmpty()) {
            identitySlot.refused();
        }
    }

    /** Rows that were refused before. */
    private void writeIdentities() {
        for (final int number : List.copyOf(identitiesUnwritten)) {
            writeIdentity(number);
            if (identitiesUnwritten.contains(number)) {
                return;
            }
        }
    }

    /**
     * Labels and endpoints of the identities that are live now. A number that the allocator has
     * forgotten meanwhile stays forgotten.
     */
    private void writeLive(final List<IdentityRow> live) {
        synchronized (identitySlot) {
            final Map<Integer, IdentityRow> gone = new HashMap<>(identityRows);
            for (final IdentityRow now : live) {
                gone.remove(now.number());
                final Optional<IdentityRow> before =
                        Optional.ofNullable(identityRows.get(now.number()));
                if (before.isEmpty() && now.number() >= Identity.CLUSTER_FIRST) {
                    continue;
                }
                final IdentityRow row =
                        new IdentityRow(
                                now.number(),
                                before.map(IdentityRow::facts).orElse(""),
                                true,
                                now.labels(),
                                now.endpointCount());
                if (!before.equals(Optional.of(row))) {
                    putIdentity(row);
                }
            }
            for (final IdentityRow row : gone.values()) {
                if (row.live()) {
                    putIdentity(new IdentityRow(row.number(), row.facts(), false, row.labels(), 0));
                }
            }
        }
    }

    // Prefixes

    /**
     * Hands over what is live now; returns at once. It is asked for on the store's own thread, and
     * not at all when the next comes before.
     */
    public void published(final Supplier<Publication> publication) {
        latest.set(Optional.of(publication));
        writer.execute(this::writeLatest);
    }

    private void writeLatest() {
        try {
            final Optional<Supplier<Publication>> next = latest.getAndSet(Optional.empty());
            if (next.isPresent()) {
                unwritten = next.map(Supplier::get);
            }
            if (unwritten.isEmpty() || open.isEmpty()) {
                return;
            }
            writeLive(unwritten.get().identities());
            synchronized (prefixSlot) {
                if (writePrefixes(unwritten.get().prefixes())) {
                    unwritten = Optional.empty();
                }
                prefixSlot.refused();
            }
        } catch (final IOException | RuntimeException e) {
            // One that cannot be written must not keep the next from being tried.
            LOG.error("the ipcache could not be written to the state folder", e);
            synchronized (prefixSlot) {
                prefixSlot.problem = e.toString();
            }
        }
    }

    /** Brings the table from what it holds to these rows; whether it took all. */
    private boolean writePrefixes(final List<PrefixRow> rows) throws IOException {
        final TableFile table = prefixTable();
        final List<PrefixRow> before = prefixesWritten.orElseThrow();
        final List<PrefixRow> after = new ArrayList<>(rows);
        // Rows come in this order but for a few at the end: no more than a look at each.
        after.sort(BY_PREFIX);
        prefixesWritten = Optional.empty();
        int old = 0;
        for (final PrefixRow row : after) {
            while (old < before.size() && BY_PREFIX.compare(before.get(old), row) < 0) {
                if (!table.remove(RowFormat.prefixKey(before.get(old++).prefix()))) {
                    return false;
                }
            }
            final boolean known =
                    old < before.size() && before.get(old).prefix().equals(row.prefix());
            final boolean same = known && before.get(old).equals(row);
            old += known ? 1 : 0;
            if (!same
                    && !table.put(RowFormat.prefixKey(row.prefix()), RowFormat.prefixValue(row))) {
                return false;
            }
        }
        while (old < before.size()) {
            if (!table.remove(RowFormat.prefixKey(before.get(old++).prefix()))) {
                return false;
            }
        }
        prefixesWritten = Optional.of(after);
        return true;
    }

    /** Opened and read when it is needed first: a start does not wait for a million prefixes. */
    private TableFile prefixTable() throws IOException {
        final List<PrefixRow> found = new ArrayList<>();
        if (prefixSlot.table.isEmpty()) {
            final StateFolder opened = open.orElseThrow();
            final TableFile table =
                    opened.table(TableKind.IPCACHE, candidate -> readPrefixes(candidate, found));
            prefixSlot.table = Optional.of(table);
            tellNotes(opened);
        } else if (prefixesWritten.isPresent()) {
            return prefixSlot.table.get();
        } else {
            readPrefixes(prefixSlot.table.get(), found);
        }
        found.sort(BY_PREFIX);
        prefixesWritten = Optional.of(found);
        return prefixSlot.table.get();
    }

    private static void readPrefixes(final TableFile table, final List<PrefixRow> found)
            throws IOException {
        found.clear();
        table.forEach((key, value) -> found.add(RowFormat.prefix(key, value)));
    }

    // Names

    /** Learned names. */
    public NameMemory names() {
        return new Names();
    }

    private final class Names implements NameMemory {
        @Override
        public List<NameRow> names() {
            synchronized (nameSlot) {
                final Map<NameChanges.Key, NameRow> rows = new HashMap<>();
                try {
                    if (nameSlot.table.isPresent()) {
                        readNames(nameSlot.table.get()).forEach(row -> rows.put(keyOf(row), row));
                    }
                } catch (final IOException e) {
                    LOG.error("names of the state folder cannot be read", e);
                    nameSlot.problem = e.toString();
                }
                rows.putAll(namesUnwritten);
                return rows.values().stream().sorted(StateTables.BY_NAME).toList();
            }
        }

        @Override
        public void learn(final NameRow row) {
            synchronized (nameSlot) {
                namesForgotten.remove(keyOf(row));
                if (!write(row) && namesUnwritten.size() < TableKind.FQDN.rowsMax()) {
                    namesUnwritten.put(keyOf(row), row);
                }
                nameSlot.refused();
            }
        }

        @Override
        public void forget(final String name, final IpAddress address, final String endpoint) {
            synchronized (nameSlot) {
                final NameChanges.Key key = new NameChanges.Key(name, address, endpoint);
                namesUnwritten.remove(key);
                if (nameSlot.table.isPresent()) {
                    nameSlot.table.get().remove(RowFormat.nameKey(name, address, endpoint));
                } else if (namesForgotten.size() < TableKind.FQDN.rowsMax()) {
                    namesForgotten.add(key);
                }
            }
        }
    }

    /** What the folder's next owner does not find there; any thread. */
    public NameChanges nameChanges() {
        synchronized (nameSlot) {
            return new NameChanges(
                    List.copyOf(namesUnwritten.values()), List.copyOf(namesForgotten));
        }
    }

    private static NameChanges.Key keyOf(final NameRow row) {
        return new NameChanges.Key(row.name(), row.address(), row.endpoint());
    }

    private static List<NameRow> readNames(final TableFile table) throws IOException {
        final List<NameRow> rows = new ArrayList<>();
        table.forEach((key, value) -> rows.add(RowFormat.name(key, value)));
        return rows;
    }

    private boolean write(final NameRow row) {
        return nameSlot.table
                .filter(table -> table.put(RowFormat.nameKey(row), RowFormat.nameValue(row)))
                .isPresent();
    }

    private void writeNames() {
        nameSlot.table.ifPresent(
                table -> {
                    for (final NameChanges.Key key : namesForgotten) {
                        table.remove(RowFormat.nameKey(key.name(), key.address(), key.endpoint()));
                    }
                    namesForgotten.clear();
                });
        for (final NameRow row : List.copyOf(namesUnwritten.values())) {
            if (!write(row)) {
                break;
            }
            namesUnwritten.remove(keyOf(row));
        }
        nameSlot.refused();
    }

    // Upkeep

    /** Every few seconds: refused rows again, and everything to the disk. Thread: the writer. */
    private void tend() {
        if (open.isEmpty()) {
            return;
        }
        synchronized (identitySlot) {
            writeIdentities();
        }
        synchronized (nameSlot) {
            writeNames();
        }
        writeLatest();
        sync(identitySlot);
        sync(prefixSlot);
        sync(nameSlot);
    }

    private static void sync(final Slot slot) {
        synchronized (slot) {
            try {
                if (slot.table.isPresent()) {
                    slot.table.get().sync();
                }
            } catch (final IOException e) {
                LOG.error("a table of the state folder is not on the disk", e);
                slot.problem = e.toString();
            }
        }
    }

    /** Returns when everything that was published before is written; for tests and the stop. */
    public void awaitWritten() {
        run(() -> {});
    }

    private void run(final Runnable task) {
        final Future<?> done = writer.submit(task);
        try {
            done.get();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (final ExecutionException e) {
            LOG.error("the state folder", e);
        }
    }

    /** Closes the tables, so that another process may have them; rows wait in memory. */
    public void suspend() {
        run(this::closeTables);
    }

    /**
     * Opens the tables again.
     *
     * @throws StateException when a newer version had them meanwhile
     */
    public void resume() throws StateException {
        openTables();
        writer.execute(this::writeLatest);
    }

    private void closeTables() {
        final Optional<StateFolder> opened = open;
        open = Optional.empty();
        boolean whole = close(identitySlot);
        whole &= close(prefixSlot);
        whole &= close(nameSlot);
        prefixesWritten = Optional.empty();
        try {
            if (opened.isPresent() && whole) {
                opened.get().markClean();
            }
        } catch (final IOException e) {
            LOG.warn("the state folder is recovered at the next start", e);
        }
    }

    private static boolean close(final Slot slot) {
        synchronized (slot) {
            final Optional<TableFile> table = slot.table;
            slot.table = Optional.empty();
            return table.isEmpty() || table.get().closeWhole();
        }
    }

    /** Writes what is left, closes the tables and marks them as whole. */
    @Override
    public void close() {
        if (!writer.isShutdown()) {
            tending.ifPresent(upkeep -> upkeep.cancel(false));
            suspend();
            writer.shutdown();
        }
    }
}
