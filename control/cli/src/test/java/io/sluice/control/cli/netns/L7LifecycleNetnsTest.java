package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The L7 proxy through the ends of daemons, with io_uring; and under audit. */
@Tag("netns")
class L7LifecycleNetnsTest {
    private static final int WEB = 20;
    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata:
              name: web
              namespace: app
              annotations: {}
            spec:
              endpointSelector: { matchLabels: { app: web } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: client } }]
                toPorts:
                - ports: [{ port: "80", protocol: TCP }]
                  rules:
                    http:
                    - { method: GET, path: "/public/.*" }
            """;
    private static final String ENFORCED = "";
    private static final String AUDITED = "sluice.io/audit: \"true\"";

    @TempDir private Path folder;
    private final TestNode node = new TestNode("l7: { transport: io_uring, loops: 2 }");

    @AfterEach
    void stop() {
        node.close();
    }

    private Running start(final String annotations) throws Exception {
        node.addPod("client", 10);
        node.addPod("web", WEB);
        node.save(
                "policy.yaml",
                POLICY.replace("annotations: {}", "annotations: {" + annotations + "}"));
        final Running daemon = node.startDaemon("client", "web");
        Nginx.start(node, "web", folder, WEB);
        return daemon;
    }

    @Test
    void connectionsAreResetWhenTheirDaemonDiesAndTheNextAreRead() throws Exception {
        final Running daemon = start(ENFORCED);
        try (Running session = session()) {
            assertThat(ask(session, "/public/file")).isEqualTo("200");
            assertThat(ask(session, "/secret")).isEqualTo("403");

            daemon.stop("KILL");
            node.startDaemon("client", "web");
            assertThat(ask(session, "/secret")).isEqualTo("reset");
        }
        try (Running session = session()) {
            assertThat(ask(session, "/public/file")).isEqualTo("200");
            assertThat(ask(session, "/secret")).isEqualTo("403");
        }
    }

    @Test
    void connectionsAreResetWhenAnotherDaemonTakesOverAndTheNextAreRead() throws Exception {
        final Running daemon = start(ENFORCED);
        try (Running session = session()) {
            assertThat(ask(session, "/public/file")).isEqualTo("200");

            node.replaceDaemon(daemon);
            assertThat(ask(session, "/secret")).isEqualTo("reset");
        }
        try (Running session = session()) {
            assertThat(ask(session, "/public/file")).isEqualTo("200");
            assertThat(ask(session, "/secret")).isEqualTo("403");
        }
    }

    @Test
    void anAuditedPolicyLetsRequestsPassAndTellsWhatItWouldDeny() throws Exception {
        start(AUDITED);
        try (Running session = session()) {
            assertThat(ask(session, "/secret")).isEqualTo("404");
            assertThat(ask(session, "/public/file")).isEqualTo("200");
        }
        final List<String> verdicts =
                node.text("/v1/flows?type=l7")
                        .lines()
                        .map(TestNode::json)
                        .map(line -> line.path("flow"))
                        .filter(flow -> flow.path("l7").path("type").asText().equals("REQUEST"))
                        .map(flow -> flow.path("verdict").asText())
                        .toList();
        assertThat(verdicts).containsExactly("AUDIT", "FORWARDED");
    }

    private Running session() {
        return node.startPeer("client", "http", TestNode.ipv4(WEB), "80");
    }

    private static String ask(final Running session, final String path) {
        session.write(path);
        return session.line(30_000).orElse("nothing");
    }
}
