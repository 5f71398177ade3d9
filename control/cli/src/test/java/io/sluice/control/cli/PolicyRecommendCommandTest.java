package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Policies drafted from a recorded day of the shop. */
final class PolicyRecommendCommandTest {
    private static final String PODS = "src/test/resources/shop/pods.yaml";
    private static final String FLOWS = "src/test/resources/flows/shop.jsonl";

    @TempDir private Path folder = Path.of("");

    private static CommandLineRun run(final String command) {
        return CommandLineRun.of(("policy recommend " + command).split(" ", -1));
    }

    @ParameterizedTest
    @CsvSource({
        "recommend-np.yaml, ''",
        "recommend-cnp.yaml, --kind CiliumNetworkPolicy",
        "recommend-l7.yaml, --kind cnp --l7 --audit --addresses 20",
    })
    void printsItsGoldenFormAndHasCheckedIt(final String golden, final String options) {
        final CommandLineRun run = run(("--flows " + FLOWS + " " + options).strip());

        assertThat(run.err()).contains("checked by replay: none of them would be denied\n");
        assertThat(run.code()).isZero();
        Golden.assertMatches(golden, run.out());
    }

    @ParameterizedTest
    @CsvSource({"''", "--kind cnp", "--kind cnp --l7"})
    void itsReplayDeniesNothingButWhatItWarnedOf(final String options) throws IOException {
        final CommandLineRun drafted = run(("--flows " + FLOWS + " -o jsonl " + options).strip());
        final Path file = folder.resolve("drafted.yaml");
        Files.writeString(file, drafted.out().replaceAll("(?m)^", "---\n"));

        final CommandLineRun replayed =
                CommandLineRun.of(
                        "policy",
                        "replay",
                        "-f",
                        PODS,
                        file.toString(),
                        "--flows",
                        FLOWS,
                        "-o",
                        "json");

        assertThat(replayed.out()).contains("\"nowDenied\": " + (options.isEmpty() ? 1 : 0) + ",");
        assertThat(drafted.err().contains("a NetworkPolicy cannot allow ICMP"))
                .isEqualTo(options.isEmpty());
    }

    @ParameterizedTest
    @CsvSource({
        "--flows FLOWS --kind Pod, '--kind Pod: accepted are NetworkPolicy, CiliumNetworkPolicy'",
        "--flows FLOWS --l7, a NetworkPolicy has no rules for requests",
        "--flows FLOWS --addresses 0, --addresses 0: 1 or more",
        "-n shop, either --flows FILE or --since TIME",
    })
    void wrongArgumentsAreStatusTwo(final String arguments, final String expected) {
        final CommandLineRun run = run(arguments.replace("FLOWS", FLOWS));

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.err()).contains(expected);
        assertThat(run.out()).isEmpty();
    }

    @Test
    void whereNothingWasSeenNothingIsDrafted() {
        final CommandLineRun run = run("--flows " + FLOWS + " -n nobody");

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.err()).contains("nothing to draft from");
    }
}
