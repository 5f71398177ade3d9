package io.sluice.control.agent;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * The run folder: what belongs to one running daemon and goes with it.
 *
 * <p>It holds {@code sluice.lock} (see {@link LockFile}), {@code api.sock}, {@code hubble.sock} and
 * the counters, and is made with mode 0750. One that is there keeps the mode it has. The state
 * folder is locked along with it: two daemons with run folders of their own must not give out
 * addresses from one book.
 */
final class RunFolder implements AutoCloseable {
    static final String SOCKET_FILE = "api.sock";
    private static final String HUBBLE_SOCKET_FILE = "hubble.sock";
    private static final String MODE = "rwxr-x---";

    private static final String RUN_ADVICE =
            "stop it, or choose another folder with --run-folder, and another stateFolder";
    private static final String STATE_ADVICE =
            "stop it, or choose another stateFolder in the configuration";

    private final Path folder;
    private final Path stateFolder;
    private LockFile lock;
    private LockFile stateLock;

    private RunFolder(
            final Path folder,
            final Path stateFolder,
            final LockFile lock,
            final LockFile stateLock) {
        this.folder = folder;
        this.stateFolder = stateFolder;
        this.lock = lock;
        this.stateLock = stateLock;
    }

    /**
     * Makes the folders if need be and locks them.
     *
     * @throws StartupException when another daemon runs on one of them, they are one and the same,
     *     or cannot be written
     */
    static RunFolder open(final Path folder, final Path stateFolder) throws StartupException {
        final RunFolder opened = takeOver(folder, stateFolder);
        try {
            // Left by a daemon that was killed.
            Files.deleteIfExists(opened.socket());
            return opened;
        } catch (final IOException e) {
            throw new StartupException("%s: %s".formatted(opened.socket(), e), e);
        }
    }

    /** The same beside a daemon that has given up the locks, but still serves its socket. */
    static RunFolder takeOver(final Path folder, final Path stateFolder) throws StartupException {
        try {
            Files.createDirectories(
                    folder,
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(MODE)));
            Files.createDirectories(stateFolder);
            if (Files.isSameFile(folder, stateFolder)) {
                throw new StartupException(
                        "stateFolder: %s is the run folder, too: choose another"
                                .formatted(stateFolder));
            }
            final LockFile lock = LockFile.lock(folder, RUN_ADVICE);
            try {
                return new RunFolder(
                        folder, stateFolder, lock, LockFile.lock(stateFolder, STATE_ADVICE));
            } catch (final IOException | StartupException e) {
                lock.close();
                throw e;
            }
        } catch (final AccessDeniedException e) {
            throw new StartupException(
                    "%s: permission denied: run as root, or choose other folders with --run-folder and stateFolder"
                            .formatted(e.getFile()),
                    e);
        } catch (final IOException e) {
            throw new StartupException("%s, %s: %s".formatted(folder, stateFolder, e), e);
        }
    }

    Path folder() {
        return folder;
    }

    /** Where the API's socket belongs. */
    Path socket() {
        return folder.resolve(SOCKET_FILE);
    }

    /** Where the socket of Hubble's observer belongs. */
    Path hubbleSocket() {
        return folder.resolve(HUBBLE_SOCKET_FILE);
    }

    /** Where a successor asks for a hand-over. */
    Path handoverSocket() {
        return handoverSocket(folder);
    }

    static Path handoverSocket(final Path folder) {
        return folder.resolve("handover.sock");
    }

    /** Gives up the locks: a successor takes them. */
    void release() throws IOException {
        lock.close();
        stateLock.close();
    }

    /**
     * Takes the locks back.
     *
     * @throws StartupException when another daemon has them
     */
    void regain() throws IOException, StartupException {
        lock = LockFile.lock(folder, RUN_ADVICE);
        stateLock = LockFile.lock(stateFolder, STATE_ADVICE);
    }

    /** Removes socket and locks. */
    @Override
    public void close() throws IOException {
        if (!lock.isOpen()) {
            return;
        }
        try {
            Files.deleteIfExists(socket());
        } finally {
            release();
        }
    }
}
