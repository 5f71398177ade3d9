package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** nghttp, h2load and curl in a pod, nginx with HTTP/2 in another, with rules for HTTP between. */
@Tag("netns")
@TestInstance(Lifecycle.PER_CLASS)
class Http2NetnsTest {
    private static final int WEB = 20;
    private static final int CLIENT = 10;

    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: web, namespace: app }
            spec:
              endpointSelector: { matchLabels: { app: web } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: client } }]
                toPorts:
                - ports: [{ port: "82", protocol: TCP }]
                  rules:
                    http:
                    - { method: GET, path: "/public/.*" }
            """;

    @TempDir private static Path folder;
    private TestNode node;
    private Nginx nginx;

    @BeforeAll
    void start() throws IOException {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("web", WEB);
        node.startDaemon("client", "web");
        nginx = Nginx.start(node, "web", folder, WEB);
        node.apply(POLICY);
    }

    @AfterAll
    void stop() {
        node.close();
    }

    private static String url(final boolean isIpv4, final String path) {
        return "http://"
                + (isIpv4 ? TestNode.ipv4(WEB) : "[" + TestNode.ipv6(WEB) + "]")
                + ":82"
                + path;
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void oneConnectionCarriesAllowedAndDeniedRequests(final boolean isIpv4) throws IOException {
        final int before = nginx.log().size();
        final String output =
                node.in(
                                "client",
                                "nghttp",
                                "-v",
                                "-m",
                                "20",
                                url(isIpv4, "/public/file"),
                                url(isIpv4, "/secret"))
                        .output();
        assertThat(output.lines().filter(line -> line.contains(":status: 200"))).hasSize(20);
        assertThat(output.lines().filter(line -> line.contains(":status: 403"))).hasSize(20);
        final List<String> served = nginx.log().subList(before, nginx.log().size());
        assertThat(served).hasSize(20);
        // One line twenty times: one client's port is one connection.
        assertThat(served.stream().distinct())
                .singleElement()
                .asString()
                .startsWith(isIpv4 ? TestNode.ipv4(CLIENT) : TestNode.ipv6(CLIENT))
                .endsWith(" GET /public/file");
    }

    @Test
    void curlIsAnsweredOverHttp2() {
        assertThat(curl("/public/file")).isEqualTo("nginx says hello\n 2 200");
        assertThat(curl("/secret")).isEqualTo("Access denied\r\n 2 403");
        assertThat(curl("/public/none")).endsWith(" 2 404");
    }

    private String curl(final String path) {
        return node.in(
                        "client",
                        "curl",
                        "-sS",
                        "--http2-prior-knowledge",
                        "-w",
                        " %{http_version} %{http_code}",
                        url(true, path))
                .output();
    }

    @Test
    void aLargeBodyArrivesWhole() throws IOException {
        final Path large = folder.resolve("files/public/large");
        final byte[] bytes = new byte[32 << 20];
        new Random(6).nextBytes(bytes);
        Files.write(large, bytes);
        final Path fetched = folder.resolve("fetched");
        node.in(
                "client",
                "curl",
                "-sS",
                "--http2-prior-knowledge",
                "-o",
                fetched.toString(),
                url(true, "/public/large"));
        assertThat(Files.mismatch(large, fetched)).isEqualTo(-1);
    }

    @Test
    void manyStreamsOnManyConnectionsLoseNothing() {
        assertThat(load("/public/file")).contains("2000 2xx, 0 3xx, 0 4xx, 0 5xx");
        assertThat(load("/secret")).contains("0 2xx, 0 3xx, 2000 4xx, 0 5xx");
    }

    private String load(final String path) {
        final String output =
                node.in("client", "h2load", "-n2000", "-c8", "-m20", url(true, path)).output();
        assertThat(output).contains("2000 done, ").contains("0 errored, 0 timeout");
        return output;
    }
}
