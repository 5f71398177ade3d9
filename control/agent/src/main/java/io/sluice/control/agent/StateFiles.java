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
import java.util.ArrayList;
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

    /**
     * Replaces files: first all are written beside their places and forced to disk, then all are
     * renamed. A full disk is found in the first half, where nothing has changed yet.
     */
    static void replaceAll(final Map<Path, String> texts) throws IOException {
        final List<Path> written = new ArrayList<>();
        try {
            for (final Map.Entry<Path, String> entry : texts.entrySet()) {
                final Path beside = beside(entry.getKey());
                written.add(beside);
                write(beside, entry.getValue());
            }
            for (final Path file : texts.keySet()) {
                Files.move(
                        beside(file),
                        file,
                        StandardCopyOption.ATOMIC_MOVE,
                        StandardCopyOption.REPLACE_EXISTING);
            }
        } finally {
            for (final Path leftover : written) {
                Files.deleteIfExists(leftover);
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
            channel.force(true);
        }
    }
}
