package io.sluice.control.agent.state;

import io.sluice.control.agent.state.TableFile.Condition;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The folder {@code tables} of a state folder: the files of the tables, and what is known about
 * them.
 *
 * <pre>
 *   version   number of the format of all rows, written before the first table is made
 *   clean     name and length of every table, there only while none is open: the dirty flag, inverted
 *   identities, ipcache, fqdn              the tables
 *   NAME.opening                           there while the table is being opened, a byte for each attempt
 *   NAME.aside-20261127T020000.000Z        a table that could not be used
 * </pre>
 *
 * <p>The flag is inverted so that it cannot be forgotten: it goes away, on the disk as well, before
 * the first table is opened, and comes back after the last one is closed and on the disk. A table
 * whose length is not the one that is noted was changed by something else and counts as dirty.
 *
 * <p>Chronicle trusts the numbers in a file: one full of random bytes can end the JVM by SIGSEGV
 * while it is recovered, which no handler sees. So attempts are counted in a file, and a table that
 * was not open after {@link #ATTEMPTS_MAX} of them is set aside untried. Not after the first, which
 * a kill at a bad moment looks like, too.
 *
 * <p>Thread: one.
 */
final class StateFolder {
    /** Format of the rows ({@link RowFormat}) and of the tables that this program writes. */
    static final int FORMAT = 1;

    /** Processes that may die of a table. */
    static final int ATTEMPTS_MAX = 2;

    private static final String VERSION_FILE = "version";
    private static final String CLEAN_FILE = "clean";

    private static final DateTimeFormatter STAMP =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss.SSS'Z'").withZone(ZoneOffset.UTC);

    private final Path folder;
    private final Clock clock;
    private final Map<String, Long> cleanLengths;
    private final Set<TableKind> opened = EnumSet.noneOf(TableKind.class);
    private final List<String> notes = new ArrayList<>();

    private StateFolder(
            final Path folder, final Clock clock, final Map<String, Long> cleanLengths) {
        this.folder = folder;
        this.clock = clock;
        this.cleanLengths = cleanLengths;
    }

    /** Where the tables of a state folder are. */
    static Path tables(final Path stateFolder) {
        return stateFolder.resolve("tables");
    }

    /**
     * Takes the folder into use: from here on it is dirty.
     *
     * @param folder {@link #tables}; made if it is not there
     * @param clock for the names of files set aside
     * @throws StateException when a newer version has written it
     * @throws IOException when it cannot be read or written
     */
    static StateFolder open(final Path folder, final Clock clock)
            throws StateException, IOException {
        Files.createDirectories(folder);
        final Path version = folder.resolve(VERSION_FILE);
        final int format = format(version);
        final StateFolder opened = new StateFolder(folder, clock, cleanLengths(folder));
        if (format != FORMAT) {
            for (final TableKind kind : TableKind.values()) {
                if (Files.exists(folder.resolve(kind.fileName()))) {
                    opened.setAside(kind, "it has an older format (" + format + ")");
                }
            }
            write(version, FORMAT + "\n");
        }
        if (Files.deleteIfExists(folder.resolve(CLEAN_FILE))) {
            syncFolder(folder);
        }
        return opened;
    }

    /** Format of what is there; 0 for what has no version. */
    private static int format(final Path version) throws StateException, IOException {
        if (!Files.exists(version)) {
            return 0;
        }
        final String text = Files.readString(version).strip();
        final int format;
        try {
            format = Integer.parseInt(text);
        } catch (final NumberFormatException e) {
            return 0;
        }
        if (format > FORMAT) {
            throw new StateException(
                    ("%s: written by a newer Sluice (format %d, this one knows %d): start that one, or"
                                    + " move %s away, which forgets the numbers of identities")
                            .formatted(version, format, FORMAT, version.getParent()));
        }
        return format;
    }

    private static Map<String, Long> cleanLengths(final Path folder) throws IOException {
        final Map<String, Long> lengths = new HashMap<>();
        final Path clean = folder.resolve(CLEAN_FILE);
        if (Files.exists(clean)) {
            for (final String line : Files.readAllLines(clean)) {
                final String[] words = line.split(" ", -1);
                if (words.length == 2 && words[1].matches("[0-9]{1,18}")) {
                    lengths.put(words[0], Long.parseLong(words[1]));
                }
            }
        }
        return lengths;
    }

    /** Something that reads every row of a table just opened. */
    interface Reader {
        void read(TableFile table) throws IOException;
    }

    /**
     * Opens a table and reads it. One that cannot be opened or read is set aside, which {@link
     * #notes} says, and an empty one takes its place.
     *
     * @param reader may be called twice: begins anew each time
     * @throws IOException when not even an empty one can be made
     */
    TableFile table(final TableKind kind, final Reader reader) throws IOException {
        final Path file = folder.resolve(kind.fileName());
        if (Files.exists(file)) {
            final Path attempts = folder.resolve(kind.fileName() + ".opening");
            if (Files.exists(attempts) && Files.size(attempts) >= ATTEMPTS_MAX) {
                setAside(kind, "the last processes that opened it died of it");
            } else {
                try {
                    Files.write(
                            attempts,
                            new byte[1],
                            StandardOpenOption.CREATE,
                            StandardOpenOption.APPEND);
                    return openAndRead(kind, reader, condition(kind, file));
                } catch (final IOException e) {
                    setAside(kind, String.valueOf(e.getMessage()));
                } finally {
                    Files.deleteIfExists(attempts);
                }
            }
            Files.deleteIfExists(attempts);
        }
        return openAndRead(kind, reader, Condition.CLEAN);
    }

    private TableFile openAndRead(
            final TableKind kind, final Reader reader, final Condition condition)
            throws IOException {
        final TableFile table = TableFile.open(folder, kind, condition);
        try {
            reader.read(table);
            opened.add(kind);
            return table;
        } catch (final IOException e) {
            table.close();
            throw e;
        }
    }

    private Condition condition(final TableKind kind, final Path file) throws IOException {
        final Long length = cleanLengths.get(kind.fileName());
        return length != null && length == Files.size(file) ? Condition.CLEAN : Condition.DIRTY;
    }

    private void setAside(final TableKind kind, final String reason) throws IOException {
        final Path file = folder.resolve(kind.fileName());
        final Path aside =
                folder.resolve(kind.fileName() + ".aside-" + STAMP.format(clock.instant()));
        Files.move(file, aside, StandardCopyOption.ATOMIC_MOVE);
        notes.add(
                "state: %s was set aside as %s and begins anew: %s"
                        .formatted(file, aside.getFileName(), reason));
    }

    /** Tables that were set aside, a sentence each. */
    List<String> notes() {
        return List.copyOf(notes);
    }

    /**
     * All tables that were opened are closed and on the disk: from here on they are clean, and
     * those that were not opened are what they were.
     */
    void markClean() throws IOException {
        final StringBuilder lines = new StringBuilder();
        for (final TableKind kind : TableKind.values()) {
            final Path file = folder.resolve(kind.fileName());
            if (Files.exists(file)
                    && (opened.contains(kind) || condition(kind, file) == Condition.CLEAN)) {
                lines.append(kind.fileName()).append(' ').append(Files.size(file)).append('\n');
            }
        }
        write(folder.resolve(CLEAN_FILE), lines.toString());
    }

    /** Writes a file whole or not at all, and to the disk. */
    private static void write(final Path file, final String text) throws IOException {
        final Path beside = file.resolveSibling("." + file.getFileName() + ".new");
        try (FileChannel channel =
                FileChannel.open(
                        beside,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE)) {
            final ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
        Files.move(
                beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        syncFolder(file.resolveSibling("."));
    }

    private static void syncFolder(final Path folder) throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
