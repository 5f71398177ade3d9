package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A grpc-java server and client in pods, with rules for methods between them. */
@Tag("netns")
@TestInstance(Lifecycle.PER_CLASS)
class GrpcNetnsTest {
    private static final int SERVER = 20;
    private static final int CLIENT = 10;
    private static final String PORT = "50051";
    private static final long ANSWER_MS = 30_000;
    private static final String DENIED = "PERMISSION_DENIED Access denied";

    private static final String POLICY =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: orders, namespace: app }
            spec:
              endpointSelector: { matchLabels: { app: server } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: client } }]
                toPorts:
                - ports: [{ port: "50051", protocol: TCP }]
                  rules:
                    http:
                    - { method: POST, path: "/shop[.]Orders/(Get|Chat|Watch)" }
            """;

    private TestNode node;
    private Running server;
    private Running serverIpv6;

    @BeforeAll
    void start() {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("server", SERVER);
        node.startDaemon("client", "server");
        server = serve(TestNode.ipv4(SERVER));
        serverIpv6 = serve(TestNode.ipv6(SERVER));
    }

    private Running serve(final String address) {
        return node.startJava("server", GrpcPeer.class, "serve", address, PORT)
                .await("ready", ANSWER_MS);
    }

    @AfterEach
    void forgetPolicy() {
        node.deleteObjects(POLICY);
    }

    @AfterAll
    void stop() {
        node.close();
    }

    private Running channel(final String address) {
        return node.startJava("client", GrpcPeer.class, "call", address, PORT, "20");
    }

    private static String ask(final Running session, final String line) {
        session.write(line);
        return session.line(ANSWER_MS).orElse("nothing");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void methodsAreJudgedOneByOneOnOneChannel(final boolean isIpv4) {
        node.apply(POLICY);
        try (Running channel = channel(isIpv4 ? TestNode.ipv4(SERVER) : TestNode.ipv6(SERVER))) {
            assertThat(ask(channel, "shop.Orders/Get")).isEqualTo("OK 1 re: hello");
            assertThat(ask(channel, "shop.Orders/Delete")).isEqualTo(DENIED);
            assertThat(ask(channel, "shop.Orders/Get again")).isEqualTo("OK 1 re: again");
            assertThat(ask(channel, "shop.Orders/Watch 20000 times x"))
                    .isEqualTo("OK 20000 re: 20000 times x");
        }
        final List<String> calls = (isIpv4 ? server : serverIpv6).output().lines().toList();
        assertThat(calls).noneMatch(line -> line.contains("Delete"));
        final List<String> clients =
                calls.stream()
                        .filter(line -> line.contains("shop.Orders/Watch"))
                        .map(line -> line.replaceAll(":[0-9]+ .*", ""))
                        .toList();
        // As Java writes addresses: without the short form of zeros.
        assertThat(clients)
                .containsOnly(isIpv4 ? TestNode.ipv4(CLIENT) : "fd00:10:244:0:0:0:0:" + CLIENT);
    }

    @Test
    void aDeniedMethodDoesNotDisturbAStreamThatIsOpen() {
        node.apply(POLICY);
        try (Running channel = channel(TestNode.ipv4(SERVER))) {
            assertThat(ask(channel, "open shop.Orders/Chat")).isEqualTo("re: hello");
            assertThat(ask(channel, "shop.Orders/Delete")).isEqualTo(DENIED);
            assertThat(ask(channel, "send shop.Orders/Chat two")).isEqualTo("re: two");
            assertThat(ask(channel, "open shop.Orders/Steal")).isEqualTo(DENIED);
            assertThat(ask(channel, "send shop.Orders/Chat three")).isEqualTo("re: three");
            assertThat(ask(channel, "end shop.Orders/Chat")).isEqualTo("OK");
        }
    }

    @Test
    void aChannelThatIsOpenIsJudgedByThePolicyOfNow() {
        node.apply(POLICY);
        try (Running channel = channel(TestNode.ipv4(SERVER))) {
            assertThat(ask(channel, "open shop.Orders/Chat")).isEqualTo("re: hello");
            assertThat(ask(channel, "shop.Orders/Delete")).isEqualTo(DENIED);
            node.apply(POLICY.replace("(Get|Chat|Watch)", "Delete"));
            assertThat(ask(channel, "shop.Orders/Delete")).isEqualTo("OK 1 re: hello");
            assertThat(ask(channel, "shop.Orders/Get")).isEqualTo(DENIED);
            // A call is judged when it begins; it goes on.
            assertThat(ask(channel, "send shop.Orders/Chat two")).isEqualTo("re: two");
            assertThat(ask(channel, "open shop.Orders/Chat")).isEqualTo(DENIED);
        }
        assertThat(portsOf("shop.Orders/Delete")).hasSize(1);
    }

    private List<String> portsOf(final String method) {
        return server.output()
                .lines()
                .filter(line -> line.endsWith(" " + method))
                .map(line -> line.replaceAll(" .*", ""))
                .distinct()
                .toList();
    }

    @Test
    void aChannelThatIsNoLongerAllowedAtAllIsCut() {
        node.apply(POLICY);
        try (Running channel =
                node.startJava(
                        "client", GrpcPeer.class, "call", TestNode.ipv4(SERVER), PORT, "2")) {
            // The first call has to load grpc-java.
            TestNode.await(
                    "a call in time",
                    () -> ask(channel, "shop.Orders/Get").equals("OK 1 re: hello"));
            node.apply(POLICY.replace("{ app: client }", "{ app: somebody-else }"));
            assertThat(ask(channel, "shop.Orders/Get"))
                    .matches("(UNAVAILABLE|DEADLINE_EXCEEDED) .*");
        }
    }

    @Test
    void callsAndTheirStatusAreFlows() {
        node.apply(POLICY);
        try (Running channel = channel(TestNode.ipv4(SERVER))) {
            ask(channel, "shop.Orders/Get");
            ask(channel, "shop.Orders/Observed");
        }
        final List<String> seen =
                node.text("/v1/flows?type=l7")
                        .lines()
                        .map(line -> TestNode.json(line).path("flow"))
                        .filter(flow -> url(flow).endsWith("/shop.Orders/Observed"))
                        .map(
                                flow ->
                                        flow.path("verdict").asText()
                                                + " "
                                                + flow.path("l7").path("type").asText()
                                                + " "
                                                + flow.path("l7")
                                                        .path("http")
                                                        .path("protocol")
                                                        .asText())
                        .toList();
        assertThat(seen).containsExactly("DROPPED REQUEST HTTP/2", "FORWARDED RESPONSE HTTP/2");
    }

    private static String url(final JsonNode flow) {
        return flow.path("l7").path("http").path("url").asText();
    }
}
