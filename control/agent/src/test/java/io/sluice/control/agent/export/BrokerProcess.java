package io.sluice.control.agent.export;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.server.common.MetadataVersion;
import org.slf4j.LoggerFactory;

/**
 * A Kafka broker with its controller (KRaft) on loopback, in a process that can be killed, stopped
 * and started again on what it left. One listener takes anybody, the other asks for a password over
 * TLS.
 *
 * <p>Thread: the test's.
 */
final class BrokerProcess implements AutoCloseable {
    static final String USER = "sluice";
    static final String PASSWORD = "secret";
    private static final String READY = "ready";

    private final Path folder;
    private final Path pem;
    private final int plain = freePort();
    private final int secure = freePort();
    private final int controller = freePort();
    private int starts;
    private Process process;

    /**
     * @param folder for its files
     * @param pem its certificate and its key, for 127.0.0.1
     */
    BrokerProcess(final Path folder, final Path pem) throws IOException {
        this.folder = folder;
        this.pem = pem;
        this.process = launch();
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    String plain() {
        return "127.0.0.1:" + plain;
    }

    String secure() {
        return "127.0.0.1:" + secure;
    }

    /** Starts it again on what it left, and waits until it answers. */
    void start() throws IOException {
        process = launch();
    }

    private Process launch() throws IOException {
        final Path log = folder.resolve("broker-%d.log".formatted(++starts));
        final List<String> line = new ArrayList<>();
        line.add(ProcessHandle.current().info().command().orElseThrow());
        line.addAll(List.of("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"));
        line.add(System.getProperty("java.class.path"));
        line.add(BrokerProcess.class.getName());
        line.add(folder.toString());
        line.add(pem.toString());
        for (final int port : new int[] {plain, secure, controller}) {
            line.add(Integer.toString(port));
        }
        final Process launched =
                new ProcessBuilder(line)
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        final long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!Files.readString(log).contains(READY)) {
            if (!launched.isAlive() || System.nanoTime() - end > 0) {
                throw new IOException(Files.readString(log));
            }
            LockSupport.parkNanos(50_000_000);
        }
        return launched;
    }

    /** SIGKILL. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** Keeps its connections, and answers nothing. */
    void freeze() throws Exception {
        signal("STOP");
    }

    void thaw() throws Exception {
        signal("CONT");
    }

    private void signal(final String name) throws Exception {
        final int status =
                new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
                        .start()
                        .waitFor();
        if (status != 0) {
            throw new IOException("kill -" + name + ": " + status);
        }
    }

    @Override
    public void close() {
        try {
            kill();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    public static void main(final String[] args) throws Exception {
        ((Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME)).setLevel(Level.ERROR);
        final Path folder = Path.of(args[0]);
        final String pem = args[1];
        final String plain = "PLAIN://127.0.0.1:" + args[2];
        final String secure = "SECURE://127.0.0.1:" + args[3];
        final String controller = "127.0.0.1:" + args[4];
        final Path data = folder.resolve("data");
        final Properties settings = new Properties();
        settings.putAll(
                Map.of(
                        "process.roles", "broker,controller",
                        "node.id", "1",
                        "controller.quorum.voters", "1@" + controller,
                        "controller.listener.names", "CONTROLLER",
                        "inter.broker.listener.name", "PLAIN",
                        "listeners", plain + "," + secure + ",CONTROLLER://" + controller,
                        "advertised.listeners", plain + "," + secure,
                        "listener.security.protocol.map",
                                "PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT",
                        "log.dirs", data.toString()));
        settings.putAll(
                Map.of(
                        "listener.name.secure.ssl.keystore.type",
                        "PEM",
                        "listener.name.secure.ssl.keystore.location",
                        pem,
                        "listener.name.secure.sasl.enabled.mechanisms",
                        "PLAIN",
                        "listener.name.secure.plain.sasl.jaas.config",
                        "org.apache.kafka.common.security.plain.PlainLoginModule required"
                                + " user_%s=\"%s\";".formatted(USER, PASSWORD)));
        settings.putAll(
                Map.of(
                        "offsets.topic.replication.factor", "1",
                        "offsets.topic.num.partitions", "1",
                        "transaction.state.log.replication.factor", "1",
                        "transaction.state.log.min.isr", "1",
                        "transaction.state.log.num.partitions", "1",
                        "share.coordinator.state.topic.replication.factor", "1",
                        "share.coordinator.state.topic.min.isr", "1",
                        "auto.create.topics.enable", "false"));
        if (!Files.exists(data)) {
            Files.createDirectory(data);
            new Formatter()
                    .setPrintStream(
                            new PrintStream(
                                    OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8))
                    .setClusterId(Uuid.randomUuid().toString())
                    .setNodeId(1)
                    .setControllerListenerName("CONTROLLER")
                    .setMetadataLogDirectory(data.toString())
                    .addDirectory(data.toString())
                    .setReleaseVersion(MetadataVersion.latestProduction())
                    .run();
        }
        new KafkaRaftServer(KafkaConfig.fromProps(settings), Time.SYSTEM).startup();
        System.out.println(READY);
    }
}
