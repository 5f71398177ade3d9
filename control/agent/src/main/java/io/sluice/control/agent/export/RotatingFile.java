package io.sluice.control.agent.export;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Clock;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file of lines that makes way for a new one when it is full.
 *
 * <p>Theory of operation. Lines are appended. A file that would grow beyond its size is renamed to
 * {@code NAME-TIME.EXT} (Hubble's exporter does the same), deflated if that is wanted, and the
 * oldest of those are deleted beyond a number of them. A line is never in two files.
 *
 * <p>The file holds whole lines only, whatever happens: a write that fails half-way (file system
 * full) is taken back, and a line that a kill cut short is cut off at the next start. A file that
 * somebody moved or deleted is begun anew before the next lines: nothing is written where nobody
 * can read it. A file that cannot be deflated stays as it is, and the log says so.
 *
 * <p>Thread: one.
 */
final class RotatingFile implements LineSink {
    private static final Logger LOG = LoggerFactory.getLogger(RotatingFile.class);

    /** Sorts as the times do. */
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH-mm-ss.SSS", Locale.ROOT)
                    .withZone(ZoneOffset.UTC);

    /** Piece in which the end of a line is looked for backwards, in bytes. */
    private static final int PIECE_BYTES = 8192;

    /** Opens files; a test has its own. */
    @FunctionalInterface
    interface Opener {
        FileChannel open(Path file) throws IOException;
    }

    private final Path file;
    private final long bytesMax;
    private final int backupsMax;
    private final boolean compress;
    private final Clock clock;
    private final Opener opener;
    private @Nullable FileChannel channel;
    private @Nullable Object fileKey;
    private long position;

    /**
     * @param bytesMax size of a file; a single piece of lines may be longer
     * @param backupsMax full files that are kept beside
     * @param compress whether full files are deflated
     */
    RotatingFile(
            final Path file,
            final long bytesMax,
            final int backupsMax,
            final boolean compress,
            final Clock clock,
            final Opener opener) {
        this.file = file;
        this.bytesMax = bytesMax;
        this.backupsMax = backupsMax;
        this.compress = compress;
        this.clock = clock;
        this.opener = opener;
    }

    static FileChannel open(final Path file) throws IOException {
        return FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    @Override
    public void write(final byte[] lines) throws IOException {
        FileChannel to = current();
        if (position > 0 && position + lines.length > bytesMax) {
            rotate();
            to = current();
        }
        final ByteBuffer left = ByteBuffer.wrap(lines);
        try {
            while (left.hasRemaining()) {
                to.write(left, position + left.position());
            }
        } catch (final IOException e) {
            takeBack(to);
            throw e;
        }
        position += lines.length;
    }

    /** The lines that were half written are no lines. */
    private void takeBack(final FileChannel from) {
        try {
            from.truncate(position);
        } catch (final IOException e) {
            LOG.debug("{}: half a line may stay behind until the next start", file, e);
        }
    }

    private FileChannel current() throws IOException {
        final FileChannel open = channel;
        if (open != null && Objects.equals(fileKey, key())) {
            return open;
        }
        close();
        final FileChannel opened = opener.open(file);
        try {
            position = wholeLines(opened);
            opened.truncate(position);
            fileKey = key();
        } catch (final IOException e) {
            opened.close();
            throw e;
        }
        channel = opened;
        return opened;
    }

    /** Which file has the name; nothing where none has. */
    private @Nullable Object key() throws IOException {
        try {
            return Files.readAttributes(file, BasicFileAttributes.class).fileKey();
        } catch (final NoSuchFileException e) {
            return null;
        }
    }

    /** Length up to the end of the last whole line. */
    private static long wholeLines(final FileChannel from) throws IOException {
        long end = from.size();
        while (end > 0) {
            final int length = (int) Math.min(PIECE_BYTES, end);
            final ByteBuffer piece = ByteBuffer.allocate(length);
            while (piece.hasRemaining() && from.read(piece, end - length + piece.position()) > 0) {
                // Until the piece is whole.
            }
            for (int i = length - 1; i >= 0; i--) {
                if (piece.get(i) == '\n') {
                    return end - length + i + 1;
                }
            }
            end -= length;
        }
        return 0;
    }

    private void rotate() throws IOException {
        close();
        final Path full = backup();
        Files.move(file, full);
        if (compress && backupsMax > 0) {
            deflate(full);
        }
        final List<Path> backups = backups();
        for (final Path oldest : backups.subList(0, Math.max(0, backups.size() - backupsMax))) {
            Files.deleteIfExists(oldest);
        }
    }

    /** A name that no file has: two may be full within a millisecond. */
    private Path backup() {
        final String time = TIME.format(clock.instant());
        Path name = file.resolveSibling(stem() + "-" + time + extension());
        for (int i = 1; Files.exists(name) || Files.exists(deflated(name)); i++) {
            name = file.resolveSibling("%s-%s_%03d%s".formatted(stem(), time, i, extension()));
        }
        return name;
    }

    private static Path deflated(final Path full) {
        return full.resolveSibling(full.getFileName() + ".gz");
    }

    private String stem() {
        final String name = String.valueOf(file.getFileName());
        return name.substring(0, name.length() - extension().length());
    }

    /** With its dot; empty without one. */
    private String extension() {
        final String name = String.valueOf(file.getFileName());
        final int dot = name.lastIndexOf('.');
        return dot <= 0 ? "" : name.substring(dot);
    }

    private static void deflate(final Path full) {
        final Path deflated = deflated(full);
        final Path unfinished = full.resolveSibling(full.getFileName() + ".part");
        try {
            try (InputStream from = Files.newInputStream(full);
                    OutputStream to = new GZIPOutputStream(Files.newOutputStream(unfinished))) {
                from.transferTo(to);
            }
            Files.move(unfinished, deflated, StandardCopyOption.ATOMIC_MOVE);
            Files.delete(full);
        } catch (final IOException e) {
            LOG.warn("flows.export: {} is not compressed: {}", full, e.getMessage());
            try {
                Files.deleteIfExists(unfinished);
            } catch (final IOException again) {
                LOG.debug("{} stays behind", unfinished, again);
            }
        }
    }

    /** Full files, the oldest first. */
    private List<Path> backups() throws IOException {
        final List<Path> backups = new ArrayList<>();
        final String name =
                "\\Q%s\\E-[0-9T.-]+(_[0-9]+)?\\Q%s\\E(\\.gz)?".formatted(stem(), extension());
        final Path folder = Objects.requireNonNull(file.toAbsolutePath().getParent());
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (final Path one : files) {
                if (String.valueOf(one.getFileName()).matches(name)) {
                    backups.add(one);
                }
            }
        }
        backups.sort(Comparator.comparing(Path::toString));
        return backups;
    }

    @Override
    public void close() throws IOException {
        final FileChannel open = channel;
        channel = null;
        fileKey = null;
        if (open != null) {
            open.close();
        }
    }
}
