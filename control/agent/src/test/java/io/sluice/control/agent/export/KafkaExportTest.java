package io.sluice.control.agent.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.agent.ExportCounts;
import io.sluice.control.agent.ExportCounts.Cause;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.SluiceConfig.FlowExport.Kafka;
import io.sluice.control.agent.SluiceConfig.FlowExport.Selection;
import io.sluice.control.agent.StartupException;
import io.sluice.control.agent.api.FlowJson;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Flows in the topic of a real broker, which is killed, stopped, and refuses them. */
@Timeout(240)
class KafkaExportTest {
    private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(120);
    private static final int PARTITIONS = 3;
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir private static Path shared;
    private static BrokerProcess broker;

    @TempDir private Path folder;

    private final ExportCounts counts = new ExportCounts();
    private final RingOfPieces ring = new RingOfPieces(Instant.EPOCH);

    @BeforeAll
    static void start() throws Exception {
        final Process openssl =
                new ProcessBuilder(
                                List.of(
                                        "openssl",
                                        "req",
                                        "-x509",
                                        "-newkey",
                                        "rsa:2048",
                                        "-nodes",
                                        "-days",
                                        "30",
                                        "-subj",
                                        "/CN=broker",
                                        "-addext",
                                        "subjectAltName=IP:127.0.0.1",
                                        "-keyout",
                                        shared.resolve("key").toString(),
                                        "-out",
                                        shared.resolve("crt").toString()))
                        .redirectErrorStream(true)
                        .start();
        final String said =
                new String(openssl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(openssl.waitFor()).as(said).isZero();
        final Path pem =
                Files.writeString(
                        shared.resolve("pem"),
                        Files.readString(shared.resolve("key"))
                                + Files.readString(shared.resolve("crt")));
        broker = new BrokerProcess(shared, pem);
    }

    @AfterAll
    static void stop() throws Exception {
        broker.close();
    }

    static Kafka kafka(final String servers, final String topic) {
        return kafka(servers, topic, 32, Optional.empty());
    }

    private static Kafka kafka(
            final String servers,
            final String topic,
            final int bufferMebibytes,
            final Optional<Path> properties) {
        return new Kafka(
                List.of(servers),
                topic,
                Kafka.Acks.ALL,
                Kafka.Compression.GZIP,
                bufferMebibytes,
                120,
                properties,
                Selection.ALL);
    }

    private FlowExporter exporter(final Kafka kafka, final String... mask) throws Exception {
        return new FlowExporter(
                "flows",
                ring,
                KafkaDestination.open("node-1", kafka, counts),
                new FieldMask(List.of(mask)),
                counts);
    }

    private static void turns(final FlowExporter exporter) throws InterruptedException {
        while (exporter.turn()) {
            // Until the ring has nothing more.
        }
    }

    private long waiting() {
        return counts.offered() - counts.written() - counts.lost();
    }

    private static void await(final String what, final BooleanSupplier happened) {
        final long start = System.nanoTime();
        while (!happened.getAsBoolean()) {
            assertThat(System.nanoTime() - start).as(what).isLessThan(PATIENCE_NS);
            LockSupport.parkNanos(10_000_000);
        }
    }

    private static String topic(final String name, final Map<String, String> settings)
            throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.plain()))) {
            admin.createTopics(List.of(new NewTopic(name, PARTITIONS, (short) 1).configs(settings)))
                    .all()
                    .get();
        }
        return name;
    }

    private static String topic(final String name) throws Exception {
        return topic(name, Map.of());
    }

    /** All that is in a topic. */
    private static List<ConsumerRecord<String, String>> records(final String topic) {
        final Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", broker.plain());
        settings.put("enable.auto.commit", false);
        final List<TopicPartition> partitions = new ArrayList<>();
        for (int i = 0; i < PARTITIONS; i++) {
            partitions.add(new TopicPartition(topic, i));
        }
        final List<ConsumerRecord<String, String>> records = new ArrayList<>();
        try (Consumer<String, String> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            final Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (ends.entrySet().stream()
                    .anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                consumer.poll(Duration.ofSeconds(1)).forEach(records::add);
            }
        }
        return records;
    }

    private static List<String> values(final String topic) {
        return records(topic).stream().map(ConsumerRecord::value).toList();
    }

    private static List<String> lines(final List<Flow> flows) {
        return flows.stream().map(flow -> FlowJson.response(flow).toString()).toList();
    }

    @Test
    void everyFlowIsARecordInOrderInThePartitionOfItsNode() throws Exception {
        final String topic = topic("all");
        final FlowExporter exporter = exporter(kafka(broker.plain(), topic));
        final List<Flow> flows = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            flows.addAll(ring.append(500));
        }
        turns(exporter);
        exporter.close();

        assertThat(counts.written()).isEqualTo(5_000);
        assertThat(counts.lost()).isZero();
        final List<ConsumerRecord<String, String>> records = records(topic);
        assertThat(records).extracting(ConsumerRecord::value).isEqualTo(lines(flows));
        assertThat(records).extracting(ConsumerRecord::key).containsOnly("node-1");
        assertThat(records.stream().map(ConsumerRecord::partition).distinct()).hasSize(1);
        assertThat(counts.trouble()).isEmpty();
    }

    @Test
    void theLeadersWordIsEnoughWhereItIsAskedForAndFieldsAreThoseOfTheMask() throws Exception {
        final String topic = topic("leader");
        final FlowExporter exporter =
                exporter(
                        new Kafka(
                                List.of(broker.plain()),
                                topic,
                                Kafka.Acks.LEADER,
                                Kafka.Compression.NONE,
                                1,
                                1,
                                Optional.empty(),
                                Selection.ALL),
                        "verdict");
        ring.append(2);
        turns(exporter);
        await("written", () -> counts.written() == 2);
        exporter.close();

        assertThat(values(topic))
                .containsExactly(
                        "{\"flow\":{\"verdict\":\"FORWARDED\"},\"node_name\":\"node-1\",\"time\":\"1970-01-01T00:00:00Z\"}",
                        "{\"flow\":{\"verdict\":\"FORWARDED\"},\"node_name\":\"node-1\",\"time\":\"1970-01-01T00:00:01Z\"}");
    }

    /** Nothing is lost and nothing is there twice: what is under way is sent again. */
    @Test
    void aBrokerThatIsKilledAndStartedAgainMissesNothing() throws Exception {
        final String topic = topic("killed");
        final FlowExporter exporter = exporter(kafka(broker.plain(), topic));
        final List<Flow> flows = new ArrayList<>();
        for (int i = 0; i < 3_000; i++) {
            flows.addAll(ring.append(1));
            turns(exporter);
            if (i == 1_000) {
                await("some are written", () -> counts.written() > 500);
                broker.kill();
            } else if (i == 2_000) {
                broker.start();
            }
        }
        await("all are written", () -> counts.written() == 3_000);
        exporter.close();

        assertThat(counts.lost()).isZero();
        assertThat(values(topic)).isEqualTo(lines(flows));
    }

    @Test
    void aBrokerThatAnswersNothingCostsWhatTheBufferDoesNotHold() throws Exception {
        final String topic = topic("frozen");
        final FlowExporter exporter = exporter(kafka(broker.plain(), topic, 1, Optional.empty()));
        final List<Flow> flows = new ArrayList<>(ring.append(10));
        turns(exporter);
        await("it is connected", () -> counts.written() == 10);
        broker.freeze();
        try {
            for (int i = 0; i < 50; i++) {
                flows.addAll(ring.append(1_000));
            }
            // Comes to its end although nobody answers.
            turns(exporter);
            assertThat(counts.lost(Cause.FULL)).isPositive();
            await("it is told", () -> !counts.trouble().isEmpty());
        } finally {
            broker.thaw();
        }
        await("what was held is written", () -> waiting() == 0);
        assertThat(counts.lost(Cause.FAILED)).isZero();
        assertThat(counts.written() + counts.lost(Cause.FULL)).isEqualTo(flows.size());

        flows.addAll(ring.append(10));
        turns(exporter);
        await("it goes on", () -> waiting() == 0);
        exporter.close();

        assertThat(counts.offered()).isEqualTo(flows.size());
        final List<String> there = values(topic);
        assertThat(there).hasSize((int) counts.written()).doesNotHaveDuplicates();
        assertThat(lines(flows)).containsSubsequence(there);
        assertThat(there.getLast()).isEqualTo(lines(flows).getLast());
    }

    @Test
    void linesWaitForATopicThatIsNotThereYet() throws Exception {
        final FlowExporter exporter = exporter(kafka(broker.plain(), "later"));
        final List<Flow> flows = new ArrayList<>(ring.append(10));
        turns(exporter);
        await("it is told", () -> !counts.trouble().isEmpty());
        assertThat(counts.trouble()).contains("later not present in metadata");
        assertThat(waiting()).isEqualTo(10);

        topic("later");
        await("all are written", () -> counts.written() == 10);
        await("it is told", () -> counts.trouble().isEmpty());
        exporter.close();

        assertThat(values("later")).isEqualTo(lines(flows));
    }

    @Test
    void aLineThatTheTopicRefusesIsLostAndTheOthersAreThere() throws Exception {
        final String topic = topic("small", Map.of("max.message.bytes", "2000"));
        final KafkaDestination destination =
                KafkaDestination.open(
                        "node-1",
                        new Kafka(
                                List.of(broker.plain()),
                                topic,
                                Kafka.Acks.ALL,
                                Kafka.Compression.NONE,
                                1,
                                120,
                                Optional.empty(),
                                Selection.ALL),
                        counts);
        final byte[] large = "x".repeat(5_000).getBytes(StandardCharsets.UTF_8);
        final byte[] small = "y".repeat(500).getBytes(StandardCharsets.UTF_8);
        counts.offered(5);
        destination.take(List.of(small, large, small, large, small));
        await("each has its end", () -> waiting() == 0);
        destination.close();

        assertThat(counts.written()).isEqualTo(3);
        assertThat(counts.lost(Cause.FAILED)).isEqualTo(2);
        assertThat(values(topic)).hasSize(3).allMatch(line -> line.length() == 500);
    }

    /** The file of properties is read again, so a restart is not needed. */
    @Test
    void aWrongPasswordIsToldAndTheRightOneIsTakenUp() throws Exception {
        final String topic = topic("secure");
        final Path properties = folder.resolve("kafka.properties");
        final String text =
                """
                security.protocol=SASL_SSL
                ssl.truststore.type=PEM
                ssl.truststore.location=%s
                sasl.mechanism=PLAIN
                sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
                  username="%s" password="%%s";
                """
                        .formatted(shared.resolve("crt"), BrokerProcess.USER);
        Files.writeString(properties, text.formatted("wrong"));
        final FlowExporter exporter =
                exporter(kafka(broker.secure(), topic, 1, Optional.of(properties)));
        final List<Flow> flows = new ArrayList<>(ring.append(10));
        turns(exporter);
        await("it is told", () -> !counts.trouble().isEmpty());
        assertThat(counts.trouble()).contains("Authentication failed");

        Files.writeString(properties, text.formatted(BrokerProcess.PASSWORD));
        await("all are written", () -> counts.written() == 10);
        exporter.close();

        assertThat(counts.lost()).isZero();
        assertThat(values(topic)).isEqualTo(lines(flows));
    }

    @Test
    void theFileOfPropertiesSaysWhoThisIsAndNothingElse() throws Exception {
        final Path properties = folder.resolve("kafka.properties");
        final Kafka kafka = kafka(broker.plain(), "never", 1, Optional.of(properties));
        assertThatThrownBy(() -> KafkaDestination.open("node-1", kafka, counts))
                .isInstanceOf(StartupException.class)
                .hasMessageStartingWith("flows.export.kafka.propertiesFile: " + properties)
                .hasMessageContaining("cannot be read");

        Files.writeString(properties, "client.id=me\nacks=0\n");
        assertThatThrownBy(() -> KafkaDestination.open("node-1", kafka, counts))
                .isInstanceOf(StartupException.class)
                .hasMessage(
                        "flows.export.kafka.propertiesFile: %s: acks: accepted are names that begin with security., ssl., sasl., client."
                                .formatted(properties));
    }

    @Test
    void aStopWithoutABrokerEndsAndCountsWhatItHad() throws Exception {
        // Port 9 of loopback: discard, which nobody serves.
        final FlowExporter exporter = exporter(kafka("127.0.0.1:9", "never"));
        ring.append(10);
        turns(exporter);
        assertThat(waiting()).isEqualTo(10);
        exporter.close();

        assertThat(counts.lost(Cause.FAILED)).isEqualTo(10);
        assertThat(waiting()).isZero();
    }

    /** Records are whole, and those before the last of them are all there. */
    @Test
    void aKillInAFloodCutsTheEndOff() throws Exception {
        final String topic = topic("flood");
        final Path errors = folder.resolve("errors");
        final Process flood =
                new ProcessBuilder(
                                ProcessHandle.current().info().command().orElseThrow(),
                                "-cp",
                                System.getProperty("java.class.path"),
                                FloodProcess.class.getName(),
                                broker.plain(),
                                topic)
                        .redirectError(errors.toFile())
                        .start();
        long told = 0;
        try (BufferedReader lines = flood.inputReader()) {
            while (told < 20_000) {
                final String line = Objects.requireNonNullElse(lines.readLine(), "");
                assertThat(line).as("%s tells why it ended", errors).isNotEmpty();
                told = Long.parseLong(line);
            }
        } finally {
            // SIGKILL.
            flood.destroyForcibly().waitFor();
        }

        final List<String> there = values(topic);
        assertThat(there).hasSizeGreaterThanOrEqualTo((int) told);
        for (int i = 0; i < there.size(); i++) {
            final JsonNode flow = JSON.readTree(there.get(i)).path("flow");
            assertThat(flow.path("uuid").asText()).isEqualTo("uuid-" + i);
        }
    }
}
