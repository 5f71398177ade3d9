package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunFolderTest {
    @TempDir private Path folder;

    @Test
    void aSecondDaemonOnTheSameFolderIsRefusedWithThePidOfTheFirst() throws Exception {
        try (RunFolder first = RunFolder.open(folder)) {
            assertThatThrownBy(() -> RunFolder.open(first.folder()))
                    .isInstanceOf(StartupException.class)
                    .hasMessage(
                            "another sluice (pid "
                                    + ProcessHandle.current().pid()
                                    + ") is running on "
                                    + folder
                                    + ": stop it, or choose another folder with --run-folder");
        }
    }

    @Test
    void aStoppedDaemonLeavesNothingInTheFolder() throws Exception {
        final RunFolder run = RunFolder.open(folder);
        Files.createFile(run.socket());

        run.close();

        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void whatACrashedDaemonLeftIsTakenOver() throws Exception {
        Files.writeString(folder.resolve("sluice.lock"), "4711\n");
        Files.createFile(folder.resolve("api.sock"));

        try (RunFolder run = RunFolder.open(folder)) {
            assertThat(folder.resolve("sluice.lock"))
                    .hasContent(ProcessHandle.current().pid() + "\n");
            assertThat(run.socket()).doesNotExist();
        }
    }

    @Test
    void aFolderThatCannotBeMadeIsOneClearLine() throws Exception {
        final Path file = Files.createFile(folder.resolve("file"));

        assertThatThrownBy(() -> RunFolder.open(file.resolve("run")))
                .isInstanceOf(StartupException.class)
                .hasMessageContaining(file.toString())
                .hasMessageNotContaining("\n");
    }
}
