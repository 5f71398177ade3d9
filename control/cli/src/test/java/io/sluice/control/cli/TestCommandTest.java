package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.Probe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code sluice test}: cases in, a report out. */
final class TestCommandTest {
    private static final Path SHOP = Path.of("src/test/resources/shop").toAbsolutePath();

    private static final String PASSING =
            "- {from: shop/frontend, to: shop/backend, port: 8080/TCP, expect: allowed,"
                    + " by: 'NetworkPolicy shop/backend ingress[0]'}\n";

    private static final String FAILING =
            "- {name: the database asks, from: shop/database, to: shop/backend, port: 8080,"
                    + " expect: allowed}\n";

    @TempDir private Path folder = Path.of("");

    private Path cases(final String tests) throws IOException {
        return write("cases.yaml", "manifests: ['" + SHOP + "']\ntests:\n" + tests);
    }

    private Path write(final String name, final String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    private static CommandLineRun test(final Object... arguments) {
        final String[] line = new String[arguments.length + 1];
        line[0] = "test";
        for (int i = 0; i < arguments.length; i++) {
            line[i + 1] = arguments[i].toString();
        }
        return CommandLineRun.of(line);
    }

    @Test
    void onlyFailuresAreListedAndTheLastLineCounts() throws IOException {
        final Path file = cases(PASSING + FAILING);

        final CommandLineRun run = test("-f", file);

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.err()).isEmpty();
        assertThat(run.out().lines())
                .satisfiesExactly(
                        line ->
                                assertThat(line)
                                        .startsWith(
                                                file
                                                        + ":4:3: the database asks: expected"
                                                        + " allowed, is denied (DROPPED POLICY_DENIED): ")
                                        .contains("isolated by NetworkPolicy shop/backend ("),
                        line -> assertThat(line).isEqualTo("1 passed, 1 failed"));
    }

    @Test
    void whatIsExpectedIsStatusZero() throws IOException {
        final CommandLineRun run = test("-f", cases(PASSING));

        assertThat(run.code()).isZero();
        assertThat(run.out()).isEqualTo("1 passed, 0 failed\n");
    }

    @Test
    void theRightVerdictOfTheWrongAuthorFails() throws IOException {
        final CommandLineRun run = test("-f", cases(PASSING.replace("ingress[0]", "ingress[1]")));

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.out())
                .contains(
                        "expected by NetworkPolicy shop/backend ingress[1], is allowed"
                                + " (FORWARDED): egress by");
    }

    @Test
    void theRightAnswerWithTheWrongVerdictFails() throws IOException {
        final String audited =
                PASSING.replace("expect: allowed", "expect: allowed, verdict: AUDIT");

        assertThat(test("-f", cases(audited)).out())
                .contains("expected AUDIT, is allowed (FORWARDED): ");
        assertThat(test("-f", cases(audited.replace("AUDIT", "FORWARDED"))).code()).isZero();
        assertThat(test("-f", cases(audited.replace("AUDIT", "PASSED"))).err())
                .contains("accepted: [FORWARDED, DROPPED, REDIRECTED, AUDIT]");
    }

    @Test
    void aDeniedConnectionsAuthorIsTheSideThatDenies() throws IOException {
        final String denied =
                FAILING.replace("expect: allowed", "expect: denied, by: AUTHOR").trim();
        final String ofIngress = "'end of tier default: isolated by NetworkPolicy shop/backend'";
        final String ofEgress = "'default: no policy isolates the endpoint'";

        assertThat(test("-f", cases(denied.replace("AUTHOR", ofIngress))).code()).isZero();
        assertThat(test("-f", cases(denied.replace("AUTHOR", ofEgress))).code())
                .isEqualTo(ExitCode.NO);
    }

    @Test
    void aCaseThatMakesNoSenseIsStatusTwoAndTheOthersAreJudged() throws IOException {
        final CommandLineRun run =
                test(
                        "-f",
                        cases(
                                PASSING
                                        + "- {from: shop/nobody, to: shop/backend, port: 80,"
                                        + " expect: denied}\n"));

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.out())
                .contains(": shop/nobody -> shop/backend 80: from: there is no pod shop/nobody")
                .endsWith("1 passed, 1 failed\n");
    }

    @Test
    void jsonHasEveryCase() throws IOException {
        final CommandLineRun json = test("-o", "json", "-f", cases(PASSING + FAILING));
        final CommandLineRun lines = test("-o", "jsonl", "-f", cases(PASSING + FAILING));

        assertThat(json.code()).isEqualTo(ExitCode.NO);
        assertThat(json.out())
                .contains("\"passed\": 1", "\"failed\": 1", "\"line\": 4")
                .contains("\"outcome\": \"passed\"", "\"outcome\": \"failed\"");
        assertThat(lines.out().lines()).hasSize(2);
    }

    @Test
    void otherFilesAreManifestsAddedToThoseTheCasesName() throws IOException {
        final Path added =
                write(
                        "open.yaml",
                        """
                        apiVersion: networking.k8s.io/v1
                        kind: NetworkPolicy
                        metadata: {name: open, namespace: shop}
                        spec:
                          podSelector: {}
                          ingress: [{}]
                          egress: [{}]
                        """);

        assertThat(test("-f", cases(FAILING), "-f", added).out()).isEqualTo("1 passed, 0 failed\n");
        // Of a folder with cases in it, only these: the others may be of other cases.
        assertThat(test("-f", folder).out()).endsWith("0 passed, 1 failed\n");
    }

    @Test
    void manifestsThatAreWrongFailTheirCases() throws IOException {
        final Path file =
                write("cases.yaml", "manifests: [bad.yaml]\ntests:\n" + PASSING + FAILING);
        final Path bad =
                write(
                        "bad.yaml",
                        """
                        apiVersion: networking.k8s.io/v1
                        kind: NetworkPolicy
                        metadata: {name: p}
                        spec: {ingres: []}
                        """);

        final CommandLineRun run = test("-f", file);

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.out())
                .startsWith(file + ": the manifests are refused: " + bad + ":4:16: spec.ingres: ")
                .endsWith("0 passed, 1 failed\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "- 'spec.ingres: unknown field'  | 0 | 1 passed, 0 failed",
                "- 'no such error'               | 1 | 0 passed, 2 failed",
            })
    void aRefusalIsAnExpectationToo(final String rejected, final int code, final String last)
            throws IOException {
        write(
                "bad.yaml",
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: p}
                spec: {ingres: []}
                """);

        final CommandLineRun run =
                test(
                        "-f",
                        write(
                                "cases.yaml",
                                "manifests: [bad.yaml]\nrejected:\n" + rejected + "\n"));

        assertThat(run.code()).isEqualTo(code);
        assertThat(run.out()).endsWith(last + "\n");
    }

    @Test
    void theRequestOfACaseIsTheProbes() throws IOException {
        final Path file =
                cases(
                        """
                        - from: a/b
                          to: c/d
                          port: http/TCP
                          http: GET /orders?id=1
                          host: shop.example
                          headers: {X-Version: "2"}
                          expect: allowed
                        - {from: a/b, to: c/d, port: 9092, kafka: 'produce:orders', expect: denied}
                        - {from: a/b, to: c/d, port: 53/UDP, dns: x.example, expect: denied}
                        - {from: a/b, to: 192.0.2.1, port: 443, sni: s, toName: n, expect: denied}
                        """);

        assertThat(
                        ReachabilityCases.read(file.toString(), Files.readString(file))
                                .getFirst()
                                .expectations())
                .extracting(expectation -> expectation.probe().l7())
                .containsExactly(
                        Map.of(
                                "http.method", "GET",
                                "http.path", "/orders?id=1",
                                "http.host", "shop.example",
                                "http.headers.X-Version", "2"),
                        Map.of("kafka.api", "produce", "kafka.topic", "orders"),
                        Map.of("dns", "x.example"),
                        Map.of("sni", "s", "toName", "n"));
        assertThat(
                        ReachabilityCases.read(file.toString(), Files.readString(file))
                                .getFirst()
                                .expectations()
                                .getFirst()
                                .probe())
                .returns("http", Probe::port)
                .returns("TCP", Probe::protocol);
    }

    @Test
    void theNodeAndTheClusterAreThoseOfTheFile() throws IOException {
        write(
                "world.yaml",
                """
                apiVersion: v1
                kind: Node
                metadata: {name: n}
                status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: a, labels: {app: a}}
                status: {podIP: 10.0.0.1}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: b, labels: {app: b}}
                status: {podIP: 10.0.0.2}
                ---
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: {name: p}
                spec:
                  endpointSelector: {matchLabels: {app: a}}
                  egress:
                  - toEntities: [host]
                  - toEndpoints: [{matchLabels: {io.cilium.k8s.policy.cluster: east}}]
                """);
        final String tests =
                """
                manifests: [world.yaml]
                tests:
                - {from: default/a, to: 192.0.2.1, port: 80, expect: EXPECT}
                - {from: default/a, to: default/b, port: 80, expect: EXPECT}
                """;

        assertThat(test("-f", write("cases.yaml", tests.replace("EXPECT", "denied"))).code())
                .isZero();
        assertThat(
                        test(
                                        "-f",
                                        write(
                                                "cases.yaml",
                                                "node: n\ncluster: east\n"
                                                        + tests.replace("EXPECT", "allowed")))
                                .code())
                .isZero();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{from: a, to: b, port: 80}                            | expect: Required value",
                "{from: a, to: b, port: 80, expect: yes}               | accepted: allowed, denied",
                "{from: a, to: b, expect: denied}                      | port: Required value",
                "{from: a, to: b, port: 80/FOO, expect: denied}        | accepted: PORT, PORT/TCP",
                "{from: a, to: b, port: 80, expects: denied, expect: denied} | unknown field",
                "{from: a, to: b, port: 80, http: GET, expect: denied} | accepted: METHOD /PATH",
                "{from: a, to: b, port: 80, host: h, expect: denied}   | host: belongs to a request",
                "{from: a, to: b, port: 80, headers: {a: 1}, http: GET /, expect: denied} | quotes",
            })
    void casesAreReadStrictly(final String test, final String message) throws IOException {
        final Path file = cases("- " + test + "\n");

        final CommandLineRun run = test("-f", file);

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.out()).isEmpty();
        assertThat(run.err()).contains(file + ":3:").contains(message);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "tests: []                    | tests: must have at least one item",
                "rejected: []                 | rejected: must have at least one item",
                "{tests: [], rejected: []}    | exactly one of tests and rejected",
                "{tests: [], manifest: [a]}   | did you mean \"manifests\"",
            })
    void aFileOfCasesExpectsSomething(final String text, final String message) throws IOException {
        final CommandLineRun run = test("-f", write("cases.yaml", text));

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.err()).contains(message);
    }

    @Test
    void withoutCasesThereIsNothingToTest() {
        assertThat(test("-f", SHOP).err()).contains("no cases in " + SHOP);
        assertThat(test("-f", SHOP).code()).isEqualTo(ExitCode.USAGE);
        assertThat(test().err()).contains("-f: missing");
    }

    @Test
    void manifestsMayLieBesideTheirCases() throws IOException {
        cases(PASSING);
        write(
                "ns.yaml",
                """
                apiVersion: v1
                kind: Namespace
                metadata: {name: a}
                """);

        final CommandLineRun run = CommandLineRun.of("policy", "validate", "-f", folder.toString());

        assertThat(run.code()).isZero();
        assertThat(run.out()).isEqualTo("valid: 1 object, 0 policies\n");
        assertThat(run.err())
                .isEqualTo(
                        folder.resolve("cases.yaml")
                                + ":1:1: warning: cases for sluice test, no manifest: left out\n");
    }

    @Test
    void liveNeedsTheDaemonAndTakesNoManifests() throws IOException {
        final Path file = cases(PASSING);

        final CommandLineRun manifests = test("--live", "-f", file, "-f", SHOP);
        final CommandLineRun alone =
                test("--live", "--socket", folder.resolve("api.sock"), "-f", file);

        assertThat(manifests.code()).isEqualTo(ExitCode.USAGE);
        assertThat(manifests.err()).contains("--live takes files of cases only");
        assertThat(alone.code()).isEqualTo(ExitCode.UNREACHABLE);
    }
}
