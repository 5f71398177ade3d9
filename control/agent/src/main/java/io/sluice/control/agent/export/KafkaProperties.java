package io.sluice.control.agent.export;

import io.sluice.control.agent.SluiceConfig.FlowExport.Kafka;
import io.sluice.control.agent.StartupException;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.producer.ProducerConfig;

/**
 * What the producer is told. Who this is and how it proves that comes from a file of properties, as
 * Kafka's own programs take them; all else is ours, because the counts rest on it.
 *
 * <p>Immutable; the file is read at each use, so that new passwords and certificates count at the
 * next connection to a cluster that refused the old ones.
 */
record KafkaProperties(String nodeName, Kafka kafka) {
    /** Names in the file begin so. */
    private static final List<String> ACCEPTED = List.of("security.", "ssl.", "sasl.", "client.");

    /** Kafka's own: a broker that takes longer has a request taken back and sent again. */
    private static final int REQUEST_TIMEOUT_MS = 30_000;

    /** How long the producer may hold its one thread here, for room or for word of the topic. */
    private static final int BLOCK_MS = 500;

    /** Some fifty flows; Kafka's 16 KiB are a dozen. */
    private static final int BATCH_BYTES = 64 << 10;

    /**
     * The file's properties.
     *
     * @throws StartupException when it cannot be read, or says what it may not
     */
    private Properties ofFile() throws StartupException {
        final Properties properties = new Properties();
        final Optional<Path> file = kafka.propertiesFile();
        if (file.isEmpty()) {
            return properties;
        }
        try (Reader reader = Files.newBufferedReader(file.get())) {
            properties.load(reader);
        } catch (final IOException | IllegalArgumentException e) {
            throw new StartupException(
                    "flows.export.kafka.propertiesFile: %s: cannot be read: %s"
                            .formatted(file.get(), e),
                    e);
        }
        for (final String name : properties.stringPropertyNames()) {
            if (ACCEPTED.stream().noneMatch(name::startsWith)) {
                throw new StartupException(
                        "flows.export.kafka.propertiesFile: %s: %s: accepted are names that begin with %s"
                                .formatted(file.get(), name, String.join(", ", ACCEPTED)));
            }
        }
        return properties;
    }

    /**
     * All properties.
     *
     * @throws StartupException when the file cannot be read, or says what it may not
     */
    Map<String, Object> all() throws StartupException {
        final Map<String, Object> all = new HashMap<>();
        all.put(ProducerConfig.CLIENT_ID_CONFIG, "sluice-" + nodeName);
        final Properties ofFile = ofFile();
        ofFile.stringPropertyNames().forEach(name -> all.put(name, ofFile.getProperty(name, "")));
        all.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, kafka.bootstrapServers());
        all.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, word(kafka.compression()));
        all.put(ProducerConfig.BUFFER_MEMORY_CONFIG, producerBytes());
        all.put(ProducerConfig.BATCH_SIZE_CONFIG, BATCH_BYTES);
        all.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, BLOCK_MS);
        final int timeoutMs = kafka.timeoutSeconds() * 1000;
        all.put(ProducerConfig.LINGER_MS_CONFIG, 5);
        // A request and its linger have to fit into the time of delivery.
        all.put(
                ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG,
                Math.min(REQUEST_TIMEOUT_MS, timeoutMs - 5));
        all.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, timeoutMs);
        // Either way the lines of a node stay in order.
        switch (kafka.acks()) {
            case ALL -> {
                all.put(ProducerConfig.ACKS_CONFIG, "all");
                all.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
            }
            case LEADER -> {
                all.put(ProducerConfig.ACKS_CONFIG, "1");
                all.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, false);
                all.put(ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, 1);
            }
        }
        // It is to tell nobody but us how it is.
        all.put(ProducerConfig.METRIC_REPORTER_CLASSES_CONFIG, List.of());
        all.put(ProducerConfig.ENABLE_METRICS_PUSH_CONFIG, false);
        return all;
    }

    private static String word(final Kafka.Compression compression) {
        return switch (compression) {
            case NONE -> "none";
            case GZIP -> "gzip";
        };
    }

    /** The producer's half of the buffer: lines on their way. */
    long producerBytes() {
        return ((long) kafka.bufferMebibytes() << 20) / 2;
    }

    /** Our half: lines that wait. */
    long waitingBytes() {
        return ((long) kafka.bufferMebibytes() << 20) - producerBytes();
    }
}
