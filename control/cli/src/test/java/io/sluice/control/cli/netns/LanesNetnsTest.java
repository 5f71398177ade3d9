package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A daemon with two lanes: real programs, L7 rules, names, changes of policy and of the daemon. */
@Tag("netns")
class LanesNetnsTest {
    private static final String TWO_LANES = "lane: { count: 2 }";
    private static final int CLIENT = 11;
    private static final int SERVER = 12;
    private static final String RESOLVER = "10.96.0.10";

    /** So many connections that all of them on one lane would be a chance of one in a million. */
    private static final int CONNECTIONS = 21;

    private static final String L7_POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: server, namespace: app }
            spec:
              endpointSelector: { matchLabels: { app: server } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: client } }]
                toPorts:
                - ports: [{ port: "80", protocol: TCP }]
                  rules:
                    http:
                    - { method: GET, path: "/public/.*" }
            """;

    private static final String DNS_POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: client, namespace: app }
            spec:
              endpointSelector: { matchLabels: { app: client } }
              egress:
              - toEndpoints:
                - matchLabels: { io.kubernetes.pod.namespace: kube-system, k8s-app: kube-dns }
                toPorts:
                - ports: [{ port: "53", protocol: ANY }]
                  rules:
                    dns: [{ matchPattern: "*.app.pod.cluster.local" }]
            """;

    private static final String NOBODY =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: nobody, namespace: app }
            spec:
              podSelector: { matchLabels: { app: server } }
              ingress: []
            """;

    @TempDir private static Path folder;
    private TestNode node;

    @BeforeEach
    void prepare() {
        node = new TestNode(TWO_LANES);
        node.addPod("client", CLIENT);
        node.addPod("server", SERVER);
    }

    @AfterEach
    void stop() {
        node.close();
    }

    private long packetsOfLane(final int number) {
        return node.status().path("lanes").path(number).path("packetsIn").asLong();
    }

    private void assertThatBothLanesWorked() {
        assertThat(packetsOfLane(0)).isPositive();
        assertThat(packetsOfLane(1)).isPositive();
        final JsonNode status = node.status();
        assertThat(status.path("packetsIn").asLong())
                .as("the sum of both, read a moment later")
                .isGreaterThanOrEqualTo(packetsOfLane(0));
    }

    @Test
    void theFlowsOfManyConnectionsAreSharedByTheLanes() {
        node.startDaemon("client", "server");
        node.serve("server", "tcp:5001", "udp:5000");
        for (int i = 0; i < CONNECTIONS; i++) {
            assertThat(node.peer("client", "tcp", TestNode.ipv4(SERVER), "5001"))
                    .contains("answered");
        }
        assertThat(node.peer("client", "udp", TestNode.ipv6(SERVER), "5000", "100"))
                .contains("answered");
        // Larger than the MTU: fragments, which have to meet on one lane.
        assertThat(node.peer("client", "udp", TestNode.ipv4(SERVER), "5000", "9000"))
                .contains("answered");
        assertThatBothLanesWorked();

        node.start("server", "iperf3", "-s", "-1");
        TestNode.await(
                "iperf3 has moved something",
                () ->
                        TestNode.json(
                                                node.in(
                                                                "client",
                                                                "iperf3",
                                                                "-c",
                                                                TestNode.ipv4(SERVER),
                                                                "-P",
                                                                "4",
                                                                "-t",
                                                                "1",
                                                                "-J")
                                                        .output())
                                        .path("end")
                                        .path("sum_received")
                                        .path("bytes")
                                        .asLong()
                                > 0);
        assertThat(node.sluice("status")).contains("Lanes:        2 adaptive");
    }

    @Test
    void requestsAndNamesAreJudgedWhicheverLaneTheirPacketsTake() throws Exception {
        node.save("l7.yaml", L7_POLICY);
        node.save("dns.yaml", DNS_POLICY + "  - toEndpoints: [{ matchLabels: { app: server } }]\n");
        node.startDaemon("client", "server");
        Nginx.start(node, "server", folder, SERVER);
        final String web = "http://" + TestNode.ipv4(SERVER);
        TestNode.await("nginx answers", () -> curl(web + "/public/file").endsWith("200"));

        for (int i = 0; i < CONNECTIONS; i++) {
            assertThat(curl(web + "/public/file")).isEqualTo("nginx says hello\n200");
            assertThat(curl(web + "/secret")).isEqualTo("Access denied\r\n403");
            final String name = TestNode.ipv4(SERVER).replace('.', '-');
            assertThat(dig(name + ".app.pod.cluster.local")).contains(TestNode.ipv4(SERVER));
            assertThat(dig("kubernetes.default.svc.cluster.local")).contains("(Blocked)");
        }
        assertThatBothLanesWorked();
        assertThat(node.metric("sluice_punted_total"))
                .isEqualTo(node.metric("sluice_returned_total"));
    }

    private String curl(final String url) {
        return node.in("client", "curl", "-s", "-m", "10", "-w", "%{http_code}", url).output();
    }

    private String dig(final String name) {
        return node.in("client", "dig", "+tries=1", "+time=5", "@" + RESOLVER, name).output();
    }

    @Test
    void aChangeCutsTheConnectionsOfBothLanesAndGivesThemBack() {
        node.startDaemon("client", "server");
        node.serve("server", "tcp:5001", "udp:5000");
        final Running load =
                node.startPeer("client", "count", TestNode.ipv4(SERVER), "5000", "2000");
        load.await("ready", 10_000);
        final List<Running> streams =
                IntStream.range(0, 8)
                        .mapToObj(
                                i ->
                                        node.startPeer(
                                                "client", "stream", TestNode.ipv6(SERVER), "5001"))
                        .toList();
        streams.forEach(stream -> stream.await("echo", 10_000));

        node.apply(NOBODY);
        final long before = node.metric("sluice_forwarded_packets_total");
        assertThat(node.peer("client", "tcp", TestNode.ipv4(SERVER), "5001")).contains("timed out");
        assertThat(node.metric("sluice_forwarded_packets_total"))
                .as("nothing passes any more, on any lane")
                .isEqualTo(before);

        streams.forEach(Running::forgetLines);
        node.deleteObjects(NOBODY);
        streams.forEach(stream -> stream.await("echo", 20_000));
        load.endInput();
        load.awaitExit();
    }

    @Test
    void handOversPassAllQueuesAndAnotherNumberOfLanesIsRefused() {
        final Running first = node.startDaemon("client", "server");
        node.serve("server", "tcp:5001", "udp:5000");
        final Running counting =
                node.startPeer("client", "count", TestNode.ipv4(SERVER), "5000", "1000");
        counting.await("ready", 10_000);
        final Running stream = node.startPeer("client", "stream", TestNode.ipv6(SERVER), "5001");
        stream.await("echo", 10_000);

        final Running second = node.replaceDaemon(first);
        counting.endInput();
        counting.awaitExit();
        assertThat(counting.output()).containsPattern("sent \\d{3,} lost 0$");

        node.configure("lane: { count: 1 }");
        final Running refused = node.launch("--replace");
        assertThat(refused.awaitExit()).isEqualTo(1);
        assertThat(refused.output())
                .contains(
                        "lane.count is 2 there and 1 here: a hand-over cannot change it, stop it"
                                + " and start anew");
        assertThat(second.isAlive()).isTrue();
        stream.forgetLines();
        stream.await("echo", 10_000);
        for (int i = 0; i < CONNECTIONS; i++) {
            assertThat(node.peer("client", "tcp", TestNode.ipv4(SERVER), "5001"))
                    .contains("answered");
        }
        assertThatBothLanesWorked();
    }

    @Test
    void afterAKillAnyNumberOfLanesFindsTheDevicesAndConnectionsGoOn() {
        node.serve("server", "tcp:5001");
        node.configure("lane: { count: 1 }");
        Running daemon = node.startDaemon("client", "server");
        final Running stream = node.startPeer("client", "stream", TestNode.ipv4(SERVER), "5001");
        stream.await("echo", 10_000);

        for (final int lanes : new int[] {2, 3, 1, 2}) {
            daemon.stop("KILL");
            node.configure("lane: { count: " + lanes + " }");
            daemon = node.startDaemon("client", "server");
            stream.forgetLines();
            stream.await("echo", 30_000);
            assertThat(node.status().path("lanes")).hasSize(lanes);
            assertThat(node.peer("client", "tcp", TestNode.ipv6(SERVER), "5001"))
                    .contains("answered");
            assertThat(node.in("client", "tc", "qdisc", "show", "dev", "eth0").output())
                    .as("the kernel would make one for each of 256 queues")
                    .contains("qdisc noqueue");
        }
        assertThat(daemon.stop("TERM")).isEqualTo(143);
        assertThat(Command.run("ip", "-n", node.namespace("client"), "-br", "link").output())
                .doesNotContain("eth0");
    }

    @Test
    void aPortWithOneQueueIsReachedFromEveryLane() {
        node.addNamespace("xdp");
        node.saveAnnotatedPod("xdp", 13, "sluice.io/port: xdp");
        node.startDaemon("client", "server", "xdp");
        node.serve("xdp", "tcp:5001", "udp:5000");
        for (int i = 0; i < CONNECTIONS; i++) {
            assertThat(node.peer("client", "tcp", TestNode.ipv4(13), "5001")).contains("answered");
        }
        assertThat(node.peer("server", "udp", TestNode.ipv6(13), "5000", "500"))
                .contains("answered");
        node.serve("server", "tcp:5001");
        assertThat(node.peer("xdp", "tcp", TestNode.ipv4(SERVER), "5001")).contains("answered");
        assertThatBothLanesWorked();
    }
}
