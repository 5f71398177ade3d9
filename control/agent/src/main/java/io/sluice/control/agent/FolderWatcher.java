package io.sluice.control.agent;

import java.io.IOException;
import java.nio.file.ClosedWatchServiceException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at the manifest folders whenever something happens in them.
 *
 * <p>The kernel's events (inotify) only say when to look; what is there is found out by a scan, so
 * a lost or coalesced event costs time and never truth. Where inotify does not reach (network file
 * systems, a folder made between two looks) the scan every {@link #RESCAN_MS} finds the change. A
 * scan waits until nothing has happened for {@link #QUIET_MS}, so that an editor's or a checkout's
 * many writes are read once, but no longer than {@link #QUIET_MS_MAX}, so that a folder that never
 * rests is still read: a save is live within a second.
 *
 * <p>Thread: its own, {@code sluice-watcher}.
 */
final class FolderWatcher implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(FolderWatcher.class);

    private static final long RESCAN_MS = 2000;

    /** Time between looks while a file rests, so that its change is live within the second. */
    private static final long RESTING_RESCAN_MS = 200;

    private static final long QUIET_MS = 50;
    private static final long QUIET_MS_MAX = 400;

    private final ManifestFolders folders;
    private final BooleanSupplier changed;
    private final Consumer<Error> onFailure;
    private final WatchService events;
    private final Map<Path, WatchKey> watched = new HashMap<>();
    private final Thread thread;

    /**
     * @param folders already scanned once; owned by this watcher's thread from now on
     * @param changed called on the watcher's thread after a scan that found a change, and again
     *     after the next scan until it answers that the change was taken
     * @param onFailure told the error that ended the watch, on the watcher's thread
     */
    FolderWatcher(
            final ManifestFolders folders,
            final BooleanSupplier changed,
            final Consumer<Error> onFailure)
            throws IOException {
        this.folders = folders;
        this.changed = changed;
        this.onFailure = onFailure;
        this.events = FileSystems.getDefault().newWatchService();
        watchFolders();
        this.thread = Thread.ofPlatform().name("sluice-watcher").daemon().unstarted(this::run);
        thread.start();
    }

    private void run() {
        boolean pending = false;
        try {
            while (true) {
                final WatchKey first =
                        events.poll(
                                folders.isResting() ? RESTING_RESCAN_MS : RESCAN_MS,
                                TimeUnit.MILLISECONDS);
                if (first != null) {
                    waitForQuiet(first);
                }
                pending = look(pending);
            }
        } catch (final InterruptedException | ClosedWatchServiceException e) {
            LOG.debug("the folder watcher ends: {}", e.toString());
        } catch (final Error e) {
            onFailure.accept(e);
        }
    }

    /**
     * One look at the folders; one that fails must not end the watch.
     *
     * @param pending whether a change is still to be taken
     * @return whether one is now
     */
    private boolean look(final boolean pending) {
        boolean untaken = pending;
        try {
            watchFolders();
            untaken |= folders.scan();
            return untaken && !changed.getAsBoolean();
        } catch (final ClosedWatchServiceException e) {
            throw e;
        } catch (final RuntimeException e) {
            LOG.error("the manifest folders could not be looked at; it is tried again", e);
            return untaken;
        }
    }

    private void waitForQuiet(final WatchKey first) throws InterruptedException {
        final long begin = System.nanoTime();
        WatchKey key = first;
        while (key != null) {
            key.pollEvents();
            key.reset();
            final long spentMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin);
            if (spentMs >= QUIET_MS_MAX) {
                return;
            }
            key = events.poll(QUIET_MS, TimeUnit.MILLISECONDS);
        }
    }

    /** Watches the folders there are now, and lets go of those that are gone. */
    private void watchFolders() {
        final Set<Path> present = new HashSet<>();
        for (final Path root : folders.roots()) {
            if (Files.isDirectory(root)) {
                addFoldersBelow(root, present);
            } else {
                final Path parent = root.toAbsolutePath().getParent();
                if (parent != null) {
                    present.add(parent);
                }
            }
        }
        watched.entrySet()
                .removeIf(
                        entry -> {
                            final boolean gone =
                                    !present.contains(entry.getKey())
                                            || !entry.getValue().isValid();
                            if (gone) {
                                entry.getValue().cancel();
                            }
                            return gone;
                        });
        for (final Path folder : present) {
            if (!watched.containsKey(folder)) {
                try {
                    watched.put(
                            folder,
                            folder.register(
                                    events,
                                    StandardWatchEventKinds.ENTRY_CREATE,
                                    StandardWatchEventKinds.ENTRY_DELETE,
                                    StandardWatchEventKinds.ENTRY_MODIFY));
                } catch (final IOException e) {
                    // Gone again, or the user's inotify limit is reached: the rescan still sees it.
                    LOG.debug("{} is not watched, only rescanned", folder, e);
                }
            }
        }
    }

    private void addFoldersBelow(final Path root, final Set<Path> present) {
        try {
            present.addAll(ManifestFiles.of(root).folders());
        } catch (final IOException e) {
            // The scan says so. What is watched stays so, and what is new waits for the rescan.
            LOG.debug("{} cannot be walked", root, e);
            watched.keySet().stream().filter(known -> known.startsWith(root)).forEach(present::add);
            present.add(root);
        }
    }

    @Override
    public void close() throws IOException {
        events.close();
        try {
            thread.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
