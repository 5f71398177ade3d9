package io.sluice.control.agent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The run folder: what belongs to one running daemon and goes with it.
 *
 * <p>It holds {@code sluice.lock} (locked for as long as the daemon runs, with its pid as text) and
 * {@code api.sock}. The lock is the kernel's (fcntl), so a daemon that crashed leaves nothing to
 * clean up by hand: its files are taken over by the next.
 *
 * <p>The lock file is deleted on close. A newcomer that opened the file just before may then lock a
 * file that no longer has a name; it notices by comparing inodes after locking, and tries again.
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
            final Path lockFile = folder.resolve(LOCK_FILE);
            while (true) {
                final FileChannel channel =
                        FileChannel.open(
                                lockFile,
                                StandardOpenOption.CREATE,
                                StandardOpenOption.READ,
                                StandardOpenOption.WRITE);
                final @Nullable FileLock lock = tryLock(channel);
                if (lock == null) {
                    final String holder = firstLine(channel);
                    channel.close();
                    throw new StartupException(
                            "another sluice (pid %s) is running on %s: stop it, or choose another folder with --run-folder"
                                    .formatted(holder.isEmpty() ? "unknown" : holder, folder));
                }
                if (isStillNamed(channel, lockFile)) {
                    channel.truncate(0);
                    channel.write(
                            ByteBuffer.wrap(
                                    (ProcessHandle.current().pid() + "\n")
                                            .getBytes(StandardCharsets.US_ASCII)),
                            0);
                    Files.deleteIfExists(folder.resolve(SOCKET_FILE));
                    return new RunFolder(folder, channel, lock);
                }
                channel.close();
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

    private static boolean isStillNamed(final FileChannel channel, final Path lockFile)
            throws IOException {
        if (!Files.exists(lockFile)) {
            return false;
        }
        // The channel's own inode is not to be had from Java; a mark written through the channel
        // and read through the name proves that both are one file.
        final byte[] mark = Long.toHexString(System.nanoTime()).getBytes(StandardCharsets.US_ASCII);
        channel.truncate(0);
        channel.write(ByteBuffer.wrap(mark), 0);
        return Objects.deepEquals(Files.readAllBytes(lockFile), mark)
                && Files.readAttributes(lockFile, BasicFileAttributes.class).isRegularFile();
    }
}
