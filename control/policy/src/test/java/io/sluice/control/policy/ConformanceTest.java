package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The cases of other projects: policies and clusters with the verdicts they expect.
 *
 * <p>The data is not part of the repository. The tests look for the folder that the environment
 * variable {@code SLUICE_CONFORMANCE} names, and are skipped, saying so, where it is not set.
 */
final class ConformanceTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static Path folder(final String name) {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
        return Path.of(root).resolve(name);
    }

    private static List<Path> cases(final Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(path -> Files.exists(path.resolve("case.json")))
                    .sorted()
                    .toList();
        }
    }

    private static World world(final Path... manifests) throws IOException {
        final List<KubeObject> objects = new ArrayList<>();
        for (final Path manifest : manifests) {
            final ReadResult read =
                    ManifestReader.read(
                            manifest.getFileName().toString(), Files.readString(manifest));
            assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
            objects.addAll(read.objects());
        }
        final World world = World.of(objects);
        assertThat(world.problems()).isEmpty();
        return world;
    }

    private static PolicyEvaluator evaluator(final World world) {
        return new PolicyEvaluator(
                world,
                PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS));
    }

    private static PolicyCompiler compiler() {
        return new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
    }

    /**
     * Evaluators of a step: compiled from nothing, and from the step before as the daemon does when
     * objects change.
     */
    private static List<PolicyEvaluator> evaluators(
            final World world, final PolicyCompiler stepped) {
        return List.of(evaluator(world), new PolicyEvaluator(world, stepped.update(world)));
    }

    @TestFactory
    List<DynamicTest> kubernetesEndToEndCases() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        for (final Path path : cases(folder("k8s-e2e-netpol").resolve("cases"))) {
            final JsonNode test = JSON.readTree(path.resolve("case.json").toFile());
            tests.add(
                    DynamicTest.dynamicTest(
                            test.get("id").asText() + " " + test.get("name").asText(),
                            () -> {
                                final PolicyCompiler stepped = compiler();
                                for (final JsonNode step : test.get("steps")) {
                                    judgeEndToEndStep(path, step, stepped);
                                }
                            }));
        }
        System.out.println("conformance: k8s-e2e-netpol: " + tests.size() + " cases");
        assertThat(tests).hasSize(48);
        return tests;
    }

    private static void judgeEndToEndStep(
            final Path path, final JsonNode step, final PolicyCompiler stepped)
            throws IOException, ProbeException {
        final World world = world(path.resolve(step.get("stateFile").asText()));
        for (final PolicyEvaluator evaluator : evaluators(world, stepped)) {
            for (final JsonNode probe : step.get("probes")) {
                final String protocol = probe.get("protocol").asText();
                final String port = probe.get("port").asText();
                assertThat(matrix(evaluator, texts(probe.get("pods")), protocol, port).combined)
                        .as("step %s %s/%s", step.get("step"), port, protocol)
                        .isEqualTo(texts(probe.get("combined")));
            }
        }
    }

    @TestFactory
    List<DynamicTest> cyclonusCases() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        for (final Path path : cases(folder("cyclonus").resolve("cases"))) {
            final JsonNode test = JSON.readTree(path.resolve("case.json").toFile());
            tests.add(
                    DynamicTest.dynamicTest(
                            test.get("id").asText() + " " + test.get("description").asText(),
                            () -> {
                                final PolicyCompiler stepped = compiler();
                                for (final JsonNode step : test.get("steps")) {
                                    judgeCyclonusStep(path, step, stepped);
                                }
                            }));
        }
        System.out.println("conformance: cyclonus: " + tests.size() + " cases");
        assertThat(tests).hasSize(117);
        return tests;
    }

    private static void judgeCyclonusStep(
            final Path path, final JsonNode step, final PolicyCompiler stepped)
            throws IOException, ProbeException {
        final World world = world(path.resolve(step.get("stateFile").asText()));
        for (final PolicyEvaluator evaluator : evaluators(world, stepped)) {
            judgeCyclonusStep(evaluator, step);
        }
    }

    private static void judgeCyclonusStep(final PolicyEvaluator evaluator, final JsonNode step)
            throws ProbeException {
        final List<String> pods = texts(step.get("pods"));
        for (final Map.Entry<String, JsonNode> expected : step.get("expected").properties()) {
            final String[] probe = expected.getKey().split("/", -1);
            final Matrix seen = matrix(evaluator, pods, probe[0], probe[1]);
            final Matrix wanted =
                    new Matrix(
                            texts(expected.getValue().get("combined")),
                            texts(expected.getValue().get("ingress")),
                            texts(expected.getValue().get("egress")));
            assertThat(masked(seen, wanted.combined))
                    .as("step %s %s", step.get("step"), expected.getKey())
                    .isEqualTo(masked(wanted, wanted.combined));
        }
    }

    @TestFactory
    List<DynamicTest> adminAndBaselinePoliciesOfBothVersions() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        for (final String version : List.of("v1alpha1", "v1alpha2")) {
            final Path cases = folder("network-policy-api-" + version).resolve("cases");
            final List<DynamicTest> ofVersion = listCases("network-policy-api-" + version, cases);
            assertThat(ofVersion).hasSize(24);
            tests.addAll(ofVersion);
        }
        return tests;
    }

    @TestFactory
    List<DynamicTest> calicoTiersAndOrder() throws IOException {
        final List<DynamicTest> tests =
                listCases("calico/tiers-and-order", folder("calico").resolve("tiers-and-order"));
        assertThat(tests).hasSize(10);
        return tests;
    }

    /** Cases whose steps have lists of probes. */
    private static List<DynamicTest> listCases(final String name, final Path folder)
            throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        int steps = 0;
        int probes = 0;
        for (final Path path : cases(folder)) {
            final JsonNode test = JSON.readTree(path.resolve("case.json").toFile());
            for (final JsonNode step : test.get("steps")) {
                steps++;
                probes += step.get("probes").size();
            }
            tests.add(
                    DynamicTest.dynamicTest(
                            name + " " + test.get("id").asText(),
                            () -> {
                                final PolicyCompiler stepped = compiler();
                                for (final JsonNode step : test.get("steps")) {
                                    final World world =
                                            world(path.resolve(step.get("stateFile").asText()));
                                    for (final PolicyEvaluator evaluator :
                                            evaluators(world, stepped)) {
                                        for (final JsonNode probe : step.get("probes")) {
                                            judgeProbe(evaluator, probe);
                                        }
                                    }
                                }
                            }));
        }
        System.out.println(
                "conformance: %s: %d cases, %d steps, %d probes"
                        .formatted(name, tests.size(), steps, probes));
        return tests;
    }

    @TestFactory
    List<DynamicTest> calicoTiersAreSorted() throws IOException {
        final JsonNode rows =
                JSON.readTree(
                                folder("calico")
                                        .resolve("tiers-and-order/tier_sort_tests.json")
                                        .toFile())
                        .get("tierSorting");
        final List<DynamicTest> tests = new ArrayList<>();
        for (final JsonNode row : rows) {
            tests.add(
                    DynamicTest.dynamicTest(
                            row.get("name").asText(),
                            () -> {
                                final List<PolicyTier> tiers = new ArrayList<>();
                                for (final JsonNode tier : row.get("input")) {
                                    tiers.add(
                                            new PolicyTier(
                                                    tier.get(0).asText(),
                                                    tier.get(2).asBoolean(),
                                                    tier.get(1).isNull()
                                                            ? Double.POSITIVE_INFINITY
                                                            : tier.get(1).asDouble(),
                                                    true));
                                }
                                assertThat(tiers.stream().sorted().map(PolicyTier::name))
                                        .containsExactlyElementsOf(texts(row.get("expected")));
                            }));
        }
        System.out.println("conformance: calico tier sorting: " + tests.size() + " rows");
        assertThat(tests).hasSize(6);
        return tests;
    }

    private record Matrix(List<String> combined, List<String> ingress, List<String> egress) {}

    /** Cells that are not judged ({@code =}, {@code P}, {@code N}) and the diagonal blanked out. */
    private static Matrix masked(final Matrix matrix, final List<String> judged) {
        return new Matrix(
                masked(matrix.combined, judged),
                masked(matrix.ingress, judged),
                masked(matrix.egress, judged));
    }

    private static List<String> masked(final List<String> rows, final List<String> judged) {
        final List<String> masked = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            final StringBuilder row = new StringBuilder(rows.get(i));
            for (int j = 0; j < row.length(); j++) {
                final char expected = judged.get(i).charAt(j);
                if (i == j || (expected != '.' && expected != 'X')) {
                    row.setCharAt(j, '=');
                }
            }
            masked.add(row.toString());
        }
        return masked;
    }

    private static Matrix matrix(
            final PolicyEvaluator evaluator,
            final List<String> pods,
            final String protocol,
            final String port)
            throws ProbeException {
        final List<String> combined = new ArrayList<>();
        final List<String> ingress = new ArrayList<>();
        final List<String> egress = new ArrayList<>();
        for (final String from : pods) {
            final StringBuilder combinedRow = new StringBuilder();
            final StringBuilder ingressRow = new StringBuilder();
            final StringBuilder egressRow = new StringBuilder();
            for (final String to : pods) {
                if (from.equals(to)) {
                    combinedRow.append('=');
                    ingressRow.append('=');
                    egressRow.append('=');
                    continue;
                }
                final Evaluation seen = evaluator.evaluate(Probe.of(from, to, protocol, port));
                combinedRow.append(seen.allowed() ? '.' : 'X');
                ingressRow.append(seen.ingress().isAllowed() ? '.' : 'X');
                egressRow.append(seen.egress().isAllowed() ? '.' : 'X');
            }
            combined.add(combinedRow.toString());
            ingress.add(ingressRow.toString());
            egress.add(egressRow.toString());
        }
        return new Matrix(combined, ingress, egress);
    }

    private static List<String> texts(final JsonNode array) {
        final List<String> texts = new ArrayList<>();
        array.forEach(item -> texts.add(item.asText()));
        return texts;
    }

    @TestFactory
    List<DynamicTest> recipes() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        int probes = 0;
        for (final Path path : cases(folder("recipes"))) {
            final JsonNode test = JSON.readTree(path.resolve("case.json").toFile());
            probes += test.get("probes").size();
            tests.add(
                    DynamicTest.dynamicTest(
                            "recipe " + test.get("id").asText(),
                            () -> {
                                final PolicyEvaluator evaluator =
                                        evaluator(
                                                world(
                                                        path.resolve("cluster.yaml"),
                                                        path.resolve("policies.yaml")));
                                for (final JsonNode probe : test.get("probes")) {
                                    judgeProbe(evaluator, probe);
                                }
                            }));
        }
        System.out.println(
                "conformance: recipes: " + tests.size() + " cases, " + probes + " probes");
        assertThat(tests).hasSize(17);
        return tests;
    }

    private static void judgeProbe(final PolicyEvaluator evaluator, final JsonNode probe)
            throws ProbeException {
        final Evaluation seen =
                evaluator.evaluate(
                        Probe.of(
                                probe.get("from").asText(),
                                probe.path("toIP").asText(probe.get("to").asText()),
                                probe.get("protocol").asText(),
                                probe.path("port").asText("")));
        assertThat(seen.allowed())
                .as("%s: %s", probe, seen)
                .isEqualTo(probe.get("expect").asText().equals("allowed"));
    }

    @TestFactory
    List<DynamicTest> apiServerAcceptsAndRejects() throws IOException {
        final Path file = folder("k8s-validation").resolve("networkpolicy_v1_validation.json");
        final JsonNode rows = JSON.readTree(file.toFile());
        final List<DynamicTest> tests = new ArrayList<>();
        for (final JsonNode row : rows.get("accept")) {
            tests.add(
                    DynamicTest.dynamicTest(
                            "accept: " + row.get("case").asText(),
                            () -> {
                                final ReadResult read =
                                        ManifestReader.read(
                                                "np.json", row.get("manifest").toString());
                                assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
                                assertThat(read.objects()).hasSize(1);
                            }));
        }
        for (final JsonNode row : rows.get("reject")) {
            tests.add(
                    DynamicTest.dynamicTest(
                            "reject: " + row.get("case").asText(),
                            () -> {
                                final ReadResult read =
                                        ManifestReader.read(
                                                "np.json", row.get("manifest").toString());
                                assertThat(read.objects()).isEmpty();
                                final String expected =
                                        row.get("errorStartsWithOrContains").asText();
                                assertThat(read.problems())
                                        .filteredOn(Problem::isError)
                                        .extracting(p -> p.field() + ": " + p.message())
                                        .anyMatch(message -> says(message, expected));
                            }));
        }
        System.out.println("conformance: k8s-validation: " + tests.size() + " rows");
        assertThat(tests).hasSize(48);
        return tests;
    }

    /** Three rows leave out the value, which the API server prints after "Invalid value: ". */
    private static boolean says(final String message, final String expected) {
        final String marker = "Invalid value: ";
        final int end = expected.indexOf(marker) + marker.length();
        return message.contains(expected)
                || (expected.contains(marker)
                        && message.startsWith(expected.substring(0, end))
                        && message.endsWith(": " + expected.substring(end)));
    }

    @TestFactory
    List<DynamicTest> policyTypesAreDefaulted() throws IOException {
        final JsonNode data =
                JSON.readTree(
                        folder("k8s-validation").resolve("policytypes_defaulting.json").toFile());
        final List<DynamicTest> tests = new ArrayList<>();
        for (final JsonNode row : data.get("cases")) {
            tests.add(
                    DynamicTest.dynamicTest(
                            row.get("in").toString(),
                            () -> {
                                final ReadResult read =
                                        ManifestReader.read(
                                                "np.json",
                                                "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":"
                                                        + "\"NetworkPolicy\",\"metadata\":{\"name\":"
                                                        + "\"p\"},\"spec\":"
                                                        + row.get("in")
                                                        + "}");
                                final NetworkPolicy policy = (NetworkPolicy) read.objects().get(0);
                                assertThat(policy.directions().stream().map(Enum::name))
                                        .containsExactlyInAnyOrderElementsOf(
                                                texts(row.get("policyTypes")).stream()
                                                        .map(
                                                                t ->
                                                                        t.toUpperCase(
                                                                                java.util.Locale
                                                                                        .ROOT))
                                                        .distinct()
                                                        .toList());
                            }));
        }
        System.out.println("conformance: policyTypes defaulting: " + tests.size() + " rows");
        return tests;
    }

    @TestFactory
    List<DynamicTest> ciliumExamplesAreAcceptedOrRetired() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> files = Files.walk(folder("cilium").resolve("examples"))) {
            for (final Path file :
                    files.filter(path -> path.toString().endsWith(".yaml")).sorted().toList()) {
                tests.add(
                        DynamicTest.dynamicTest(
                                folder("cilium").relativize(file).toString(),
                                () -> judgeExample(file)));
            }
        }
        System.out.println("conformance: cilium/examples: " + tests.size() + " files");
        return tests;
    }

    private static void judgeExample(final Path file) throws IOException {
        final ReadResult read = ManifestReader.read(file.toString(), Files.readString(file));
        for (final Problem problem : read.problems()) {
            if (problem.isError() && !problem.message().startsWith("retired: ")) {
                fail(problem.toString());
            }
        }
    }

    @TestFactory
    List<DynamicTest> denyBeatsAllowAsInCiliumsTable() throws IOException {
        final Map<String, String> rules =
                Map.of(
                        "A_L7_HTTP80",
                                "ingress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules:"
                                        + " {http: [{}]}}]}]",
                        "A_L4_80", "ingress: [{toPorts: [{ports: [{port: '80', protocol: TCP}]}]}]",
                        "A_L4_81", "ingress: [{toPorts: [{ports: [{port: '81', protocol: TCP}]}]}]",
                        "A_L3_client", "ingress: [{fromEndpoints: [{matchLabels: {app: client}}]}]",
                        "D_L4_80",
                                "ingressDeny: [{toPorts: [{ports: [{port: '80', protocol: TCP}]}]}]",
                        "D_L3_client",
                                "ingressDeny: [{fromEndpoints: [{matchLabels: {app: client}}]}]");
        final JsonNode table =
                JSON.readTree(folder("cilium").resolve("deny-precedence-table.json").toFile());
        final List<DynamicTest> tests = new ArrayList<>();
        for (final JsonNode column : table.get("columns")) {
            final List<String> policies = texts(column.get("allow"));
            policies.addAll(texts(column.get("deny")));
            final StringBuilder manifest = new StringBuilder(CLIENT_AND_SERVER);
            for (final String policy : policies) {
                manifest.append(
                        """
                        ---
                        {apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy,
                         metadata: {name: %s},
                         spec: {endpointSelector: {matchLabels: {app: server}}, %s}}
                        """
                                .formatted(
                                        policy.toLowerCase(Locale.ROOT).replace('_', '-'),
                                        rules.get(policy)));
            }
            for (final Map.Entry<String, JsonNode> expected : column.get("expect").properties()) {
                tests.add(
                        DynamicTest.dynamicTest(
                                policies + " " + expected.getKey(),
                                () -> {
                                    final ReadResult read =
                                            ManifestReader.read("table", manifest.toString());
                                    assertThat(read.problems())
                                            .filteredOn(Problem::isError)
                                            .isEmpty();
                                    final String what = expected.getKey();
                                    final boolean ping = what.equals("ping");
                                    final Evaluation seen =
                                            evaluator(World.of(read.objects()))
                                                    .evaluate(
                                                            Probe.of(
                                                                    "client",
                                                                    "server",
                                                                    ping ? "ICMP" : "TCP",
                                                                    ping
                                                                            ? ""
                                                                            : what.substring(
                                                                                    "curl:"
                                                                                            .length())));
                                    assertThat(seen.allowed())
                                            .isEqualTo(
                                                    expected.getValue().asText().equals("allowed"));
                                }));
            }
        }
        System.out.println("conformance: cilium/deny-precedence-table: " + tests.size() + " cells");
        assertThat(tests).hasSize(15);
        return tests;
    }

    private static final String CLIENT_AND_SERVER =
            """
            apiVersion: v1
            kind: Pod
            metadata: {name: client, labels: {app: client}}
            status: {podIP: 10.0.0.1}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: server, labels: {app: server}}
            status: {podIP: 10.0.0.2}
            """;

    @Test
    void ciliumScenarioDenyOfTheApiServerLeavesTheWorldAllowed() throws Exception {
        final JsonNode scenarios =
                JSON.readTree(folder("cilium").resolve("policy-scenarios.json").toFile());
        final JsonNode scenario = scenarios.get("cases").get(1);
        assertThat(scenario.get("name").asText()).isEqualTo("kube-apiserver-deny");
        final ReadResult read =
                ManifestReader.read(
                        "scenario",
                        CLIENT_AND_SERVER
                                + """
                                ---
                                apiVersion: discovery.k8s.io/v1
                                kind: EndpointSlice
                                metadata:
                                  name: kubernetes
                                  labels: {kubernetes.io/service-name: kubernetes}
                                addressType: IPv4
                                endpoints: [{addresses: [198.51.100.6]}]
                                ---
                                apiVersion: cilium.io/v2
                                kind: CiliumNetworkPolicy
                                metadata: {name: no-api}
                                spec:
                                  endpointSelector: {}
                                  egress: [{toEntities: [all]}]
                                  egressDeny: [{toEntities: [kube-apiserver]}]
                                """);
        assertThat(read.problems()).isEmpty();
        final PolicyEvaluator evaluator = evaluator(World.of(read.objects()));
        final List<String> seen = new ArrayList<>();
        for (final List<String> end :
                List.of(List.of("198.51.100.6", "443"), List.of("203.0.113.9", "80"))) {
            final boolean allowed =
                    evaluator
                            .evaluate(Probe.of("client", end.get(0), "TCP", end.get(1)))
                            .egress()
                            .isAllowed();
            seen.add(allowed ? "egress=allowed" : "egress=denied");
        }
        final List<String> expected = new ArrayList<>();
        scenario.get("lookups").forEach(lookup -> expected.add(lookup.get(1).asText()));
        assertThat(seen).isEqualTo(expected);
        System.out.println("conformance: cilium/policy-scenarios: kube-apiserver-deny");
    }

    /** Rows of a policy map as the table prints them: direction, peer, what, verdict, proxy. */
    @Test
    void ciliumScenarioWhatAPolicyMapHolds() throws Exception {
        final JsonNode scenario =
                JSON.readTree(folder("cilium").resolve("policy-scenarios.json").toFile())
                        .get("cases")
                        .get(0);
        assertThat(scenario.get("name").asText()).isEqualTo("policymap");
        final ReadResult read =
                ManifestReader.read(
                        "scenario",
                        """
                        apiVersion: v1
                        kind: Pod
                        metadata: {name: ep1, labels: {app: web}}
                        status: {podIP: 10.0.0.1}
                        ---
                        apiVersion: v1
                        kind: Pod
                        metadata: {name: ep2, labels: {app: backend}}
                        status: {podIP: 10.0.0.2}
                        ---
                        apiVersion: v1
                        kind: Node
                        metadata: {name: here}
                        status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
                        ---
                        apiVersion: cilium.io/v2
                        kind: CiliumNetworkPolicy
                        metadata: {name: web}
                        spec:
                          endpointSelector: {matchLabels: {app: web}}
                          ingress:
                          - fromEndpoints: [{matchLabels: {app: backend}}]
                            toPorts:
                            - ports:
                              - {port: '80', protocol: TCP}
                              - {port: '8080', endPort: 8095, protocol: TCP}
                              rules: {http: [{method: GET, path: /}]}
                          egress:
                          - toEndpoints: [{matchLabels: {app: backend}}]
                          - toEndpoints: [{matchLabels: {app: backend}}]
                            toPorts:
                            - ports: [{port: '53', protocol: UDP}]
                              rules: {dns: [{matchPattern: '*'}]}
                          egressDeny: [{toEntities: [host]}]
                        """);
        assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
        final World world = World.of(read.objects());
        final PolicyEvaluator evaluator =
                new PolicyEvaluator(
                        world,
                        PolicyCompiler.compile(
                                world,
                                new IdentityAllocator(),
                                PolicyOptions.DEFAULTS.withNode("here", List.of())));
        final Map<String, String> addresses = Map.of("ep2", "10.0.0.2", "host(1)", "192.0.2.1");
        for (final JsonNode row : scenario.get("ep1_map")) {
            final boolean ingress = row.get(0).asText().equals("Ingress");
            final String peer = addresses.getOrDefault(row.get(1).asText(), "");
            final String what = row.get(2).asText();
            final String[] ports = what.split("/", -1);
            final List<String> asked =
                    what.equals("ANY")
                            ? List.of("1", "443", "65535")
                            : List.of(ports[0].split("-", -1));
            for (final String port : asked) {
                final String protocol = ports.length == 2 ? ports[1] : "TCP";
                final Evaluation seen =
                        evaluator.evaluate(
                                ingress
                                        ? Probe.of(peer, "ep1", protocol, port)
                                        : Probe.of("ep1", peer, protocol, port));
                final PolicyEntry entry = ingress ? seen.ingress() : seen.egress();
                final boolean proxied = row.get(4).asText().equals("proxy");
                assertThat(entry.verdict())
                        .as("%s", row)
                        .isEqualTo(
                                row.get(3).asText().equals("Deny")
                                        ? PolicyEntry.Verdict.DENY
                                        : proxied
                                                ? PolicyEntry.Verdict.REDIRECT
                                                : PolicyEntry.Verdict.ALLOW);
            }
        }
        // The second endpoint is not isolated: everyone, both ways.
        for (final String peer : List.of("10.0.0.1", "203.0.113.9")) {
            assertThat(evaluator.evaluate(Probe.of(peer, "ep2", "TCP", "1")).ingress().isAllowed())
                    .isTrue();
            assertThat(evaluator.evaluate(Probe.of("ep2", peer, "TCP", "1")).egress().isAllowed())
                    .isTrue();
        }
        System.out.println("conformance: cilium/policy-scenarios: policymap");
    }

    @Test
    void ciliumScenarioANameBecomesAnIdentityWhenItIsLearned() throws Exception {
        final JsonNode scenario =
                JSON.readTree(folder("cilium").resolve("policy-scenarios.json").toFile())
                        .get("cases")
                        .get(2);
        assertThat(scenario.get("name").asText()).isEqualTo("fqdn");
        final ReadResult read =
                ManifestReader.read(
                        "scenario",
                        CLIENT_AND_SERVER
                                + """
                                ---
                                apiVersion: cilium.io/v2
                                kind: CiliumNetworkPolicy
                                metadata: {name: names}
                                spec:
                                  endpointSelector: {matchLabels: {app: client}}
                                  egress: [{toFQDNs: [{matchName: cilium.io}]}]
                                """);
        final World before = World.of(read.objects());
        final IpAddress learned = IpAddress.parse("192.0.2.10").orElseThrow();
        final PolicyCompiler compiler = compiler();
        final Probe probe = Probe.of("client", learned.toString(), "TCP", "443");
        final PolicySet nothingLearned = compiler.update(before);
        assertThat(new PolicyEvaluator(before, nothingLearned).evaluate(probe).allowed()).isFalse();
        final World after = before.withNames(Map.of(learned, java.util.Set.of("cilium.io")));
        final PolicySet policies = compiler.update(after);
        assertThat(new PolicyEvaluator(after, policies).evaluate(probe).allowed()).isTrue();
        assertThat(policies.identityAt(learned).number()).isEqualTo(16_777_217);
        assertThat(
                        new PolicyEvaluator(before, nothingLearned)
                                .evaluate(probe.with(Map.of("toName", "cilium.io")))
                                .allowed())
                .isTrue();
        System.out.println("conformance: cilium/policy-scenarios: fqdn");
    }
}
