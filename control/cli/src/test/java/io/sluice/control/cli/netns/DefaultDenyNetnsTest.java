package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Observe, author, audit, enforce: the way to default deny, with a daemon, real traffic and the
 * commands that people use. What {@code scripts/demo-rollout} shows on the shop.
 */
@Tag("netns")
class DefaultDenyNetnsTest {
    private static final String WEB = "10.244.0.11";
    private static final String API = "10.244.0.12";
    private static final String DATABASE = "10.244.0.13";
    private static final String NAMES = "10.244.0.14";

    @TempDir private Path folder = Path.of("");
    private TestNode node;

    @BeforeEach
    void start() {
        node = new TestNode();
        node.addPod("web", 11);
        node.addPod("api", 12);
        node.addPod("database", 13);
        node.addPod("names", 14);
        node.startDaemon("web", "api", "database", "names");
        node.serve("api", "tcp:8080");
        node.serve("database", "tcp:5432");
        node.serve("names", "udp:53", "tcp:53");
    }

    @AfterEach
    void stop() {
        node.close();
    }

    /** What happens all day. */
    private List<String> legitimate() {
        return List.of(
                node.peer("web", "tcp", API, "8080"),
                node.peer("api", "tcp", DATABASE, "5432"),
                node.peer("web", "udp", NAMES, "53", "16"),
                node.peer("api", "udp", NAMES, "53", "16"));
    }

    /** Somebody is in the web server. */
    private String intruder() {
        return node.peer("web", "tcp", DATABASE, "5432");
    }

    private Command sluice(final String... arguments) {
        final List<String> line =
                new ArrayList<>(
                        List.of(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-cp",
                                System.getProperty("java.class.path"),
                                "io.sluice.control.cli.SluiceCli"));
        line.addAll(List.of(arguments));
        return Command.run(line);
    }

    private Path draft(final String name, final String... options) throws IOException {
        final List<String> arguments =
                new ArrayList<>(
                        List.of(
                                "policy",
                                "recommend",
                                "--since",
                                "1h",
                                "--socket",
                                node.socket().toString(),
                                "-n",
                                "app",
                                "-o",
                                "jsonl"));
        arguments.addAll(List.of(options));
        final Command drafted = sluice(arguments.toArray(String[]::new));
        assertThat(drafted.output())
                .contains("drafted 4 policies for ")
                .contains("checked by replay: none of them would be denied");
        final StringBuilder text = new StringBuilder();
        drafted.output()
                .lines()
                .filter(line -> line.startsWith("{"))
                .forEach(line -> text.append("---\n").append(line).append('\n'));
        return Files.writeString(folder.resolve(name), text.toString());
    }

    private Command replay(final Path policies) {
        return sluice(
                "policy",
                "replay",
                "-f",
                policies.toString(),
                "--since",
                "1h",
                "--socket",
                node.socket().toString(),
                "-o",
                "json");
    }

    private List<JsonNode> flows(final String verdict) {
        final List<JsonNode> flows = new ArrayList<>();
        node.text("/v1/flows?last=1000&verdict=" + verdict)
                .lines()
                .forEach(line -> flows.add(TestNode.json(line).path("flow")));
        return flows;
    }

    private void apply(final Path policies) throws IOException {
        node.apply(Files.readString(policies));
    }

    @Test
    void theRollOutLosesNoLegitimateTrafficAndStopsTheIntruder() throws IOException {
        assertThat(legitimate()).containsOnly("answered");
        TestNode.await("flows are stored", () -> flows("FORWARDED").size() >= 4);

        final Path audited = draft("audit.yaml", "--audit");
        final Path enforced = draft("enforce.yaml");
        assertThat(replay(enforced).exit()).isZero();

        apply(audited);
        assertThat(legitimate()).containsOnly("answered");
        assertThat(flows("AUDIT")).isEmpty();
        assertThat(intruder()).isEqualTo("answered");
        TestNode.await("the intruder is told of", () -> !flows("AUDIT").isEmpty());
        assertThat(flows("AUDIT"))
                .allSatisfy(
                        flow -> {
                            assertThat(flow.path("source").path("pod_name").asText())
                                    .isEqualTo("web");
                            assertThat(flow.path("egress_denied_by").path(0).path("name").asText())
                                    .isEqualTo("recommended-web");
                        });

        apply(enforced);
        assertThat(legitimate()).containsOnly("answered");
        // The intruder's connection of before may still be closing.
        assertThat(flows("DROPPED&drop-reason-desc=POLICY_DENIED"))
                .allSatisfy(
                        flow ->
                                assertThat(
                                                List.of(
                                                        flow.path("IP").path("source").asText(),
                                                        flow.path("IP")
                                                                .path("destination")
                                                                .asText()))
                                        .containsExactlyInAnyOrder(WEB, DATABASE));
        assertThat(intruder()).isEqualTo("timed out");
        TestNode.await(
                "the drop is told of",
                () -> !flows("DROPPED&drop-reason-desc=POLICY_DENIED").isEmpty());
    }

    @Test
    void aDefaultDenyThatForgetsDnsIsFoundByReplayAndByLintAndUndoesItself() throws IOException {
        assertThat(legitimate()).containsOnly("answered");
        TestNode.await("flows are stored", () -> flows("FORWARDED").size() >= 4);
        final Path outage =
                Files.writeString(
                        folder.resolve("outage.yaml"),
                        """
                        apiVersion: networking.k8s.io/v1
                        kind: NetworkPolicy
                        metadata: {name: web, namespace: app}
                        spec:
                          podSelector: {matchLabels: {app: web}}
                          policyTypes: [Egress]
                          egress:
                          - to: [{podSelector: {matchLabels: {app: api}}}]
                            ports: [{port: 8080}]
                        """);

        final Command replayed = replay(outage);

        assertThat(replayed.exit()).isEqualTo(1);
        final JsonNode report = TestNode.json(replayed.output());
        assertThat(report.path("changes"))
                .singleElement()
                .satisfies(
                        change -> {
                            assertThat(change.path("from").asText()).isEqualTo("app/web");
                            assertThat(change.path("port").asText()).isEqualTo("53/UDP");
                            assertThat(change.path("now").asText()).isEqualTo("DROPPED");
                        });
        final Path pods = folder.resolve("pods.yaml");
        final StringBuilder text = new StringBuilder();
        for (final JsonNode change : report.path("changes")) {
            assertThat(change.path("by").path("name").asText()).isEqualTo("web");
        }
        text.append(
                """
                {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: app, labels: {app: web}},
                 status: {podIP: %s}}
                ---
                {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: app, labels: {app: api}},
                 status: {podIP: %s}}
                """
                        .formatted(WEB, API));
        Files.writeString(pods, text.toString());
        assertThat(sluice("policy", "lint", "-f", pods.toString(), outage.toString()).output())
                .contains(": egress-without-dns: ");

        assertThat(node.sluice("apply", "-f", outage.toString(), "--confirm", "10s", "--no-wait"))
                .contains("networkpolicy.networking.k8s.io/web created");
        assertThat(asksForNames()).isEqualTo("silent");
        TestNode.await("names are there again", () -> asksForNames().equals("answered"));
        assertThat(node.get("/v1/policy/confirmation").path("state").asText()).isEqualTo("UNDONE");
        assertThat(legitimate()).containsOnly("answered");
    }

    private String asksForNames() {
        return node.peer("web", "udp", NAMES, "53", "16");
    }
}
