package io.sluice.control.agent;

import static io.sluice.control.agent.Manifests.denyAll;
import static io.sluice.control.agent.Manifests.pod;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManifestFoldersTest {
    @TempDir private Path folder;
    private long nowNs = 1_000_000_000L;
    private ManifestFolders folders;

    @BeforeEach
    void watchTheFolder() {
        folders = new ManifestFolders(List.of(folder), () -> nowNs);
    }

    @Test
    void allManifestsBelowAFolderCountButNoHiddenOnes() throws IOException {
        write("a.yaml", pod("a"));
        write("deep/er/b.yml", pod("b"));
        write(
                "c.json",
                "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"c\"}}");
        write("notes.txt", "no manifest");
        write(".hidden.yaml", pod("h"));
        write(".git/d.yaml", pod("d"));

        assertThat(folders.scan()).isTrue();

        assertThat(names()).containsExactly("Pod shop/a", "Namespace c", "Pod shop/b");
        assertThat(folders.problems()).isEmpty();
    }

    @Test
    void aScanTellsWhetherSomethingChanged() throws IOException {
        write("a.yaml", pod("a"));

        assertThat(folders.scan()).isTrue();
        assertThat(folders.scan()).isFalse();
        write("a.yaml", pod("a", "spec: {nodeName: x}"));
        assertThat(folders.scan()).isTrue();
        Files.delete(folder.resolve("a.yaml"));
        assertThat(folders.scan()).isTrue();
        assertThat(names()).isEmpty();
    }

    @Test
    void aBadFileKeepsItsLastGoodContentAndOnlyItsOwn() throws IOException {
        write("a.yaml", pod("a") + "\n---\n" + denyAll("p"));
        write("b.yaml", pod("b"));
        folders.scan();

        write("a.yaml", pod("a") + "\n---\nkind: NetworkPolicy\n");
        write("b.yaml", pod("b2"));
        folders.scan();

        assertThat(names()).containsExactly("Pod shop/a", "NetworkPolicy shop/p", "Pod shop/b2");
        assertThat(lines())
                .anyMatch(line -> line.startsWith(folder.resolve("a.yaml") + ":"))
                .contains(
                        folder.resolve("a.yaml")
                                + ": warning: the last good content of this file stays in force: 2"
                                + " objects");
    }

    @Test
    void aFileThatIsRightAgainIsInForceAndItsProblemsAreGone() throws IOException {
        write("a.yaml", "kind: [");
        folders.scan();
        assertThat(folders.problems()).isNotEmpty();

        write("a.yaml", pod("a"));
        folders.scan();

        assertThat(names()).containsExactly("Pod shop/a");
        assertThat(folders.problems()).isEmpty();
    }

    @Test
    void aNewFileThatIsBadBringsNothingAndSaysSo() throws IOException {
        write("a.yaml", pod("a") + "\n---\nkind: Nonsense\n");
        folders.scan();

        assertThat(names()).isEmpty();
        assertThat(lines())
                .contains(
                        folder.resolve("a.yaml")
                                + ": warning: nothing of this file is in force until it is right");
    }

    @Test
    void anEmptiedFileTakesNothingAwayHoweverLongItStaysEmpty() throws IOException {
        write("a.yaml", denyAll("p"));
        folders.scan();

        write("a.yaml", "");
        folders.scan();
        nowNs += 10 * ManifestFolders.RESTED_NS;
        folders.scan();

        assertThat(names()).containsExactly("NetworkPolicy shop/p");
        assertThat(lines())
                .containsExactly(
                        folder.resolve("a.yaml")
                                + ": warning: the file is empty: delete it if that is meant: the"
                                + " last good content of this file stays in force: 1 objects");
        Files.delete(folder.resolve("a.yaml"));
        folders.scan();
        assertThat(names()).isEmpty();
    }

    @Test
    void aFileWithFewerObjectsIsBelievedOnceItHasRested() throws IOException {
        write("a.yaml", denyAll("p") + "\n---\n" + denyAll("q"));
        folders.scan();

        write("a.yaml", denyAll("p"));
        folders.scan();
        assertThat(names()).hasSize(2);
        assertThat(lines()).singleElement().asString().contains("1 objects fewer now");

        nowNs += ManifestFolders.RESTED_NS;
        assertThat(folders.scan()).isTrue();
        assertThat(names()).containsExactly("NetworkPolicy shop/p");
        assertThat(folders.problems()).isEmpty();
    }

    @Test
    void aFileThatIsStillBeingWrittenHasNotRested() throws IOException {
        write("a.yaml", denyAll("p") + "\n---\n" + denyAll("q") + "\n---\n" + denyAll("r"));
        folders.scan();

        write("a.yaml", denyAll("p"));
        folders.scan();
        nowNs += ManifestFolders.RESTED_NS;
        write("a.yaml", denyAll("p") + "\n---\n" + denyAll("q"));
        folders.scan();
        assertThat(names()).hasSize(3);

        write("a.yaml", denyAll("p") + "\n---\n" + denyAll("q") + "\n---\n" + denyAll("s"));
        folders.scan();
        assertThat(names())
                .containsExactly(
                        "NetworkPolicy shop/p", "NetworkPolicy shop/q", "NetworkPolicy shop/s");
    }

    @Test
    void aSubfolderThatCannotBeReadKeepsWhatItHeldInForce() throws IOException {
        final Path inner = folder.resolve("inner");
        write("inner/a.yaml", denyAll("p"));
        folders.scan();
        Files.setPosixFilePermissions(inner, Set.of());
        try {
            assumeThat(Files.isReadable(inner)).as("root reads everything").isFalse();
            folders.scan();

            assertThat(names()).containsExactly("NetworkPolicy shop/p");
            assertThat(lines())
                    .containsExactly(
                            folder
                                    + ": "
                                    + inner
                                    + ": permission denied: what it held last stays in force");
        } finally {
            Files.setPosixFilePermissions(inner, PosixFilePermissions.fromString("rwx------"));
        }
    }

    @Test
    void linksAreFollowedAndCirclesAreNot(@TempDir final Path elsewhere) throws IOException {
        Files.writeString(elsewhere.resolve("b.YAML"), pod("b"));
        Files.createSymbolicLink(folder.resolve("linked"), elsewhere);
        Files.createSymbolicLink(elsewhere.resolve("circle"), folder);
        folders.scan();

        assertThat(names()).containsExactly("Pod shop/b");
        assertThat(folders.problems()).isEmpty();
    }

    @Test
    void aFolderThatIsGoneKeepsWhatItHeldInForce() throws IOException {
        final Path inner = folder.resolve("policies");
        write("policies/a.yaml", denyAll("p"));
        final ManifestFolders one = new ManifestFolders(List.of(inner));
        one.scan();

        Files.delete(inner.resolve("a.yaml"));
        Files.delete(inner);
        one.scan();

        assertThat(one.objects()).hasSize(1);
        assertThat(one.problems())
                .extracting(Problem::toString)
                .containsExactly(
                        inner + ": no such file or folder: what it held last stays in force");
    }

    @Test
    void aRootThatWasNeverThereIsAnError() {
        final Path nowhere = folder.resolve("nowhere");
        final ManifestFolders one = new ManifestFolders(List.of(nowhere));
        one.scan();

        assertThat(one.problems())
                .extracting(Problem::toString)
                .containsExactly(nowhere + ": no such file or folder");
    }

    @Test
    void aFileThatIsReplacedByARenameIsReadAgain() throws IOException {
        write("a.yaml", pod("a"));
        folders.scan();

        write("new", pod("b"));
        Files.move(folder.resolve("new"), folder.resolve("a.yaml"), StandardCopyOption.ATOMIC_MOVE);
        folders.scan();

        assertThat(names()).containsExactly("Pod shop/b");
    }

    @Test
    void aFileThatIsNoTextIsAProblemAndNotAnEnd() throws IOException {
        Files.write(folder.resolve("a.yaml"), new byte[] {(byte) 0xff, (byte) 0xfe, 0});
        write("b.yaml", pod("b"));
        folders.scan();

        assertThat(names()).containsExactly("Pod shop/b");
        assertThat(lines()).contains(folder.resolve("a.yaml") + ": is not UTF-8 text");
    }

    private void write(final String name, final String text) throws IOException {
        final Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private List<String> names() {
        return folders.objects().stream().map(KubeObject::ref).map(Object::toString).toList();
    }

    private List<String> lines() {
        return folders.problems().stream().map(Problem::toString).toList();
    }
}
