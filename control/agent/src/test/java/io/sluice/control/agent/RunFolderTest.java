package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunFolderTest {
    @TempDir private Path folder;
    @TempDir private Path state;
    @TempDir private Path otherState;

    @Test
    void aSecondDaemonOnTheSameFolderIsRefusedWithThePidOfTheFirst() throws Exception {
        try (RunFolder first = RunFolder.open(folder, state)) {
            assertThatThrownBy(() -> RunFolder.open(first.folder(), otherState))
                    .isInstanceOf(StartupException.class)
                    .hasMessage(
                            "another sluice (pid "
                                    + ProcessHandle.current().pid()
                                    + ") is running on "
                                    + folder
                                    + ": stop it, or choose another folder with --run-folder, and"
                                    + " another stateFolder");
        }
    }

    @Test
    void aSecondDaemonOnTheSameStateFolderIsRefusedAndGivesUpItsRunFolder() throws Exception {
        final Path other = folder.resolve("other");
        try (RunFolder first = RunFolder.open(folder, state)) {
            assertThatThrownBy(() -> RunFolder.open(other, state))
                    .isInstanceOf(StartupException.class)
                    .hasMessage(
                            "another sluice (pid %d) is running on %s: stop it, or choose another stateFolder in the configuration"
                                    .formatted(ProcessHandle.current().pid(), state));
            assertThat(other).isEmptyDirectory();
            assertThat(first.folder().resolve("sluice.lock")).exists();
        }
        RunFolder.open(other, state).close();
        assertThat(state).isEmptyDirectory();
    }

    @Test
    void aFolderThatIsMadeIsClosedToOthers() throws Exception {
        try (RunFolder run = RunFolder.open(folder.resolve("run"), state)) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(run.folder())))
                    .isEqualTo("rwxr-x---");
        }
    }

    @Test
    void oneFolderForBothIsRefused() {
        assertThatThrownBy(() -> RunFolder.open(folder, folder))
                .isInstanceOf(StartupException.class)
                .hasMessageContaining("is the run folder, too");
    }

    @Test
    void aStoppedDaemonLeavesNothingInTheFolder() throws Exception {
        final RunFolder run = RunFolder.open(folder, state);
        Files.createFile(run.socket());

        run.close();

        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void whatACrashedDaemonLeftIsTakenOver() throws Exception {
        Files.writeString(folder.resolve("sluice.lock"), "4711\n");
        Files.createFile(folder.resolve("api.sock"));

        try (RunFolder run = RunFolder.open(folder, state)) {
            assertThat(folder.resolve("sluice.lock"))
                    .hasContent(ProcessHandle.current().pid() + "\n");
            assertThat(run.socket()).doesNotExist();
        }
    }

    @Test
    void aFolderThatCannotBeMadeIsOneClearLine() throws Exception {
        final Path file = Files.createFile(folder.resolve("file"));

        assertThatThrownBy(() -> RunFolder.open(file.resolve("run"), state))
                .isInstanceOf(StartupException.class)
                .hasMessageContaining(file.toString())
                .hasMessageNotContaining("\n");
    }
}
