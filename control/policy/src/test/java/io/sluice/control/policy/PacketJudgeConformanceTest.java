package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.policy.Question.Packet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * The judge itself, by the cases of other projects: whoever the compiler is compared with must be
 * right on its own.
 *
 * <p>The data is not part of the repository, see {@link ConformanceTest}.
 */
final class PacketJudgeConformanceTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int EPHEMERAL_PORT = 49_152;

    /** Folders with cases, and how many there are. */
    private static final Map<String, Integer> CASE_COUNTS =
            Map.of(
                    "cyclonus/cases", 117,
                    "k8s-e2e-netpol/cases", 48,
                    "network-policy-api-v1alpha1/cases", 24,
                    "network-policy-api-v1alpha2/cases", 24,
                    "recipes", 17,
                    "calico/tiers-and-order", 10);

    @TestFactory
    List<DynamicTest> casesOfOtherProjects() throws IOException {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
        final List<DynamicTest> tests = new ArrayList<>();
        for (final String folder : CASE_COUNTS.keySet().stream().sorted().toList()) {
            final List<Path> cases = cases(Path.of(root).resolve(folder));
            assertThat(cases).as(folder).hasSize(CASE_COUNTS.getOrDefault(folder, 0));
            for (final Path path : cases) {
                tests.add(
                        DynamicTest.dynamicTest(
                                folder + " " + path.getFileName(), () -> judgeCase(path)));
            }
        }
        return tests;
    }

    private static List<Path> cases(final Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(path -> Files.exists(path.resolve("case.json")))
                    .sorted()
                    .toList();
        }
    }

    private static void judgeCase(final Path path) throws IOException {
        final JsonNode test = JSON.readTree(path.resolve("case.json").toFile());
        if (!test.has("steps")) {
            judgeList(
                    world(path.resolve("cluster.yaml"), path.resolve("policies.yaml")),
                    test.get("probes"));
            return;
        }
        for (final JsonNode step : test.get("steps")) {
            final World world = world(path.resolve(step.get("stateFile").asText()));
            if (step.has("expected")) {
                judgeCyclonusMatrices(world, step);
            } else if (step.get("probes").get(0).has("combined")) {
                for (final JsonNode probe : step.get("probes")) {
                    judgeMatrix(
                            world,
                            probe.get("pods"),
                            probe.get("protocol").asText(),
                            probe.get("port").asText(),
                            probe.get("combined"));
                }
            } else {
                judgeList(world, step.get("probes"));
            }
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
        return World.of(objects);
    }

    private static void judgeCyclonusMatrices(final World world, final JsonNode step) {
        for (final Map.Entry<String, JsonNode> expected : step.get("expected").properties()) {
            final String[] probe = expected.getKey().split("/", -1);
            judgeMatrix(
                    world,
                    step.get("pods"),
                    probe[0],
                    probe[1],
                    expected.getValue().get("combined"));
        }
    }

    /** Rows are sources; {@code .} is allowed, {@code X} denied, the rest is not judged. */
    private static void judgeMatrix(
            final World world,
            final JsonNode pods,
            final String protocol,
            final String port,
            final JsonNode rows) {
        for (int from = 0; from < pods.size(); from++) {
            for (int to = 0; to < pods.size(); to++) {
                final char expected = rows.get(from).asText().charAt(to);
                if (from != to && (expected == '.' || expected == 'X')) {
                    judge(
                            world,
                            addresses(world, pods.get(from).asText()),
                            addresses(world, pods.get(to).asText()),
                            pod(world, pods.get(to).asText()),
                            protocol,
                            port,
                            expected == '.');
                }
            }
        }
    }

    private static void judgeList(final World world, final JsonNode probes) {
        for (final JsonNode probe : probes) {
            final String to = probe.get("to").asText();
            judge(
                    world,
                    addresses(world, probe.get("from").asText()),
                    probe.has("toIP")
                            ? List.of(IpAddress.parse(probe.get("toIP").asText()).orElseThrow())
                            : addresses(world, to),
                    pod(world, to),
                    probe.get("protocol").asText(),
                    probe.path("port").asText(""),
                    probe.get("expect").asText().equals("allowed"));
        }
    }

    private static void judge(
            final World world,
            final List<IpAddress> from,
            final List<IpAddress> to,
            final Optional<Pod> destination,
            final String protocolName,
            final String portText,
            final boolean allowed) {
        final int protocol = IpProtocol.parse(protocolName);
        final int port =
                portText.chars().allMatch(Character::isDigit)
                        ? Integer.parseInt(portText)
                        : portNamed(destination.orElseThrow(), protocol, portText);
        final PacketJudge judge = PacketJudge.ofEnforced(world);
        for (final IpAddress source : from) {
            for (final IpAddress target : to) {
                if (source.isIpv4() == target.isIpv4()) {
                    final Packet packet =
                            new Packet(source, target, protocol, port, EPHEMERAL_PORT);
                    final PacketJudge.Answer answer = judge.judge(packet);
                    assertThat(answer.allowed()).as("%s %s", packet, answer).isEqualTo(allowed);
                }
            }
        }
    }

    private static int portNamed(final Pod pod, final int protocol, final String name) {
        return pod.ports().stream()
                .filter(port -> port.name().equals(name) && port.protocol() == protocol)
                .findFirst()
                .orElseThrow()
                .port();
    }

    private static Optional<Pod> pod(final World world, final String text) {
        return world.pods().stream().filter(pod -> pod.ref().path().equals(text)).findFirst();
    }

    private static List<IpAddress> addresses(final World world, final String text) {
        return IpAddress.parse(text)
                .map(List::of)
                .orElseGet(() -> pod(world, text).orElseThrow().addresses());
    }
}
