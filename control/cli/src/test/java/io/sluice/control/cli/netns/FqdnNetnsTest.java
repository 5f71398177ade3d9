package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Names in policies: a resolver and servers behind the uplink, clients in pods. */
@Tag("netns")
class FqdnNetnsTest {
    private static final int CLIENT = 11;
    private static final int OTHER = 12;
    private static final String RESOLVER = "198.51.100.10";
    private static final String KUBE_DNS = "10.96.0.10";
    private static final String PORT = "7000";

    /** Addresses that names rotate through. */
    private static final String SERVERS = "10.77.0.0/16";

    /** Where dnsmasq says that api.example.com is. */
    private static final String API = "10.77.254.1";

    /** Where dnsmasq says that evil.example.org is. */
    private static final String EVIL = "10.77.254.2";

    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: %1$s, namespace: app }
            spec:
              endpointSelector: { matchLabels: { app: %1$s } }
              egress:
              - toCIDR: [198.51.100.10/32]
                toPorts:
                - ports: [{ port: "53", protocol: ANY }]
                  rules:
                    dns: [{ matchPattern: "*.example.com" }]
              - toFQDNs: [{ matchName: %2$s }]
                toPorts:
                - ports: [{ port: "7000", protocol: TCP }]
            """;

    private static final Pattern COUNT =
            Pattern.compile("connected (\\d+) of (\\d+), unanswered (\\d+)");

    private TestNode node;

    @BeforeEach
    void start() {
        node = new TestNode("dns: { resolver: { servers: [" + RESOLVER + "] } }");
        node.addPod("client", CLIENT);
        node.addPod("other", OTHER);
        node.addNamespace("outside");
        final String host = node.namespace();
        final String outside = node.namespace("outside");
        Command.need(
                "ip", "-n", host, "link", "add", "out", "type", "veth", "peer", "name", "eth0",
                "netns", outside);
        Command.need("ip", "-n", host, "addr", "add", "198.51.100.1/24", "dev", "out");
        Command.need("ip", "-n", outside, "addr", "add", RESOLVER + "/24", "dev", "eth0");
        Command.need("ip", "-n", host, "link", "set", "out", "up");
        Command.need("ip", "-n", outside, "link", "set", "eth0", "up");
        Command.need("ip", "-n", outside, "route", "add", "default", "via", "198.51.100.1");
        Command.need("ip", "-n", outside, "route", "add", "local", SERVERS, "dev", "lo");
        Command.need("ip", "-n", host, "route", "add", SERVERS, "via", RESOLVER);
        node.in("node", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1");
        node.save("client-policy.yaml", POLICY.formatted("client", "api.example.com"));
        node.save("other-policy.yaml", POLICY.formatted("other", "www.example.com"));
        node.serve("outside", "tcp:" + PORT);
    }

    @AfterEach
    void stop() {
        node.close();
    }

    private void rotatingNames() {
        node.start("outside", script("serve", SERVERS)).await("ready", 30_000);
    }

    private void dnsmasq() {
        node.start(
                "outside",
                "dnsmasq",
                "--keep-in-foreground",
                "--no-hosts",
                "--no-resolv",
                "--conf-file=/dev/null",
                "--pid-file=",
                "--user=root",
                "--local-ttl=1",
                "--host-record=api.example.com," + API,
                "--host-record=evil.example.org," + EVIL);
        TestNode.await(
                "dnsmasq answers",
                () ->
                        node.in("outside", "dig", "+short", "@" + RESOLVER, "api.example.com")
                                .output()
                                .equals(API));
    }

    private static String[] script(final String... arguments) {
        try {
            final List<String> line =
                    new ArrayList<>(
                            List.of(
                                    "python3",
                                    Path.of(
                                                    Objects.requireNonNull(
                                                                    FqdnNetnsTest.class.getResource(
                                                                            "names.py"))
                                                            .toURI())
                                            .toString()));
            line.addAll(List.of(arguments));
            return line.toArray(String[]::new);
        } catch (final URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private String ask(final String pod, final String name) {
        return node.in(pod, script("ask", RESOLVER, name)).output();
    }

    private String dig(final String pod, final String... arguments) {
        return digAt(pod, RESOLVER, arguments);
    }

    private String digAt(final String pod, final String server, final String... arguments) {
        final List<String> line =
                new ArrayList<>(List.of("dig", "+tries=1", "+time=3", "@" + server));
        line.addAll(List.of(arguments));
        return node.in(pod, line.toArray(String[]::new)).output();
    }

    private String connect(final String pod, final String address) {
        return node.peer(pod, "tcp", address, PORT);
    }

    private long wrongDrops() {
        final Matcher matcher =
                Pattern.compile("(?m)^sluice_dns_wrong_drops_total (\\d+)")
                        .matcher(node.text("/v1/metrics"));
        assertThat(matcher.find()).isTrue();
        return Long.parseLong(matcher.group(1));
    }

    @Test
    void anAllowedNameOpensItsAddressAtOnceAndNothingElse() {
        dnsmasq();
        node.startDaemon("client", "other");
        assertThat(connect("client", API)).as("before it was asked for").contains("timed out");

        assertThat(dig("client", "+short", "api.example.com")).isEqualTo(API);
        assertThat(connect("client", API)).contains("answered");
        assertThat(connect("other", API)).as("whose policy names another").contains("timed out");

        assertThat(dig("client", "evil.example.org")).contains("status: REFUSED");
        assertThat(connect("client", EVIL)).contains("timed out");
        assertThat(wrongDrops()).isZero();
    }

    @Test
    void queriesAndAnswersAreFlows() {
        dnsmasq();
        node.startDaemon("client", "other");
        dig("client", "+short", "api.example.com");
        dig("client", "evil.example.org");

        final List<String> seen =
                node.text("/v1/flows?type=l7")
                        .lines()
                        .map(line -> TestNode.json(line).path("flow"))
                        .map(
                                flow ->
                                        flow.path("verdict").asText()
                                                + ": "
                                                + flow.path("Summary").asText())
                        .toList();
        assertThat(seen).hasSize(3);
        assertThat(seen.get(0)).isEqualTo("FORWARDED: DNS Query api.example.com. A");
        assertThat(seen.get(1))
                .startsWith("FORWARDED: DNS Answer \"" + API + "\" TTL: ")
                .endsWith(" (Proxy api.example.com. A)");
        assertThat(seen.get(2)).isEqualTo("DROPPED: DNS Query evil.example.org. A");
    }

    @Test
    void addressesThatRotateConnectAtFirstTry() {
        rotatingNames();
        node.startDaemon("client", "other");

        final String output =
                node.in("client", script("connect", RESOLVER, "api.example.com", "300", PORT))
                        .output();
        assertThat(output).matches(COUNT);
        assertThat(output).isEqualTo("connected 300 of 300, unanswered 0");
        assertThat(wrongDrops()).isZero();
    }

    @Test
    void theSwitchsOwnResolverPlaysKubeDns() {
        dnsmasq();
        node.save(
                "client-policy.yaml",
                """
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: { name: client, namespace: app }
                spec:
                  endpointSelector: { matchLabels: { app: client } }
                  egress:
                  - toEndpoints:
                    - matchLabels:
                        k8s:io.kubernetes.pod.namespace: kube-system
                        k8s-app: kube-dns
                    toPorts:
                    - ports: [{ port: "53", protocol: ANY }]
                      rules:
                        dns: [{ matchPattern: "*.example.com" }, { matchPattern: "**.cluster.local" }]
                  - toFQDNs: [{ matchName: api.example.com }]
                    toPorts:
                    - ports: [{ port: "7000", protocol: TCP }]
                """);
        node.save(
                "service.yaml",
                """
                apiVersion: v1
                kind: Service
                metadata: { name: web, namespace: app }
                spec:
                  clusterIP: 10.96.1.1
                  selector: { app: other }
                  ports: [{ port: 80 }]
                """);
        node.delete("other-policy.yaml");
        node.startDaemon("client", "other");

        assertThat(digAt("client", KUBE_DNS, "+short", "api.example.com")).isEqualTo(API);
        assertThat(connect("client", API)).contains("answered");
        assertThat(digAt("client", KUBE_DNS, "evil.example.org")).contains("status: REFUSED");
        assertThat(digAt("client", KUBE_DNS, "+short", "web.app.svc.cluster.local"))
                .isEqualTo("10.96.1.1");
        assertThat(digAt("client", KUBE_DNS, "no.app.svc.cluster.local"))
                .contains("status: NXDOMAIN");
        assertThat(digAt("client", KUBE_DNS, "+tcp", "+short", "web.app.svc.cluster.local"))
                .isEqualTo("10.96.1.1");
        // Whom no DNS rule selects is answered, and learns nothing.
        assertThat(digAt("other", KUBE_DNS, "+short", "evil.example.org")).isEqualTo(EVIL);
        assertThat(wrongDrops()).isZero();
    }

    @Test
    void queriesOverTcpAreJudgedAndTeachAsWell() {
        dnsmasq();
        node.startDaemon("client", "other");

        assertThat(dig("client", "+tcp", "evil.example.org")).contains("status: REFUSED");
        assertThat(connect("client", API)).contains("timed out");
        assertThat(dig("client", "+tcp", "+short", "api.example.com")).isEqualTo(API);
        assertThat(connect("client", API)).contains("answered");
        assertThat(connect("other", API)).contains("timed out");
        assertThat(wrongDrops()).isZero();
    }

    @Test
    void namesOutliveAKilledDaemon() {
        rotatingNames();
        final Running first = node.startDaemon("client", "other");
        final String address = ask("client", "api.example.com");
        assertThat(connect("client", address)).contains("answered");

        first.stop("KILL");
        node.startDaemon("client", "other");
        assertThat(connect("client", address)).as("without another query").contains("answered");
        assertThat(connect("client", "10.77.200.1")).contains("timed out");
    }

    @Test
    void answersThatWereNotAskedForTeachNothing() {
        rotatingNames();
        node.startDaemon("client", "other");

        assertThat(ask("client", "wrong-id.example.com")).isEqualTo("silent");
        assertThat(ask("client", "wrong-question.example.com")).isEqualTo("silent");
        assertThat(node.dropped("DNS_ANSWER_UNASKED")).isEqualTo(2);
        assertThat(connect("client", "10.77.0.1")).contains("timed out");
        assertThat(connect("client", "10.77.0.2")).contains("timed out");
    }
}
