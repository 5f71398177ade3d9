package io.sluice.control.agent.state;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.BiConsumer;
import net.openhft.chronicle.map.ChronicleMap;
import net.openhft.chronicle.map.ChronicleMapBuilder;

/**
 * One table: a Chronicle Map in a mapped file, {@code byte[]} to {@code byte[]}.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>What is written is in the page cache at once, and so survives the process, however it ends;
 * {@link #sync} brings it to the disk. Keys and values are byte arrays because maps of generated
 * value types lost entries on overwrite.
 *
 * <p>Opening. A file that was closed is opened as it is. After a crash it may hold locks of the
 * dead process and a half-written entry: it is recovered, which drops entries whose checksum is
 * wrong. A file whose first bytes are not Chronicle's is not even tried: the library would wait a
 * minute for them to become so.
 *
 * <p>A full file system. The file is sparse, and a page that the file system cannot supply ends in
 * a SIGBUS, which the JVM reports as an {@code InternalError} at some later instruction. So room is
 * looked for beforehand: a look at least every {@link #PUTS_PER_LOOK} puts, for more than those can
 * take. What another process takes in between still ends in the error; it is caught, and the table
 * is not touched again until the next start, which recovers it.
 *
 * <p>Limits: {@link TableKind}. A put that is refused leaves the reason in {@link #problem}.
 *
 * <p>Thread: any, one at a time.
 */
final class TableFile implements AutoCloseable {
    /** How a file is found. */
    enum Condition {
        /** Closed in order, or not there. */
        CLEAN,
        /** The process that wrote it did not close it. */
        DIRTY
    }

    private static final int PUTS_PER_LOOK = 64;

    /** Each put touches a few pages of 4 KiB; a new tier of a segment is some 3 MB at most. */
    private static final long ROOM_BYTES_MIN = 16 << 20;

    /** Checksum of the header (8), its length (4), and then this. */
    private static final byte[] HEADER_BEGIN =
            "!net.openhft.chronicle.map.VanillaChronicleMap {".getBytes(StandardCharsets.US_ASCII);

    private static final int HEADER_OFFSET = 12;
    private static final int LENGTH_OFFSET = 8;

    /** A header that is not written to its end has its upper bits set. Ours are some 2 KB. */
    private static final int HEADER_BYTES_MAX = 1 << 16;

    private final Path file;
    private final TableKind kind;
    private final FileStore fileStore;
    private final ChronicleMap<byte[], byte[]> map;
    private int putsUntilLook;
    private String problem = "";
    private boolean failed;
    private boolean unsynced;

    private TableFile(
            final Path file,
            final TableKind kind,
            final FileStore fileStore,
            final ChronicleMap<byte[], byte[]> map) {
        this.file = file;
        this.kind = kind;
        this.fileStore = fileStore;
        this.map = map;
    }

    /**
     * Opens the table, or makes it.
     *
     * @throws IOException when the file system does not let it, or the file cannot be recovered;
     *     the file is then as it was, or may be set aside
     */
    static TableFile open(final Path folder, final TableKind kind, final Condition condition)
            throws IOException {
        final Path file = folder.resolve(kind.fileName());
        final boolean exists = Files.exists(file);
        if (exists) {
            requireHeader(file);
        }
        final FileStore fileStore = Files.getFileStore(folder);
        if (!exists && fileStore.getUsableSpace() < ROOM_BYTES_MIN) {
            throw new IOException("the file system is full");
        }
        final ChronicleMapBuilder<byte[], byte[]> builder =
                ChronicleMap.of(byte[].class, byte[].class)
                        .name(kind.fileName())
                        .entries(kind.rowsMax())
                        .averageKeySize(kind.keyBytes())
                        .averageValueSize(kind.valueBytes())
                        .maxBloatFactor(TableKind.BLOAT_MAX)
                        .putReturnsNull(true)
                        .removeReturnsNull(true);
        try {
            return new TableFile(
                    file,
                    kind,
                    fileStore,
                    exists && condition == Condition.DIRTY
                            ? builder.recoverPersistedTo(file.toFile(), true)
                            : builder.createPersistedTo(file.toFile()));
        } catch (final RuntimeException | InternalError e) {
            // The library has no one exception for a file that it cannot make sense of.
            throw new IOException("not a table that can be recovered: " + e, e);
        }
    }

    /** Loads the library's classes, by making a small map without a file. */
    static void prepare() {
        try (ChronicleMap<byte[], byte[]> map =
                ChronicleMap.of(byte[].class, byte[].class)
                        .name("prepare")
                        .entries(16)
                        .averageKeySize(4)
                        .averageValueSize(4)
                        .putReturnsNull(true)
                        .create()) {
            map.put(new byte[4], new byte[4]);
            map.forEachEntry(entry -> entry.key().get());
        }
    }

    private static void requireHeader(final Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            final ByteBuffer begin =
                    ByteBuffer.allocate(HEADER_OFFSET + HEADER_BEGIN.length)
                            .order(ByteOrder.LITTLE_ENDIAN);
            int count = 0;
            while (count >= 0 && begin.hasRemaining()) {
                count = channel.read(begin, begin.position());
            }
            final boolean whole = !begin.hasRemaining();
            final int length = begin.getInt(LENGTH_OFFSET);
            if (!whole
                    || length <= 0
                    || length > HEADER_BYTES_MAX
                    || !ByteBuffer.wrap(HEADER_BEGIN)
                            .equals(begin.flip().position(HEADER_OFFSET))) {
                throw new IOException("not a table: its header is damaged");
            }
        }
    }

    /** Every row. */
    void forEach(final BiConsumer<byte[], byte[]> action) throws IOException {
        try {
            map.forEachEntry(entry -> action.accept(entry.key().get(), entry.value().get()));
        } catch (final RuntimeException | InternalError e) {
            failed = true;
            throw new IOException("a row cannot be read: " + e, e);
        }
    }

    /** Writes a row; whether that was possible. */
    boolean put(final byte[] key, final byte[] value) {
        if (failed || !hasRoom()) {
            return false;
        }
        try {
            map.put(key, value);
            unsynced = true;
            return true;
        } catch (final RuntimeException | InternalError e) {
            fail(e);
            return false;
        }
    }

    /** Removes a row; whether that was possible, also when it was not there. */
    boolean remove(final byte[] key) {
        if (failed) {
            return false;
        }
        try {
            map.remove(key);
            unsynced = true;
            return true;
        } catch (final RuntimeException | InternalError e) {
            fail(e);
            return false;
        }
    }

    private boolean hasRoom() {
        if (putsUntilLook > 0) {
            putsUntilLook--;
            return true;
        }
        if (map.longSize() >= kind.rowsMax()) {
            problem = "it is full: %d rows at most".formatted(kind.rowsMax());
            return false;
        }
        try {
            if (fileStore.getUsableSpace() < ROOM_BYTES_MIN) {
                problem = "the file system is full";
                return false;
            }
        } catch (final IOException e) {
            problem = e.toString();
            return false;
        }
        problem = "";
        putsUntilLook = PUTS_PER_LOOK - 1;
        return true;
    }

    private void fail(final Throwable error) {
        failed = true;
        problem = "it cannot be written until the next start: " + error;
    }

    /** Why the last put was refused; empty when it was not. */
    String problem() {
        return problem;
    }

    long rowCount() {
        return map.longSize();
    }

    /** Brings what was written to the disk, if anything was. */
    void sync() throws IOException {
        if (unsynced) {
            unsynced = false;
            // The kernel has one cache for mapped and written pages: fsync(2) of any descriptor.
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
        }
    }

    /** Closes the table; whether its file is whole and on the disk. */
    boolean closeWhole() {
        map.close();
        try {
            sync();
            return !failed;
        } catch (final IOException e) {
            problem = e.toString();
            return false;
        }
    }

    @Override
    public void close() {
        map.close();
    }
}
