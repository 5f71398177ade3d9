package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.Node.Daemon;
import io.sluice.control.agent.hubble.wire.FlowProto;
import io.sluice.control.agent.hubble.wire.FlowProto.FlowFilter;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The daemon's life, with the kernel's devices in namespaces of this test's own. */
@Tag("netns")
@Timeout(300)
class SluiceMainNetnsTest {
    private static final String A = "10.244.0.2";
    private static final String B = "10.244.0.3";
    private static final String B6 = "fd00:10:244::3";

    @TempDir private Path folder;
    private Node node;

    @BeforeEach
    void makeNamespaces() throws Exception {
        node = new Node(folder);
        node.addNamespace("a");
        node.addNamespace("b");
        node.writePod("a", "");
        node.writePod("b", "");
    }

    @AfterEach
    void removeNamespaces() throws Exception {
        node.close();
    }

    @Test
    void podsReachEachOtherTheGatewayAndTheNodeAndAStopLeavesNothing() throws Exception {
        final Daemon daemon = node.start();

        assertThat(node.pings("a", B)).isTrue();
        assertThat(node.pings("a", B6)).isTrue();
        assertThat(node.pings("a", "169.254.1.1")).isTrue();
        assertThat(node.pings("a", "fe80::1%eth0")).isTrue();
        assertThat(node.pings("a", "10.244.0.1")).isTrue();
        assertThat(node.pings("node", A)).isTrue();
        assertThat(node.pings("node", B6)).isTrue();
        assertThat(
                        PosixFilePermissions.toString(
                                Files.getPosixFilePermissions(
                                        node.runFolder().resolve("api.sock"))))
                .isEqualTo("rw-rw----");

        daemon.terminate();

        assertThat(daemon.log()).contains("sluice has stopped");
        assertThat(node.ip("a", "-br", "link")).doesNotContain("eth0");
        assertThat(node.ip("b", "-br", "link")).doesNotContain("eth0");
        assertThat(node.ip("node", "-br", "link")).doesNotContain("sluice0");
        assertThat(node.ip("node", "route", "show")).isBlank();
        assertThat(node.ip("node", "rule", "show").lines()).hasSize(3);
        assertThat(node.runFolder()).isEmptyDirectory();
    }

    /** gRPC's classes come with the first client, and the flows with names of this node. */
    @Test
    void hubblesClientsReadFlowsFromTheSocketAndTheExportWritesThem() throws Exception {
        final Path exported = folder.resolve("flows.log");
        Files.writeString(
                folder.resolve("sluice.yaml"),
                "flows.export.file: " + exported + "\n",
                StandardOpenOption.APPEND);
        final Daemon daemon = node.start();
        final Path socket = node.runFolder().resolve("hubble.sock");
        assertThat(node.pings("a", B)).isTrue();
        assertThat(isLoaded(daemon, "io.sluice.control.agent.hubble.HubbleServer")).isTrue();
        assertThat(isLoaded(daemon, "io.grpc.Server")).isFalse();
        assertThat(isLoaded(daemon, "org.apache.kafka.clients.producer.KafkaProducer")).isFalse();

        final FlowProto.Flow ping;
        try (HubbleClient client = HubbleClient.of(socket)) {
            ping =
                    client.observer()
                            .getFlows(
                                    GetFlowsRequest.newBuilder()
                                            .setFollow(true)
                                            .setNumber(1000)
                                            .addWhitelist(
                                                    FlowFilter.newBuilder()
                                                            .addSourcePod("shop/a")
                                                            .addDestinationPod("shop/b")
                                                            .addProtocol("icmp"))
                                            .build())
                            .next()
                            .getFlow();
        }

        assertThat(ping.getVerdict()).isEqualTo(FlowProto.Verdict.FORWARDED);
        assertThat(ping.getNodeName()).isEqualTo("node-1");
        assertThat(ping.getSource().getLabelsList()).contains("k8s:app=a");
        assertThat(ping.getIP().getDestination()).isIn(B, B6);
        assertThat(ping.getSummary()).contains("EchoRequest");
        assertThat(isLoaded(daemon, "io.grpc.Server")).isTrue();
        daemon.terminate();
        assertThat(daemon.log())
                .contains("sluice has stopped")
                .doesNotContain("Unknown channel option")
                .doesNotContain("hubble: ")
                .doesNotContain(" ERROR ");
        assertThat(node.runFolder()).isEmptyDirectory();
        assertThat(Files.readAllLines(exported))
                .anyMatch(line -> line.contains(ping.getUuid()))
                .allMatch(line -> line.endsWith("\"}"));
    }

    private static boolean isLoaded(final Daemon daemon, final String type) throws Exception {
        final Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "jcmd").toString(),
                                Long.toString(daemon.pid()),
                                "VM.class_hierarchy",
                                type)
                        .redirectErrorStream(true)
                        .start();
        final String output =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output.contains(type);
    }

    @Test
    void aSecondDaemonOnTheSameRunFolderIsRefusedAndTheFirstGoesOn() throws Exception {
        final Daemon first = node.start();

        final Daemon second = node.launch();

        assertThat(second.awaitEnd()).isEqualTo(SluiceMain.EXIT_FAILED);
        second.awaitLine(
                "sluice: another sluice (pid %d) is running on %s: stop it, or choose another"
                        .formatted(first.pid(), node.runFolder()));
        assertThat(node.pings("a", B)).isTrue();
    }

    @Test
    void aDeviceThatIsNotOursIsNotTakenOverAndTheOthersGoOn() throws Exception {
        node.ip("b", "tuntap", "add", "dev", "eth0", "mode", "tap");
        final Daemon daemon = node.start();

        assertThat(daemon.log())
                .contains("endpoint shop/b FAILED: device eth0 in network namespace");
        assertThat(node.pings("a", "169.254.1.1")).isTrue();

        daemon.terminate();
        assertThat(node.ip("b", "-br", "link")).contains("eth0");
    }
}
