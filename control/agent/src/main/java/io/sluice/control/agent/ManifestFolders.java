package io.sluice.control.agent;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.SourceLocation;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The objects in the files and folders given by {@code -f}.
 *
 * <p>{@link ManifestFiles} says which files count.
 *
 * <p>What holds when something is wrong: a file with an error keeps its last good content in force,
 * whole; a file that cannot be read, a folder that has gone, and a folder with anything in it that
 * cannot be looked into, do so too. Removing a policy must be meant: a file that is gone from a
 * folder that is there takes its objects with it, and a file that holds fewer objects than before
 * takes those away once it has not changed for {@link #RESTED_NS} (a shell's {@code >} empties a
 * file before its new text comes). An empty file takes nothing away. {@link #problems} says all of
 * it.
 *
 * <p>Only files that changed are read again, by time, size and inode. A file written in the two
 * seconds before it was read is read once more, because another write in the same clock tick would
 * look the same.
 *
 * <p>Thread: one at a time; {@link FolderWatcher}'s after start-up.
 */
final class ManifestFolders {
    /** Larger than any manifest; a watched folder may hold anything. In bytes. */
    private static final long FILE_BYTES_MAX = 16 << 20;

    /** Well above the granularity of file times on any file system in use (FAT: 2 s). */
    private static final Duration SETTLED = Duration.ofSeconds(2);

    /**
     * How long a file must stay as it is before it is believed to have lost objects: longer than a
     * writer pauses between two pieces of one text, and well within the second after which a save
     * is live. An empty file, what a slow writer leaves behind longest, takes nothing away at all.
     */
    static final long RESTED_NS = 500_000_000L;

    private record Stamp(Instant modified, long bytes, @Nullable Object inode) {}

    /**
     * What is known of a file.
     *
     * @param stamp of the content that was read last
     * @param seenNs when the stamp was seen first
     * @param settled whether the stamp proves that content, and the content is in force
     * @param resting whether the content counts once the file has rested
     * @param objects of the last good content
     * @param problems of the content that was read last
     */
    private record ManifestFile(
            Stamp stamp,
            long seenNs,
            boolean settled,
            boolean resting,
            List<KubeObject> objects,
            List<Problem> problems) {}

    private final List<Path> roots;
    private final LongSupplier clockNs;
    private Map<Path, ManifestFile> files = new TreeMap<>();
    private List<Problem> rootProblems = List.of();

    /**
     * @param roots files and folders
     */
    ManifestFolders(final List<Path> roots) {
        this(roots, System::nanoTime);
    }

    /**
     * @param roots files and folders
     * @param clockNs monotonic; its zero does not matter
     */
    ManifestFolders(final List<Path> roots, final LongSupplier clockNs) {
        this.roots = List.copyOf(roots);
        this.clockNs = clockNs;
    }

    List<Path> roots() {
        return roots;
    }

    /** All objects in force, by file name and place in the file. */
    List<KubeObject> objects() {
        return files.values().stream().flatMap(file -> file.objects().stream()).toList();
    }

    /** Everything that is wrong with the files now. */
    List<Problem> problems() {
        final List<Problem> problems = new ArrayList<>(rootProblems);
        files.values().forEach(file -> problems.addAll(file.problems()));
        return problems;
    }

    /** Whether a scan after {@link #RESTED_NS} will find more than the last one did. */
    boolean isResting() {
        return files.values().stream().anyMatch(ManifestFile::resting);
    }

    /**
     * Reads what changed.
     *
     * @return whether objects or problems may be different now
     */
    boolean scan() {
        final Map<Path, ManifestFile> before = files;
        final List<Problem> problemsBefore = rootProblems;
        final Map<Path, ManifestFile> now = new TreeMap<>();
        final List<Problem> problems = new ArrayList<>();
        for (final Path root : roots) {
            try {
                for (final Path path : ManifestFiles.of(root).manifests()) {
                    now.put(path, current(path, before.get(path)));
                }
            } catch (final IOException e) {
                final int kept = keep(root, before, now);
                problems.add(
                        Problem.error(
                                SourceLocation.ofFile(root.toString()),
                                "",
                                kept == 0
                                        ? reason(root, e)
                                        : "%s: what it held last stays in force"
                                                .formatted(reason(root, e))));
            }
        }
        files = now;
        rootProblems = List.copyOf(problems);
        return !sameContent(before, now) || !problemsBefore.equals(rootProblems);
    }

    /** Copies what is known of the files below a root that cannot be read. */
    private static int keep(
            final Path root,
            final Map<Path, ManifestFile> before,
            final Map<Path, ManifestFile> now) {
        int kept = 0;
        for (final Map.Entry<Path, ManifestFile> entry : before.entrySet()) {
            if (entry.getKey().startsWith(root)) {
                now.put(entry.getKey(), entry.getValue());
                kept++;
            }
        }
        return kept;
    }

    private static boolean sameContent(
            final Map<Path, ManifestFile> before, final Map<Path, ManifestFile> now) {
        return before.keySet().equals(now.keySet())
                && before.entrySet().stream()
                        .allMatch(
                                entry -> {
                                    final ManifestFile file = now.get(entry.getKey());
                                    return file != null
                                            && file.objects().equals(entry.getValue().objects())
                                            && file.problems().equals(entry.getValue().problems());
                                });
    }

    private static String reason(final Path path, final IOException e) {
        final String inner =
                e instanceof final FileSystemException at
                                && at.getFile() != null
                                && !at.getFile().equals(path.toString())
                        ? at.getFile() + ": "
                        : "";
        return switch (e) {
            case final NoSuchFileException gone -> inner + "no such file or folder";
            case final AccessDeniedException denied -> inner + "permission denied";
            default -> String.valueOf(e.getMessage());
        };
    }

    private ManifestFile current(final Path path, final @Nullable ManifestFile before) {
        Stamp stamp = new Stamp(Instant.MIN, -1, null);
        try {
            final BasicFileAttributes attributes =
                    Files.readAttributes(path, BasicFileAttributes.class);
            stamp =
                    new Stamp(
                            attributes.lastModifiedTime().toInstant(),
                            attributes.size(),
                            attributes.fileKey());
            if (before != null && before.settled() && before.stamp().equals(stamp)) {
                return before;
            }
            if (attributes.size() > FILE_BYTES_MAX) {
                throw new IOException("larger than " + FILE_BYTES_MAX + " bytes");
            }
            return read(path, stamp, before);
        } catch (final CharacterCodingException e) {
            return unread(path, stamp, before, "is not UTF-8 text");
        } catch (final IOException e) {
            return unread(path, stamp, before, reason(path, e));
        } catch (final UncheckedIOException e) {
            return unread(path, stamp, before, String.valueOf(e.getMessage()));
        }
    }

    private ManifestFile read(
            final Path path, final Stamp stamp, final @Nullable ManifestFile before)
            throws IOException {
        final String text = Files.readString(path);
        final long seenNs =
                before != null && before.stamp().equals(stamp)
                        ? before.seenNs()
                        : clockNs.getAsLong();
        final boolean settled = stamp.modified().plus(SETTLED).isBefore(Instant.now());
        final ReadResult result = DaemonManifests.read(path.toString(), text);
        final List<Problem> problems = new ArrayList<>(result.problems());
        final int lost = lastGood(before).size() - result.objects().size();
        if (result.hasErrors()) {
            problems.add(staysInForce(path, before));
        } else if (lost > 0 && text.isBlank()) {
            problems.add(
                    staysInForce(path, before, "the file is empty: delete it if that is meant"));
        } else if (lost > 0 && clockNs.getAsLong() - seenNs < RESTED_NS) {
            problems.add(staysInForce(path, before, "%d objects fewer now".formatted(lost)));
            return new ManifestFile(
                    stamp, seenNs, false, true, lastGood(before), List.copyOf(problems));
        } else {
            return new ManifestFile(
                    stamp, seenNs, settled, false, result.objects(), result.problems());
        }
        return new ManifestFile(
                stamp, seenNs, settled, false, lastGood(before), List.copyOf(problems));
    }

    private static ManifestFile unread(
            final Path path,
            final Stamp stamp,
            final @Nullable ManifestFile before,
            final String reason) {
        return new ManifestFile(
                stamp,
                0,
                false,
                false,
                lastGood(before),
                List.of(
                        Problem.error(SourceLocation.ofFile(path.toString()), "", reason),
                        staysInForce(path, before)));
    }

    private static List<KubeObject> lastGood(final @Nullable ManifestFile before) {
        return before == null ? List.of() : before.objects();
    }

    private static Problem staysInForce(final Path path, final @Nullable ManifestFile before) {
        return lastGood(before).isEmpty()
                ? Problem.warning(
                        SourceLocation.ofFile(path.toString()),
                        "",
                        "nothing of this file is in force until it is right")
                : staysInForce(path, before, "");
    }

    private static Problem staysInForce(
            final Path path, final @Nullable ManifestFile before, final String why) {
        return Problem.warning(
                SourceLocation.ofFile(path.toString()),
                "",
                "%sthe last good content of this file stays in force: %d objects"
                        .formatted(why.isEmpty() ? "" : why + ": ", lastGood(before).size()));
    }
}
