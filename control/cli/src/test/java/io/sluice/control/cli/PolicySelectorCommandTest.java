package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code sluice policy selector}: one selector or pattern, or many. */
final class PolicySelectorCommandTest {
    @TempDir private Path folder = Path.of("");

    private static CommandLineRun selector(final String... arguments) {
        final List<String> all = new ArrayList<>(List.of("policy", "selector"));
        all.addAll(List.of(arguments));
        return CommandLineRun.of(all.toArray(String[]::new));
    }

    private static CommandLineRun probes(final String lines, final String... arguments) {
        final List<String> all = new ArrayList<>(List.of("policy", "selector", "--probes", "-"));
        all.addAll(List.of(arguments));
        return CommandLineRun.with(Map.of(), lines, all.toArray(String[]::new));
    }

    @Test
    void aMatchIsStatusZeroAndShowsTheCanonicalForm() {
        final CommandLineRun run = selector("app=='web'&&!has(tier)", "-l", "app=web");

        assertThat(run.err()).isEmpty();
        assertThat(run.out()).isEqualTo("MATCH  (app == \"web\" && !has(tier))\n");
        assertThat(run.code()).isZero();
    }

    @Test
    void noMatchIsStatusOne() {
        final CommandLineRun run =
                selector("app=='web'&&!has(tier)", "-l", "app=web", "-l", "tier=");

        assertThat(run.out()).isEqualTo("NO MATCH  (app == \"web\" && !has(tier))\n");
        assertThat(run.code()).isEqualTo(ExitCode.NO);
    }

    @Test
    void labelsMayStandBehindOneAnother() {
        assertThat(selector("a == 'x' && b == 'y=z'", "-l", "a=x,b=y=z").code()).isZero();
    }

    @Test
    void anInvalidSelectorIsStatusOneWithTheColumnOnStandardError() {
        final CommandLineRun text = selector("app == web");
        final CommandLineRun json = selector("app == web", "-o", "jsonl");

        assertThat(text.code()).isEqualTo(ExitCode.NO);
        assertThat(text.out()).isEmpty();
        assertThat(text.err())
                .isEqualTo("EXPR: column 8: found 'web', expected a string in quotes\n");
        assertThat(json.code()).isEqualTo(ExitCode.NO);
        assertThat(json.out())
                .isEqualTo(
                        "{\"valid\":false,\"error\":\"column 8: found 'web', expected a string in"
                                + " quotes\"}\n");
        assertThat(json.err()).isEmpty();
    }

    @Test
    void labelSelectorsAreAskedForAndNeverGuessed() {
        assertThat(selector("app in (web),!tier", "-l", "app=web").code()).isEqualTo(ExitCode.NO);
        final CommandLineRun run =
                selector("app in (web),!tier", "-l", "app=web", "--type", "label");

        assertThat(run.code()).isZero();
        assertThat(run.out()).isEqualTo("MATCH  app=web,!tier\n");
        assertThat(selector("--type", "label", "app=").err()).isEmpty();
        assertThat(selector("--type", "label", "app==b c").err())
                .isEqualTo("EXPR: found 'c', expected: ',' or 'end of string'\n");
    }

    @Test
    void anEmptySelectorIsEverything() {
        assertThat(selector("").out()).isEqualTo("MATCH  all()\n");
        assertThat(selector("", "--type", "label").out()).isEqualTo("MATCH  <all>\n");
    }

    @Test
    void globalMatchesLabelsThatAreOfNoNamespace() {
        assertThat(selector("global()", "-l", "a=b").code()).isZero();
    }

    @Test
    void anFqdnPatternIsTriedOnANameWithOrWithoutItsLastDot() {
        assertThat(selector("--fqdn", "*.X.io", "--name", "a.x.io").out())
                .isEqualTo("MATCH  *.x.io.\n");
        assertThat(selector("--fqdn", "*.x.io", "--name", "a.x.io.").code()).isZero();
        assertThat(selector("--fqdn", "*.x.io", "--name", "a.b.x.io").code())
                .isEqualTo(ExitCode.NO);
        assertThat(selector("--fqdn", "a b", "--name", "a").err())
                .startsWith("--fqdn: \"a b\": accepted: ");
    }

    @Test
    void probesAreAnsweredInOrder() {
        final CommandLineRun run =
                probes(
                        """
                        {"selector":"has(a)","labels":{"a":"b"}}

                        {"selector":"has(a)"}
                        {"selector":"has(","labels":{}}
                        {"fqdn":"*.x.io","name":"a.x.io"}
                        {"fqdn":"","name":"a.x.io"}
                        """);

        assertThat(run.code()).isZero();
        assertThat(run.err()).isEmpty();
        assertThat(run.out().lines())
                .satisfiesExactly(
                        line ->
                                assertThat(line)
                                        .isEqualTo(
                                                "{\"valid\":true,\"canonical\":\"has(a)\","
                                                        + "\"match\":true}"),
                        line ->
                                assertThat(line)
                                        .isEqualTo(
                                                "{\"valid\":true,\"canonical\":\"has(a)\","
                                                        + "\"match\":false}"),
                        line ->
                                assertThat(line)
                                        .isEqualTo(
                                                "{\"valid\":false,\"error\":\"column 5: found the"
                                                        + " end, expected a label\"}"),
                        line ->
                                assertThat(line)
                                        .isEqualTo(
                                                "{\"valid\":true,\"canonical\":\"*.x.io.\","
                                                        + "\"match\":true}"),
                        line -> assertThat(line).startsWith("{\"valid\":false,\"error\":"));
    }

    @Test
    void theTypeIsThatOfEverySelectorOfTheProbes() throws IOException {
        final Path file =
                Files.writeString(
                        folder.resolve("probes.jsonl"),
                        "{\"selector\":\"a!=b\",\"labels\":{\"a\":\"c\"}}\n");

        final CommandLineRun run =
                selector("--probes", file.toString(), "--type", "label", "-o", "jsonl");

        assertThat(run.out()).isEqualTo("{\"valid\":true,\"canonical\":\"a!=b\",\"match\":true}\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "not json | line 1, column",
                "[] | a list: an object",
                "{} | selector: missing: accepted are selector and labels, or fqdn and name",
                "{\"fqdn\":\"a\"} | name: missing",
                "{\"selector\":1} | selector: 1: a string",
                "{\"selector\":\"\",\"label\":{}} | probe.label: unknown field",
                "{\"selector\":\"\",\"labels\":[]} | labels: []: an object of strings",
                "{\"selector\":\"\",\"labels\":{\"a\":1}} | a: 1: a string",
                "{\"selector\":\"\",\"fqdn\":\"a\",\"name\":\"a\"} | probe.selector: unknown field",
            })
    void aProbeThatMakesNoSenseIsStatusTwoAndTheOthersAreAnswered(
            final String probe, final String error) {
        final CommandLineRun run = probes(probe + "\n{\"selector\":\"\"}\n");

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.out().lines())
                .satisfiesExactly(
                        line -> assertThat(line.replace("\\\"", "\"")).contains(error),
                        line -> assertThat(line).startsWith("{\"valid\":true,"));
        assertThat(run.out()).startsWith("{\"error\":");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "-l;a=b | one of EXPR, --fqdn PATTERN and --probes FILE",
                "all();--fqdn;a;--name;a | one of EXPR, --fqdn PATTERN and --probes FILE",
                "a;==;'b' | EXPR is one word: quote it",
                "--fqdn;a | --fqdn PATTERN and --name NAME go together",
                "all();--name;a | --fqdn PATTERN and --name NAME go together",
                "--fqdn;a;--name;a;-l;a=b | -l goes with EXPR",
                "--probes;-;-o;yaml | accepted are text, jsonl",
                "--probes;/nowhere | /nowhere: no such file",
                "all();--type;sql | --type",
                "all();-l;a | KEY=VALUE",
            })
    void wrongUsageIsStatusTwo(final String arguments, final String message) {
        final CommandLineRun run = selector(arguments.split(";", -1));

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.err()).contains(message);
        assertThat(run.out()).isEmpty();
    }
}
