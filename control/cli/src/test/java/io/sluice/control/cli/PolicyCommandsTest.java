package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.lint.LintCheck;
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

/** The offline engine: files in, verdicts out, no daemon anywhere. */
final class PolicyCommandsTest {
    private static final String SHOP = "src/test/resources/shop";

    private static final String ALLOWED =
            "{\"from\":\"shop/frontend\",\"to\":\"shop/backend\",\"protocol\":\"TCP\",\"port\":8080}";

    @TempDir private Path folder = Path.of("");

    private static CommandLineRun run(final String command) {
        return CommandLineRun.of(command.split(" ", -1));
    }

    @ParameterizedTest
    @CsvSource({
        "eval-allowed.txt, 0, eval --from shop/frontend --to shop/backend --port 8080/TCP",
        "eval-denied.txt, 1, eval --from shop/database --to shop/backend --port 8080",
        "eval-allowed.json, 0, eval --from shop/frontend --to shop/backend --port http -o json",
        "eval-denied.jsonl, 1, eval --from 192.0.2.9 --to shop/database --port 5432 -o jsonl",
        "eval-icmp.txt, 1, eval --from shop/frontend --to shop/backend --port ICMP --icmp-type 3/1",
        "matrix.txt, 0, matrix --port 8080/TCP",
        "matrix.json, 0, matrix --port 8080/TCP -o json",
        "matrix.csv, 0, matrix --port 8080/TCP -o csv",
        "matrix.dot, 0, matrix --port 8080/TCP -o dot",
        "matrix.md, 0, matrix --port 5432/TCP -o md",
        "validate.txt, 0, validate",
        "lint.txt, 0, lint",
    })
    void printsItsGoldenForm(final String golden, final int code, final String command) {
        final CommandLineRun run = run("policy " + command + " -f " + SHOP);

        assertThat(run.err()).isEmpty();
        assertThat(run.code()).isEqualTo(code);
        Golden.assertMatches(golden, run.out());
    }

    @ParameterizedTest
    @CsvSource({
        "diff.txt, ''",
        "diff-authors.txt, --authors",
        "diff.json, -o json",
        "diff.csv, -o csv",
        "diff.md, -o md",
    })
    void diffPrintsItsGoldenForm(final String golden, final String options) {
        final CommandLineRun run =
                run(
                        ("policy diff " + SHOP + "/policies.yaml " + SHOP + "-new " + options)
                                        .strip()
                                + " -f "
                                + SHOP
                                + "/pods.yaml");

        assertThat(run.err()).isEmpty();
        assertThat(run.code()).isEqualTo(ExitCode.NO);
        Golden.assertMatches(golden, run.out());
    }

    @Test
    void diffOfTheSameIsStatusZeroAndOfWrongManifestsStatusTwo() throws IOException {
        final Path wrong = Files.writeString(folder.resolve("bad.yaml"), "kind: Pod\n");

        final CommandLineRun same = run("policy diff " + SHOP + " " + SHOP);
        final CommandLineRun none = run("policy diff " + SHOP + " " + SHOP + " -o json");
        final CommandLineRun trouble = run("policy diff " + SHOP + " " + wrong);

        assertThat(same.code()).isZero();
        assertThat(same.out()).isEqualTo("No connectivity differences\n");
        assertThat(none.code()).isZero();
        assertThat(none.out()).isEqualTo("[]\n");
        assertThat(trouble.code()).isEqualTo(ExitCode.USAGE);
        assertThat(trouble.out()).isEmpty();
        assertThat(trouble.err()).startsWith(wrong + ":1:1: ");
    }

    @Test
    void aRequestIsAskedOfTheRulesThatAProxyWouldAsk() throws IOException {
        final Path manifest =
                Files.writeString(
                        folder.resolve("http.yaml"),
                        """
                        {apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: 10.0.0.1}}
                        ---
                        {apiVersion: v1, kind: Pod, metadata: {name: b, labels: {app: b}},
                         status: {podIP: 10.0.0.2}}
                        ---
                        apiVersion: cilium.io/v2
                        kind: CiliumNetworkPolicy
                        metadata: {name: p}
                        spec:
                          endpointSelector: {matchLabels: {app: b}}
                          ingress:
                          - toPorts:
                            - ports: [{port: '80', protocol: TCP}]
                              rules: {http: [{method: GET, headers: ['X-Team: a']}]}
                        """);
        final String eval = "policy eval -f " + manifest + " --from a --to b --port 80";

        final CommandLineRun open = run(eval);
        assertThat(open.code()).isZero();
        assertThat(open.out()).contains("REDIRECTED").doesNotContain("request");

        final CommandLineRun denied = runWith(eval, "--http", "GET /x");
        assertThat(denied.code()).isEqualTo(ExitCode.NO);
        assertThat(denied.out()).contains("  request  denied   HTTP 403");

        final CommandLineRun allowed = runWith(eval, "--http", "GET /x", "-H", "x-team: a");
        assertThat(allowed.code()).isZero();
        assertThat(allowed.out()).contains("  request  allowed");

        assertThat(runWith(eval, "-H", "x-team: a").err()).contains("--http is missing");
        assertThat(runWith(eval, "--http", "/x").err()).contains("METHOD /PATH");
    }

    private static CommandLineRun runWith(final String command, final String... more) {
        final List<String> arguments = new ArrayList<>(List.of(command.split(" ", -1)));
        arguments.addAll(List.of(more));
        return CommandLineRun.of(arguments.toArray(new String[0]));
    }

    @Test
    void explainAddsTheChainToTheVerdict() {
        final CommandLineRun run =
                run(
                        "policy eval --from shop/frontend --to shop/backend --port 8080 --explain -f "
                                + SHOP);

        assertThat(run.code()).isZero();
        assertThat(run.out().lines().count()).isGreaterThan(3);
        assertThat(run.out()).contains("NetworkPolicy shop/backend");
    }

    @Test
    void probesAreAnsweredInOrderAndOneThatMakesNoSenseIsStatusTwo() throws IOException {
        final Path probes =
                Files.writeString(
                        folder.resolve("probes.jsonl"),
                        ALLOWED
                                + "\n\n{\"from\":\"shop/nobody\",\"to\":\"shop/backend\","
                                + "\"protocol\":\"TCP\",\"port\":80}\n"
                                + ALLOWED.replace("8080", "9090")
                                + "\n");

        final CommandLineRun run = run("policy eval -f " + SHOP + " --probes " + probes);

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.out().lines())
                .satisfiesExactly(
                        line -> assertThat(line).startsWith("{\"allowed\":true,"),
                        line -> assertThat(line).startsWith("{\"error\":").contains("shop/nobody"),
                        line ->
                                assertThat(line)
                                        .startsWith(
                                                "{\"allowed\":false,\"verdict\":\"DROPPED\","
                                                        + "\"reason\":\"POLICY_DENIED\","));
    }

    @Test
    void probesThatAreNotThereOrNotTextAreStatusTwo() throws IOException {
        final Path latin1 = Files.write(folder.resolve("probes"), new byte[] {'"', (byte) 0xe9});

        final CommandLineRun absent = run("policy eval -f " + SHOP + " --probes /nowhere");
        final CommandLineRun unreadable = run("policy eval -f " + SHOP + " --probes " + latin1);

        assertThat(absent.code()).isEqualTo(ExitCode.USAGE);
        assertThat(absent.err()).isEqualTo("/nowhere: no such file or folder\n");
        assertThat(unreadable.code()).isEqualTo(ExitCode.USAGE);
        assertThat(unreadable.err()).isEqualTo(latin1 + ": not text in UTF-8\n");
    }

    @Test
    void probesComeFromStandardInputToo() {
        final CommandLineRun run =
                CommandLineRun.with(
                        Map.of(),
                        ALLOWED,
                        "policy",
                        "eval",
                        "-f",
                        SHOP,
                        "--probes",
                        "-",
                        "-o",
                        "jsonl");

        assertThat(run.err()).isEmpty();
        assertThat(run.code()).isZero();
        assertThat(run.out().lines()).hasSize(1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"from\":\"a\"} | to: missing",
                "{\"from\":\"a\",\"to\":\"b\",\"protocol\":\"TCP\",\"prot\":1} | prot: unknown field",
                "{\"from\":\"a\",\"to\":\"b\",\"protocol\":\"TCP\",\"port\":[1]} | port: [1]",
                "{\"from\":\"a\",\"to\":\"b\",\"protocol\":\"ICMP\",\"icmp\":{\"type\":256}} |"
                        + " type: 256: a number from 0 to 255",
                "{\"from\":\"a\",\"from\":\"b\"} | Duplicate field",
                "not json | line 1, column",
                "[] | a list: an object",
            })
    void aProbeLineIsReadStrictly(final String probe, final String error) {
        final CommandLineRun run =
                CommandLineRun.with(Map.of(), probe, "policy", "eval", "-f", SHOP, "--probes", "-");

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.out()).startsWith("{\"error\":").contains(error);
    }

    @Test
    void validateNamesFileLineColumnAndField() throws IOException {
        final Path file =
                Files.writeString(
                        folder.resolve("bad.yaml"),
                        """
                        apiVersion: networking.k8s.io/v1
                        kind: NetworkPolicy
                        metadata: {name: p}
                        spec:
                          podSelector: {}
                          ingres: []
                        """);

        final CommandLineRun text = run("policy validate -f " + file);
        final CommandLineRun json = run("policy validate -o json -f " + file);
        final CommandLineRun eval = run("policy eval --from a --to b --port 1 -f " + file);

        assertThat(text.code()).isEqualTo(ExitCode.NO);
        assertThat(text.err()).startsWith(file + ":6:11: ").contains("ingres");
        assertThat(text.out()).isEmpty();
        assertThat(json.code()).isEqualTo(ExitCode.NO);
        assertThat(json.out()).contains("\"line\": 6").contains("\"severity\": \"error\"");
        // As a denied probe, but without a verdict.
        assertThat(eval.code()).isEqualTo(ExitCode.NO);
        assertThat(eval.out()).isEmpty();
        assertThat(eval.err()).startsWith(file + ":6:11: ");
    }

    @Test
    void lintListsEveryCheckWithASentence() {
        final CommandLineRun text = run("policy lint --list");
        final CommandLineRun json = run("policy lint --list --only equal-order -o jsonl");

        assertThat(text.code()).isZero();
        assertThat(text.out().lines()).hasSize(1 + LintCheck.values().length);
        assertThat(text.out()).contains("egress-without-dns");
        assertThat(json.out())
                .startsWith("{\"id\":\"equal-order\",\"severity\":\"warning\",\"finds\":\"Two ");
    }

    @Test
    void aWarningOfLintIsStatusOne() {
        final String example = " -f ../../examples/lint/egress-without-dns/policy.yaml";

        final CommandLineRun text = run("policy lint" + example);
        final CommandLineRun json = run("policy lint --only egress-without-dns -o json" + example);

        assertThat(text.code()).isEqualTo(ExitCode.NO);
        assertThat(text.out()).contains("policy.yaml:2:1: egress-without-dns: NetworkPolicy shop/");
        assertThat(json.code()).isEqualTo(ExitCode.NO);
        Golden.assertMatches("lint.json", json.out());
    }

    @Test
    void lintIsContentWithInfoAlone() throws IOException {
        final String policy =
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: p}
                spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}
                """;
        final Path file = Files.writeString(folder.resolve("p.yaml"), policy);

        final CommandLineRun info = run("policy lint -f " + file);
        final CommandLineRun none = run("policy lint --disable empty-peer-selector -f " + file);

        assertThat(info.code()).isEqualTo(ExitCode.YES);
        assertThat(info.out()).startsWith(file + ":4:35: empty-peer-selector: ");
        assertThat(none.code()).isEqualTo(ExitCode.YES);
        assertThat(none.out()).isEmpty();
    }

    @Test
    void anAnnotationSilencesTheChecksItNames() throws IOException {
        final String policy =
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: p, annotations: {sluice.io/lint-ignore: "and-or-slip, IDS"}}
                spec: {podSelector: {}, egress: [{to: [{podSelector: {}}], ports: [{port: 80}]}]}
                """;
        final Path loud =
                Files.writeString(
                        folder.resolve("loud.yaml"), policy.replace("IDS", "equal-order"));
        final Path silent =
                Files.writeString(
                        folder.resolve("silent.yaml"),
                        policy.replace(
                                "IDS",
                                "egress-without-dns,empty-peer-selector default-deny-alone"));

        assertThat(run("policy lint -f " + loud).code()).isEqualTo(ExitCode.NO);
        assertThat(run("policy lint -f " + silent).out()).isEmpty();
    }

    @Test
    void foldersAreReadWithTheFoldersInThemButNotHiddenOnes() throws IOException {
        Files.createDirectories(folder.resolve("deep/.git"));
        Files.writeString(folder.resolve("deep/.git/no.yaml"), "broken: [");
        Files.writeString(folder.resolve(".swap.yaml"), "broken: [");
        Files.writeString(folder.resolve("notes.txt"), "broken: [");
        Files.writeString(
                folder.resolve("deep/ns.json"),
                "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a\"}}");

        assertThat(run("policy validate -f " + folder).out())
                .isEqualTo("valid: 1 object, 0 policies\n");
    }

    @ParameterizedTest
    @CsvSource({
        "eval --from a --to b --port 80, either -f PATH or --live",
        "eval -f x --live, either -f PATH or --live",
        "eval -f x --from a --to b, '--from, --to and --port are needed'",
        "eval -f x --probes p --explain, --probes stands alone",
        "eval -f x --probes p --icmp-type 8, --probes stands alone",
        "eval -f x --probes p -o yaml, 'accepted are text, jsonl'",
        "eval -f - --probes -, both -f and --probes",
        "eval -f x --from a --to b --port 80/FOO, 'PORT, PORT/TCP'",
        "eval -f x --from a --to b --port 80 --icmp-type 8, only with --port ICMP",
        "eval -f x --from a --to b --port ICMP --icmp-type 300, 'TYPE or TYPE/CODE'",
        "matrix -f x, --port",
        "matrix -f x --port 80 -o xml, 'accepted are text, json'",
        "diff x, Missing required parameter",
        "diff - -, only one of OLD",
        "diff x y -o dot, 'accepted are text, json'",
        "diff /nowhere /nowhere, '/nowhere: no such file or folder'",
        "validate -f /nowhere, '/nowhere: no such file or folder'",
        "lint, -f: missing",
        "lint -f x --only egress-with-dns, 'did you mean egress-without-dns?: accepted: egress-'",
        "lint -f x --disable a, '--disable: unknown check \"a\": accepted'",
        "lint -f x -o csv, 'accepted are text, json, jsonl, yaml'",
    })
    void wrongUsageIsStatusTwoAndSaysWhatIsAccepted(final String command, final String message) {
        final CommandLineRun run = run("policy " + command);

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.err()).contains(message);
        assertThat(run.out()).isEmpty();
    }
}
