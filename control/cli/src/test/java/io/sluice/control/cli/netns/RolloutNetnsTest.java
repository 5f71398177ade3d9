package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Changes that cut open connections, and that undo themselves, under real connections. */
@Tag("netns")
class RolloutNetnsTest {
    private static final int CLIENT = 11;
    private static final int SERVER = 12;
    private static final String ADDRESS = "10.244.0.12";

    private static final String DENY =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: deny, namespace: app }
            spec: { podSelector: { matchLabels: { app: server } }, policyTypes: [Ingress] }
            """;

    @TempDir private Path folder = Path.of("");
    private TestNode node;
    private Running daemon;

    @BeforeEach
    void start() {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("server", SERVER);
        daemon = node.startDaemon("client", "server");
        node.serve("server", "tcp:8080");
    }

    @AfterEach
    void stop() {
        node.close();
    }

    private String connects() {
        return node.peer("client", "tcp", ADDRESS, "8080");
    }

    @Test
    void aChangeThatIsNotConfirmedTellsWhatItCutsAndIsUndone() throws IOException {
        final Path deny = Files.writeString(folder.resolve("deny.yaml"), DENY);
        final Running stream = node.startPeer("client", "stream", ADDRESS, "8080");
        stream.await("echo", 10_000);

        assertThat(node.sluice("apply", "-f", deny.toString(), "--refuse-cuts"))
                .contains("nothing was changed: 1 of ")
                .contains("app/client -> app/server 8080/TCP: 1: ingress denied: ");
        assertThat(connects()).isEqualTo("answered");

        final String told = node.sluice("apply", "-f", deny.toString(), "--confirm", "6s");

        assertThat(told)
                .contains("networkpolicy.networking.k8s.io/deny created")
                .contains("open flows are cut:")
                .contains("app/client -> app/server 8080/TCP: ")
                .contains("NetworkPolicy app/deny")
                .contains("revision 1 is undone at ")
                .endsWith("revision 1 was not confirmed: undone");
        assertThat(connects()).isEqualTo("answered");
        assertThat(node.sluice("policy", "history"))
                .contains("apply     root")
                .contains("undo      <none>   revision 1 was not confirmed");
    }

    @Test
    void aDaemonThatWasKilledUndoesAtItsStartAndKeepsWhatWasConfirmed() {
        changes(
                """
                {"apply":[{"source":"deny.yaml","text":%s}],"confirmSeconds":60}
                """);
        assertThat(connects()).isEqualTo("timed out");
        daemon.stop("KILL");
        daemon = node.startDaemon("client", "server");
        assertThat(connects()).isEqualTo("timed out");
        assertThat(node.sluice("status")).contains("Confirmation: revision 1 of the history");
        assertThat(node.sluice("policy", "confirm")).isEqualTo("revision 1 is confirmed");

        assertThat(node.sluice("policy", "rollback", "0", "--confirm", "2s", "--no-wait"))
                .contains("networkpolicy.networking.k8s.io \"deny\" deleted");
        daemon.stop("KILL");
        final Instant until =
                Instant.parse(offlineConfirmation().replaceAll("(?s).*until: '?([^'\n]*).*", "$1"));
        TestNode.await("the deadline has passed", () -> !Instant.now().isBefore(until));
        daemon = node.startDaemon("client", "server");

        assertThat(node.get("/v1/policy/confirmation").path("state").asText()).isEqualTo("UNDONE");
        assertThat(connects()).isEqualTo("timed out");
    }

    private String offlineConfirmation() {
        return Command.run(
                        "cat", node.stateFolder().resolve("history/confirmation.yaml").toString())
                .output();
    }

    private void changes(final String request) {
        final JsonNode answer =
                node.ask("POST", "/v1/changes", request.formatted(TestNode.quoted(DENY)));
        assertThat(answer.path("revision").asInt()).as(answer.toString()).isEqualTo(1);
    }
}
