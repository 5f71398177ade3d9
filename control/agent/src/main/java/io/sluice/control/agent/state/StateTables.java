package io.sluice.control.agent.state;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * The tables of a state folder whose daemon is down, for reading.
 *
 * <p>Reads copies in a temporary folder: Chronicle maps files for writing only, a crash may have
 * left locks and half a row in them, and who may read the folder need not be able to write it.
 *
 * @param identities by number, also those that are not live
 * @param prefixes by prefix
 * @param names by name, address and endpoint
 * @param notes tables that could not be read, a sentence each
 */
public record StateTables(
        List<IdentityRow> identities,
        List<PrefixRow> prefixes,
        List<NameRow> names,
        List<String> notes) {
    static final Comparator<NameRow> BY_NAME =
            Comparator.comparing(NameRow::name)
                    .thenComparing(NameRow::address)
                    .thenComparing(NameRow::endpoint);

    private static final int BLOCK_BYTES = 1 << 16;

    /** Which table: the others are not even copied. */
    public enum Which {
        IDENTITIES(TableKind.IDENTITIES),
        PREFIXES(TableKind.IPCACHE),
        NAMES(TableKind.FQDN);

        private final TableKind kind;

        Which(final TableKind kind) {
            this.kind = kind;
        }
    }

    /**
     * Reads one table; the others are empty.
     *
     * @throws StateException when a newer version has written it
     * @throws IOException when there are no tables, or they cannot be read
     */
    public static StateTables read(final Path stateFolder, final Which which)
            throws StateException, IOException {
        final Path folder = StateFolder.tables(stateFolder);
        if (!Files.isDirectory(folder)) {
            throw new IOException(folder + ": not there: no daemon has used this state folder");
        }
        final Path copy = Files.createTempDirectory("sluice-state");
        try {
            copyFiles(folder, copy, which.kind);
            return read(StateFolder.open(copy, Clock.systemUTC()), which);
        } finally {
            delete(copy);
        }
    }

    private static StateTables read(final StateFolder folder, final Which which)
            throws IOException {
        final List<IdentityRow> identities = new ArrayList<>();
        final List<PrefixRow> prefixes = new ArrayList<>();
        final List<NameRow> names = new ArrayList<>();
        folder.table(
                        which.kind,
                        table -> {
                            identities.clear();
                            prefixes.clear();
                            names.clear();
                            table.forEach(
                                    (key, value) -> {
                                        switch (which) {
                                            case IDENTITIES ->
                                                    identities.add(RowFormat.identity(key, value));
                                            case PREFIXES ->
                                                    prefixes.add(RowFormat.prefix(key, value));
                                            case NAMES -> names.add(RowFormat.name(key, value));
                                        }
                                    });
                        })
                .close();
        identities.sort(Comparator.comparingInt(IdentityRow::number));
        prefixes.sort(Comparator.comparing(PrefixRow::prefix));
        names.sort(BY_NAME);
        return new StateTables(identities, prefixes, names, folder.notes());
    }

    private static void copyFiles(final Path from, final Path to, final TableKind kind)
            throws IOException {
        for (final String name : List.of("version", "clean", kind.fileName())) {
            if (Files.exists(from.resolve(name))) {
                copySparse(from.resolve(name), to.resolve(name));
            }
        }
    }

    /** Holes stay holes: a table of a few rows is not worth a hundred megabytes of disk. */
    private static void copySparse(final Path from, final Path to) throws IOException {
        try (FileChannel source = FileChannel.open(from, StandardOpenOption.READ);
                FileChannel target =
                        FileChannel.open(
                                to, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            final ByteBuffer block = ByteBuffer.allocate(BLOCK_BYTES);
            final ByteBuffer zeros = ByteBuffer.allocate(BLOCK_BYTES);
            long position = 0;
            for (int count = source.read(block); count >= 0; count = source.read(block)) {
                block.flip();
                final boolean last = position + count >= source.size();
                if (last || !block.equals(zeros.slice(0, count))) {
                    target.write(block, position);
                }
                position += count;
                block.clear();
            }
        }
    }

    private static void delete(final Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (final Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
