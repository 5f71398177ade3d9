package io.sluice.control.cli.netns;

import static java.nio.charset.StandardCharsets.UTF_8;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.server.common.MetadataVersion;
import org.slf4j.LoggerFactory;

/**
 * Kafka as a program, for the namespace of a pod.
 *
 * <pre>
 *   broker ADDRESS PORT FOLDER   a broker and its controller (KRaft); its log of requests goes to standard error. It is a
 *                                client of itself as well, by loopback.
 *   client ADDRESS PORT          a client with one producer, whose connections stay open
 *
 *   create TOPIC         "created"
 *   produce TOPIC TEXT   "produced", to partition 0
 *   fetch TOPIC          the first records of partition 0 from its begin, joined by commas
 *   join GROUP TOPIC     the same, as a member of a consumer group
 *   metadata TOPIC       "1 partitions"
 *   count TOPIC          how many records there are
 * </pre>
 *
 * <p>A line is answered by one line; where that fails, by the simple name of the exception, after
 * {@link #PATIENCE} at the latest, and then it is {@code TimeoutException} or "nothing".
 *
 * <p>Thread: its main one, and those of Kafka.
 */
final class KafkaPeer {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final String LOOPBACK = "127.0.0.1:9093";
    private static final String CONTROLLER = "127.0.0.1:9094";

    private final String server;
    private final Producer<String, String> producer;

    private KafkaPeer(final String server) {
        this.server = server;
        this.producer = newProducer(server);
    }

    public static void main(final String[] arguments) throws Exception {
        final String address = arguments[1] + ":" + arguments[2];
        final boolean isBroker = arguments[0].equals("broker");
        if (isBroker) {
            startBroker(address, Path.of(arguments[3]));
        } else {
            // What clients say of their failures is the answer, and need not be said twice.
            logOf(org.slf4j.Logger.ROOT_LOGGER_NAME).setLevel(Level.OFF);
        }
        final KafkaPeer peer = new KafkaPeer(isBroker ? LOOPBACK : address);
        say("ready");
        final BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            say(peer.answer(line.split(" ", 3)));
        }
        // Threads of the broker would keep it alive.
        System.exit(0);
    }

    private static void say(final String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static Logger logOf(final String name) {
        return (Logger) LoggerFactory.getLogger(name);
    }

    // The broker

    private static void startBroker(final String address, final Path folder) throws Exception {
        logOf(org.slf4j.Logger.ROOT_LOGGER_NAME).setLevel(Level.ERROR);
        logOf("kafka.request.logger").setLevel(Level.DEBUG);
        final String data = Files.createDirectories(folder.resolve("data")).toString();
        final Properties settings = new Properties();
        settings.putAll(
                Map.of(
                        "process.roles", "broker,controller",
                        "node.id", "1",
                        "controller.quorum.voters", "1@" + CONTROLLER,
                        "controller.listener.names", "CONTROLLER",
                        "inter.broker.listener.name", "LOOPBACK",
                        "listeners",
                                "PODS://%s,LOOPBACK://%s,CONTROLLER://%s"
                                        .formatted(address, LOOPBACK, CONTROLLER),
                        "advertised.listeners", "PODS://" + address + ",LOOPBACK://" + LOOPBACK,
                        "listener.security.protocol.map",
                                "PODS:PLAINTEXT,LOOPBACK:PLAINTEXT,CONTROLLER:PLAINTEXT",
                        "log.dirs", data));
        settings.putAll(
                Map.of(
                        "offsets.topic.replication.factor", "1",
                        "offsets.topic.num.partitions", "1",
                        "transaction.state.log.replication.factor", "1",
                        "transaction.state.log.min.isr", "1",
                        "share.coordinator.state.topic.replication.factor", "1",
                        "share.coordinator.state.topic.min.isr", "1",
                        "group.initial.rebalance.delay.ms", "0",
                        "auto.create.topics.enable", "false"));
        new Formatter()
                .setPrintStream(new PrintStream(OutputStream.nullOutputStream(), true, UTF_8))
                .setClusterId(Uuid.randomUuid().toString())
                .setNodeId(1)
                .setControllerListenerName("CONTROLLER")
                .setMetadataLogDirectory(data)
                .addDirectory(data)
                .setReleaseVersion(MetadataVersion.latestProduction())
                .run();
        new KafkaRaftServer(KafkaConfig.fromProps(settings), Time.SYSTEM).startup();
    }

    // The client

    private String answer(final String[] words) throws InterruptedException {
        try {
            return switch (words[0]) {
                case "create" -> create(words[1]);
                case "produce" -> {
                    producer.send(new ProducerRecord<>(words[1], 0, "key", words[2])).get();
                    yield "produced";
                }
                case "fetch" -> fetch(words[1]);
                case "join" -> join(words[1], words[2]);
                case "metadata" -> metadata(words[1]);
                case "count" -> count(words[1]);
                default -> throw new IllegalArgumentException(words[0]);
            };
        } catch (final ApiException e) {
            return e.getClass().getSimpleName();
        } catch (final ExecutionException e) {
            return String.valueOf(e.getCause()).replaceAll(":.*", "").replaceAll(".*\\.", "");
        }
    }

    private String create(final String topic) throws ExecutionException, InterruptedException {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", server))) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            return "created";
        }
    }

    private String fetch(final String topic) {
        try (Consumer<String, String> consumer = newConsumer("")) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            return poll(consumer);
        }
    }

    private String join(final String group, final String topic) {
        try (Consumer<String, String> consumer = newConsumer(group)) {
            consumer.subscribe(List.of(topic));
            return poll(consumer);
        }
    }

    private static String poll(final Consumer<String, String> consumer) {
        final List<String> values = new ArrayList<>();
        final long end = System.nanoTime() + PATIENCE.toNanos();
        while (values.isEmpty() && System.nanoTime() < end) {
            for (final ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(100))) {
                values.add(one.value());
            }
        }
        return values.isEmpty() ? "nothing" : String.join(",", values);
    }

    private String metadata(final String topic) {
        try (Consumer<String, String> consumer = newConsumer("")) {
            return consumer.partitionsFor(topic).size() + " partitions";
        }
    }

    private String count(final String topic) {
        final TopicPartition first = new TopicPartition(topic, 0);
        try (Consumer<String, String> consumer = newConsumer("")) {
            return String.valueOf(consumer.endOffsets(List.of(first)).get(first));
        }
    }

    private static Map<String, Object> settings(final String server) {
        final Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", server);
        settings.put("request.timeout.ms", (int) PATIENCE.toMillis());
        return settings;
    }

    /** Role produce has no InitProducerId in Cilium, so the producer is not idempotent. */
    private static Producer<String, String> newProducer(final String server) {
        final Map<String, Object> settings = settings(server);
        settings.put("max.block.ms", PATIENCE.toMillis());
        settings.put("delivery.timeout.ms", (int) PATIENCE.toMillis());
        settings.put("linger.ms", 0);
        settings.put("acks", "all");
        settings.put("enable.idempotence", false);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    private Consumer<String, String> newConsumer(final String group) {
        final Map<String, Object> settings = settings(server);
        settings.put("default.api.timeout.ms", (int) PATIENCE.toMillis());
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        if (!group.isEmpty()) {
            settings.put("group.id", group);
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }
}
