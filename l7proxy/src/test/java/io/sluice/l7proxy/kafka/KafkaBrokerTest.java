package io.sluice.l7proxy.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.rule.KafkaRule;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.ClusterAuthorizationException;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A real broker behind the proxy, and the ordinary client before it. */
@ExtendWith(LeakCheck.class)
@Timeout(120)
final class KafkaBrokerTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final SideRules NO_MORE = side(List.of());

    @TempDir private static Path folder;
    private static Broker broker;
    private static ProxyHarness proxy;

    @BeforeAll
    static void start() throws Exception {
        final InetSocketAddress address = Broker.freeAddress();
        proxy =
                new ProxyHarness(
                        ProxyHarness.CONFIG,
                        address,
                        sink -> new KafkaProtocol(KafkaLimits.DEFAULTS, sink));
        broker = Broker.start(folder, address, proxy.address());
    }

    @AfterAll
    static void stop() {
        proxy.close();
        broker.close();
    }

    private static SideRules side(final List<KafkaRule> rules) {
        return new SideRules(false, List.of(RuleStage.ofKafka(rules, "policy")), false, "nobody");
    }

    private static void rules(final KafkaRule... rules) {
        proxy.ingress(side(List.of(rules)));
    }

    private static KafkaRule role(final String role, final String topic) {
        return KafkaRule.compile(role, "", "", "", topic);
    }

    private static KafkaRule api(final String api) {
        return KafkaRule.compile("", api, "", "", "");
    }

    /**
     * What consumers ask for beyond role consume in Cilium: whether the log they were in is still
     * the same, after a start from a committed offset.
     */
    private static KafkaRule epochs(final String topic) {
        return KafkaRule.compile("", "offsetforleaderepoch", "", "", topic);
    }

    private static Map<String, Object> settings() {
        final Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", "127.0.0.1:" + proxy.address().getPort());
        settings.put("client.id", "test");
        settings.put("max.block.ms", (int) PATIENCE.toMillis());
        settings.put("request.timeout.ms", (int) PATIENCE.toMillis());
        settings.put("default.api.timeout.ms", (int) PATIENCE.toMillis());
        return settings;
    }

    /** Role produce has no InitProducerId in Cilium: an idempotent producer needs one more rule. */
    private static Producer<String, String> producer(final String acks) {
        final Map<String, Object> settings = settings();
        settings.remove("default.api.timeout.ms");
        settings.put("acks", acks);
        settings.put("enable.idempotence", false);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    private static Consumer<String, String> consumer(final String group) {
        final Map<String, Object> settings = settings();
        settings.remove("max.block.ms");
        if (!group.isEmpty()) {
            settings.put("group.id", group);
        }
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private static void topics(final String... names) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.direct()))) {
            admin.createTopics(
                            Arrays.stream(names)
                                    .map(name -> new NewTopic(name, 2, (short) 1))
                                    .toList())
                    .all()
                    .get();
        }
    }

    private static void send(
            final Producer<String, String> producer, final String topic, final String value)
            throws Exception {
        producer.send(new ProducerRecord<>(topic, 0, "key", value)).get(20, TimeUnit.SECONDS);
    }

    private static List<String> read(final Consumer<String, String> consumer, final int count) {
        final List<String> values = new ArrayList<>();
        final long end = System.nanoTime() + PATIENCE.toNanos();
        while (values.size() < count && System.nanoTime() < end) {
            for (final ConsumerRecord<String, String> record :
                    consumer.poll(Duration.ofMillis(100))) {
                values.add(record.value());
            }
        }
        return values;
    }

    /** What is in the first partition, past the proxy. */
    private static List<String> contents(final String topic, final int count) {
        final Map<String, Object> settings = settings();
        settings.remove("max.block.ms");
        settings.put("bootstrap.servers", broker.direct());
        settings.put("auto.offset.reset", "earliest");
        try (Consumer<String, String> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            final TopicPartition first = new TopicPartition(topic, 0);
            consumer.assign(List.of(first));
            assertThat(consumer.endOffsets(List.of(first))).containsEntry(first, (long) count);
            return read(consumer, count);
        }
    }

    @Test
    void whoMayProduceProducesAndDoesNotConsume() throws Exception {
        topics("orders");
        rules(role("produce", "orders"));

        try (Producer<String, String> producer = producer("all")) {
            send(producer, "orders", "one");
            send(producer, "orders", "two");
        }
        assertThat(contents("orders", 2)).containsExactly("one", "two");

        try (Consumer<String, String> consumer = consumer("")) {
            consumer.assign(List.of(new TopicPartition("orders", 0)));
            assertThatThrownBy(() -> read(consumer, 1))
                    .isInstanceOfSatisfying(
                            TopicAuthorizationException.class,
                            denied ->
                                    assertThat(denied.unauthorizedTopics())
                                            .containsExactly("orders"));
        }
        try (Consumer<String, String> consumer = consumer("group-1")) {
            consumer.subscribe(List.of("orders"));
            assertThatThrownBy(() -> read(consumer, 1))
                    .isInstanceOf(GroupAuthorizationException.class);
        }
    }

    @Test
    void whoMayConsumeConsumesInAGroupAndDoesNotProduce() throws Exception {
        topics("invoices");
        rules();
        proxy.ingress(SideRules.ALLOW_ALL);
        try (Producer<String, String> producer = producer("1")) {
            send(producer, "invoices", "one");
            send(producer, "invoices", "two");
        }
        rules(role("consume", "invoices"), epochs("invoices"));

        try (Consumer<String, String> consumer = consumer("group-2")) {
            consumer.subscribe(List.of("invoices"));
            assertThat(read(consumer, 2)).containsExactly("one", "two");
            consumer.commitSync();
        }
        try (Consumer<String, String> consumer = consumer("group-2")) {
            consumer.subscribe(List.of("invoices"));
            consumer.poll(Duration.ofSeconds(1));
            final TopicPartition first = new TopicPartition("invoices", 0);
            assertThat(consumer.committed(Set.of(first)))
                    .containsEntry(first, new OffsetAndMetadata(2, Optional.of(0), ""));
        }
        try (Producer<String, String> producer = producer("1")) {
            assertThatThrownBy(() -> send(producer, "invoices", "three"))
                    .isInstanceOf(ExecutionException.class)
                    .hasCauseInstanceOf(TopicAuthorizationException.class);
        }
        assertThat(contents("invoices", 2)).containsExactly("one", "two");
    }

    @Test
    void anotherTopicIsDenied() throws Exception {
        topics("mine", "theirs");
        rules(role("produce", "mine"), role("consume", "mine"));

        try (Producer<String, String> producer = producer("all")) {
            send(producer, "mine", "one");
            assertThatThrownBy(() -> send(producer, "theirs", "two"))
                    .hasCauseInstanceOf(TopicAuthorizationException.class);
        }
        try (Consumer<String, String> consumer = consumer("group-3")) {
            consumer.subscribe(List.of("mine", "theirs"));
            assertThatThrownBy(() -> read(consumer, 1))
                    .isInstanceOf(TopicAuthorizationException.class);
            consumer.subscribe(List.of("mine"));
            assertThat(read(consumer, 1)).containsExactly("one");
        }
        assertThat(contents("theirs", 0)).isEmpty();
    }

    @Test
    void newRulesHoldForAConsumerInTheMiddle() throws Exception {
        topics("left", "right");
        proxy.ingress(SideRules.ALLOW_ALL);
        try (Producer<String, String> producer = producer("1")) {
            send(producer, "left", "one");
            send(producer, "right", "one");
        }
        try (Consumer<String, String> consumer = consumer("")) {
            consumer.assign(List.of(new TopicPartition("left", 0), new TopicPartition("right", 0)));
            assertThat(read(consumer, 2)).hasSize(2);
            // The session of the broker has both topics: the next Fetch names none.
            rules(role("consume", "left"), epochs("left"));
            assertThatThrownBy(() -> read(consumer, 1)).isInstanceOf(AuthorizationException.class);
            rules(role("consume", ""), role("produce", ""), epochs(""));
            try (Producer<String, String> producer = producer("1")) {
                send(producer, "right", "two");
            }
            assertThat(readPastDenials(consumer)).isEqualTo("two");
        }
    }

    /** Of two partitions denied at once, the client says the second at a later poll. */
    private static String readPastDenials(final Consumer<String, String> consumer) {
        final long end = System.nanoTime() + PATIENCE.toNanos();
        while (System.nanoTime() < end) {
            try {
                return read(consumer, 1).getFirst();
            } catch (final AuthorizationException earlier) {
                assertThat(earlier).isInstanceOf(TopicAuthorizationException.class);
            }
        }
        throw new AssertionError("denied to the end");
    }

    @Test
    void anIdempotentProducerNeedsItsOwnRule() throws Exception {
        topics("exact");
        rules(role("produce", "exact"));
        final Map<String, Object> settings = settings();
        settings.remove("default.api.timeout.ms");
        try (Producer<String, String> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            assertThatThrownBy(() -> send(producer, "exact", "one"))
                    .hasRootCauseInstanceOf(ClusterAuthorizationException.class);
        }
        rules(role("produce", "exact"), api("initproducerid"));
        try (Producer<String, String> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            send(producer, "exact", "two");
        }
        assertThat(contents("exact", 1)).containsExactly("two");
    }

    @Test
    void transactionsAndAdministrationPassWhereEverythingMay() throws Exception {
        topics("ledger");
        rules(KafkaRule.compile("", "", "", "", ""));
        final Map<String, Object> settings = settings();
        settings.remove("default.api.timeout.ms");
        settings.put("transactional.id", "txn");
        try (Producer<String, String> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            send(producer, "ledger", "one");
            producer.commitTransaction();
        }
        final Map<String, Object> admins = settings();
        admins.remove("max.block.ms");
        try (Admin admin = Admin.create(admins)) {
            assertThat(admin.listTopics().names().get()).contains("ledger");
            admin.deleteTopics(List.of("ledger")).all().get();
        }
    }

    @Test
    void anAdministratorOfOneTopicSeesAndMakesNoOther() throws Exception {
        rules(KafkaRule.compile("", "", "", "", "ours"));
        final Map<String, Object> admins = settings();
        admins.remove("max.block.ms");
        try (Admin admin = Admin.create(admins)) {
            admin.createTopics(List.of(new NewTopic("ours", 1, (short) 1))).all().get();
            assertThatThrownBy(
                            () ->
                                    admin.createTopics(List.of(new NewTopic("other", 1, (short) 1)))
                                            .all()
                                            .get())
                    .hasCauseInstanceOf(TopicAuthorizationException.class);
            assertThat(admin.listTopics().names().get()).isEmpty();
            assertThat(admin.describeTopics(List.of("ours")).allTopicNames().get())
                    .containsKey("ours");
            admin.deleteTopics(List.of("ours")).all().get();
        }
    }

    @Test
    void largeRecordsAndManyOfThemPass() throws Exception {
        topics("bulk");
        rules(role("produce", "bulk"), role("consume", "bulk"));
        final String value = "x".repeat(900_000);
        try (Producer<String, String> producer = producer("all")) {
            for (int i = 0; i < 20; i++) {
                send(producer, "bulk", value + i);
            }
        }
        try (Consumer<String, String> consumer = consumer("group-4")) {
            consumer.subscribe(List.of("bulk"));
            assertThat(read(consumer, 20))
                    .hasSize(20)
                    .allMatch(read -> read.startsWith("xxx") && read.length() > 900_000);
        }
    }

    /** librdkafka's own reading of the protocol, and of our denials. */
    @Test
    @Tag("netns")
    void kcatProducesAndConsumesWhereItMay() throws Exception {
        topics("cat", "dog");
        final String server = "127.0.0.1:" + proxy.address().getPort();
        rules(role("produce", "cat"));
        assertThat(kcat("meow\n", "-P", "-b", server, "-t", "cat", "-p", "0").status()).isZero();
        assertThat(contents("cat", 1)).containsExactly("meow");
        // It asks for Metadata until a record is too old: 300 s by default.
        assertThat(kcat("wuff\n", "-P", "-b", server, "-t", "dog", "-X", "message.timeout.ms=3000"))
                .satisfies(denied -> assertThat(denied.status()).isNotZero())
                .satisfies(denied -> assertThat(denied.text()).contains("authoriz"));
        assertThat(kcat("", "-C", "-b", server, "-t", "cat", "-e").text()).contains("authoriz");

        rules(role("consume", "cat"));
        assertThat(kcat("", "-C", "-b", server, "-t", "cat", "-e", "-q").text())
                .isEqualTo("meow\n");
        assertThat(kcat("", "-C", "-b", server, "-t", "dog", "-e").text()).contains("authoriz");
        assertThat(kcat("", "-L", "-b", server).text()).doesNotContain("\"cat\"");
        assertThat(contents("dog", 0)).isEmpty();
    }

    private record Output(int status, String text) {}

    private static Output kcat(final String input, final String... arguments) throws Exception {
        final List<String> command = new ArrayList<>(List.of("kcat"));
        command.addAll(List.of(arguments));
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try (OutputStream in = process.getOutputStream()) {
            in.write(input.getBytes(StandardCharsets.UTF_8));
        }
        final String text =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Output(process.waitFor(), text);
    }

    @Test
    void auditLetsPassAndSays() throws Exception {
        topics("audited");
        proxy.ingress(new SideRules(true, NO_MORE.stages(), false, "nobody"));
        final long before = proxy.count(ProxyCounter.REQUESTS_AUDITED);
        try (Producer<String, String> producer = producer("all")) {
            send(producer, "audited", "one");
        }
        assertThat(contents("audited", 1)).containsExactly("one");
        assertThat(proxy.count(ProxyCounter.REQUESTS_AUDITED)).isGreaterThan(before);
    }
}
