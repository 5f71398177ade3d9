package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.state.NameRow;
import io.sluice.control.agent.state.StateStore;
import io.sluice.control.policy.IpAddress;
import java.nio.file.Path;
import java.time.Clock;
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
    void namesOfADaemonThatIsDownAreRead() throws Exception {
        try (StateStore state = StateStore.open(folder, Clock.systemUTC())) {
            state.names()
                    .learn(
                            new NameRow(
                                    "api.example.com.",
                                    IpAddress.parse("198.51.100.7").orElseThrow(),
                                    "shop/frontend",
                                    CommandLineRun.NOW,
                                    CommandLineRun.NOW.plusSeconds(60),
                                    false));
        }

        final CommandLineRun run =
                CommandLineRun.of("fqdn", "list", "--offline", "--state-folder", folder.toString());

        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out().lines().toList().getLast())
                .isEqualTo(
                        "api.example.com.   198.51.100.7   0          shop/frontend   "
                                + CommandLineRun.NOW.plusSeconds(60)
                                + "   live");
    }

    @Test
    void aStateFolderAloneIsAUsageError() {
        final CommandLineRun run =
                CommandLineRun.of("ipcache", "list", "--state-folder", folder.toString());
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err()).contains("--state-folder: goes with --offline");
    }
}
