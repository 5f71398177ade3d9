package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** {@code sluice trace} and {@code observe --explain} beside real traffic. */
@Tag("netns")
class TraceNetnsTest {
    private static final int CLIENT = 11;
    private static final int SERVER = 12;

    private static final String SERVER_LETS_IN =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: server, namespace: app }
            spec:
              podSelector: { matchLabels: { app: server } }
              policyTypes: [Ingress]
              ingress:
                - from: [{ podSelector: { matchLabels: { app: client } } }]
                  ports: [{ protocol: TCP, port: 8080 }]
            """;

    private TestNode node;

    @BeforeEach
    void start() {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("server", SERVER);
        node.save("server-policy.yaml", SERVER_LETS_IN);
        node.startDaemon("client", "server");
        node.serveFiles("server", "8080");
    }

    @AfterEach
    void stop() {
        node.close();
    }

    /** What a trace prints while a program runs again and again, until the trace has enough. */
    private String traceWhile(final String match, final String count, final String... program)
            throws ExecutionException, InterruptedException {
        final CompletableFuture<String> trace =
                CompletableFuture.supplyAsync(
                        () -> node.sluice("trace", "--match", match, "--count", count));
        while (!trace.isDone()) {
            node.in("client", program);
        }
        return trace.get();
    }

    @Test
    void aConnectionThatIsAllowedAndAPingThatIsNot() throws Exception {
        final String url = "http://" + TestNode.ipv4(SERVER) + ":8080/";
        final String allowed =
                traceWhile(
                        "tcp and src pod app/client and dst port 8080",
                        "30",
                        "curl",
                        "-s",
                        "-o",
                        "/dev/null",
                        "-m",
                        "5",
                        url);
        assertThat(allowed)
                .contains("app/client:")
                .contains("-> app/server:8080 TCP SYN")
                .contains("  conntrack  NEW: of no flow, and may open one")
                .contains("  conntrack  ESTABLISHED: of a known flow, from its initiator")
                .contains(" app/client by " + TestNode.ipv4(CLIENT) + "/32 ")
                .contains("  ingress    allowed by NetworkPolicy app/server ingress[0] (")
                .contains("  verdict    FORWARDED")
                .contains("  tx         to app/server (port ");

        final String denied =
                traceWhile(
                        "icmp and dst host " + TestNode.ipv4(SERVER),
                        "1",
                        "ping",
                        "-c",
                        "1",
                        "-W",
                        "1",
                        TestNode.ipv4(SERVER));
        assertThat(denied)
                .contains("app/client -> app/server ICMP type 8 code 0")
                .contains("  verdict    DROPPED at policy: POLICY_DENIED (133)")
                .doesNotContain("  tx ");

        assertThat(
                        node.sluice(
                                "observe",
                                "--explain",
                                "--verdict",
                                "DROPPED",
                                "--protocol",
                                "icmp",
                                "--last",
                                "1"))
                .contains(
                        "    ingress of app/server ("
                                + TestNode.ipv4(SERVER)
                                + "): DENY POLICY_DENIED, by end of"
                                + " tier default: isolated by NetworkPolicy app/server")
                .contains("protocol ICMP is not TCP");
    }
}
