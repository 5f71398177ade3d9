package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files of the watched folder change while connections are open. */
@Tag("netns")
class PolicyChangeNetnsTest {
    private static final int CLIENT = 11;
    private static final int SERVER = 12;
    private static final long SECOND_NS = 1_000_000_000;

    private static final String SERVER_LETS_IN =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: server, namespace: app }
            spec:
              podSelector: { matchLabels: { app: server } }
              policyTypes: [Ingress]
              ingress:
                - from: [{ podSelector: { matchLabels: { app: %s } } }]
                  ports: [{ protocol: TCP, port: %s }]
            """;

    private TestNode node;

    @BeforeEach
    void start() {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("server", SERVER);
        node.save("server-policy.yaml", SERVER_LETS_IN.formatted("client", "8080"));
        node.startDaemon("client", "server");
        node.serve("server", "tcp:8080");
    }

    @AfterEach
    void stop() {
        node.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {TestAddress.IPV4, TestAddress.IPV6})
    void anEstablishedConnectionIsCutWithinASecondOfANewPolicy(final String address) {
        final Running stream = node.startPeer("client", "stream", address, "8080");
        stream.await("echo", 10_000);

        final long savedAtNs = System.nanoTime();
        node.save("server-policy.yaml", SERVER_LETS_IN.formatted("nobody", "8080"));

        // Echoes come every 20 ms: a second and a half without one means that it is cut.
        long lastEchoNs = savedAtNs;
        while (stream.line(1500).filter("echo"::equals).isPresent()) {
            lastEchoNs = System.nanoTime();
            assertThat(lastEchoNs - savedAtNs).as("still open").isLessThan(30 * SECOND_NS);
        }
        assertThat(lastEchoNs - savedAtNs).isLessThan(SECOND_NS);
        assertThat(node.peer("client", "tcp", address, "8080"))
                .as("a new connection")
                .isEqualTo("timed out");
    }

    @Test
    void aConnectionThatIsStillAllowedLivesOnThroughAChange() {
        final Running stream = node.startPeer("client", "stream", TestAddress.IPV4, "8080");
        stream.await("echo", 10_000);
        final long before = node.revision();

        node.save(
                "another.yaml",
                SERVER_LETS_IN.formatted("someone", "9999").replace("name: server", "name: more"));
        TestNode.await("a new revision is live", () -> node.revision() > before);

        for (Optional<String> line = stream.line(0); line.isPresent(); line = stream.line(0)) {
            assertThat(line).contains("echo");
        }
        for (int i = 0; i < 10; i++) {
            assertThat(stream.line(1000)).contains("echo");
        }
    }

    @Test
    void aPolicyIsLiveWithinASecondOfItsSave() {
        node.save("server-policy.yaml", SERVER_LETS_IN.formatted("nobody", "8080"));
        TestNode.await(
                "the policy denies",
                () -> node.peer("client", "tcp", TestAddress.IPV4, "8080").equals("timed out"));
        final long before = node.revision();

        final long savedAtNs = System.nanoTime();
        node.save("server-policy.yaml", SERVER_LETS_IN.formatted("client", "8080"));
        TestNode.await("a new revision is live", 1000, () -> node.revision() > before);
        assertThat(System.nanoTime() - savedAtNs).isLessThan(SECOND_NS);

        assertThat(node.peer("client", "tcp", TestAddress.IPV4, "8080")).isEqualTo("answered");
    }

    @Test
    void aBadFileLeavesTheLastGoodPolicyInForceAndIsReportedInTheStatus() {
        node.save(
                "server-policy.yaml",
                SERVER_LETS_IN.formatted("nobody", "8080").replace("podSelector:", "podSelecter:"));
        TestNode.await(
                "the status names the file and the line",
                () -> node.status().path("problems").toString().contains("server-policy.yaml:5"));
        assertThat(node.peer("client", "tcp", TestAddress.IPV4, "8080")).isEqualTo("answered");

        node.save("server-policy.yaml", SERVER_LETS_IN.formatted("nobody", "8080"));
        TestNode.await(
                "the mended file is in force",
                () -> node.peer("client", "tcp", TestAddress.IPV4, "8080").equals("timed out"));
        assertThat(node.status().path("problems").toString()).doesNotContain("server-policy.yaml");
    }

    /** The server's addresses, as constants for annotations. */
    private static final class TestAddress {
        static final String IPV4 = "10.244.0.12";
        static final String IPV6 = "fd00:10:244::12";

        private TestAddress() {}
    }
}
