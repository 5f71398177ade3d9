package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Audit of a node, a namespace, an endpoint and a single policy: what would have been denied at L4,
 * by an HTTP rule and by a DNS rule goes on, and is told with the verdict AUDIT.
 */
@Tag("netns")
class AuditNetnsTest {
    private static final int CLIENT = 10;
    private static final int WEB = 20;
    private static final String DENIED_PORT = "8081";

    /** What is annotated or configured. */
    enum Level {
        NODE,
        NAMESPACE,
        ENDPOINT,
        POLICY
    }

    private static final String NAMESPACE =
            """
            apiVersion: v1
            kind: Namespace
            metadata: { name: app, annotations: {} }
            """;

    private static final String POLICIES =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: web, namespace: app, annotations: {} }
            spec:
              endpointSelector: { matchLabels: { app: web } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: client } }]
                toPorts:
                - ports: [{ port: "80", protocol: TCP }]
                  rules: { http: [{ method: GET, path: "/public/.*" }] }
            ---
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: client, namespace: app, annotations: {} }
            spec:
              endpointSelector: { matchLabels: { app: client } }
              egress:
              - toEndpoints: [{ matchLabels: { app: web } }]
              - toEndpoints:
                - matchLabels: { "k8s:io.kubernetes.pod.namespace": kube-system, k8s-app: kube-dns }
                toPorts:
                - ports: [{ port: "53", protocol: ANY }]
                  rules: { dns: [{ matchName: web.app.svc.cluster.local }] }
            """;

    private static final String ON = "sluice.io/audit: \"true\"";

    @TempDir private Path folder;

    private TestNode node = new TestNode();

    @AfterEach
    void stop() {
        node.close();
    }

    @ParameterizedTest
    @EnumSource(Level.class)
    void whatWouldBeDeniedGoesOnAndIsTold(final Level level) throws Exception {
        if (level == Level.NODE) {
            node.close();
            node = new TestNode("policy: { audit: true }");
        }
        node.addPod("client", CLIENT);
        node.addPod("web", WEB);
        if (level == Level.ENDPOINT) {
            node.saveAnnotatedPod("client", CLIENT, ON);
            node.saveAnnotatedPod("web", WEB, ON);
        }
        node.save("namespace.yaml", annotated(NAMESPACE, level == Level.NAMESPACE));
        node.save("policies.yaml", annotated(POLICIES, level == Level.POLICY));
        node.startDaemon("client", "web");
        Nginx.start(node, "web", folder, WEB);
        node.serveFiles("web", DENIED_PORT);

        assertThat(status("80", "/secret")).isEqualTo("404");
        assertThat(status("80", "/public/file")).isEqualTo("200");
        assertThat(status(DENIED_PORT, "/peer.py")).isEqualTo("200");
        node.in("client", "dig", "+tries=1", "+time=5", "@10.96.0.10", "other.example.com");

        final List<JsonNode> audited =
                node.text("/v1/flows")
                        .lines()
                        .map(TestNode::json)
                        .map(line -> line.path("flow"))
                        .filter(flow -> flow.path("verdict").asText().equals("AUDIT"))
                        .toList();
        assertThat(audited.stream().map(AuditNetnsTest::subject))
                .contains("GET /secret", "TCP " + DENIED_PORT, "DNS other.example.com.")
                .doesNotContain("GET /public/file");
        assertThat(
                        audited.stream()
                                .filter(flow -> subject(flow).equals("TCP " + DENIED_PORT))
                                .flatMap(flow -> flow.path("ingress_denied_by").valueStream())
                                .map(by -> by.path("name").asText()))
                .contains("web");
    }

    @Test
    void anEndpointIsSetUnderAuditWhileItRuns() {
        node.addPod("web", WEB);
        node.save("policies.yaml", annotated(POLICIES, false));
        node.startDaemon("web");
        node.serveFiles("web", DENIED_PORT);
        node.sluice(
                "endpoint",
                "add",
                "app/client",
                "--netns",
                node.addNamespace("client"),
                "--ip",
                TestNode.ipv4(CLIENT),
                "-l",
                "app=other");

        assertThat(status(DENIED_PORT, "/peer.py")).isEqualTo("000");
        assertThat(node.sluice("endpoint", "config", "app/web", "audit=on"))
                .contains("the Pod comes from this file: set its annotation sluice.io/audit there");
        assertThat(node.sluice("endpoint", "config", "app/client"))
                .isEqualTo("endpoint app/client audit: off");
        // Only policy about the client is audited now, and it is the web server's that denies.
        assertThat(node.sluice("endpoint", "config", "app/client", "audit=on"))
                .isEqualTo("endpoint app/client audit: on");
        assertThat(status(DENIED_PORT, "/peer.py")).isEqualTo("000");
        assertThat(node.sluice("endpoint", "config", "app/client", "-o", "jsonl"))
                .isEqualTo("{\"endpoint\":\"app/client\",\"audit\":true}");
    }

    private static String annotated(final String manifest, final boolean on) {
        return on ? manifest.replace("annotations: {}", "annotations: {" + ON + "}") : manifest;
    }

    private String status(final String port, final String path) {
        return node.in(
                        "client",
                        "curl",
                        "-s",
                        "-o",
                        "/dev/null",
                        "-m",
                        "10",
                        "-w",
                        "%{http_code}",
                        "http://" + TestNode.ipv4(WEB) + ":" + port + path)
                .output()
                .strip();
    }

    private static String subject(final JsonNode flow) {
        final JsonNode http = flow.path("l7").path("http");
        if (!http.isMissingNode()) {
            final String url = http.path("url").asText();
            return http.path("method").asText() + " " + url.substring(url.indexOf('/', 8));
        }
        final JsonNode dns = flow.path("l7").path("dns");
        if (!dns.isMissingNode()) {
            return "DNS " + dns.path("query").asText();
        }
        return "TCP " + flow.path("l4").path("TCP").path("destination_port").asText();
    }
}
