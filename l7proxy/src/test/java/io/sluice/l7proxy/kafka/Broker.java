package io.sluice.l7proxy.kafka;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.server.common.MetadataVersion;

/** A Kafka broker and controller in this process, on loopback. */
final class Broker implements AutoCloseable {
    private final InetSocketAddress address;
    private final InetSocketAddress direct;
    private final KafkaRaftServer server;

    private Broker(
            final InetSocketAddress address,
            final InetSocketAddress direct,
            final KafkaRaftServer server) {
        this.address = address;
        this.direct = direct;
        this.server = server;
    }

    /** An address on loopback where nobody listens. */
    static InetSocketAddress freeAddress() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return new InetSocketAddress(socket.getInetAddress(), socket.getLocalPort());
        }
    }

    /**
     * Starts it.
     *
     * @param folder empty, for its files
     * @param address where it listens
     * @param advertised what it tells clients that come there
     */
    static Broker start(
            final Path folder, final InetSocketAddress address, final InetSocketAddress advertised)
            throws Exception {
        final InetSocketAddress direct = freeAddress();
        final InetSocketAddress controller = freeAddress();
        final Path data = Files.createDirectory(folder.resolve("data"));
        final Properties settings = new Properties();
        settings.putAll(
                Map.of(
                        "process.roles", "broker,controller",
                        "node.id", "1",
                        "controller.quorum.voters", "1@" + text(controller),
                        "controller.listener.names", "CONTROLLER",
                        "inter.broker.listener.name", "DIRECT",
                        "listeners",
                                "PLAINTEXT://"
                                        + text(address)
                                        + ",DIRECT://"
                                        + text(direct)
                                        + ",CONTROLLER://"
                                        + text(controller),
                        "advertised.listeners",
                                "PLAINTEXT://" + text(advertised) + ",DIRECT://" + text(direct),
                        "listener.security.protocol.map",
                                "PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                        "log.dirs", data.toString()));
        settings.putAll(
                Map.of(
                        "offsets.topic.replication.factor", "1",
                        "offsets.topic.num.partitions", "1",
                        "transaction.state.log.replication.factor", "1",
                        "transaction.state.log.min.isr", "1",
                        "transaction.state.log.num.partitions", "1",
                        "share.coordinator.state.topic.replication.factor", "1",
                        "share.coordinator.state.topic.min.isr", "1",
                        "group.initial.rebalance.delay.ms", "0",
                        "auto.create.topics.enable", "false"));
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
        final KafkaRaftServer server =
                new KafkaRaftServer(KafkaConfig.fromProps(settings), Time.SYSTEM);
        server.startup();
        return new Broker(address, direct, server);
    }

    private static String text(final InetSocketAddress address) {
        return address.getAddress().getHostAddress() + ":" + address.getPort();
    }

    /** Where the proxy finds it. */
    InetSocketAddress address() {
        return address;
    }

    /** Bootstrap servers for clients that go past the proxy. */
    String direct() {
        return text(direct);
    }

    @Override
    public void close() {
        server.shutdown();
        server.awaitShutdown();
    }
}
