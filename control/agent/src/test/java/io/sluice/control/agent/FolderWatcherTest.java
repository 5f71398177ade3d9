package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.pod;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.KubeObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FolderWatcherTest {
    /** Far above what a change takes (50 ms and a scan), far below the test's patience. */
    private static final long PATIENCE_SECONDS = 30;

    @TempDir private Path folder;
    private final BlockingQueue<List<String>> seen = new LinkedBlockingQueue<>();

    @Test
    void aSaveARenameADeletionAndANewFolderAreAllSeen() throws Exception {
        final ManifestFolders folders = new ManifestFolders(List.of(folder));
        folders.scan();
        try (FolderWatcher _ = watch(folders, () -> see(folders))) {
            Files.writeString(folder.resolve("a.yaml"), pod("a"));
            assertThat(nextWith("Pod shop/a")).isNotNull();

            Files.writeString(folder.resolve(".b.yaml.tmp"), pod("b"));
            Files.move(folder.resolve(".b.yaml.tmp"), folder.resolve("b.yaml"));
            assertThat(nextWith("Pod shop/b")).containsExactly("Pod shop/a", "Pod shop/b");

            Files.createDirectories(folder.resolve("more/deep"));
            Files.writeString(folder.resolve("more/deep/c.yaml"), pod("c"));
            assertThat(nextWith("Pod shop/c")).isNotNull();

            Files.delete(folder.resolve("a.yaml"));
            assertThat(nextWithout("Pod shop/a")).containsExactly("Pod shop/b", "Pod shop/c");
        }
    }

    @Test
    void aChangeThatIsNotTakenIsOfferedAgain() throws Exception {
        final ManifestFolders folders = new ManifestFolders(List.of(folder));
        folders.scan();
        final boolean[] refused = new boolean[1];
        try (FolderWatcher _ =
                watch(
                        folders,
                        () -> {
                            final boolean take = refused[0];
                            refused[0] = true;
                            return take && see(folders);
                        })) {
            Files.writeString(folder.resolve("a.yaml"), pod("a"));

            assertThat(nextWith("Pod shop/a")).isNotNull();
        }
    }

    @Test
    void aLookThatFailsIsRepeatedAndAnErrorIsTold() throws Exception {
        final ManifestFolders folders = new ManifestFolders(List.of(folder));
        folders.scan();
        final AtomicInteger looks = new AtomicInteger();
        final CompletableFuture<Error> failure = new CompletableFuture<>();
        try (FolderWatcher _ =
                new FolderWatcher(
                        folders,
                        () -> {
                            if (looks.incrementAndGet() == 1) {
                                throw new IllegalStateException("for this test");
                            }
                            throw new StackOverflowError("for this test");
                        },
                        failure::complete)) {
            Files.writeString(folder.resolve("a.yaml"), pod("a"));

            assertThat(failure.get(PATIENCE_SECONDS, TimeUnit.SECONDS))
                    .isInstanceOf(StackOverflowError.class);
        }
    }

    private static FolderWatcher watch(final ManifestFolders folders, final BooleanSupplier changed)
            throws IOException {
        return new FolderWatcher(
                folders,
                changed,
                error -> {
                    throw error;
                });
    }

    private boolean see(final ManifestFolders folders) {
        return seen.add(
                folders.objects().stream().map(KubeObject::ref).map(Object::toString).toList());
    }

    private @Nullable List<String> nextWith(final String name) throws InterruptedException {
        List<String> names = next();
        while (names != null && !names.contains(name)) {
            names = next();
        }
        return names;
    }

    private @Nullable List<String> nextWithout(final String name) throws InterruptedException {
        List<String> names = next();
        while (names != null && names.contains(name)) {
            names = next();
        }
        return names;
    }

    private @Nullable List<String> next() throws InterruptedException {
        return seen.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    }
}
