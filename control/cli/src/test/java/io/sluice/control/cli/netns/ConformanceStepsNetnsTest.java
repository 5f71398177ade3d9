package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.ReadResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Cases of other projects that have several states, as updates of a running daemon: from state to
 * state only what differs is applied and deleted, while a connection is open; after each, real
 * connections show what the case expects.
 *
 * <p>All cases and all their states are computed by the policy module's conformance tests. This is
 * a sample of them, chosen so that a namespace, a pod, rules, tiers and whole policies change. The
 * data are found as there, and the tests are skipped, saying so, where they are not.
 */
@Tag("netns")
class ConformanceStepsNetnsTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    private static final int ECHOES = 10;

    /** All that the daemon keeps; see {@code flows.ring}. */
    private static final int FLOWS = 4095;

    /** Of one echo; they come every 20 ms. A busy machine is late, a cut connection is silent. */
    private static final long ECHO_LIMIT_MS = 3000;

    /** Two pods whose namespace no policy of a case selects. */
    private static final String BYSTANDERS =
            """
            apiVersion: v1
            kind: Namespace
            metadata:
              name: bystanders
            ---
            apiVersion: v1
            kind: Pod
            metadata:
              name: talker
              namespace: bystanders
            status: { podIP: 10.99.0.1 }
            ---
            apiVersion: v1
            kind: Pod
            metadata:
              name: listener
              namespace: bystanders
            status: { podIP: 10.99.0.2 }
            """;

    private static final Probe BETWEEN_BYSTANDERS =
            new Probe("bystanders/talker", "bystanders/listener", "tcp", "7000");

    /** A connection to open. */
    private record Probe(String from, String to, String kind, String port) {
        String server() {
            return kind + ":" + port;
        }

        String answer(final boolean allowed) {
            if (allowed) {
                return "answered";
            }
            return kind.equals("udp") ? "silent" : "timed out";
        }
    }

    /**
     * A state of a case.
     *
     * @param manifests each object
     * @param addresses of each Pod, by {@code namespace/name}
     * @param expected what {@code peer.py} should say
     */
    private record Step(
            Map<ObjectRef, String> manifests,
            Map<String, String> addresses,
            Map<Probe, String> expected) {
        void add(final String text) {
            for (final String manifest : text.split("(?m)^---$", -1)) {
                final ReadResult read = ManifestReader.read("case", manifest);
                assertThat(read.problems()).isEmpty();
                assertThat(read.objects()).hasSize(1);
                final KubeObject object = read.objects().getFirst();
                manifests.put(object.ref(), manifest.strip() + "\n");
                if (object instanceof final Pod pod && !pod.addresses().isEmpty()) {
                    addresses.put(pod.ref().path(), pod.addresses().getFirst().toString());
                }
            }
        }

        void add(final JsonNode probe) {
            final String kind = kind(probe);
            if (!probe.has("pods")) {
                expect(
                        new Probe(
                                probe.get("from").asText(),
                                probe.get("to").asText(),
                                kind,
                                probe.get("port").asText()),
                        probe.get("expect").asText().equals("allowed"));
                return;
            }
            final JsonNode pods = probe.get("pods");
            for (int from = 0; from < pods.size(); from++) {
                final String row = probe.get("combined").get(from).asText();
                for (int to = 0; to < pods.size(); to++) {
                    // Other marks, as that of a pod to itself, say that nothing is expected.
                    if (row.charAt(to) == '.' || row.charAt(to) == 'X') {
                        expect(
                                new Probe(
                                        pods.get(from).asText(),
                                        pods.get(to).asText(),
                                        kind,
                                        probe.get("port").asText()),
                                row.charAt(to) == '.');
                    }
                }
            }
        }

        private static String kind(final JsonNode probe) {
            return probe.get("protocol").asText().toLowerCase(Locale.ROOT);
        }

        void expect(final Probe probe, final boolean allowed) {
            expected.put(probe, probe.answer(allowed));
        }

        String address(final String pod) {
            return Objects.requireNonNull(addresses.get(pod), () -> "no address of " + pod);
        }

        Set<String> pods() {
            final Set<String> pods = new TreeSet<>();
            for (final Probe probe : expected.keySet()) {
                pods.add(probe.from);
                pods.add(probe.to);
            }
            return pods;
        }
    }

    private TestNode node;

    @BeforeAll
    static void findData() {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
    }

    @BeforeEach
    void start() {
        node = new TestNode();
        node.startDaemon();
    }

    @AfterEach
    void stop() {
        node.close();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "k8s-e2e-netpol/cases/021",
                "k8s-e2e-netpol/cases/022",
                "calico/tiers-and-order/felix-fv-tiered-policy",
                "calico/tiers-and-order/calico-e2e-tier-pass-to-default",
                "network-policy-api-v1alpha1/cases/12-AdminNetworkPolicyIntegration",
                "network-policy-api-v1alpha2/cases/06-CNPAdminTierEgressUDP"
            })
    void everyStepIsLiveWhenItIsAppliedAndAnAllowedConnectionLivesThroughAll(final String path)
            throws IOException {
        final List<Step> steps = read(path);
        if (alwaysAllowed(steps).isEmpty()) {
            for (final Step step : steps) {
                step.add(BYSTANDERS);
                step.expect(BETWEEN_BYSTANDERS, true);
            }
        }
        final Probe streamed = alwaysAllowed(steps).orElseThrow();
        plugIn(steps);

        update(Map.of(), steps.getFirst().manifests);
        for (final String pod : pods(steps)) {
            node.awaitState("READY", ObjectRef.pod(pod.split("/", -1)[0], pod.split("/", -1)[1]));
        }
        final Running stream =
                node.startPeer(
                                networkNamespace(streamed.from),
                                "stream",
                                steps.getFirst().address(streamed.to),
                                streamed.port)
                        .await("echo", 10_000);
        judge(steps, 0);
        for (int i = 1; i < steps.size(); i++) {
            update(steps.get(i - 1).manifests, steps.get(i).manifests);
            judge(steps, i);
            assertLives(stream, streamed);
        }
    }

    private void judge(final List<Step> steps, final int number) {
        final Step step = steps.get(number);
        assertThat(answers(step))
                .as("step %d", number + 1)
                .containsExactlyInAnyOrderEntriesOf(step.expected);
        step.expected.forEach(
                (probe, answer) -> {
                    if (!answer.equals(probe.answer(true))) {
                        assertThat(dropped(probe.from, probe.to, "to-port", probe.port))
                                .as("drops of %s", probe)
                                .isNotEmpty();
                    }
                });
    }

    /** The first TCP connection that every step probes and allows. */
    private static Optional<Probe> alwaysAllowed(final List<Step> steps) {
        return steps.getFirst().expected.keySet().stream()
                .filter(probe -> probe.kind.equals("tcp"))
                .filter(
                        probe ->
                                steps.stream()
                                        .allMatch(
                                                step ->
                                                        probe.answer(true)
                                                                .equals(step.expected.get(probe))))
                .findFirst();
    }

    // Pods

    /**
     * Makes namespaces for the pods that are probed, with their servers, and says so in their
     * manifests; the other pods are at addresses where nothing is.
     */
    private void plugIn(final List<Step> steps) {
        final Map<String, Set<String>> servers = new TreeMap<>();
        for (final Step step : steps) {
            for (final Probe probe : step.expected.keySet()) {
                servers.computeIfAbsent(probe.from, _ -> new TreeSet<>());
                servers.computeIfAbsent(probe.to, _ -> new TreeSet<>()).add(probe.server());
            }
        }
        for (final Step step : steps) {
            step.manifests.replaceAll(
                    (ref, manifest) ->
                            ref.kind().equals("Pod") && servers.containsKey(ref.path())
                                    ? annotated(manifest, ref.path())
                                    : manifest);
        }
        servers.forEach(
                (pod, services) -> {
                    node.addNamespace(networkNamespace(pod));
                    if (!services.isEmpty()) {
                        node.serve(networkNamespace(pod), services.toArray(String[]::new));
                    }
                });
    }

    private String annotated(final String manifest, final String pod) {
        return manifest.replaceFirst(
                "(?m)^metadata:$",
                "metadata:\n  annotations: { sluice.io/netns: %s }"
                        .formatted(node.namespace(networkNamespace(pod))));
    }

    private static Set<String> pods(final List<Step> steps) {
        return steps.stream()
                .flatMap(step -> step.pods().stream())
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private static String networkNamespace(final String pod) {
        return pod.replace('/', '-');
    }

    // Updates

    private void update(final Map<ObjectRef, String> before, final Map<ObjectRef, String> after) {
        final List<String> changed = new ArrayList<>();
        after.forEach(
                (ref, manifest) -> {
                    if (!manifest.equals(before.get(ref))) {
                        changed.add(manifest);
                    }
                });
        final List<String> gone = new ArrayList<>();
        before.forEach(
                (ref, manifest) -> {
                    if (!after.containsKey(ref)) {
                        gone.add(manifest);
                    }
                });

        final long revision = node.revision();
        if (!changed.isEmpty()) {
            node.apply(String.join("---\n", changed));
        }
        if (!gone.isEmpty()) {
            node.deleteObjects(String.join("---\n", gone));
        }
        assertThat(node.revision()).as("the revision of the step").isGreaterThan(revision);
    }

    // Connections

    /** What all probes of a step say; they are opened at the same time. */
    private Map<Probe, String> answers(final Step step) {
        final Map<List<Probe>, Running> clients = new LinkedHashMap<>();
        step.expected.keySet().stream()
                .collect(Collectors.groupingBy(Probe::from))
                .forEach((from, probes) -> clients.put(probes, startClient(step, from, probes)));

        final Map<Probe, String> answers = new LinkedHashMap<>();
        clients.forEach(
                (probes, client) -> {
                    client.awaitExit();
                    final List<String> lines = client.output().lines().toList();
                    assertThat(lines).hasSameSizeAs(probes);
                    for (int i = 0; i < lines.size(); i++) {
                        answers.put(probes.get(i), lines.get(i));
                    }
                });
        return answers;
    }

    private Running startClient(final Step step, final String from, final List<Probe> probes) {
        final List<String> arguments = new ArrayList<>(List.of("probe"));
        for (final Probe probe : probes) {
            arguments.add(probe.server() + ":" + step.address(probe.to));
        }
        return node.startPeer(networkNamespace(from), arguments.toArray(String[]::new));
    }

    /**
     * TCP would hide a packet that was dropped and sent again, so that the daemon is asked as well.
     */
    private void assertLives(final Running stream, final Probe streamed) {
        for (Optional<String> line = stream.line(0); line.isPresent(); line = stream.line(0)) {
            assertThat(line).contains("echo");
        }
        for (int i = 0; i < ECHOES; i++) {
            assertThat(stream.line(ECHO_LIMIT_MS)).as("the open connection").contains("echo");
        }
        assertThat(dropped(streamed.from, streamed.to, "to-port", streamed.port)).isEmpty();
        assertThat(dropped(streamed.to, streamed.from, "from-port", streamed.port)).isEmpty();
    }

    private String dropped(
            final String from, final String to, final String side, final String port) {
        return node.text(
                "/v1/flows?last=%d&verdict=DROPPED&from-pod=%s&to-pod=%s&%s=%s"
                        .formatted(FLOWS, from, to, side, port));
    }

    private static List<Step> read(final String path) throws IOException {
        final Path folder =
                Path.of(Objects.requireNonNull(System.getenv("SLUICE_CONFORMANCE"))).resolve(path);
        final List<Step> steps = new ArrayList<>();
        for (final JsonNode stated :
                JSON.readTree(folder.resolve("case.json").toFile()).get("steps")) {
            final Step step =
                    new Step(new LinkedHashMap<>(), new TreeMap<>(), new LinkedHashMap<>());
            step.add(Files.readString(folder.resolve(stated.get("stateFile").asText())));
            stated.get("probes").forEach(step::add);
            steps.add(step);
        }
        return steps;
    }
}
