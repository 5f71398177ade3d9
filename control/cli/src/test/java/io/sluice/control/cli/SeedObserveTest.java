package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.PolicyAuthor;
import io.sluice.control.agent.PolicySnapshot;
import io.sluice.control.agent.api.ApiServer;
import io.sluice.dataplane.FlowEnd;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What people write about hubble observe works with the program's name changed: the command is run
 * here, and what follows its pipe by a real shell with a real jq.
 */
final class SeedObserveTest {
    private final Path socket;
    private final ApiServer server;

    SeedObserveTest() throws IOException {
        this.socket = Files.createTempDirectory("sluice").resolve("api.sock");
        final OfflinePolicy nothing = OfflinePolicy.of(List.of());
        this.server =
                ApiServer.start(
                        socket,
                        Optional.empty(),
                        new MemoryControlPlane(
                                new PolicySnapshot(1, nothing.world(), nothing.evaluator()),
                                flows()));
    }

    @AfterEach
    void stop() throws IOException {
        server.close();
        Files.delete(socket.getParent());
    }

    /** A flow of each kind that the texts ask for, and one of each namespace that they do not. */
    private static List<Flow> flows() {
        final List<Flow> flows = new ArrayList<>();
        for (final String namespace : List.of("staging", "production", "payments", "shop")) {
            for (final Flow.Verdict verdict :
                    List.of(Flow.Verdict.FORWARDED, Flow.Verdict.DROPPED, Flow.Verdict.AUDIT)) {
                flows.add(flow(flows.size(), namespace, verdict));
            }
        }
        flows.add(end(flows.getLast()));
        return flows;
    }

    private static Flow flow(
            final int sequence, final String namespace, final Flow.Verdict verdict) {
        final boolean dropped = verdict == Flow.Verdict.DROPPED;
        return new Flow(
                sequence,
                CommandLineRun.NOW.minusSeconds(60 - sequence),
                "00000000-0000-4000-8000-0000000000%02d".formatted(sequence),
                "node1",
                dropped ? Flow.Kind.DROP : Flow.Kind.POLICY_VERDICT,
                verdict,
                dropped ? 133 : 0,
                dropped ? "POLICY_DENIED" : "",
                4,
                6,
                2,
                -1,
                -1,
                peer(
                        1,
                        namespace,
                        namespace.equals("shop") ? "order-api" : "api-server-7d9f8b6c5d-x2k4m",
                        40_000),
                peer(2, namespace, "database-5f7b9c8d6e-m3n7p", 5432),
                Flow.Direction.INGRESS,
                false,
                1,
                List.<PolicyAuthor>of(),
                List.<PolicyAuthor>of(),
                60,
                Optional.empty());
    }

    private static Flow end(final Flow opened) {
        return new Flow(
                opened.sequence() + 1,
                CommandLineRun.NOW,
                "00000000-0000-4000-8000-0000000000ff",
                opened.nodeName(),
                Flow.Kind.END,
                Flow.Verdict.FORWARDED,
                0,
                "",
                4,
                6,
                0,
                -1,
                -1,
                opened.source(),
                opened.destination(),
                Flow.Direction.INGRESS,
                false,
                1,
                List.of(),
                List.of(),
                0,
                Optional.empty(),
                Optional.of(
                        new FlowTotals(
                                FlowEnd.CLOSED,
                                opened.time(),
                                opened.time(),
                                6,
                                534,
                                5,
                                1270,
                                0,
                                "")));
    }

    private static FlowPeer peer(
            final int id, final String namespace, final String pod, final int port) {
        return new FlowPeer(
                id,
                300 + id,
                namespace,
                pod,
                List.of("k8s:app=" + pod, "k8s:team=a"),
                "10.0.0." + id,
                port,
                "");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '#',
            quoteCharacter = '`',
            value = {
                "observe --namespace staging --verdict AUDIT --output json | jq '.flow | {src: .source.labels, dst: .destination.labels, port: .l4.TCP.destination_port}' # \"port\": 5432 # 1",
                "observe --namespace staging --type trace:to-endpoint --output compact --last 1000 # staging/api-server # 2",
                "observe --namespace production --verdict DROPPED --output json --last 100 # POLICY_DENIED # 1",
                "observe --from-pod production/api-server-7d9f8b6c5d-x2k4m --to-pod production/database-5f7b9c8d6e-m3n7p --output compact # production/database # 3",
                "observe --verdict AUDIT --namespace payments # AUDIT # 1",
                "observe --namespace shop --pod shop/order-api --last 1000 # shop/order-api # 3",
                "observe --namespace shop --pod shop/order-api --output json | jq -r '.flow.destination.labels | join(\",\")' | sort | uniq -c # 3 k8s:app=database-5f7b9c8d6e-m3n7p,k8s:team=a # 1",
                "observe --verdict AUDIT --namespace shop # AUDIT # 1",
                "observe --verdict DROPPED --namespace shop --since 1h # DROPPED # 1",
                "observe --verdict DROPPED --since 10m --output json | jq length # 3 # 4",
                "observe --verdict DROPPED --namespace production # DROPPED # 1",
                "observe --verdict DROPPED --namespace production --output json | jq '.flow | {src: .source.pod_name, dst: .destination.pod_name, reason: .drop_reason_desc}' # \"reason\": \"POLICY_DENIED\" # 1",
            })
    void aCommandOfTheTextsWorks(final String line, final String expected, final int lines)
            throws Exception {
        final int pipe = line.indexOf(" | ");
        final String command = pipe < 0 ? line : line.substring(0, pipe);
        final CommandLineRun run =
                CommandLineRun.with(
                        Map.of("SLUICE_SOCKET", socket.toString()), "", command.split(" ", -1));
        assertThat(run.err()).isEmpty();
        assertThat(run.code()).isZero();

        final String out = pipe < 0 ? run.out() : shell(line.substring(pipe + 3), run.out());
        assertThat(out.lines().filter(text -> text.contains(expected))).hasSize(lines);
    }

    /** A jq line that counts events counts a flow once, though its end is there as well. */
    @Test
    void endsOfFlowsAreInNoAnswerThatDidNotAskForThem() throws Exception {
        final CommandLineRun run =
                CommandLineRun.with(
                        Map.of("SLUICE_SOCKET", socket.toString()),
                        "",
                        "observe --namespace shop --output json --all".split(" ", -1));

        assertThat(shell("jq -s 'length'", run.out())).isEqualTo("3\n");
        final CommandLineRun ends =
                CommandLineRun.with(
                        Map.of("SLUICE_SOCKET", socket.toString()),
                        "",
                        "observe --namespace shop --output json --type end".split(" ", -1));
        assertThat(
                        shell(
                                "jq -r '.flow.flow_end | .reason, (.responder_bytes | tonumber)'",
                                ends.out()))
                .isEqualTo("CLOSED\n1270\n");
    }

    /** A follower's output is one flow a line, which jq reads as it comes. */
    @Test
    void jqReadsWhatAFollowerPrints() throws Exception {
        final CommandLineRun run =
                CommandLineRun.with(
                        Map.of("SLUICE_SOCKET", socket.toString()),
                        "",
                        "observe",
                        "-f",
                        "-o",
                        "json",
                        "--last",
                        "2");

        assertThat(shell("jq -r 'select(.flow) | .flow.uuid'", run.out()).lines())
                .startsWith(
                        "00000000-0000-4000-8000-000000000010",
                        "00000000-0000-4000-8000-000000000011");
        assertThat(shell("jq -r 'select(.lost_events) | .lost_events.num_events_lost'", run.out()))
                .isEqualTo("3\n");
    }

    private static String shell(final String command, final String input) throws Exception {
        final Process process =
                new ProcessBuilder("bash", "-o", "pipefail", "-c", command)
                        .redirectErrorStream(true)
                        .start();
        try (var in = process.getOutputStream()) {
            in.write(input.getBytes(StandardCharsets.UTF_8));
        }
        final String out =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(out).isZero();
        return out;
    }
}
