package io.sluice.dataplane.port;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.Poller;
import io.sluice.dataplane.linux.Tun;
import io.sluice.dataplane.port.TapOptions.Lifetime;
import java.io.BufferedReader;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** TAP ports against the kernel. Needs root, iproute2, iputils-ping and Python 3. */
@Tag("netns")
@Timeout(60)
final class TapPortNetnsTest {
    private static final long MAC_A = 0x0253_4c00_0a01L;
    private static final long MAC_B = 0x0253_4c00_0a02L;

    private final TestNamespaces namespaces = new TestNamespaces();

    @AfterEach
    void removeNamespaces() {
        namespaces.close();
    }

    @Test
    void deviceAppearsInTheNamespaceWithMacMtuAndAddresses() {
        final NetworkNamespace pod = namespaces.add("a");
        try (TapPort port = open(pod, MAC_A, 1500)) {
            pod("10.9.0.1", "fd00:9::1").apply(pod);
            final String link = IpCommand.in(pod).query("addr", "show", "dev", "eth0");
            assertThat(link)
                    .contains("02:53:4c:00:0a:01")
                    .contains("mtu 1500")
                    .contains("inet 10.9.0.1/32")
                    .containsPattern("inet6 fd00:9::1/128 scope global nodad *\n");
            assertThat(IpCommand.in(pod).query("route"))
                    .contains("default via 169.254.1.1 dev eth0");
            assertThat(IpCommand.in(pod).query("-6", "route"))
                    .contains("default via fe80::1 dev eth0");
            assertThat(Tun.deviceExists("eth0")).as("left over outside").isEqualTo(hostHasEth0());
            assertThat(port.mtu()).isEqualTo(1500);
        }
        assertThat(exists(pod, "eth0")).as("lifetime PORT").isFalse();
    }

    @Test
    void framesWaitInAQueueThatIsAsLongFromTheStart() {
        final NetworkNamespace pod = namespaces.add("a");
        try (TapPort _ = open(pod, MAC_A, 1500)) {
            assertThat(queue(pod)).isEqualTo(TapPort.QUEUE_FRAMES);
        }
    }

    private static int queue(final NetworkNamespace pod) {
        final String link = IpCommand.in(pod).query("link", "show", "dev", "eth0");
        return Integer.parseInt(link.replaceAll("(?s).* qlen (\\d+).*", "$1"));
    }

    @Test
    void podInterfaceMayBeAppliedTwice() {
        final NetworkNamespace pod = namespaces.add("a");
        try (TapPort port = open(pod, MAC_A, 1500)) {
            assertThat(port.name()).isEqualTo("eth0");
            pod("10.9.0.1", "fd00:9::1").apply(pod);
            pod("10.9.0.1", "fd00:9::1").apply(pod);
        }
    }

    @Test
    void podWithoutIpv6AddressSaysNothingOverIpv6() {
        final NetworkNamespace pod = namespaces.add("a");
        try (TapPort port = open(pod, MAC_A, 1500)) {
            new PodInterface("eth0", "10.9.0.1", null, "169.254.1.1", "fe80::1").apply(pod);
            assertThat(IpCommand.in(pod).query("addr", "show", "dev", "eth0"))
                    .doesNotContain("inet6");
            assertThat(port.name()).isEqualTo("eth0");
        }
    }

    @Test
    void pingPassesBetweenTwoNamespaces() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        try (TapPort portA = open(a, MAC_A, 1500);
                TapPort portB = open(b, MAC_B, 1500)) {
            connect(a, "10.9.0.1", b, "10.9.0.2");
            try (Wire wire = new Wire(portA, portB)) {
                final Process ping =
                        namespaces.start(
                                a, "ping", "-n", "-c", "3", "-i", "0.05", "-W", "5", "10.9.0.2");
                assertThat(TestNamespaces.outputOf(ping)).contains("3 received");
                assertThat(wire.frames.get()).isGreaterThanOrEqualTo(6);
            }
        }
    }

    @Test
    void bulkTcpPassesAsSuperFramesWithOpenChecksumsAndArrivesIntact() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        try (TapPort portA = open(a, MAC_A, 1500);
                TapPort portB = open(b, MAC_B, 1500)) {
            connect(a, "10.9.0.1", b, "10.9.0.2");
            try (Wire wire = new Wire(portA, portB)) {
                assertThat(transfer(a, b, "10.9.0.2")).isTrue();
                assertThat(wire.longestFrame.get()).isGreaterThan(10_000);
                assertThat(wire.superFrames.get()).isPositive();
                assertThat(wire.openChecksums.get()).isPositive();
                assertThat(wire.refused.get()).isZero();
            }
        }
    }

    @Test
    void largestMtuCarriesItsLargestPacket() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        try (TapPort portA = open(a, MAC_A, Tun.MTU_MAX);
                TapPort portB = open(b, MAC_B, Tun.MTU_MAX)) {
            connect(a, "10.9.0.1", b, "10.9.0.2");
            try (Wire wire = new Wire(portA, portB)) {
                // 20 bytes IPv4 and 8 bytes ICMP header; ping itself accepts up to 65507.
                final Process ping =
                        namespaces.start(
                                a,
                                "ping",
                                "-n",
                                "-c",
                                "1",
                                "-W",
                                "5",
                                "-M",
                                "do",
                                "-s",
                                "65493",
                                "10.9.0.2");
                assertThat(TestNamespaces.outputOf(ping)).contains("1 received");
                assertThat(wire.longestFrame.get())
                        .isEqualTo(PacketBatch.VNET_HEADER_BYTES + 14 + Tun.MTU_MAX);
                assertThat(transfer(a, b, "10.9.0.2")).isTrue();
            }
        }
    }

    @Test
    void oneReceiveTakesAllFramesThatWait() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        try (TapPort port = open(pod, MAC_A, 1500);
                Arena arena = Arena.ofConfined()) {
            new PodInterface("eth0", "10.9.0.1", null, "169.254.1.1", "fe80::1").apply(pod);
            IpCommand.in(pod)
                    .query(
                            "neigh",
                            "replace",
                            "169.254.1.1",
                            "dev",
                            "eth0",
                            "lladdr",
                            "02:53:4c:00:00:01");
            final PacketBatch batch = new PacketBatch(arena);
            assertThat(port.receive(batch)).isZero();
            final Process sender = peer(pod, "datagrams", "10.9.0.9", "100", "100");
            assertThat(TestNamespaces.outputOf(sender)).isEmpty();
            assertThat(port.receive(batch)).isEqualTo(PacketBatch.FRAMES_MAX);
            assertThat(batch.length(0))
                    .isEqualTo(PacketBatch.VNET_HEADER_BYTES + 14 + 20 + 8 + 100);
            batch.clear();
            assertThat(port.receive(batch)).isEqualTo(100 - PacketBatch.FRAMES_MAX);
        }
    }

    @Test
    void portOfARemovedNamespaceIsGoneAndWakesItsPoller() {
        final NetworkNamespace pod = namespaces.add("a");
        try (TapPort port =
                        TapPort.open(new TapOptions("eth0", pod, MAC_A, 1500, Lifetime.NAMESPACE));
                Poller poller = new Poller();
                Arena arena = Arena.ofConfined()) {
            pod("10.9.0.1", "fd00:9::1").apply(pod);
            final PacketBatch batch = new PacketBatch(arena);
            namespaces.remove(pod);
            final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            poller.watch(port.pollFd());
            int received = 0;
            while (received != Port.GONE && System.nanoTime() - deadline < 0) {
                batch.clear();
                assertThat(poller.await(20_000)).as("poll wakes").isEqualTo(1);
                received = port.receive(batch);
            }
            assertThat(received).isEqualTo(Port.GONE);
            assertThat(pod.isPresent()).isFalse();
            batch.clear();
            batch.add(100);
            assertThat(port.send(batch.memory(), 0, 100)).isFalse();
            port.release();
        }
    }

    @Test
    void persistentDeviceOutlivesItsPortAndIsOpenedAgain() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final TapOptions options = new TapOptions("eth0", a, MAC_A, 1500, Lifetime.NAMESPACE);
        TapPort.open(options).close();
        assertThat(exists(a, "eth0")).isTrue();

        try (TapPort again = TapPort.open(options);
                TapPort portB = open(b, MAC_B, 1500)) {
            connect(a, "10.9.0.1", b, "10.9.0.2");
            try (Wire wire = new Wire(again, portB)) {
                assertThat(wire.refused.get()).isZero();
                final Process ping =
                        namespaces.start(a, "ping", "-n", "-c", "1", "-W", "5", "10.9.0.2");
                assertThat(TestNamespaces.outputOf(ping)).contains("1 received");
            }
            again.release();
            assertThat(exists(a, "eth0")).isFalse();
        }
    }

    @Test
    void connectionOfThePodSurvivesThatItsPersistentDeviceIsOpenedAgain() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final TapOptions options = new TapOptions("eth0", a, MAC_A, 1500, Lifetime.NAMESPACE);
        try (TapPort portB = open(b, MAC_B, 1500)) {
            TapPort portA = TapPort.open(options);
            connect(a, "10.9.0.1", b, "10.9.0.2");
            final Process client;
            final BufferedReader words;
            try (Wire wire = new Wire(portA, portB)) {
                final Process echo = peer(b, "echo", "10.9.0.2");
                assertThat(echo.inputReader().readLine()).isEqualTo("up");
                client = peer(a, "words", "10.9.0.2", "one", "two");
                words = client.inputReader();
                assertThat(words.readLine()).isEqualTo("one");
                assertThat(wire.refused.get()).isZero();
            }
            portA.close();
            portA = TapPort.open(options);
            connect(a, "10.9.0.1", b, "10.9.0.2");
            try (Wire wire = new Wire(portA, portB);
                    var stdin = client.outputWriter()) {
                stdin.write("\n");
                stdin.flush();
                assertThat(words.readLine()).isEqualTo("two");
                assertThat(wire.frames.get()).isPositive();
            }
            portA.release();
        }
    }

    @Test
    void aDeviceWithQueuesIsOpenedAgainByAnyNumberOfLanesAndNotBesideAnother() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final TapOptions options = new TapOptions("eth0", a, MAC_A, 1500, Lifetime.NAMESPACE);
        for (final int lanes : new int[] {2, 4, 1, 3}) {
            try (TapPort port = TapPort.open(options, lanes);
                    TapPort portB =
                            TapPort.open(
                                    new TapOptions("eth0", b, MAC_B, 1500, Lifetime.PORT), lanes)) {
                assertThat(port.descriptors()).hasSize(lanes);
                assertThat(port.ofLane(lanes - 1).whole()).isSameAs(port);
                assertThat(IpCommand.in(a).query("-d", "link", "show", "dev", "eth0"))
                        .contains("multi_queue numqueues " + lanes + " ");
                assertThatThrownBy(() -> TapPort.open(options, lanes))
                        .isInstanceOf(LinuxException.class)
                        .hasMessage(
                                "device eth0 in network namespace "
                                        + a
                                        + ": another process holds the device");
                connect(a, "10.9.0.1", b, "10.9.0.2");
                assertThat(IpCommand.in(a).query("link", "show", "dev", "eth0"))
                        .contains(" qdisc noqueue ");
                final List<Wire> wires = new ArrayList<>();
                for (int lane = 0; lane < lanes; lane++) {
                    wires.add(new Wire(port.ofLane(lane), portB.ofLane(lane)));
                }
                final boolean isIntact = transfer(a, b, "10.9.0.2");
                wires.forEach(Wire::close);
                assertThat(isIntact).isTrue();
            }
        }
        assertThat(exists(a, "eth0")).isTrue();
        TapPort.open(options, 2).release();
        assertThat(exists(a, "eth0")).isFalse();
    }

    @Test
    void aDeviceForOneLaneIsMadeAnewForMoreUnlessItIsHeld() {
        final NetworkNamespace pod = namespaces.add("a");
        final TapOptions options = new TapOptions("eth0", pod, MAC_A, 1500, Lifetime.NAMESPACE);
        try (TapPort port = TapPort.open(options)) {
            assertThatThrownBy(() -> TapPort.open(options, 2))
                    .isInstanceOf(LinuxException.class)
                    .hasMessageContaining("another process holds the device");
            assertThat(port.descriptors()).hasSize(1);
        }
        try (TapPort port = TapPort.open(options, 2)) {
            assertThat(port.descriptors()).hasSize(2);
            port.release();
        }
        assertThat(exists(pod, "eth0")).isFalse();
    }

    @Test
    void namespaceMayBeGivenByTheIdOfAProcessInIt() throws Exception {
        final Process pod = new ProcessBuilder("unshare", "--net", "sleep", "60").start();
        try {
            final NetworkNamespace own = NetworkNamespace.current();
            NetworkNamespace namespace = NetworkNamespace.ofProcess(pod.pid());
            while (namespace.isSameAs(own)) {
                Thread.onSpinWait();
                namespace = NetworkNamespace.ofProcess(pod.pid());
            }
            try (TapPort port = open(namespace, MAC_A, 1500)) {
                pod("10.9.0.1", "fd00:9::1").apply(namespace);
                assertThat(exists(namespace, "eth0")).isTrue();
                assertThat(port.pollFd()).isNotNegative();
            }
        } finally {
            pod.destroyForcibly();
        }
    }

    @Test
    void deviceHeldByAnotherDescriptorIsRefused() {
        final NetworkNamespace pod = namespaces.add("a");
        final TapOptions options = new TapOptions("eth0", pod, MAC_A, 1500, Lifetime.NAMESPACE);
        try (TapPort port = TapPort.open(options)) {
            assertThatThrownBy(() -> TapPort.open(options))
                    .isInstanceOf(LinuxException.class)
                    .hasMessage(
                            "attach to tap eth0: EBUSY (device or resource busy): another process"
                                    + " holds the device");
            assertThat(exists(pod, "eth0")).isTrue();
            port.release();
        }
    }

    @Test
    void deviceThatIsNotOursIsRefused() {
        final NetworkNamespace pod = namespaces.add("a");
        IpCommand.in(pod).query("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
        assertThatThrownBy(() -> open(pod, MAC_A, 1500))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "device eth0 in network namespace "
                                + pod
                                + ": the name is taken by a device that is not ours: remove it or"
                                + " choose another name");
        assertThat(IpCommand.in(pod).query("-d", "link", "show", "dev", "eth0")).contains("veth");
    }

    @Test
    void refusedStepOfThePodInterfaceIsNamedWithIpsWords() {
        final NetworkNamespace pod = namespaces.add("a");
        final PodInterface without =
                new PodInterface("eth7", "10.9.0.1", null, "169.254.1.1", "fe80::1");
        assertThatThrownBy(() -> IpCommand.in(pod).batch(without.lines()))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "ip addr replace 10.9.0.1/32 dev eth7 in network namespace "
                                + pod
                                + ": Cannot find device \"eth7\"");
    }

    private static TapPort open(final NetworkNamespace pod, final long mac, final int mtu) {
        return TapPort.open(new TapOptions("eth0", pod, mac, mtu, Lifetime.PORT));
    }

    private static PodInterface pod(final String ipv4, final String ipv6) {
        return new PodInterface("eth0", ipv4, ipv6, "169.254.1.1", "fe80::1");
    }

    /** Both ends know each other without a gateway: a cable has none. */
    private static void connect(
            final NetworkNamespace a,
            final String addressA,
            final NetworkNamespace b,
            final String addressB) {
        new PodInterface("eth0", addressA, null, addressB, "fe80::1").apply(a);
        new PodInterface("eth0", addressB, null, addressA, "fe80::1").apply(b);
    }

    /** Sends 64 MiB from one namespace to the other; whether both ends computed the same digest. */
    private boolean transfer(
            final NetworkNamespace from, final NetworkNamespace to, final String address)
            throws Exception {
        final Process server = peer(to, "digest", address);
        final BufferedReader received = server.inputReader();
        assertThat(received.readLine()).isEqualTo("up");
        final Process client = peer(from, "bulk", address, "64");
        final String sent = client.inputReader().readLine();
        return sent != null && sent.startsWith("67108864 ") && sent.equals(received.readLine());
    }

    private Process peer(final NetworkNamespace namespace, final String... arguments)
            throws Exception {
        final Path script =
                Path.of(Objects.requireNonNull(getClass().getResource("peer.py")).toURI());
        final List<String> command = new ArrayList<>(List.of("python3", "-u", script.toString()));
        command.addAll(List.of(arguments));
        return namespaces.start(namespace, command.toArray(String[]::new));
    }

    private static boolean exists(final NetworkNamespace namespace, final String device) {
        return namespace.call(() -> Tun.deviceExists(device));
    }

    private static boolean hostHasEth0() {
        return Path.of("/sys/class/net/eth0").toFile().exists();
    }
}
