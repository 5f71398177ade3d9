package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.HandoverSocket.HandoverException;
import io.sluice.control.agent.Node.Daemon;
import io.sluice.dataplane.linux.Tun;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Successors that do not finish: the daemon goes on as if nothing had been. */
@Tag("netns")
@Timeout(300)
class HandoverNetnsTest {
    private static final String B = "10.244.0.3";
    private static final int TIMEOUT_MS = 30_000;

    @TempDir private Path folder;
    private Node node;
    private Daemon daemon;

    @BeforeEach
    void startDaemon() throws Exception {
        node = new Node(folder);
        node.addNamespace("a");
        node.addNamespace("b");
        node.writePod("a", "");
        node.writePod("b", "");
        daemon = node.start();
    }

    @AfterEach
    void removeNamespaces() throws Exception {
        node.close();
    }

    private HandoverClient begin() throws HandoverException {
        return HandoverClient.begin(RunFolder.handoverSocket(node.runFolder()), 1).orElseThrow();
    }

    @Test
    void aSuccessorThatDiesBeforeItTakesChangesNothing() throws Exception {
        try (HandoverClient successor = begin()) {
            assertThat(successor.revision()).isPositive();
            assertThat(node.pings("a", B)).as("forwards meanwhile").isTrue();
        }
        daemon.awaitLine("the hand-over broke off, this daemon goes on");
        assertThat(node.pings("a", B)).isTrue();
        assertThat(node.launch().awaitEnd()).as("holds its locks").isEqualTo(1);
    }

    @Test
    void aSuccessorThatDiesWithTheDevicesGivesThemBack() throws Exception {
        try (HandoverClient successor = begin()) {
            final List<PassedDevice> devices = successor.take();
            assertThat(devices)
                    .extracting(PassedDevice::device)
                    .containsExactlyInAnyOrder("sluice0", "eth0", "eth0");
            assertThat(devices)
                    .extracting(device -> device.spec().map(EndpointSpec::path))
                    .contains(Optional.empty());
            assertThat(node.pings("a", B)).as("nobody forwards").isFalse();
            devices.stream()
                    .flatMap(device -> device.descriptors().stream())
                    .forEach(descriptor -> Tun.adopt("", descriptor).close());
        }
        daemon.awaitLine("the hand-over broke off, this daemon goes on");
        assertThat(node.pings("a", B)).isTrue();

        // And once more, to the end: what went wrong before does not stand in the way.
        final HandoverClient successor = begin();
        assertThat(successor.take()).hasSize(3);
        successor.complete();
        assertThat(daemon.awaitEnd()).isZero();
        assertThat(node.ip("a", "-br", "link")).as("devices stay").contains("eth0");
    }

    @Test
    void anotherVersionIsRefusedWithTheReason() throws Exception {
        final HandoverSocket socket =
                HandoverSocket.connect(RunFolder.handoverSocket(node.runFolder())).orElseThrow();
        assertThatThrownBy(
                        () -> {
                            socket.say("prepare", Map.of("version", "99", "pid", "1"));
                            socket.await("prepared", TIMEOUT_MS);
                        })
                .isInstanceOf(HandoverException.class)
                .hasMessageContaining("refused: hand-over version 99, this daemon knows 2");
        socket.close();
    }
}
