package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.agent.Node.Daemon;
import java.io.BufferedReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Endpoints that ask for an AF_XDP port, in a daemon of their own. */
@Tag("netns")
@Timeout(300)
class XdpEndpointNetnsTest {
    private static final String A = "10.244.0.2";
    private static final String B = "10.244.0.3";
    private static final String B6 = "fd00:10:244::3";
    private static final String C = "10.244.0.4";

    /** Answers what one connection to port 7 of an address says. */
    private static final String ECHO =
            """
            import socket, sys
            server = socket.create_server((sys.argv[1], 7))
            print("up")
            connection, _ = server.accept()
            while data := connection.recv(9):
                connection.sendall(data)
            """;

    /** Asks every 10 ms until its input ends, and once more; gives up 20 s after a question. */
    private static final String KEEP_ASKING =
            """
            import select, socket, sys
            connection = socket.create_connection((sys.argv[1], 7), 20)
            def ask():
                connection.sendall(b"x")
                assert connection.recv(1) == b"x"
            ask()
            print("an answer")
            while not select.select([sys.stdin], [], [], 0.01)[0]:
                ask()
            ask()
            print("another answer")
            """;

    @TempDir private Path folder;
    private Node node;

    @BeforeEach
    void makeNamespaces() throws Exception {
        node = new Node(folder);
        for (final String pod : new String[] {"a", "b", "c"}) {
            node.addNamespace(pod);
        }
        node.writePod("a", "sluice.io/port: xdp");
        node.writePod("b", "sluice.io/port: xdp");
        node.writePod("c", "");
    }

    @AfterEach
    void removeNamespaces() throws Exception {
        node.close();
    }

    @Test
    void podsReachEachOtherATapAndTheNodeAndAStopLeavesNothing() throws Exception {
        final Daemon daemon = node.start();

        assertThat(daemon.log())
                .contains("endpoint shop/a: AF_XDP on slx")
                .contains("in the driver, checksums left to the device");
        assertThat(node.pings("a", B)).isTrue();
        assertThat(node.pings("a", B6, 1452)).isTrue();
        assertThat(node.pings("a", C, 1472)).as("XDP to TAP").isTrue();
        assertThat(node.pings("c", A, 1472)).as("TAP to XDP").isTrue();
        assertThat(node.pings("a", "169.254.1.1")).isTrue();
        assertThat(node.pings("node", A)).isTrue();

        daemon.terminate();

        assertThat(node.ip("a", "-br", "link")).doesNotContain("eth0");
        assertThat(node.ip("node", "-br", "link")).doesNotContain("slx");
    }

    @Test
    void aCrashLeavesTheDeviceClosedAndTheNextDaemonFindsItAgain() throws Exception {
        final Daemon first = node.start();
        assertThat(node.pings("a", B)).isTrue();
        first.kill();

        assertThat(node.ip("a", "addr", "show", "dev", "eth0")).contains(A);
        assertThat(node.pings("a", B)).as("nobody forwards").isFalse();
        assertThat(node.pings("a", "10.244.0.1")).as("the node does not take it").isFalse();

        node.start();
        awaitPing("a", B);
        assertThat(node.pings("a", C)).isTrue();
    }

    @Test
    void aPodThatIsToldAnotherKindIsPluggedInAnew() throws Exception {
        final Daemon daemon = node.start();
        assertThat(node.pings("a", C)).isTrue();
        assertThat(node.ip("c", "-d", "link", "show", "dev", "eth0")).contains("tun");
        node.writePod("c", "sluice.io/port: xdp");
        daemon.awaitLine("endpoint shop/c: AF_XDP");
        awaitPing("a", C);
        assertThat(node.ip("c", "-d", "link", "show", "dev", "eth0")).contains("veth");
    }

    @Test
    void whereThereIsNoAfXdpATapTakesItsPlaceAndTheLogSaysWhy() throws Exception {
        final Daemon daemon = node.startWithout("net_raw");

        assertThat(daemon.log())
                .contains(
                        "endpoint shop/a: no AF_XDP, a TAP takes its place: open an AF_XDP socket:"
                                + " EPERM (operation not permitted): run as root or with"
                                + " CAP_NET_RAW");
        assertThat(node.pings("node", A)).isTrue();
        assertThat(node.ip("a", "-d", "link", "show", "dev", "eth0")).contains("tun");
        assertThat(node.ip("node", "-br", "link")).doesNotContain("slx");
    }

    @Test
    void iperfPassesOverAllPairsOfPortsAndTheSwitchLosesNothing() throws Exception {
        node.configure("port.xdp.queues: 2");
        node.start();
        awaitPing("a", B);
        awaitPing("a", C);

        iperf("a", "b", B);
        iperf("a", "c", C);
        iperf("c", "a", A);
    }

    /** TCP, and UDP at 20 Mbit/s, of which only the receiving socket may lose datagrams. */
    private void iperf(final String from, final String to, final String address) throws Exception {
        final String pair = from + " to " + to;
        final JsonNode received = iperfClient(from, to, address, "-t", "1").path("sum_received");
        assertThat(received.path("bytes").asLong()).as("TCP " + pair).isPositive();

        final JsonNode sum =
                iperfClient(from, to, address, "-u", "-b", "20M", "-t", "1").path("sum");
        assertThat(sum.path("packets").asLong()).as("UDP " + pair).isPositive();
        assertThat(sum.path("lost_packets").asLong())
                .as("UDP " + pair)
                .isLessThanOrEqualTo(receiveBufferErrors(to));
    }

    private JsonNode iperfClient(
            final String from, final String to, final String address, final String... options)
            throws Exception {
        final Process server = node.start(to, "iperf3", "-s", "-1", "--forceflush");
        final BufferedReader words = server.inputReader();
        String line = words.readLine();
        while (line != null && !line.contains("listening")) {
            line = words.readLine();
        }
        final List<String> command = new ArrayList<>(List.of("iperf3", "-J", "-c", address));
        command.addAll(List.of(options));
        final Process client = node.start(from, command.toArray(String[]::new));
        final JsonNode report = new ObjectMapper().readTree(client.getInputStream());
        assertThat(client.waitFor()).as(report.path("error").asText()).isZero();
        while (line != null) {
            line = words.readLine();
        }
        return report.path("end");
    }

    /** RcvbufErrors of the namespace's UDP: /proc/net/snmp has names in one line, then values. */
    private long receiveBufferErrors(final String pod) throws Exception {
        final List<String> udp =
                node.start(pod, "cat", "/proc/net/snmp")
                        .inputReader()
                        .lines()
                        .filter(line -> line.startsWith("Udp:"))
                        .toList();
        final List<String> names = List.of(udp.getFirst().split(" ", -1));
        return Long.parseLong(udp.getLast().split(" ", -1)[names.indexOf("RcvbufErrors")]);
    }

    @Test
    void connectionsOfXdpEndpointsGoOnOverAReplacement() throws Exception {
        node.configure("uplink.port: xdp");
        final Daemon before = node.start();
        awaitPing("a", B);
        final Process server = node.start("b", "python3", "-u", "-c", ECHO, B);
        assertThat(server.inputReader().readLine()).isEqualTo("up");
        final Process client = node.start("a", "python3", "-u", "-c", KEEP_ASKING, B);
        final BufferedReader answers = client.inputReader();
        assertThat(answers.readLine()).isEqualTo("an answer");

        final Daemon after = node.replace();
        assertThat(before.awaitEnd()).isZero();

        // From here on the predecessor's sockets are closed, and the next tick finds it.
        awaitPing("a", B);
        client.outputWriter().close();
        assertThat(answers.readLine()).as("after at least one more").isEqualTo("another answer");
        assertThat(node.ip("a", "addr", "show", "dev", "eth0")).contains(A);
        awaitPing("node", A);
        assertThat(after.log()).contains("uplink: AF_XDP on slx-uplink");
    }

    @Test
    void theNodeReachesPodsThroughAnUplinkOfAfXdp() throws Exception {
        node.configure("uplink.port: xdp");
        final Daemon daemon = node.start();

        assertThat(daemon.log()).contains("uplink: AF_XDP on slx-uplink, in the driver");
        assertThat(node.ip("node", "-d", "link", "show", "dev", "sluice0")).contains("veth");
        awaitPing("node", A);
        assertThat(node.pings("node", B6)).isTrue();
        assertThat(node.pings("a", "10.244.0.1")).as("the node's own address").isTrue();
        assertThat(node.pings("c", "10.244.0.1", 1472)).as("from a TAP").isTrue();
        iperf("node", "c", C);
        iperf("node", "a", A);

        node.ip("node", "link", "del", "dev", "sluice0");
        daemon.awaitLine("uplink: device sluice0 made again");
        awaitPing("node", A);

        daemon.terminate();
        assertThat(node.ip("node", "-br", "link")).doesNotContain("sluice0", "slx");
    }

    /** A queue is free again, and a changed file seen, soon but not at once. */
    private void awaitPing(final String from, final String to) throws Exception {
        final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!node.pings(from, to)) {
            assertThat(System.nanoTime() - deadline).isNegative();
        }
    }
}
