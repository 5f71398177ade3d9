package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The way through sluice0: a node that routes, a host behind it (documentation prefixes), a pod
 * that lets that host in on TCP 8080, a pod without policy, and one with HTTP rules for the world.
 */
@Tag("netns")
class UplinkNetnsTest {
    private static final int WEB = 11;
    private static final int OPEN = 12;
    private static final int SITE = 13;

    private static TestNode node;

    @BeforeAll
    static void start() {
        node = new TestNode();
        node.addPod("web", WEB);
        node.addPod("open", OPEN);
        node.addPod("site", SITE);
        node.addNamespace("outside");
        final String host = node.namespace();
        final String outside = node.namespace("outside");
        Command.need(
                "ip", "-n", host, "link", "add", "out", "type", "veth", "peer", "name", "eth0",
                "netns", outside);
        for (final String[] device :
                new String[][] {
                    {host, "out", "198.51.100.1/24", "2001:db8:100::1/64"},
                    {outside, "eth0", "198.51.100.10/24", "2001:db8:100::10/64"}
                }) {
            Command.need("ip", "-n", device[0], "addr", "add", device[2], "dev", device[1]);
            Command.need(
                    "ip", "-n", device[0], "addr", "add", device[3], "dev", device[1], "nodad");
            Command.need("ip", "-n", device[0], "link", "set", device[1], "up");
        }
        Command.need("ip", "-n", outside, "route", "add", "default", "via", "198.51.100.1");
        Command.need("ip", "-n", outside, "route", "add", "default", "via", "2001:db8:100::1");
        node.in("node", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1");
        node.in("node", "sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1");
        node.save(
                "web-policy.yaml",
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: { name: web, namespace: app }
                spec:
                  podSelector: { matchLabels: { app: web } }
                  policyTypes: [Ingress, Egress]
                  ingress:
                    - from:
                        - ipBlock: { cidr: 198.51.100.0/24 }
                        - ipBlock: { cidr: "2001:db8:100::/64" }
                      ports: [{ protocol: TCP, port: 8080 }]
                """);
        node.save(
                "site-policy.yaml",
                """
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: { name: site, namespace: app }
                spec:
                  endpointSelector: { matchLabels: { app: site } }
                  ingress:
                  - fromCIDR: [198.51.100.0/24, "2001:db8:100::/64"]
                    toPorts:
                    - ports: [{ port: "8000", protocol: TCP }]
                      rules: { http: [{ path: "/peer[.]py" }] }
                  egress:
                  - toCIDR: [198.51.100.0/24, "2001:db8:100::/64"]
                    toPorts:
                    - ports: [{ port: "8000", protocol: TCP }]
                      rules: { http: [{ path: "/peer[.]py" }] }
                """);
        node.startDaemon("web", "open", "site");
        for (final String name : new String[] {"site", "outside"}) {
            node.serveFiles(name, "8000");
        }
        node.serve("web", "tcp:8080", "tcp:8081");
        node.serve("open", "tcp:8080");
        node.serve("outside", "tcp:80");
        node.serve("node", "tcp:80");
    }

    @AfterAll
    static void stop() {
        node.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"10.244.0.11", "fd00:10:244::11"})
    void aHostOutsideReachesWhatACidrRuleAllowsAndNothingElse(final String web) {
        assertThat(node.peer("outside", "tcp", web, "8080")).isEqualTo("answered");
        assertThat(node.peer("outside", "tcp", web, "8081")).isEqualTo("timed out");
    }

    @ParameterizedTest
    @ValueSource(strings = {"198.51.100.10", "2001:db8:100::10"})
    void aPodReachesTheWorldOnlyIfItsEgressAllowsIt(final String world) {
        assertThat(node.peer("open", "tcp", world, "80")).isEqualTo("answered");
        assertThat(node.peer("web", "tcp", world, "80")).isEqualTo("timed out");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "site 198.51.100.10",
                "site [2001:db8:100::10]",
                "outside 10.244.0.13",
                "outside [fd00:10:244::13]"
            })
    void requestsToAndFromTheWorldAreJudgedOneByOne(final String fromAndTo) {
        final String from = fromAndTo.split(" ", -1)[0];
        final String url = "http://" + fromAndTo.split(" ", -1)[1] + ":8000";
        assertThat(status(from, url + "/peer.py")).isEqualTo("200");
        assertThat(status(from, url + "/other")).isEqualTo("403");
    }

    private static String status(final String from, final String url) {
        return node.in(from, "curl", "-gs", "-o", "/dev/null", "-w", "%{http_code}", url).output();
    }

    @ParameterizedTest
    @ValueSource(strings = {"198.51.100.1", "2001:db8:100::1"})
    void aPodReachesItsNode(final String nodeAddress) {
        assertThat(node.peer("open", "tcp", nodeAddress, "80")).isEqualTo("answered");
    }

    @ParameterizedTest
    @ValueSource(strings = {"10.244.0.12", "fd00:10:244::12"})
    void theNodeReachesAPod(final String open) {
        assertThat(node.peer("node", "tcp", open, "8080")).isEqualTo("answered");
    }

    @Test
    void tracerouteFromAPodShowsTheGatewayTheNodeAndTheHostOutside() {
        assertThat(node.traceroute("open", "80", "198.51.100.10"))
                .startsWith("169.254.1.1")
                .endsWith("198.51.100.10")
                .hasSize(3);
    }
}
