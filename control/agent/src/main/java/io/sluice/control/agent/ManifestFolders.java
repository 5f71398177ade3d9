package io.sluice.control.agent;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.SourceLocation;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The objects in the files and folders given by {@code -f}.
 *
 * <p>A folder counts with everything below it that ends in {@code .yaml}, {@code .yml} or {@code
 * .json}; names that begin with a dot are left out (editors' temporary files, and the {@code
 * ..data} folders of mounted ConfigMaps, whose links lead to them anyway).
 *
 * <p>What holds when something is wrong: a file with an error keeps its last good content in force,
 * whole; a file that cannot be read, and a folder that has gone, do so too. Removing a policy must
 * be meant: only a file that is gone from a folder that is there takes its objects with it. {@link
 * #problems} says all of it.
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

    private static final Set<String> SUFFIXES = Set.of(".yaml", ".yml", ".json");

    private record Stamp(Instant modified, long bytes, @Nullable Object inode) {}

    /**
     * What is known of a file.
     *
     * @param stamp of the content that was read last
     * @param settled whether the stamp proves that content
     * @param objects of the last good content
     * @param problems of the content that was read last
     */
    private record ManifestFile(
            Stamp stamp, boolean settled, List<KubeObject> objects, List<Problem> problems) {}

    private final List<Path> roots;
    private Map<Path, ManifestFile> files = new TreeMap<>();
    private List<Problem> rootProblems = List.of();

    /**
     * @param roots files and folders
     */
    ManifestFolders(final List<Path> roots) {
        this.roots = List.copyOf(roots);
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
                for (final Path path : manifestsBelow(root)) {
                    now.put(path, current(path, before.get(path)));
                }
            } catch (final IOException e) {
                final int kept = keep(root, before, now);
                problems.add(
                        Problem.error(
                                SourceLocation.ofFile(root.toString()),
                                "",
                                kept == 0
                                        ? reason(e)
                                        : "%s: what it held last stays in force"
                                                .formatted(reason(e))));
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

    private static String reason(final IOException e) {
        return switch (e) {
            case final java.nio.file.NoSuchFileException gone -> "no such file or folder";
            case final java.nio.file.AccessDeniedException denied -> "permission denied";
            default -> String.valueOf(e.getMessage());
        };
    }

    private static Set<Path> manifestsBelow(final Path root) throws IOException {
        final Set<Path> manifests = new TreeSet<>();
        if (!Files.isDirectory(root)) {
            // A file that was named is read whatever it is called.
            Files.readAttributes(root, BasicFileAttributes.class);
            manifests.add(root);
            return manifests;
        }
        Files.walkFileTree(
                root,
                EnumSet.of(FileVisitOption.FOLLOW_LINKS),
                Integer.MAX_VALUE,
                new SimpleFileVisitor<>() {
                    @Override
                    public FileVisitResult preVisitDirectory(
                            final Path folder, final BasicFileAttributes attributes) {
                        return !folder.equals(root) && isHidden(folder)
                                ? FileVisitResult.SKIP_SUBTREE
                                : FileVisitResult.CONTINUE;
                    }

                    @Override
                    public FileVisitResult visitFile(
                            final Path file, final BasicFileAttributes attributes) {
                        if (!isHidden(file) && isManifest(file) && !attributes.isDirectory()) {
                            manifests.add(file);
                        }
                        return FileVisitResult.CONTINUE;
                    }

                    @Override
                    public FileVisitResult visitFileFailed(final Path file, final IOException e)
                            throws IOException {
                        // A file that vanished while we looked, or a link to nowhere or in a
                        // circle, holds no manifest.
                        if (file.equals(root)) {
                            throw e;
                        }
                        return FileVisitResult.CONTINUE;
                    }
                });
        return manifests;
    }

    private static boolean isHidden(final Path path) {
        return String.valueOf(path.getFileName()).startsWith(".");
    }

    private static boolean isManifest(final Path path) {
        final String name = String.valueOf(path.getFileName()).toLowerCase(Locale.ROOT);
        return SUFFIXES.stream().anyMatch(name::endsWith);
    }

    private static ManifestFile current(final Path path, final @Nullable ManifestFile before) {
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
            final boolean settled =
                    Objects.requireNonNull(stamp).modified().plus(SETTLED).isBefore(Instant.now());
            return read(path, stamp, settled, before);
        } catch (final CharacterCodingException e) {
            return unread(path, stamp, before, "is not UTF-8 text");
        } catch (final IOException e) {
            return unread(path, stamp, before, reason(e));
        } catch (final UncheckedIOException e) {
            return unread(path, stamp, before, String.valueOf(e.getMessage()));
        }
    }

    private static ManifestFile read(
            final Path path,
            final Stamp stamp,
            final boolean settled,
            final @Nullable ManifestFile before)
            throws IOException {
        final ReadResult result = ManifestReader.read(path.toString(), Files.readString(path));
        if (!result.hasErrors()) {
            return new ManifestFile(stamp, settled, result.objects(), result.problems());
        }
        final List<Problem> problems = new ArrayList<>(result.problems());
        problems.add(staysInForce(path, before));
        return new ManifestFile(stamp, settled, lastGood(before), List.copyOf(problems));
    }

    private static ManifestFile unread(
            final Path path,
            final Stamp stamp,
            final @Nullable ManifestFile before,
            final String reason) {
        return new ManifestFile(
                stamp,
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
        return Problem.warning(
                SourceLocation.ofFile(path.toString()),
                "",
                lastGood(before).isEmpty()
                        ? "nothing of this file is in force until it is right"
                        : "the last good content of this file stays in force: %d objects"
                                .formatted(lastGood(before).size()));
    }
}
