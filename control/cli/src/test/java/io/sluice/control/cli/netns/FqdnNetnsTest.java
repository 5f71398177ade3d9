package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
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
    private static final String RESOLVER = Outside.RESOLVER;
    private static final String KUBE_DNS = "10.96.0.10";
    private static final String PORT = "7000";

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

    private static final long PATIENCE_MS = 30_000;

    /** {@code -Dsluice.daemon.kills=50} kills more often. */
    private static final int KILLS = Integer.getInteger("sluice.daemon.kills", 2);

    private TestNode node;
    private Outside outside;

    @BeforeEach
    void start() {
        node = new TestNode("dns: { resolver: { servers: [" + RESOLVER + "] } }");
        node.addPod("client", CLIENT);
        node.addPod("other", OTHER);
        outside = new Outside(node);
        node.save("client-policy.yaml", POLICY.formatted("client", "api.example.com"));
        node.save("other-policy.yaml", POLICY.formatted("other", "www.example.com"));
        node.serve("outside", "tcp:" + PORT);
    }

    @AfterEach
    void stop() {
        node.close();
    }

    private void rotatingNames() {
        node.serveNames("outside", Outside.SERVERS);
    }

    private void dnsmasq() {
        outside.dnsmasq("api.example.com," + API, "evil.example.org," + EVIL);
    }

    private String ask(final String pod, final String name) {
        return node.names(pod, "ask", RESOLVER, name);
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
        return node.metric("sluice_dns_wrong_drops_total");
    }

    private long ends(final String end) {
        return node.metric("sluice_dns_messages_total{end=\"" + end + "\"}");
    }

    private List<String> known() {
        final List<String> known = new ArrayList<>();
        node.get("/v1/fqdn")
                .forEach(
                        row ->
                                known.add(
                                        row.path("name").asText()
                                                + " "
                                                + row.path("address").asText()));
        return known;
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
                node.names("client", "connect", RESOLVER, "api.example.com", "300", PORT);
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
    void namesAndFlowsOutliveADaemonThatIsKilledAgainAndAgain() {
        rotatingNames();
        Running daemon = node.startDaemon("client", "other");
        final String address = ask("client", "api.example.com");
        final Running stream = node.startPeer("client", "stream", address, PORT);
        stream.await("echo", PATIENCE_MS);

        for (int kill = 0; kill < KILLS; kill++) {
            daemon.stop("KILL");
            daemon = node.startDaemon("client", "other");
            assertThat(connect("client", address)).as("without another query").contains("answered");
            assertThat(connect("client", "10.77.200.1")).contains("timed out");
            // What was printed before the kill says nothing of the time after it.
            stream.forgetLines();
            stream.await("echo", PATIENCE_MS);
        }
        assertThat(ends("QUERY_FORWARDED")).as("by this daemon").isZero();
        assertThat(known()).containsExactly("api.example.com. " + address);
        assertThat(wrongDrops()).isZero();
    }

    @Test
    void answersThatWereNotAskedForTeachNothing() {
        rotatingNames();
        node.startDaemon("client", "other");

        assertThat(ask("client", "wrong-id.example.com")).isEqualTo("silent");
        assertThat(ask("client", "wrong-question.example.com")).isEqualTo("silent");
        assertThat(node.dropped("DNS_ANSWER_UNASKED")).isEqualTo(2);
        assertThat(ends("ANSWER_WRONG_ID")).isEqualTo(1);
        assertThat(ends("ANSWER_WRONG_QUESTION")).isEqualTo(1);
        assertThat(known()).isEmpty();
        assertThat(connect("client", "10.77.0.1")).contains("timed out");
        assertThat(connect("client", "10.77.0.2")).contains("timed out");
    }

    /** They belong to no flow that was opened: policy judges them as datagrams like any other. */
    @Test
    void answersFromOrToAnotherPortTeachNothingAndAreDroppedAsPolicySays() {
        rotatingNames();
        node.startDaemon("client", "other");

        assertThat(ask("client", "wrong-port.example.com")).isEqualTo("silent");
        assertThat(ask("client", "wrong-client.example.com")).isEqualTo("silent");
        assertThat(node.dropped("POLICY_DENIED")).as("the pod lets everybody in").isZero();
        assertThat(known()).isEmpty();

        node.apply(
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: { name: nobody-in, namespace: app }
                spec: { podSelector: {}, policyTypes: [Ingress] }
                """);
        assertThat(ask("client", "wrong-port.example.com")).isEqualTo("silent");
        assertThat(ask("client", "wrong-client.example.com")).isEqualTo("silent");
        assertThat(node.dropped("POLICY_DENIED")).isEqualTo(2);
        assertThat(known()).isEmpty();
        assertThat(ends("QUERY_FORWARDED")).isEqualTo(4);
        assertThat(ends("ANSWER_RELEASED") + ends("ANSWER_HELD")).isZero();
    }

    @Test
    void recordsAboutOtherNamesTeachNothing() {
        node.save("client-policy.yaml", POLICY.formatted("client", "other.example.com"));
        rotatingNames();
        node.startDaemon("client", "other");

        // The last record is about another name, which the policy names.
        assertThat(ask("client", "extra.example.com")).isEqualTo("10.77.253.234");
        assertThat(known()).containsExactly("extra.example.com. 10.77.0.1");
        assertThat(connect("client", "10.77.253.233")).contains("timed out");
        assertThat(connect("client", "10.77.253.234")).contains("timed out");
        assertThat(connect("client", "10.77.0.1")).as("no policy names it").contains("timed out");
        assertThat(ends("RECORDS_UNASKED")).isEqualTo(2);
    }
}
