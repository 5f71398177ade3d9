package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManifestFilesTest {
    @TempDir private Path folder;

    @Test
    void onlyWhatHasGoneIsPassedOver() throws IOException {
        final ManifestFiles.Visitor visitor = new ManifestFiles.Visitor(folder);
        final Path inner = folder.resolve("inner");

        assertThat(visitor.visitFileFailed(inner, new NoSuchFileException("inner")))
                .isEqualTo(FileVisitResult.CONTINUE);
        assertThatThrownBy(() -> visitor.visitFileFailed(inner, new AccessDeniedException("inner")))
                .isInstanceOf(AccessDeniedException.class);
        assertThatThrownBy(() -> visitor.visitFileFailed(folder, new NoSuchFileException("root")))
                .isInstanceOf(NoSuchFileException.class);
    }

    @Test
    void foldersAreThoseLookedInto() throws IOException {
        Files.createDirectories(folder.resolve("a/b"));
        Files.createDirectories(folder.resolve(".git/c"));

        assertThat(ManifestFiles.of(folder).folders())
                .containsExactly(folder, folder.resolve("a"), folder.resolve("a/b"));
    }
}
