package io.sluice.dataplane.port;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.Poller;
import io.sluice.dataplane.linux.Tun;
import io.sluice.dataplane.linux.XdpQueues.Mode;
import io.sluice.dataplane.port.TapOptions.Lifetime;
import java.io.BufferedReader;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** AF_XDP ports against the kernel. Needs root, iproute2, iputils-ping and Python 3. */
@Tag("netns")
@Timeout(60)
final class XdpPortNetnsTest {
    private static final long MAC_A = 0x0253_4c00_0a01L;
    private static final long MAC_B = 0x0253_4c00_0a02L;

    private final TestNamespaces namespaces = new TestNamespaces();
    private final List<XdpPort> opened = new ArrayList<>();

    @AfterEach
    void removeNamespaces() {
        opened.forEach(XdpPort::release);
        namespaces.close();
    }

    @Test
    void podSeesADeviceWithMacMtuAndAddressesAndThePeerIsSealed() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final XdpPort port = open(pod, "a", MAC_A, 1500);
        pod("10.9.0.1", "fd00:9::1").apply(pod);

        assertThat(IpCommand.in(pod).query("addr", "show", "dev", "eth0"))
                .contains("02:53:4c:00:0a:01")
                .contains("mtu 1500")
                .contains("inet 10.9.0.1/32")
                .contains("inet6 fd00:9::1/128");
        assertThat(port.isNative()).isTrue();
        assertThat(port.leavesChecksumsOpen()).isTrue();
        assertThat(IpCommand.here().query("addr", "show", "dev", peer("a")))
                .contains("NOARP")
                .contains("xdp")
                .doesNotContain("inet");
        for (final String setting : new String[] {"rp_filter 1", "forwarding 0"}) {
            final String[] nameAndValue = setting.split(" ", -1);
            assertThat(
                            Files.readString(
                                            Path.of(
                                                    "/proc/sys/net/ipv4/conf",
                                                    peer("a"),
                                                    nameAndValue[0]))
                                    .strip())
                    .isEqualTo(nameAndValue[1]);
        }
    }

    @Test
    void pingPassesBetweenTwoNamespacesAndNothingIsLostAtALowRate() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final XdpPort portA = open(a, "a", MAC_A, 1500);
        final XdpPort portB = open(b, "b", MAC_B, 1500);
        connect(a, "10.9.0.1", b, "10.9.0.2");
        try (Wire wire = new Wire(portA, portB)) {
            final Process ping =
                    namespaces.start(
                            a,
                            "ping",
                            "-n",
                            "-c",
                            "500",
                            "-i",
                            "0.002",
                            "-W",
                            "5",
                            "-s",
                            "1472",
                            "-M",
                            "do",
                            "10.9.0.2");
            assertThat(TestNamespaces.outputOf(ping)).contains("500 received");
            assertThat(wire.refused.get()).isZero();
        }
        assertThat(portA.droppedOnReceive()).isZero();
        assertThat(portB.droppedByDevice()).isZero();
    }

    @Test
    void bulkTcpPassesWithOpenChecksumsPacketByPacket() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final XdpPort portA = open(a, "a", MAC_A, 1500);
        final XdpPort portB = open(b, "b", MAC_B, 1500);
        connect(a, "10.9.0.1", b, "10.9.0.2");
        try (Wire wire = new Wire(portA, portB)) {
            assertThat(transfer(a, b, "10.9.0.2")).isTrue();
            assertThat(wire.longestFrame.get())
                    .isEqualTo(PacketBatch.VNET_HEADER_BYTES + 14 + 1500);
            assertThat(wire.superFrames.get()).isZero();
            assertThat(wire.openChecksums.get()).isGreaterThan(40_000);
        }
    }

    @Test
    void tapAndXdpTalkToEachOtherInBothDirections() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final XdpPort xdp = open(a, "a", MAC_A, 1500);
        try (TapPort tap = TapPort.open(new TapOptions("eth0", b, MAC_B, 1500, Lifetime.PORT))) {
            connect(a, "10.9.0.1", b, "10.9.0.2");
            try (Wire wire = new Wire(xdp, tap)) {
                assertThat(transfer(a, b, "10.9.0.2")).as("XDP to TAP").isTrue();
                assertThat(wire.superFrames.get()).isZero();
                assertThat(transfer(b, a, "10.9.0.1")).as("TAP to XDP").isTrue();
                assertThat(wire.superFrames.get()).isPositive();
                assertThat(xdp.cutFrames()).isPositive();
            }
        }
    }

    @Test
    void packetsLongerThanAChunkPassInPieces() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final XdpPort portA = open(a, "a", MAC_A, 9000);
        final XdpPort portB = open(b, "b", MAC_B, 9000);
        connect(a, "10.9.0.1", b, "10.9.0.2");
        try (Wire wire = new Wire(portA, portB)) {
            final Process ping =
                    namespaces.start(
                            a,
                            "ping",
                            "-n",
                            "-c",
                            "10",
                            "-i",
                            "0.01",
                            "-W",
                            "5",
                            "-s",
                            "8972",
                            "-M",
                            "do",
                            "10.9.0.2");
            assertThat(TestNamespaces.outputOf(ping)).contains("10 received");
            assertThat(wire.longestFrame.get())
                    .isEqualTo(PacketBatch.VNET_HEADER_BYTES + 14 + 9000);
            assertThat(transfer(a, b, "10.9.0.2")).isTrue();
        }
    }

    @Test
    void genericModeAndBusyPollingDoTheSame() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final XdpPort portA =
                open(new XdpOptions(peer("a"), "eth0", a, MAC_A, 1500, 1, Mode.GENERIC, 0));
        final XdpPort portB =
                open(new XdpOptions(peer("b"), "eth0", b, MAC_B, 1500, 1, Mode.AUTO, 20));
        assertThat(portA.isNative()).isFalse();
        assertThat(IpCommand.here().query("link", "show", "dev", peer("a"))).contains("xdpgeneric");
        connect(a, "10.9.0.1", b, "10.9.0.2");
        try (Wire wire = new Wire(portA, portB)) {
            assertThat(transfer(a, b, "10.9.0.2")).as("generic to native").isTrue();
            assertThat(transfer(b, a, "10.9.0.1")).as("native to generic").isTrue();
            assertThat(wire.superFrames.get()).isZero();
            assertThat(wire.openChecksums.get()).isGreaterThan(80_000);
        }
    }

    @Test
    void allQueuesOfADeviceAreReadAndPolledTogether() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final XdpPort port = openQueues(pod, "a", MAC_A, 2);
        assertThat(IpCommand.in(pod).query("-d", "link", "show", "dev", "eth0"))
                .contains("numtxqueues 2");
        new PodInterface("eth0", "10.9.0.1", null, "169.254.1.1", "fe80::1").apply(pod);
        neighbour(pod);
        try (Arena arena = Arena.ofConfined();
                Poller poller = new Poller()) {
            final PacketBatch batch = new PacketBatch(arena);
            poller.watch(port.pollFd());
            assertThat(poller.await(0)).isZero();
            // Each socket's datagrams go by one queue.
            final Process sender = peer(pod, "datagrams", "10.9.0.9", "6400", "18", "64");
            assertThat(TestNamespaces.outputOf(sender)).isEmpty();
            assertThat(poller.await(0)).isOne();
            int received = 0;
            int last;
            do {
                batch.clear();
                last = port.receive(batch);
                received += last;
            } while (last > 0);
            assertThat(received).as("more than one queue holds").isGreaterThan(2_048);
            assertThat(received + port.droppedOnReceive()).isEqualTo(6_400);
            assertThat(poller.await(0)).isZero();
        }
    }

    @Test
    void connectionsPassOverSeveralQueues() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final XdpPort portA = openQueues(a, "a", MAC_A, 4);
        final XdpPort portB = openQueues(b, "b", MAC_B, 2);
        connect(a, "10.9.0.1", b, "10.9.0.2");
        try (Wire wire = new Wire(portA, portB)) {
            assertThat(transfer(a, b, "10.9.0.2")).isTrue();
            assertThat(transfer(b, a, "10.9.0.1")).isTrue();
            assertThat(wire.refused.get()).isZero();
        }
    }

    @Test
    void aPairWithAnotherNumberOfQueuesIsMadeAnewOnceNobodyReadsIt() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final XdpPort before = openQueues(pod, "a", MAC_A, 1);
        assertThatThrownBy(() -> XdpPort.open(options(pod, "a", MAC_A, 1500, 2)))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "change the queues of %s: EBUSY (device or resource busy): another process"
                                + " reads it",
                        peer("a"));
        before.close();
        final XdpPort after = reopen(options(pod, "a", MAC_A, 1500, 2));
        assertThat(after.isNative()).isTrue();
        assertThat(IpCommand.here().query("-d", "link", "show", "dev", peer("a")))
                .contains("numrxqueues 2");
    }

    @Test
    void bothEndsMayBeInTheSwitchesOwnNamespace() throws Exception {
        final String device = peer("u");
        final XdpOptions options =
                new XdpOptions(
                        peer("a"),
                        device,
                        NetworkNamespace.current(),
                        MAC_A,
                        1500,
                        1,
                        Mode.AUTO,
                        0);
        final XdpPort first = open(options);
        final int index = deviceIndex(device);
        first.close();
        final XdpPort second = reopen(options);
        assertThat(deviceIndex(device)).as("found again").isEqualTo(index);
        second.release();
        assertThat(Tun.deviceExists(device)).isFalse();
    }

    private static int deviceIndex(final String device) throws Exception {
        return Integer.parseInt(
                Files.readString(Path.of("/sys/class/net", device, "ifindex")).strip());
    }

    @Test
    void portOfARemovedNamespaceIsGoneWhileItIsUnderLoad() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final XdpPort port = open(pod, "a", MAC_A, 1500);
        new PodInterface("eth0", "10.9.0.1", null, "169.254.1.1", "fe80::1").apply(pod);
        neighbour(pod);
        final Process sender = peer(pod, "datagrams", "10.9.0.9", "100000000", "18");
        try (Arena arena = Arena.ofConfined()) {
            final PacketBatch batch = new PacketBatch(arena);
            awaitFrames(port, batch, 5_000);
            IpCommand.in(pod).query("link", "del", "eth0");
            final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            int received = 0;
            while (received != Port.GONE && System.nanoTime() - deadline < 0) {
                batch.clear();
                received = port.receive(batch);
            }
            assertThat(received).isEqualTo(Port.GONE);
            batch.clear();
            batch.add(100);
            // What is sent now is refused once no frame is free, and nothing hangs.
            int taken = 0;
            while (port.send(batch.memory(), 0, 100)) {
                port.flush();
                taken++;
            }
            assertThat(taken).isLessThanOrEqualTo(1_024);
        }
        sender.destroyForcibly();
        assertThat(Tun.deviceExists(peer("a"))).isFalse();
    }

    @Test
    void floodIsBoundedByTheRingAndCounted() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final XdpPort port = open(pod, "a", MAC_A, 1500);
        new PodInterface("eth0", "10.9.0.1", null, "169.254.1.1", "fe80::1").apply(pod);
        neighbour(pod);
        final Process sender = peer(pod, "datagrams", "10.9.0.9", "5000", "18");
        assertThat(TestNamespaces.outputOf(sender)).isEmpty();
        try (Arena arena = Arena.ofConfined()) {
            final PacketBatch batch = new PacketBatch(arena);
            int received = 0;
            int last;
            do {
                batch.clear();
                last = port.receive(batch);
                received += last;
            } while (last > 0);
            assertThat(received).isEqualTo(2_048);
            assertThat(port.droppedOnReceive()).isEqualTo(5_000 - 2_048);
            assertThat(batch.count()).isZero();
        }
        port.close();
        assertThat(port.lostByKernel()).as("after the end").isEqualTo(5_000 - 2_048);
    }

    @Test
    void framesWaitForAPodWhoseDeviceIsDownAndNothingHangs() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final XdpPort port = open(pod, "a", MAC_A, 1500);
        try (Arena arena = Arena.ofConfined()) {
            final PacketBatch batch = new PacketBatch(arena);
            batch.add(100);
            for (int i = 0; i < 3_000; i++) {
                assertThat(port.send(batch.memory(), 0, 100)).isTrue();
                port.flush();
            }
            assertThat(port.droppedByDevice()).isEqualTo(3_000);
        }
    }

    @Test
    void pairOutlivesItsPortAndIsFoundAgainWithAddressesAndConnections() throws Exception {
        final NetworkNamespace a = namespaces.add("a");
        final NetworkNamespace b = namespaces.add("b");
        final XdpPort portB = open(b, "b", MAC_B, 1500);
        XdpPort portA = open(a, "a", MAC_A, 1500);
        connect(a, "10.9.0.1", b, "10.9.0.2");
        final BufferedReader words;
        final Process client;
        try (Wire wire = new Wire(portA, portB)) {
            final Process echo = peer(b, "echo", "10.9.0.2");
            assertThat(echo.inputReader().readLine()).isEqualTo("up");
            client = peer(a, "words", "10.9.0.2", "one", "two");
            words = client.inputReader();
            assertThat(words.readLine()).isEqualTo("one");
            assertThat(wire.refused.get()).isZero();
        }
        portA.close();
        assertThat(IpCommand.in(a).query("addr", "show", "dev", "eth0")).contains("10.9.0.1");
        portA = reopen(options(a, "a", MAC_A, 1500, 1));
        try (Wire wire = new Wire(portA, portB);
                var stdin = client.outputWriter()) {
            stdin.write("\n");
            stdin.flush();
            assertThat(words.readLine()).isEqualTo("two");
            assertThat(wire.frames.get()).isPositive();
        }
    }

    @Test
    void peerThatSomebodyElseReadsIsRefusedAndStays() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        open(pod, "a", MAC_A, 1500);
        assertThatThrownBy(() -> XdpPort.open(options(pod, "a", MAC_A, 1500, 1)))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "bind an AF_XDP socket to %s: EBUSY (device or resource busy): another"
                                + " process has one there",
                        peer("a"));
        assertThat(Tun.deviceExists(peer("a"))).isTrue();
    }

    @Test
    void deviceThatIsNotOursIsRefused() {
        final NetworkNamespace pod = namespaces.add("a");
        IpCommand.in(pod).query("link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
        assertThatThrownBy(() -> XdpPort.open(options(pod, "a", MAC_A, 1500, 1)))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "device eth0 in network namespace "
                                + pod
                                + ": the name is taken by a device that is not ours: remove it or"
                                + " choose another name");
        assertThat(Tun.deviceExists(peer("a"))).isFalse();
    }

    @Test
    void releaseRemovesBothEnds() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final XdpPort port = open(pod, "a", MAC_A, 1500);
        port.release();
        port.release();
        assertThat(Tun.deviceExists(peer("a"))).isFalse();
        assertThat(pod.call(() -> Tun.deviceExists("eth0"))).isFalse();
    }

    private static void neighbour(final NetworkNamespace pod) {
        IpCommand.in(pod)
                .query(
                        "neigh",
                        "replace",
                        "169.254.1.1",
                        "dev",
                        "eth0",
                        "lladdr",
                        "02:53:4c:00:00:01");
    }

    private static void awaitFrames(final XdpPort port, final PacketBatch batch, final int count) {
        final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        int received = 0;
        while (received < count && System.nanoTime() - deadline < 0) {
            batch.clear();
            received += port.receive(batch);
        }
        assertThat(received).isGreaterThanOrEqualTo(count);
    }

    private XdpPort open(
            final NetworkNamespace pod, final String suffix, final long mac, final int mtu)
            throws XdpUnavailableException {
        return open(options(pod, suffix, mac, mtu, 1));
    }

    private XdpPort openQueues(
            final NetworkNamespace pod, final String suffix, final long mac, final int queues)
            throws XdpUnavailableException {
        return open(options(pod, suffix, mac, 1500, queues));
    }

    private XdpPort open(final XdpOptions options) throws XdpUnavailableException {
        final XdpPort port = XdpPort.open(options);
        opened.add(port);
        return port;
    }

    /** The kernel frees the queue of a closed socket on a work queue, soon but not at once. */
    private XdpPort reopen(final XdpOptions options) throws Exception {
        final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (true) {
            try {
                return open(options);
            } catch (final LinuxException e) {
                if (System.nanoTime() - deadline > 0) {
                    throw e;
                }
                Thread.onSpinWait();
            }
        }
    }

    private static XdpOptions options(
            final NetworkNamespace pod,
            final String suffix,
            final long mac,
            final int mtu,
            final int queues) {
        return new XdpOptions(peer(suffix), "eth0", pod, mac, mtu, queues, Mode.AUTO, 0);
    }

    private static String peer(final String suffix) {
        return "slx" + ProcessHandle.current().pid() + suffix;
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
}
