package io.sluice.control.agent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Writes files of the state folder so that a crash leaves the old or the new content, whole. */
final class StateFiles {
    /** Objects may be Secrets. */
    private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private StateFiles() {}

    /** Replaces one file. */
    static void replace(final Path file, final String text) throws IOException {
        replaceAll(Map.of(file, text));
    }

    /** Replaces files, as {@link #prepare} and {@link Prepared#replace}. */
    static void replaceAll(final Map<Path, String> texts) throws IOException {
        try (Prepared prepared = prepare(texts)) {
            prepared.replace();
        }
    }

    /**
     * Writes files beside their places, where nobody reads them: a full disk is found here, where
     * nothing has changed yet.
     *
     * @param texts in the order in which they are to come into their places
     */
    static Prepared prepare(final Map<Path, String> texts) throws IOException {
        final Prepared prepared = new Prepared(List.copyOf(texts.keySet()));
        boolean isWhole = false;
        try {
            for (final Map.Entry<Path, String> entry : texts.entrySet()) {
                write(beside(entry.getKey()), entry.getValue());
            }
            isWhole = true;
            return prepared;
        } finally {
            if (!isWhole) {
                prepared.close();
            }
        }
    }

    /** Files that are written beside their places. */
    static final class Prepared implements AutoCloseable {
        private final List<Path> files;

        private Prepared(final List<Path> files) {
            this.files = files;
        }

        /** Forces all to disk, and then renames one after the other. Call once. */
        void replace() throws IOException {
            for (final Path file : files) {
                try (FileChannel channel =
                        FileChannel.open(beside(file), StandardOpenOption.WRITE)) {
                    channel.force(true);
                }
            }
            for (final Path file : files) {
                Files.move(
                        beside(file),
                        file,
                        StandardCopyOption.ATOMIC_MOVE,
                        StandardCopyOption.REPLACE_EXISTING);
            }
        }

        /** Takes away what is not in its place. */
        @Override
        public void close() throws IOException {
            for (final Path file : files) {
                Files.deleteIfExists(beside(file));
            }
        }
    }

    private static Path beside(final Path file) {
        return file.resolveSibling("." + file.getFileName() + ".new");
    }

    private static void write(final Path file, final String text) throws IOException {
        Files.deleteIfExists(file);
        try (FileChannel channel =
                FileChannel.open(
                        file,
                        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                        OWNER_ONLY)) {
            final ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        }
    }
}
