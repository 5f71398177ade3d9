package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code --offline} where there is nothing to read; LifecycleNetnsTest reads what a daemon left.
 */
final class StateFolderCommandsTest {
    @TempDir Path folder;

    @Test
    void aFolderWithoutTablesIsAnErrorThatNamesIt() {
        final CommandLineRun run =
                CommandLineRun.of(
                        "identity", "list", "--offline", "--state-folder", folder.toString());
        assertThat(run.code()).isEqualTo(1);
        assertThat(run.err()).contains(folder.toString()).contains("no daemon has used");
    }

    @Test
    void aStateFolderAloneIsAUsageError() {
        final CommandLineRun run =
                CommandLineRun.of("ipcache", "list", "--state-folder", folder.toString());
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err()).contains("--state-folder: goes with --offline");
    }
}
