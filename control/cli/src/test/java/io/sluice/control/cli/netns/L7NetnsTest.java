package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** curl, openssl and nginx in pods, with rules for HTTP and for names of TLS between them. */
@Tag("netns")
@TestInstance(Lifecycle.PER_CLASS)
class L7NetnsTest {
    private static final int WEB = 20;
    private static final int CLIENT = 10;

    /** Longer than the patience of peer.py, which says so. */
    private static final long ANSWER_MS = 30_000;

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
                - ports: [{ port: "80", protocol: TCP }]
                  rules:
                    http:
                    - { method: GET, path: "/public/.*" }
            """;

    private static final String NAMES =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: names, namespace: app }
            spec:
              endpointSelector: { matchLabels: { app: web } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: client } }]
                toPorts:
                - ports: [{ port: "443", protocol: TCP }]
                  serverNames: [ "*.shop.example" ]
            """;

    @TempDir private static Path folder;
    private TestNode node;
    private Nginx nginx;

    @BeforeAll
    void start() throws IOException {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("other", 11);
        node.addPod("web", WEB);
        node.startDaemon("client", "other", "web");
        nginx = Nginx.start(node, "web", folder, WEB);
        node.apply(POLICY);
    }

    @AfterAll
    void stop() {
        node.close();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatTheRulesAllowArrivesAndTheRestIs403(final boolean isIpv4) {
        final String web = "http://" + host(isIpv4);
        assertThat(curl("client", web + "/public/file")).isEqualTo("nginx says hello\n200");
        assertThat(curl("client", web + "/secret")).isEqualTo("Access denied\r\n403");
        assertThat(curl("client", "-X", "POST", web + "/public/file"))
                .isEqualTo("Access denied\r\n403");
        // Not a flow under L7 rules: dropped before the proxy.
        assertThat(curl("other", "--max-time", "1", web + "/public/file")).endsWith("000");
    }

    @Test
    void oneConnectionCarriesAllowedAndDeniedRequests() {
        final String web = "http://" + host(true);
        final String output =
                node.in(
                                "client",
                                "curl",
                                "-sS",
                                "-w",
                                "%{http_code} %{num_connects}\\n",
                                "-o",
                                "/dev/null",
                                web + "/public/file",
                                "-o",
                                "/dev/null",
                                web + "/secret",
                                "-o",
                                "/dev/null",
                                web + "/public/file")
                        .output();
        assertThat(output).isEqualTo("200 1\n403 0\n200 0");
    }

    @Test
    void theServerSeesTheClientsOwnAddressAndPortAndNothingThatWasDenied() throws IOException {
        curl("client", "http://" + host(true) + "/private/seen");
        curl("client", "--local-port", "41000", "http://" + host(true) + "/public/seen");
        assertThat(nginx.log())
                .anyMatch(line -> line.equals(TestNode.ipv4(CLIENT) + ":41000 GET /public/seen"));
        assertThat(nginx.log()).noneMatch(line -> line.contains("/private/seen"));
    }

    @Test
    void aClientMayUseThePortThatAListenerOfTheProxyHas() throws IOException {
        assertThat(curl("client", "--local-port", "15003", "http://" + host(true) + "/public/file"))
                .endsWith("200");
        assertThat(nginx.log()).anyMatch(line -> line.contains(":15003 GET"));
    }

    @Test
    void aLargeBodyArrivesWhole() throws Exception {
        final Path large = folder.resolve("files/public/large");
        final byte[] bytes = new byte[32 << 20];
        new java.util.Random(5).nextBytes(bytes);
        Files.write(large, bytes);
        final Path fetched = folder.resolve("fetched");
        curl("client", "-o", fetched.toString(), "http://" + host(true) + "/public/large");
        assertThat(Files.mismatch(large, fetched)).isEqualTo(-1);
    }

    @Test
    void requestsAndAnswersAreFlows() {
        final String web = "http://" + host(true);
        curl("client", web + "/public/observed");
        curl("client", web + "/secret/observed");

        final List<String> seen = new ArrayList<>();
        for (final String line : node.text("/v1/flows?type=l7").lines().toList()) {
            final JsonNode flow = TestNode.json(line).path("flow");
            final JsonNode http = flow.path("l7").path("http");
            if (http.path("url").asText().endsWith("/observed")) {
                seen.add(
                        "%s %s %s %d %s -> %s"
                                .formatted(
                                        flow.path("verdict").asText(),
                                        flow.path("l7").path("type").asText(),
                                        http.path("method").asText(),
                                        http.path("code").asInt(),
                                        flow.path("source").path("pod_name").asText(),
                                        flow.path("destination").path("pod_name").asText()));
            }
        }
        assertThat(seen)
                .containsExactly(
                        "FORWARDED REQUEST GET 0 client -> web",
                        "FORWARDED RESPONSE GET 404 web -> client",
                        "DROPPED REQUEST GET 0 client -> web",
                        "FORWARDED RESPONSE GET 403 web -> client");
    }

    @Test
    void aConnectionThatIsOpenIsJudgedByThePolicyOfNow() {
        try (Running session = node.startPeer("client", "http", TestNode.ipv4(WEB), "80")) {
            assertThat(ask(session, "/secret")).isEqualTo("403");
            node.apply(POLICY.replace("/public/", "/secret/"));
            assertThat(ask(session, "/secret/x")).isEqualTo("404");
            assertThat(ask(session, "/public/file")).isEqualTo("403");
            node.apply(POLICY);
            assertThat(ask(session, "/public/file")).isEqualTo("200");
        }
    }

    @Test
    void egressRulesAndIngressRulesBothHaveToAllow() {
        final String egress =
                """
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: { name: client, namespace: app }
                spec:
                  endpointSelector: { matchLabels: { app: client } }
                  egress:
                  - toEndpoints: [{ matchLabels: { app: web } }]
                    toPorts:
                    - ports: [{ port: "80", protocol: TCP }]
                      rules:
                        http:
                        - { path: "/public/file" }
                """;
        final String web = "http://" + host(true);
        node.apply(egress);
        try {
            assertThat(curl("client", web + "/public/file")).endsWith("200");
            assertThat(curl("client", web + "/public/other")).endsWith("403");
        } finally {
            node.deleteObjects(egress);
        }
        assertThat(curl("client", web + "/public/other")).endsWith("404");
    }

    @Test
    void tlsPassesByItsServerNameAndIsNotDecrypted() {
        node.apply(NAMES);
        try {
            assertThat(https("api.shop.example")).endsWith("nginx says hello\n200");
            assertThat(https("api.evil.example")).endsWith("000");
        } finally {
            node.deleteObjects(NAMES);
        }
    }

    /** RFC 8446, 6.2: unrecognized_name is 112, access_denied 49. */
    @Test
    void aHandshakeUnderAnotherNameEndsWithAnAlert() {
        node.apply(NAMES);
        try {
            assertThat(handshake("-servername", "api.shop.example"))
                    .contains("subject=CN = shop.example");
            assertThat(handshake("-servername", "api.evil.example"))
                    .contains("SSL alert number 112")
                    .doesNotContain("subject=");
            assertThat(handshake("-noservername"))
                    .contains("SSL alert number 49")
                    .doesNotContain("subject=");
        } finally {
            node.deleteObjects(NAMES);
        }
    }

    private String handshake(final String... options) {
        final List<String> line =
                new ArrayList<>(
                        List.of("openssl", "s_client", "-connect", TestNode.ipv4(WEB) + ":443"));
        line.addAll(List.of(options));
        return node.in("client", line.toArray(String[]::new)).output();
    }

    @Test
    void anUpgradedConnectionCarriesBytesUntilItsRequestIsNoLongerAllowed() {
        final String policy =
                POLICY.replace("name: web,", "name: socket,")
                        .replace("\"80\"", "\"8090\"")
                        .replace("/public/", "/socket/");
        node.serve("web", "upgrade:8090");
        node.apply(policy);
        try (Running socket = socket("/socket/a");
                Running denied = socket("/other")) {
            assertThat(socket.line(ANSWER_MS)).contains("101");
            assertThat(ask(socket, "one")).isEqualTo("one");
            assertThat(denied.line(ANSWER_MS)).contains("403");
            node.apply(policy.replace("/socket/", "/elsewhere/"));
            assertThat(ask(socket, "two")).isEqualTo("reset");
        } finally {
            node.deleteObjects(policy);
        }
    }

    private Running socket(final String path) {
        return node.startPeer("client", "upgrade", TestNode.ipv4(WEB), "8090", path);
    }

    @Test
    void rulesHoldInsideOfTlsThatIsTakenOffAndPutOn() throws IOException {
        final Path keys = Files.createDirectories(folder.resolve("keys"));
        Command.need(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=web.shop.example",
                "-addext",
                "subjectAltName=DNS:web.shop.example",
                "-keyout",
                keys.resolve("key").toString(),
                "-out",
                keys.resolve("cert").toString());
        final String certificate = Files.readString(keys.resolve("cert"));
        final String secrets =
                """
                apiVersion: v1
                kind: Secret
                metadata: { name: shown, namespace: app }
                type: kubernetes.io/tls
                stringData: { tls.crt: "%s", tls.key: "%s" }
                ---
                apiVersion: v1
                kind: Secret
                metadata: { name: trusted, namespace: app }
                stringData: { ca.crt: "%%s" }
                """
                        .formatted(
                                certificate.replace("\n", "\\n"),
                                Files.readString(keys.resolve("key")).replace("\n", "\\n"));
        final String nginxOwn = Files.readString(folder.resolve("cert.pem")).replace("\n", "\\n");
        final String policy =
                """
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: { name: inside, namespace: app }
                spec:
                  endpointSelector: { matchLabels: { app: web } }
                  ingress:
                  - fromEndpoints: [{ matchLabels: { app: client } }]
                    toPorts:
                    - ports: [{ port: "443", protocol: TCP }]
                      terminatingTLS: { secret: { name: shown } }
                      originatingTLS: { secret: { name: trusted } }
                      rules: { http: [{ path: "/public/.*" }] }
                """;
        final String ca = keys.resolve("cert").toString();
        node.apply(policy);
        try {
            // Without its Secrets the port lets nothing pass.
            assertThat(inside("--max-time", "1", "--cacert", ca, "/public/file")).endsWith("000");
            node.apply(secrets.formatted(nginxOwn));
            assertThat(inside("--cacert", ca, "/public/file")).isEqualTo("nginx says hello\n200");
            assertThat(inside("--cacert", ca, "/secret")).isEqualTo("Access denied\r\n403");
            // A client that trusts another CA.
            assertThat(inside("--cacert", folder.resolve("cert.pem").toString(), "/public/file"))
                    .endsWith("000");
            // A server that the policy does not trust; new connections have the new Secret.
            node.apply(secrets.formatted(certificate.replace("\n", "\\n")));
            assertThat(inside("--cacert", ca, "/public/file")).endsWith("503");
            assertThat(node.text("/v1/objects")).contains("[redacted]").doesNotContain("BEGIN");
        } finally {
            node.deleteObjects(policy);
        }
    }

    /** To the name that nginx has a certificate for; the last argument is the path. */
    private String inside(final String... arguments) {
        final List<String> line = new ArrayList<>(List.of(arguments));
        final String path = line.removeLast();
        line.addAll(
                List.of(
                        "--resolve",
                        "web.shop.example:443:" + TestNode.ipv4(WEB),
                        "https://web.shop.example" + path));
        return curl("client", line.toArray(String[]::new));
    }

    private String https(final String name) {
        return curl(
                "client",
                "--insecure",
                "--resolve",
                name + ":443:" + TestNode.ipv4(WEB),
                "https://" + name + "/public/file");
    }

    @Test
    void aConnectionFromBeforeThePolicyIsResetAndTheNextIsRead() {
        node.deleteObjects(POLICY);
        try (Running session = node.startPeer("client", "http", TestNode.ipv4(WEB), "80")) {
            assertThat(ask(session, "/secret")).isEqualTo("404");
            node.apply(POLICY);
            assertThat(ask(session, "/secret")).isEqualTo("reset");
        }
        assertThat(curl("client", "http://" + host(true) + "/secret")).endsWith("403");
    }

    private static String ask(final Running session, final String path) {
        session.write(path);
        return session.line(ANSWER_MS).orElse("nothing");
    }

    private static String host(final boolean isIpv4) {
        return isIpv4 ? TestNode.ipv4(WEB) : "[" + TestNode.ipv6(WEB) + "]";
    }

    /** The body and the status code, one after the other. */
    private String curl(final String pod, final String... arguments) {
        final List<String> line = new ArrayList<>(List.of("curl", "-sS", "-w", "%{http_code}"));
        line.addAll(List.of(arguments));
        return node.in(pod, line.toArray(String[]::new)).output();
    }
}
