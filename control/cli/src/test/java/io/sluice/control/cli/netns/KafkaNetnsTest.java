package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.io.TempDir;

/**
 * A Kafka broker in a pod, the Java client and kcat in another, with rules for topics between them.
 *
 * <p>Whatever is denied is an error of the protocol: a client that hangs says "TimeoutException" or
 * "nothing".
 */
@Tag("netns")
@TestInstance(Lifecycle.PER_CLASS)
class KafkaNetnsTest {
    private static final int BROKER = 20;
    private static final int CLIENT = 10;
    private static final String PORT = "9092";

    /** Longer than the patience of KafkaPeer, which says so. */
    private static final long ANSWER_MS = 60_000;

    private static final String MAY_PRODUCE =
            """
            apiVersion: cilium.io/v2
            kind: CiliumNetworkPolicy
            metadata: { name: broker, namespace: app }
            spec:
              endpointSelector: { matchLabels: { app: broker } }
              ingress:
              - fromEndpoints: [{ matchLabels: { app: client } }]
                toPorts:
                - ports: [{ port: "9092", protocol: TCP }]
                  rules:
                    kafka:
                    - { role: produce, topic: orders }
            """;

    private static final String MAY_CONSUME = MAY_PRODUCE.replace("role: produce", "role: consume");

    @TempDir private static Path folder;
    private TestNode node;
    private Running broker;

    @BeforeAll
    void start() {
        node = new TestNode();
        node.addPod("client", CLIENT);
        node.addPod("broker", BROKER);
        node.startDaemon("client", "broker");
        broker =
                node.startJava(
                        "broker",
                        KafkaPeer.class,
                        "broker",
                        TestNode.ipv4(BROKER),
                        PORT,
                        folder.toString());
        broker.await("ready", ANSWER_MS);
        for (final String topic : List.of("orders", "invoices")) {
            broker.write("create " + topic);
            broker.await("created", ANSWER_MS);
            broker.write("produce " + topic + " first");
            broker.await("produced", ANSWER_MS);
        }
    }

    @BeforeEach
    void mayProduce() {
        node.apply(MAY_PRODUCE);
    }

    @AfterAll
    void stop() {
        node.close();
    }

    private Running client() {
        return node.startJava("client", KafkaPeer.class, "client", TestNode.ipv4(BROKER), PORT)
                .await("ready", ANSWER_MS);
    }

    private static String ask(final Running session, final String line) {
        session.write(line);
        return session.line(ANSWER_MS).orElse("nothing at all");
    }

    @Test
    void whoMayProduceDoesNotConsume() {
        try (Running client = client()) {
            assertThat(ask(client, "produce orders one")).isEqualTo("produced");
            assertThat(ask(client, "metadata orders")).isEqualTo("1 partitions");
            assertThat(ask(client, "fetch orders")).isEqualTo("TopicAuthorizationException");
            assertThat(ask(client, "join group orders")).isEqualTo("GroupAuthorizationException");
            assertThat(ask(client, "produce invoices one"))
                    .isEqualTo("TopicAuthorizationException");
            assertThat(ask(client, "metadata invoices")).isEqualTo("TopicAuthorizationException");
            assertThat(ask(client, "produce orders two")).isEqualTo("produced");
        }
        broker.write("count invoices");
        broker.await("1", ANSWER_MS);
    }

    @Test
    void whoMayConsumeDoesNotProduce() {
        node.apply(MAY_CONSUME);
        try (Running client = client()) {
            assertThat(ask(client, "fetch orders")).startsWith("first");
            assertThat(ask(client, "join readers orders")).startsWith("first");
            assertThat(ask(client, "produce orders never"))
                    .isEqualTo("TopicAuthorizationException");
            assertThat(ask(client, "fetch invoices")).isEqualTo("TopicAuthorizationException");
            assertThat(ask(client, "join readers invoices"))
                    .isEqualTo("TopicAuthorizationException");
            assertThat(ask(client, "fetch orders")).doesNotContain("never");
        }
    }

    @Test
    void aConnectionThatIsOpenIsJudgedByThePolicyOfNow() {
        try (Running client = client()) {
            assertThat(ask(client, "produce orders before")).isEqualTo("produced");
            node.apply(MAY_CONSUME);
            assertThat(ask(client, "produce orders never"))
                    .isEqualTo("TopicAuthorizationException");
            node.apply(MAY_PRODUCE);
            assertThat(ask(client, "produce orders after")).isEqualTo("produced");
            node.apply(MAY_CONSUME);
            assertThat(ask(client, "fetch orders")).contains("before,after");
        }
    }

    @Test
    void theBrokerSeesTheClientsOwnAddress() {
        try (Running client = client()) {
            ask(client, "produce orders seen");
            ask(client, "fetch orders");
        }
        final String connection =
                "\"connection\":\"%s:%s-%s:"
                        .formatted(TestNode.ipv4(BROKER), PORT, TestNode.ipv4(CLIENT));
        assertThat(broker.output())
                .containsPattern("\"requestApiKeyName\":\"PRODUCE\".*" + connection)
                .doesNotContainPattern("\"requestApiKeyName\":\"(INIT_PRODUCER_ID)\"");
    }

    @Test
    void kcatProducesAndConsumesWhereItMay() {
        assertThat(kcat("-P", "-t", "orders", "-p", "0", "-l", "/etc/hostname").exit()).isZero();
        assertThat(kcat("-C", "-t", "orders", "-e").output()).contains("authoriz");
        // It asks for Metadata until a record is too old: 300 s by default.
        final Command denied =
                kcat(
                        "-P",
                        "-t",
                        "invoices",
                        "-X",
                        "message.timeout.ms=3000",
                        "-l",
                        "/etc/hostname");
        assertThat(denied.exit()).isNotZero();
        assertThat(denied.output()).contains("authoriz");

        node.apply(MAY_CONSUME);
        assertThat(kcat("-C", "-t", "orders", "-e", "-q").output()).startsWith("first");
        assertThat(kcat("-C", "-t", "invoices", "-e").output()).contains("authoriz");
        assertThat(kcat("-L").output()).doesNotContain("orders", "invoices");
    }

    private Command kcat(final String... arguments) {
        final String[] line = new String[arguments.length + 3];
        line[0] = "kcat";
        line[1] = "-b";
        line[2] = TestNode.ipv4(BROKER) + ":" + PORT;
        System.arraycopy(arguments, 0, line, 3, arguments.length);
        return node.in("client", line);
    }

    @Test
    void requestsAreFlows() {
        try (Running client = client()) {
            ask(client, "produce orders observed");
            ask(client, "metadata invoices");
        }
        final List<String> seen =
                node.text("/v1/flows?type=l7")
                        .lines()
                        .map(line -> TestNode.json(line).path("flow"))
                        .map(
                                flow ->
                                        "%s %s %s %s"
                                                .formatted(
                                                        flow.path("verdict").asText(),
                                                        flow.path("l7").path("type").asText(),
                                                        flow.path("l7")
                                                                .path("kafka")
                                                                .path("api_key")
                                                                .asText(),
                                                        flow.path("l7")
                                                                .path("kafka")
                                                                .path("topic")
                                                                .asText()))
                        .toList();
        assertThat(seen)
                .contains("FORWARDED REQUEST produce orders", "DROPPED REQUEST metadata invoices");
    }
}
