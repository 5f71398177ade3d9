package io.sluice.control.cli.netns;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Endpoints and the daemon itself come and go. */
@Tag("netns")
class LifecycleNetnsTest {
    private static final int A = 11;
    private static final int B = 12;

    private TestNode node;

    @BeforeEach
    void prepare() {
        node = new TestNode();
        node.addPod("a", A);
        node.addPod("b", B);
    }

    @AfterEach
    void stop() {
        node.close();
    }

    private boolean pings(final String from, final String address) {
        return node.in(from, "ping", "-n", "-c", "1", "-W", "2", address).exit() == 0;
    }

    private String taps(final String name) {
        return node.in(name, "ip", "-o", "link", "show", "type", "tun").output();
    }

    /** Everything of a namespace's network that a daemon could leave behind. */
    private String network(final String name) {
        return Stream.of(
                        List.of("ip", "-o", "link"),
                        List.of("ip", "-o", "addr"),
                        List.of("ip", "rule"),
                        List.of("ip", "-6", "rule"),
                        List.of("ip", "route", "show", "table", "all"),
                        List.of("ip", "-6", "route", "show", "table", "all"),
                        List.of("ip", "neigh"),
                        List.of("nft", "list", "ruleset"))
                .map(line -> node.in(name, line.toArray(String[]::new)).output())
                .collect(Collectors.joining("\n"));
    }

    @Test
    void sigtermLeavesNoDeviceRouteRuleNamespaceOrSocketBehind() {
        final List<String> names = List.of("node", "a", "b");
        final List<String> networksBefore = names.stream().map(this::network).toList();
        final String namespacesBefore = Command.need("ip", "netns", "list");

        final Running daemon = node.startDaemon("a", "b");
        assertThat(taps("a")).contains("eth0");
        assertThat(pings("a", TestNode.ipv4(B))).isTrue();

        // 128 + SIGTERM: a JVM that a signal ends says so, also after an orderly stop.
        assertThat(daemon.stop("TERM")).as(daemon.output()).isEqualTo(143);

        assertThat(names.stream().map(this::network)).isEqualTo(networksBefore);
        assertThat(Command.need("ip", "netns", "list")).isEqualTo(namespacesBefore);
        assertThat(Files.exists(node.socket())).isFalse();
    }

    @Test
    void aRemovedEndpointLeavesItsNamespaceAndWorksAgainWhenItIsBack() {
        node.startDaemon("a", "b");
        assertThat(pings("a", TestNode.ipv4(B))).isTrue();

        node.delete("b.yaml");
        TestNode.await("the device is gone", () -> taps("b").isEmpty());
        assertThat(pings("a", TestNode.ipv4(B))).isFalse();

        node.savePod("b", B);
        node.awaitState("READY", "b");
        assertThat(pings("a", TestNode.ipv4(B))).isTrue();
        assertThat(pings("b", TestNode.ipv6(A))).isTrue();
    }

    @Test
    void anEndpointWaitsForItsNamespaceAndComesBackWithIt() {
        node.savePod("late", 13);
        node.startDaemon("a", "b");
        node.awaitState("WAITING_FOR_NAMESPACE", "late");

        node.addNamespace("late");
        node.awaitState("READY", "late");
        assertThat(pings("late", TestNode.ipv4(A))).isTrue();

        node.deleteNamespace("late");
        node.awaitState("DISCONNECTED", "late");
        assertThat(pings("a", TestNode.ipv4(B))).as("the others go on").isTrue();

        node.addNamespace("late");
        node.awaitState("READY", "late");
        assertThat(pings("late", TestNode.ipv4(A))).isTrue();
    }

    @Test
    void aProcessWithItsOwnNamespaceIsAttachedAndDetachedByPid() {
        node.startDaemon("a", "b");
        final Running container = node.startContainer();

        node.ask(
                "POST",
                "/v1/endpoints",
                """
                {"namespace": "app", "name": "guest", "pid": %d, "labels": {"app": "guest"}}
                """
                        .formatted(container.pid()));
        node.awaitState("READY", "guest");
        assertThat(inContainer(container, "ping", "-n", "-c", "1", "-W", "2", TestNode.ipv4(A)))
                .as("ping from the container")
                .satisfies(ping -> assertThat(ping.exit()).isZero());

        node.ask("DELETE", "/v1/endpoints/app/guest", "");
        TestNode.await(
                "the device is gone",
                () ->
                        inContainer(container, "ip", "-o", "link", "show", "type", "tun")
                                .output()
                                .isEmpty());
    }

    private static Command inContainer(final Running container, final String... line) {
        return Command.run(
                Stream.concat(
                                Stream.of("nsenter", "--net=/proc/" + container.pid() + "/ns/net"),
                                Stream.of(line))
                        .toList());
    }

    @Test
    void aSecondDaemonOnTheSameRunFolderIsRefusedByName() {
        final Running first = node.startDaemon("a", "b");

        final Running second = node.launch();

        assertThat(second.awaitExit()).isEqualTo(1);
        assertThat(second.output()).contains("another sluice").contains("is running");
        assertThat(first.isAlive()).isTrue();
        assertThat(pings("a", TestNode.ipv4(B))).isTrue();
    }

    @Test
    void aKilledDaemonStartsAgainOverWhatItLeftBehind() {
        final Running first = node.startDaemon("a", "b");
        final String identities = node.sluice("identity", "list");
        final String ipcache = node.sluice("ipcache", "list");
        // The tables are written beside the road; a crash may lose what was not written yet.
        TestNode.await(
                "the state folder knows it",
                () -> node.sluiceOffline("ipcache", "list").equals(ipcache));
        first.stop("KILL");
        assertThat(node.sluiceOffline("identity", "list")).isEqualTo(identities);
        assertThat(node.sluiceOffline("ipcache", "list")).isEqualTo(ipcache);

        node.startDaemon("a", "b");
        assertThat(node.sluice("identity", "list")).as("the numbers stay").isEqualTo(identities);

        assertThat(pings("a", TestNode.ipv4(B))).isTrue();
        assertThat(pings("b", TestNode.ipv6(A))).isTrue();
    }
}
