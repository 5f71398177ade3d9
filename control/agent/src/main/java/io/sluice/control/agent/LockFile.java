package io.sluice.control.agent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
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
 * A folder's {@code sluice.lock}: locked for as long as the daemon runs, with its pid as text.
 *
 * <p>The lock is the kernel's (fcntl), so a daemon that crashed leaves nothing to clean up by hand:
 * its file is taken over by the next.
 *
 * <p>The file is deleted on close. A newcomer that opened it just before may then lock a file that
 * no longer has a name; it notices by comparing inodes before and after, and tries again. Nothing
 * here may open the file a second time: closing any descriptor of a file gives up all locks that
 * the process has on it (fcntl(2)).
 */
final class LockFile implements AutoCloseable {
    private static final String NAME = "sluice.lock";

    private final Path file;
    private final FileChannel channel;
    private final FileLock lock;

    private LockFile(final Path file, final FileChannel channel, final FileLock lock) {
        this.file = file;
        this.channel = channel;
        this.lock = lock;
    }

    /**
     * Locks the folder.
     *
     * @param folder that is there
     * @param advice what to do when another daemon runs on it
     * @throws StartupException when another daemon runs on it
     */
    static LockFile lock(final Path folder, final String advice)
            throws IOException, StartupException {
        while (true) {
            final Optional<LockFile> locked = tryOpen(folder, advice);
            if (locked.isPresent()) {
                return locked.get();
            }
        }
    }

    /** One attempt; empty when the file was deleted while it was being locked. */
    private static Optional<LockFile> tryOpen(final Path folder, final String advice)
            throws IOException, StartupException {
        final Path file = folder.resolve(NAME);
        final Object before = inode(file);
        final FileChannel channel;
        try {
            channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
        } catch (final NoSuchFileException e) {
            return Optional.empty();
        }
        final @Nullable FileLock lock = tryLock(channel);
        if (lock == null) {
            final String holder = firstLine(channel);
            channel.close();
            throw new StartupException(
                    "another sluice (pid %s) is running on %s: %s"
                            .formatted(holder.isEmpty() ? "unknown" : holder, folder, advice));
        }
        if (!before.equals(inode(file))) {
            channel.close();
            return Optional.empty();
        }
        final String pid = ProcessHandle.current().pid() + "\n";
        channel.truncate(0);
        channel.write(ByteBuffer.wrap(pid.getBytes(StandardCharsets.US_ASCII)), 0);
        return Optional.of(new LockFile(file, channel, lock));
    }

    boolean isOpen() {
        return channel.isOpen();
    }

    /** Removes the file and gives up the lock. */
    @Override
    public void close() throws IOException {
        if (!channel.isOpen()) {
            return;
        }
        Files.deleteIfExists(file);
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
