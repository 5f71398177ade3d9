package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Who reaches whom through the daemon. Nothing may enter {@code client}; {@code server} lets the
 * client in on TCP 8080, UDP 9000 and for ping; {@code other} has no policy of its own.
 */
@Tag("netns")
class ReachabilityNetnsTest {
    private static final int CLIENT = 11;
    private static final int SERVER = 12;
    private static final int OTHER = 13;
    private static final int NOBODY = 99;

    private static TestNode node;

    @BeforeAll
    static void start() {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("server", SERVER);
        node.addPod("other", OTHER);
        node.save(
                "policies.yaml",
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: { name: client, namespace: app }
                spec:
                  podSelector: { matchLabels: { app: client } }
                  policyTypes: [Ingress]
                ---
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: { name: server, namespace: app }
                spec:
                  podSelector: { matchLabels: { app: server } }
                  policyTypes: [Ingress]
                  ingress:
                    - from: [{ podSelector: { matchLabels: { app: client } } }]
                      ports:
                        - { protocol: TCP, port: 8080 }
                        - { protocol: UDP, port: 9000 }
                ---
                apiVersion: cilium.io/v2
                kind: CiliumNetworkPolicy
                metadata: { name: ping, namespace: app }
                spec:
                  endpointSelector: { matchLabels: { app: server } }
                  ingress:
                    - fromEndpoints: [{ matchLabels: { app: client } }]
                      icmps:
                        - fields:
                            - { family: IPv4, type: EchoRequest }
                            - { family: IPv6, type: EchoRequest }
                """);
        node.startDaemon("client", "server", "other");
        node.serve("server", "tcp:8080", "tcp:8081", "udp:9000", "udp:9001");
        node.serve("client", "tcp:8080");
    }

    @AfterAll
    static void stop() {
        node.close();
    }

    private static String address(final String family, final int number) {
        return family.equals("IPv4") ? TestNode.ipv4(number) : TestNode.ipv6(number);
    }

    private static boolean pings(final String from, final String address, final String... more) {
        final String[] line = new String[7 + more.length];
        System.arraycopy(new String[] {"ping", "-n", "-c", "1", "-W", "2"}, 0, line, 0, 6);
        System.arraycopy(more, 0, line, 6, more.length);
        line[6 + more.length] = address;
        return node.in(from, line).exit() == 0;
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void anAllowedTcpConnectionIsAnsweredThoughNothingMayEnterTheClient(final String family) {
        assertThat(node.peer("client", "tcp", address(family, SERVER), "8080"))
                .isEqualTo("answered");
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void aDeniedTcpConnectionTimesOutAndIsNotRefused(final String family) {
        assertThat(node.peer("client", "tcp", address(family, SERVER), "8081"))
                .as("another port")
                .isEqualTo("timed out");
        assertThat(node.peer("other", "tcp", address(family, SERVER), "8080"))
                .as("another client")
                .isEqualTo("timed out");
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void theServerMayNotOpenAConnectionToWhomItAnswers(final String family) {
        assertThat(node.peer("server", "tcp", address(family, CLIENT), "8080"))
                .isEqualTo("timed out");
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void udpFollowsThePolicy(final String family) {
        assertThat(node.peer("client", "udp", address(family, SERVER), "9000", "100"))
                .isEqualTo("answered");
        assertThat(node.peer("client", "udp", address(family, SERVER), "9001", "100"))
                .as("another port")
                .isEqualTo("silent");
        assertThat(node.peer("other", "udp", address(family, SERVER), "9000", "100"))
                .as("another client")
                .isEqualTo("silent");
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void aDatagramOfEightKibibytesInFragmentsFollowsThePolicy(final String family) {
        assertThat(node.peer("client", "udp", address(family, SERVER), "9000", "8192"))
                .isEqualTo("answered");
        assertThat(node.peer("other", "udp", address(family, SERVER), "9000", "8192"))
                .isEqualTo("silent");
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void pingFollowsThePolicy(final String family) {
        assertThat(pings("client", address(family, SERVER))).as("allowed").isTrue();
        assertThat(pings("client", address(family, SERVER), "-s", "4000"))
                .as("allowed, in fragments")
                .isTrue();
        assertThat(pings("other", address(family, SERVER))).as("denied").isFalse();
        assertThat(pings("server", address(family, CLIENT))).as("the way back").isFalse();
    }

    @Test
    void theGatewayAnswersPingWhateverThePolicies() {
        assertThat(pings("client", "169.254.1.1")).isTrue();
        assertThat(pings("client", "fe80::1%eth0")).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void aForeignSourceAddressIsDroppedAsInvalid(final String family) {
        final long before = node.dropped("INVALID_SOURCE_IP");
        final String foreign = address(family, NOBODY) + (family.equals("IPv4") ? "/32" : "/128");
        Command.need(
                "ip",
                "-n",
                node.namespace("other"),
                "addr",
                "add",
                foreign,
                "dev",
                "eth0",
                "nodad");
        try {
            assertThat(pings("other", address(family, OTHER + 1), "-I", address(family, NOBODY)))
                    .isFalse();
        } finally {
            node.in("other", "ip", "addr", "del", foreign, "dev", "eth0");
        }
        assertThat(node.dropped("INVALID_SOURCE_IP")).isGreaterThan(before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void theAddressOfAnotherEndpointGivesNoneOfItsRights(final String family) {
        final long before = node.dropped("INVALID_SOURCE_IP");
        final String stolen = address(family, CLIENT) + (family.equals("IPv4") ? "/32" : "/128");
        Command.need(
                "ip", "-n", node.namespace("other"), "addr", "add", stolen, "dev", "eth0", "nodad");
        try {
            assertThat(pings("other", address(family, SERVER), "-I", address(family, CLIENT)))
                    .isFalse();
        } finally {
            node.in("other", "ip", "addr", "del", stolen, "dev", "eth0");
        }
        assertThat(node.dropped("INVALID_SOURCE_IP")).isGreaterThan(before);
        assertThat(node.peer("client", "tcp", address(family, SERVER), "8080"))
                .as("the real client is not disturbed")
                .isEqualTo("answered");
    }

    @ParameterizedTest
    @ValueSource(strings = {"IPv4", "IPv6"})
    void tracerouteShowsTheGatewayAndThenTheServer(final String family) {
        final String gateway = family.equals("IPv4") ? "169.254.1.1" : "fe80::1%eth0";
        assertThat(node.traceroute("client", "8080", address(family, SERVER)))
                .containsExactly(gateway, address(family, SERVER));
    }

    @Test
    void everyPacketIsCountedOnceInTheStatus() {
        TestNode.await(
                "packets in = out + answered + dropped",
                () -> {
                    final JsonNode status = node.status();
                    return status.path("packetsIn").asLong() > 0
                            && status.path("packetsIn").asLong()
                                    == status.path("packetsOut").asLong()
                                            + status.path("packetsAnswered").asLong()
                                            + status.path("packetsDropped").asLong();
                });
    }
}
