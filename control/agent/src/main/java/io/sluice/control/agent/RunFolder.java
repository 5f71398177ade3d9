package io.sluice.control.agent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The run folder: what belongs to one running daemon and goes with it.
 *
 * <p>It holds {@code sluice.lock} (locked for as long as the daemon runs, with its pid as text) and
 * {@code api.sock}. The lock is the kernel's (fcntl), so a daemon that crashed leaves nothing to
 * clean up by hand: its files are taken over by the next.
 *
 * <p>The lock file is deleted on close. A newcomer that opened the file just before may then lock a
 * file that no longer has a name; it notices by comparing inodes before and after, and tries again.
 * Nothing here may open the file a second time: closing any descriptor of a file gives up all locks
 * that the process has on it (fcntl(2)).
 */
final class RunFolder implements AutoCloseable {
    private static final String LOCK_FILE = "sluice.lock";
    private static final String SOCKET_FILE = "api.sock";

    private final Path folder;
    private final FileChannel channel;
    private final FileLock lock;

    private RunFolder(final Path folder, final FileChannel channel, final FileLock lock) {
        this.folder = folder;
        this.channel = channel;
        this.lock = lock;
    }

    /**
     * Makes the folder if need be and locks it.
     *
     * @throws StartupException when another daemon runs on it, or it cannot be written
     */
    static RunFolder open(final Path folder) throws StartupException {
        try {
            Files.createDirectories(folder);
            while (true) {
                final Optional<RunFolder> locked = tryOpen(folder);
                if (locked.isPresent()) {
                    return locked.get();
                }
            }
        } catch (final AccessDeniedException e) {
            throw new StartupException(
                    "%s: permission denied: run as root, or choose another folder with --run-folder"
                            .formatted(e.getFile()),
                    e);
        } catch (final IOException e) {
            throw new StartupException("%s: %s".formatted(folder, e), e);
        }
    }

    /** One attempt; empty when the lock file was deleted while it was being locked. */
    private static Optional<RunFolder> tryOpen(final Path folder)
            throws IOException, StartupException {
        final Path lockFile = folder.resolve(LOCK_FILE);
        final Object before = inode(lockFile);
        final FileChannel channel;
        try {
            channel = FileChannel.open(lockFile, StandardOpenOption.READ, StandardOpenOption.WRITE);
        } catch (final NoSuchFileException e) {
            return Optional.empty();
        }
        final @Nullable FileLock lock = tryLock(channel);
        if (lock == null) {
            final String holder = firstLine(channel);
            channel.close();
            throw new StartupException(
                    "another sluice (pid %s) is running on %s: stop it, or choose another folder with --run-folder"
                            .formatted(holder.isEmpty() ? "unknown" : holder, folder));
        }
        if (!before.equals(inode(lockFile))) {
            channel.close();
            return Optional.empty();
        }
        final String pid = ProcessHandle.current().pid() + "\n";
        channel.truncate(0);
        channel.write(ByteBuffer.wrap(pid.getBytes(StandardCharsets.US_ASCII)), 0);
        Files.deleteIfExists(folder.resolve(SOCKET_FILE));
        return Optional.of(new RunFolder(folder, channel, lock));
    }

    Path folder() {
        return folder;
    }

    /** Where the API's socket belongs. */
    Path socket() {
        return folder.resolve(SOCKET_FILE);
    }

    /** Removes socket and lock. */
    @Override
    public void close() throws IOException {
        if (!channel.isOpen()) {
            return;
        }
        Files.deleteIfExists(socket());
        Files.deleteIfExists(folder.resolve(LOCK_FILE));
        lock.release();
        channel.close();
    }

    private static @Nullable FileLock tryLock(final FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (final OverlappingFileLockException e) {
            return null;
        }
    }

    private static String firstLine(final FileChannel channel) throws IOException {
        final ByteBuffer buffer = ByteBuffer.allocate(32);
        channel.read(buffer, 0);
        buffer.flip();
        return StandardCharsets.US_ASCII.decode(buffer).toString().strip();
    }

    /** Device and inode number of the file, which is made if it is not there. */
    private static Object inode(final Path lockFile) throws IOException {
        while (true) {
            try {
                final Object key =
                        Files.readAttributes(lockFile, BasicFileAttributes.class).fileKey();
                return Objects.requireNonNull(key, "a file system without inodes");
            } catch (final NoSuchFileException e) {
                create(lockFile);
            }
        }
    }

    private static void create(final Path lockFile) throws IOException {
        try {
            Files.createFile(lockFile);
        } catch (final FileAlreadyExistsException e) {
            // Another one was quicker; both now race for the lock.
            return;
        }
    }
}
