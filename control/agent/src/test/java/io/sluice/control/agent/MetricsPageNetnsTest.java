package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The page that Prometheus gets from a daemon with traffic of every kind. */
@Tag("netns")
@Timeout(300)
class MetricsPageNetnsTest {
    private static final String B = "10.244.0.3";
    private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(60);

    /** Requests and names are judged, and pings are dropped. */
    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: "web", namespace: shop }
            spec:
              endpointSelector: { matchLabels: { app: b } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: a } }]
                toPorts:
                - ports: [{ port: "8000", protocol: TCP }]
                  rules:
                    http: [{ method: GET, path: '/"public\\\\".*|/' }]
            ---
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: names, namespace: shop }
            spec:
              endpointSelector: { matchLabels: { app: a } }
              egress:
              - toEndpoints: [{ matchLabels: { app: b } }]
              - toEndpoints:
                - matchLabels:
                    k8s:io.kubernetes.pod.namespace: kube-system
                    k8s-app: kube-dns
                toPorts:
                - ports: [{ port: "53", protocol: ANY }]
                  rules:
                    dns: [{ matchPattern: "**.cluster.local" }]
            """;

    @TempDir private Path folder;
    private final List<Process> servers = new ArrayList<>();
    private Node node;

    @BeforeEach
    void makeNamespaces() throws Exception {
        node = new Node(folder);
        node.addNamespace("a");
        node.addNamespace("b");
        node.writePod("a", "");
        node.writePod("b", "");
        Files.writeString(node.manifests().resolve("policy.yaml"), POLICY);
    }

    @AfterEach
    void removeNamespaces() throws Exception {
        for (final Process server : servers) {
            server.destroyForcibly().waitFor();
        }
        node.close();
    }

    private Process inside(final String namespace, final String... words) throws Exception {
        final List<String> command =
                new ArrayList<>(List.of("ip", "netns", "exec", node.name(namespace)));
        command.addAll(List.of(words));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    private String say(final String namespace, final String... words) throws Exception {
        final Process process = inside(namespace, words);
        final String said =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return said;
    }

    private String status(final String path) throws Exception {
        return say(
                "a",
                "curl",
                "-s",
                "-o",
                folder.resolve("answer").toString(),
                "-m",
                "5",
                "-w",
                "%{http_code}",
                "http://" + B + ":8000" + path);
    }

    private String page() throws Exception {
        return say("node", "curl", "-s", "http://127.0.0.1:9962/metrics");
    }

    private static Set<String> documented() throws Exception {
        final Set<String> names = new TreeSet<>();
        Pattern.compile("(?m)^\\| `([a-z0-9_]+)")
                .matcher(Files.readString(Path.of("..", "..", "docs", "metrics.md")))
                .results()
                .forEach(row -> names.add(row.group(1)));
        return names;
    }

    @Test
    void everyRowIsThereAndPrometheusReadsIt() throws Exception {
        node.start();
        servers.add(inside("b", "python3", "-m", "http.server", "8000", "-d", folder.toString()));
        final long start = System.nanoTime();
        while (!status("/").equals("200")) {
            assertThat(System.nanoTime() - start).isLessThan(PATIENCE_NS);
            LockSupport.parkNanos(100_000_000);
        }
        assertThat(status("/secret")).isEqualTo("403");
        assertThat(node.pings("a", B)).isFalse();
        assertThat(say("a", "dig", "@10.96.0.10", "+tries=1", "no.shop.svc.cluster.local"))
                .contains("status: NXDOMAIN");
        assertThat(say("a", "dig", "@10.96.0.10", "+tries=1", "evil.example.org"))
                .contains("status: REFUSED");

        final Set<String> documented = documented();
        assertThat(documented).hasSizeGreaterThan(60);
        String text = page();
        PrometheusPage page = PrometheusPage.of(text);
        // Events come to the page behind the packets.
        while (!page.names().containsAll(documented)) {
            final Set<String> missing = new TreeSet<>(documented);
            missing.removeAll(page.names());
            assertThat(System.nanoTime() - start).as("no %s", missing).isLessThan(PATIENCE_NS);
            LockSupport.parkNanos(100_000_000);
            text = page();
            page = PrometheusPage.of(text);
        }

        assertThat(page.names()).containsExactlyInAnyOrderElementsOf(documented);
        assertThat(page.family("hubble_http_request_duration_seconds").samples())
                .anyMatch(sample -> sample.name().endsWith("_count") && sample.value() > 0);
        assertThat(page.family("sluice_l7_rule_requests_total").samples())
                .anyMatch(sample -> sample.value() > 0);
        assertThat(Promtool.run(text, "check", "metrics")).isEmpty();
    }
}
