package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.Node.Daemon;
import java.nio.file.Path;
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

    /** A queue is free again, and a changed file seen, soon but not at once. */
    private void awaitPing(final String from, final String to) throws Exception {
        final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!node.pings(from, to)) {
            assertThat(System.nanoTime() - deadline).isNegative();
        }
    }
}
