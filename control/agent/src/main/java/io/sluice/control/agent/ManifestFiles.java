package io.sluice.control.agent;

import java.io.IOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * Which files {@code -f PATH} means, for the daemon and for commands alike.
 *
 * <p>A folder counts with everything below it that ends in {@code .yaml}, {@code .yml} or {@code
 * .json}, in any case; links are followed. Names that begin with a dot are left out (editors'
 * temporary files, and the {@code ..data} folders of mounted ConfigMaps, whose links lead to them
 * anyway). A file that was named is meant whatever it is called.
 *
 * @param manifests the files, in the order of their paths
 * @param folders the folders looked into, the root among them; empty when the root is a file
 */
public record ManifestFiles(SortedSet<Path> manifests, SortedSet<Path> folders) {
    private static final Set<String> SUFFIXES = Set.of(".yaml", ".yml", ".json");

    public ManifestFiles {
        manifests = Collections.unmodifiableSortedSet(manifests);
        folders = Collections.unmodifiableSortedSet(folders);
    }

    /**
     * Looks.
     *
     * @throws IOException when the root is not there, or anything below it cannot be read: what
     *     cannot be seen is not the same as what is not there
     */
    public static ManifestFiles of(final Path root) throws IOException {
        final Visitor visitor = new Visitor(root);
        if (Files.isDirectory(root)) {
            Files.walkFileTree(
                    root, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, visitor);
        } else {
            Files.readAttributes(root, BasicFileAttributes.class);
            visitor.manifests.add(root);
        }
        return new ManifestFiles(visitor.manifests, visitor.folders);
    }

    static final class Visitor extends SimpleFileVisitor<Path> {
        private final Path root;
        private final SortedSet<Path> manifests = new TreeSet<>();
        private final SortedSet<Path> folders = new TreeSet<>();

        Visitor(final Path root) {
            this.root = root;
        }

        @Override
        public FileVisitResult preVisitDirectory(
                final Path folder, final BasicFileAttributes attributes) {
            if (!folder.equals(root) && isHidden(folder)) {
                return FileVisitResult.SKIP_SUBTREE;
            }
            folders.add(folder);
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFile(final Path file, final BasicFileAttributes attributes) {
            if (!isHidden(file) && isManifest(file)) {
                manifests.add(file);
            }
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFileFailed(final Path file, final IOException e)
                throws IOException {
            // Vanished while we looked, or a link in a circle: nothing is there. Hidden: not asked.
            if (!file.equals(root)
                    && (e instanceof NoSuchFileException
                            || e instanceof FileSystemLoopException
                            || isHidden(file))) {
                return FileVisitResult.CONTINUE;
            }
            throw e;
        }

        private static boolean isHidden(final Path path) {
            return String.valueOf(path.getFileName()).startsWith(".");
        }

        private static boolean isManifest(final Path path) {
            final String name = String.valueOf(path.getFileName()).toLowerCase(Locale.ROOT);
            return SUFFIXES.stream().anyMatch(name::endsWith);
        }
    }
}
