package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A daemon exports its flows to a broker in one of its own pods, and to a file beside. */
@Tag("netns")
class KafkaExportNetnsTest {
    private static final int BROKER = 20;
    private static final int CLIENT = 10;
    private static final String PORT = "9092";
    private static final String TOPIC = "sluice-flows";

    /** Longer than the patience of KafkaPeer, which says so. */
    private static final long ANSWER_MS = 60_000;

    @TempDir private Path folder;
    private TestNode node;
    private Path file;

    @BeforeEach
    void makeNode() {
        file = folder.resolve("flows.log");
        node =
                new TestNode(
                        "flows.export.file: " + file,
                        "flows.export.kafka.bootstrapServers: "
                                + TestNode.ipv4(BROKER)
                                + ":"
                                + PORT,
                        "flows.export.kafka.compression: gzip",
                        // Those of the export itself are left out.
                        "flows.export.kafka.allowList: '{\"source_pod\":[\"app/client\"]}'");
        node.addPod("client", CLIENT);
        node.addPod("broker", BROKER);
    }

    @AfterEach
    void stop() {
        node.close();
    }

    private JsonNode export(final String destination) {
        for (final JsonNode export : node.status().path("exports")) {
            if (export.path("destination").asText().equals(destination)) {
                return export;
            }
        }
        throw new IllegalStateException("no export to " + destination);
    }

    private void ping() {
        assertThat(node.in("client", "ping", "-c", "1", "-W", "5", TestNode.ipv4(BROKER)).exit())
                .isZero();
    }

    private List<String> lines() {
        try {
            return Files.exists(file) ? Files.readAllLines(file) : List.of();
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void flowsWaitForTheBrokerAreThereThenAndAStopWritesTheLast() {
        final Running daemon = node.startDaemon("client", "broker");
        ping();
        TestNode.await(
                "the file does not wait for the broker",
                () -> lines().stream().anyMatch(line -> line.contains("EchoRequest")));
        TestNode.await("nobody answers", () -> !export("kafka").path("trouble").asText().isEmpty());
        assertThat(node.status().path("problems").toString())
                .contains(
                        "flows.export.kafka: sluice-flows at 10.244.0.20:9092: lines wait or are lost: not connected");

        final Running broker =
                node.startJava(
                        "broker",
                        KafkaPeer.class,
                        "broker",
                        TestNode.ipv4(BROKER),
                        PORT,
                        folder.toString());
        broker.await("ready", ANSWER_MS);
        broker.write("create " + TOPIC);
        broker.await("created", ANSWER_MS);
        TestNode.await(
                "what waited is written", () -> export("kafka").path("waiting").asLong() == 0);
        TestNode.await(
                "nothing is wrong any more",
                () -> export("kafka").path("trouble").asText().isEmpty());
        ping();
        daemon.stop("TERM");

        assertThat(daemon.output())
                .containsOnlyOnce("flows.export.kafka: sluice-flows at")
                .containsOnlyOnce("flows.export.kafka: goes on; 0 lines were lost")
                .doesNotContain(" ERROR ");
        broker.forgetLines();
        broker.write("fetch " + TOPIC);
        // Its log of requests comes in between.
        String records = broker.line(ANSWER_MS).orElse("nothing at all");
        while (records.contains(" DEBUG Completed request:")) {
            records = broker.line(ANSWER_MS).orElse("nothing at all");
        }
        final List<String> expected =
                lines().stream()
                        .filter(
                                line ->
                                        TestNode.json(line)
                                                .at("/flow/source/pod_name")
                                                .asText()
                                                .equals("client"))
                        .toList();
        assertThat(expected).hasSizeGreaterThanOrEqualTo(2);
        assertThat(records).isEqualTo(String.join(",", expected));
    }
}
