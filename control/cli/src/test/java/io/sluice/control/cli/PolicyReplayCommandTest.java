package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A recorded day of the shop, asked of its policies. */
final class PolicyReplayCommandTest {
    private static final String SHOP = "src/test/resources/shop";
    private static final Path FLOWS = Path.of("src/test/resources/flows/shop.jsonl");

    @TempDir private Path folder = Path.of("");

    private static CommandLineRun run(final String command) {
        return CommandLineRun.of(("policy replay " + command).split(" ", -1));
    }

    @ParameterizedTest
    @CsvSource({"replay.txt, ''", "replay.json, -o json", "replay.jsonl, -o jsonl"})
    void printsItsGoldenForm(final String golden, final String options) {
        final CommandLineRun run =
                run(("-f " + SHOP + " --flows " + FLOWS + " " + options).strip());

        assertThat(run.err()).isEmpty();
        assertThat(run.code()).isEqualTo(ExitCode.NO);
        Golden.assertMatches(golden, run.out());
    }

    @Test
    void withoutPoliciesNothingThatPassedWouldBeDenied() {
        final CommandLineRun run = run("-f " + SHOP + "/pods.yaml --flows " + FLOWS);

        assertThat(run.code()).isZero();
        assertThat(run.out()).contains(" 0 now denied, ").contains("now allowed");
    }

    @Test
    void aRecordMayBeCompressedOrComeByStandardInput() throws IOException {
        final Path compressed = folder.resolve("flows.jsonl.gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(compressed))) {
            Files.copy(FLOWS, out);
        }
        final String expected = run("-f " + SHOP + " --flows " + FLOWS).out();

        assertThat(run("-f " + SHOP + " --flows " + compressed).out()).isEqualTo(expected);
        assertThat(
                        CommandLineRun.with(
                                        Map.of(),
                                        Files.readString(FLOWS),
                                        "policy",
                                        "replay",
                                        "-f",
                                        SHOP,
                                        "--flows",
                                        "-")
                                .out())
                .isEqualTo(expected);
    }

    @Test
    void aMillionLinesAreTheSumOfTheirPieces() throws IOException {
        // More than one piece for each worker, with the ends of pieces anywhere in a line.
        final String lines = Files.readString(FLOWS);
        final Path many = folder.resolve("many.jsonl");
        Files.writeString(many, lines.repeat(300), StandardCharsets.UTF_8);

        final String once = run("-f " + SHOP + " --flows " + FLOWS + " -o json").out();
        final String often = run("-f " + SHOP + " --flows " + many + " -o json").out();

        assertThat(number(often, "flows")).isEqualTo(300 * number(once, "flows"));
        assertThat(number(often, "nowDenied")).isEqualTo(300 * number(once, "nowDenied"));
        assertThat(number(often, "lost")).isEqualTo(1200);
    }

    private static long number(final String json, final String field) {
        final int at = json.indexOf('"' + field + "\": ") + field.length() + 4;
        return Long.parseLong(json.substring(at, json.indexOf('\n', at)).replace(",", ""));
    }

    @Test
    void aLineThatIsNoFlowIsToldWithItsPlaceAndTheOthersCount() throws IOException {
        final Path wrong =
                Files.writeString(
                        folder.resolve("wrong.jsonl"),
                        Files.readString(FLOWS) + "\n{\"flow\":{\"verdict\":\"FORW");

        final CommandLineRun run = run("-f " + SHOP + " --flows " + wrong);

        assertThat(run.err())
                .isEqualTo(
                        wrong
                                + ":41: not a flow: lines of `observe -o json` are expected; lines"
                                + " left out: 1\n");
        assertThat(run.out()).contains("1 unreadable lines");
    }

    @ParameterizedTest
    @CsvSource({
        "-f SHOP, either --flows FILE or --since TIME",
        "-f SHOP --flows FLOWS --since 1d, either --flows FILE or --since TIME",
        "-f SHOP --flows FLOWS --offline, --offline: goes with --since TIME",
        "-f SHOP --since yesterday, --since yesterday: not a time",
        "-f SHOP --flows none.jsonl, none.jsonl",
        "--flows FLOWS, '-f: missing'",
        "-f - --flows -, both -f and --flows cannot be standard input",
    })
    void wrongArgumentsAreStatusTwo(final String arguments, final String expected) {
        final CommandLineRun run =
                run(arguments.replace("SHOP", SHOP).replace("FLOWS", FLOWS.toString()));

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.err()).contains(expected);
        assertThat(run.out()).isEmpty();
    }

    @Test
    void withoutADaemonTheErrorNamesTheStoreOnDisk() {
        final CommandLineRun run =
                run("-f " + SHOP + " --since 1d --socket " + folder.resolve("none.sock"));

        assertThat(run.code()).isEqualTo(ExitCode.UNREACHABLE);
        assertThat(run.err()).contains("--offline [--state-folder FOLDER]");
    }
}
