package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.port.TestNamespaces;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What {@link Tun} and TapPort take for granted about drivers/net/tun.c. */
@Tag("netns")
@Timeout(60)
final class TunPlatformNetnsTest {
    private final TestNamespaces namespaces = new TestNamespaces();
    private final Arena arena = Arena.ofConfined();
    private final MemorySegment frame = arena.allocate(2048, 8);
    private int frameBytes;
    private int framesRead;

    @AfterEach
    void removeNamespaces() {
        namespaces.close();
        arena.close();
    }

    @Test
    void deviceMovedIntoANamespaceEndsWithIt() {
        final NetworkNamespace pod = namespaces.add("a");
        final String name = "sl-t" + ProcessHandle.current().pid();
        try (Tun tun = Tun.open(name)) {
            IpCommand.here().batch(List.of("link set dev " + name + " netns " + pod.path()));
            assertThat(Errno.EAGAIN.is(read(tun))).isTrue();
            namespaces.remove(pod);
            // The kernel removes namespaces on a work queue, soon but not at once.
            final long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            while (Errno.EAGAIN.is(read(tun)) && System.nanoTime() - deadline < 0) {
                Thread.onSpinWait();
            }
            assertThat(Errno.EBADFD.is(read(tun))).isTrue();
        }
    }

    @Test
    void descriptorOpenedInANamespaceHoldsIt() {
        final NetworkNamespace pod = namespaces.add("a");
        final NetworkNamespace witness = namespaces.add("b");
        final String name = "sl-t" + ProcessHandle.current().pid();
        try (Tun inside = pod.<Tun, RuntimeException>call(() -> Tun.open("eth0"));
                Tun moved = Tun.open(name)) {
            IpCommand.here().batch(List.of("link set dev " + name + " netns " + witness.path()));
            // Removed in this order: once the second is gone, the first has had its turn.
            namespaces.remove(pod);
            namespaces.remove(witness);
            while (Errno.EAGAIN.is(read(moved))) {
                Thread.onSpinWait();
            }
            assertThat(Errno.EAGAIN.is(read(inside))).as("eth0 is still there").isTrue();
        }
    }

    @Test
    void deviceThatIsDownRefusesFramesWithEio() {
        final NetworkNamespace pod = namespaces.add("a");
        try (Tun tun = pod.<Tun, RuntimeException>call(() -> Tun.open("eth0"))) {
            assertThat(Errno.EIO.is(tun.write(frame.address(), 10 + 60))).isTrue();
            IpCommand.in(pod).query("link", "set", "dev", "eth0", "up");
            assertThat(tun.write(frame.address(), 10 + 60)).isEqualTo(70);
        }
    }

    @Test
    void headerThatContradictsItsFrameIsRefusedWithEinval() {
        final NetworkNamespace pod = namespaces.add("a");
        try (Tun tun = pod.<Tun, RuntimeException>call(() -> Tun.open("eth0"))) {
            IpCommand.in(pod).query("link", "set", "dev", "eth0", "up");
            // NEEDS_CSUM with a checksum behind the end of the frame.
            frame.set(JAVA_BYTE, 0, (byte) 1);
            frame.set(JAVA_BYTE, 7, (byte) 0x70);
            assertThat(Errno.EINVAL.is(tun.write(frame.address(), 10 + 60))).isTrue();
        }
    }

    @Test
    void largestAndSmallestMtuAreTheKernelsOwn() {
        final NetworkNamespace pod = namespaces.add("a");
        try (Tun tun = pod.<Tun, RuntimeException>call(() -> Tun.open("eth0"))) {
            final IpCommand ip = IpCommand.in(pod);
            ip.query("link", "set", "dev", "eth0", "mtu", Integer.toString(Tun.MTU_MAX));
            ip.query("link", "set", "dev", "eth0", "mtu", Integer.toString(Tun.MTU_MIN));
            assertThatThrownBy(
                            () ->
                                    ip.query(
                                            "link",
                                            "set",
                                            "dev",
                                            "eth0",
                                            "mtu",
                                            Integer.toString(Tun.MTU_MAX + 1)))
                    .hasMessageContaining("mtu greater than device maximum");
            assertThat(tun.fd()).isNotNegative();
        }
    }

    /** What lanes rely on: a lane that had a flow's first packet gets the answers. */
    @Test
    void aFlowComesOutOfTheQueueIntoWhichItsOtherDirectionWasWritten() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final List<Tun> queues = openQueues(pod, 4);
        final Set<Integer> before = new TreeSet<>();
        for (int port = 4000; port < 4032; port++) {
            try (DatagramSocket socket = socket(pod, port)) {
                send(socket, 100);
                final int hashed = onlyQueueWithFrames(queues);
                before.add(hashed);
                final int other = (hashed + 1) % queues.size();
                turnRound();
                assertThat(queues.get(other).write(frame.address(), frameBytes))
                        .isEqualTo(frameBytes);

                send(socket, 100);
                assertThat(onlyQueueWithFrames(queues)).isEqualTo(other);
                send(socket, 100);
                assertThat(onlyQueueWithFrames(queues)).isEqualTo(other);
            }
        }
        assertThat(before).as("flows are dealt out").hasSizeGreaterThan(1);
        queues.forEach(Tun::close);
    }

    /** What each lane's own table of fragments relies on. */
    @Test
    void allFragmentsOfADatagramComeOutOfOneQueue() throws Exception {
        final NetworkNamespace pod = namespaces.add("a");
        final List<Tun> queues = openQueues(pod, 4);
        for (int port = 4000; port < 4032; port++) {
            try (DatagramSocket socket = socket(pod, port)) {
                send(socket, 5000);
                assertThat(onlyQueueWithFrames(queues)).isNotNegative();
                assertThat(framesRead).as("fragments").isEqualTo(4);
            }
        }
        queues.forEach(Tun::close);
    }

    /** Else a device of ours in use would look free. */
    @Test
    void aDeviceTellsHowManyOfItsQueuesAreOpen() {
        final NetworkNamespace pod = namespaces.add("a");
        final IpCommand ip = IpCommand.in(pod);
        final List<Tun> queues = openQueues(pod, 3);
        queues.getFirst().persist();
        assertThat(ip.query("-d", "link", "show", "dev", "eth0"))
                .contains("multi_queue numqueues 3 ");
        queues.forEach(Tun::close);
        assertThat(ip.query("-d", "link", "show", "dev", "eth0"))
                .contains("multi_queue numqueues 0 ");
    }

    private static List<Tun> openQueues(final NetworkNamespace pod, final int count) {
        final List<Tun> queues =
                pod.<List<Tun>, RuntimeException>call(() -> Tun.openQueues("eth0", count));
        final IpCommand ip = IpCommand.in(pod);
        pod.<@Nullable Void, RuntimeException>call(
                () -> {
                    write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1");
                    return null;
                });
        ip.takeQueueingDiscipline("eth0");
        ip.batch(
                List.of(
                        "addr add 10.9.0.1/24 dev eth0",
                        "link set dev eth0 up",
                        "neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev eth0"));
        return queues;
    }

    private static void write(final String file, final String text) {
        try {
            Files.writeString(Path.of(file), text);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static DatagramSocket socket(final NetworkNamespace pod, final int port)
            throws Exception {
        return pod.<DatagramSocket, IOException>call(
                () -> new DatagramSocket(port, InetAddress.ofLiteral("10.9.0.1")));
    }

    private static void send(final DatagramSocket socket, final int bytes) throws IOException {
        socket.send(
                new DatagramPacket(
                        new byte[bytes], bytes, InetAddress.ofLiteral("10.9.0.2"), 4000));
    }

    /** Reads everything; the last frame stays in {@link #frame}. */
    private int onlyQueueWithFrames(final List<Tun> queues) {
        int found = -1;
        framesRead = 0;
        for (int i = 0; i < queues.size(); i++) {
            for (long read = read(queues.get(i)); read > 0; read = read(queues.get(i))) {
                assertThat(found).as("queue beside " + i).isIn(-1, i);
                found = i;
                frameBytes = (int) read;
                framesRead++;
            }
        }
        assertThat(framesRead).isPositive();
        return found;
    }

    /** The frame as the other side would send it: addresses and ports change places. */
    private void turnRound() {
        swap(10, 6);
        swap(10 + 14 + 12, 4);
        swap(10 + 14 + 20, 2);
    }

    private void swap(final long at, final int bytes) {
        for (int i = 0; i < bytes; i++) {
            final byte first = frame.get(JAVA_BYTE, at + i);
            frame.set(JAVA_BYTE, at + i, frame.get(JAVA_BYTE, at + bytes + i));
            frame.set(JAVA_BYTE, at + bytes + i, first);
        }
    }

    @Test
    void nameOfAnotherKindOfDeviceIsRefused() {
        final NetworkNamespace pod = namespaces.add("a");
        assertThatThrownBy(() -> pod.<Tun, RuntimeException>call(() -> Tun.open("lo")))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "attach to tap lo: EINVAL (invalid argument): the name is taken by a device"
                                + " of another kind, or is no device name");
    }

    @Test
    void missingCloneDeviceIsNamedWithARemedy(@TempDir final Path folder) {
        final Path missing = folder.resolve("tun");
        assertThatThrownBy(() -> Tun.open(missing, "eth0"))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "open "
                                + missing
                                + ": ENOENT (no such file or directory): load the kernel module"
                                + " (modprobe tun); in a container, pass the device in");
    }

    @Test
    void threadsWithoutPrivilegeAreToldWhatIsMissing() {
        assertThat(Unprivileged.run(() -> Tun.open("sl-nobody").close()))
                .isInstanceOf(LinuxException.class)
                .hasMessageMatching(
                        "(open /dev/net/tun: EACCES \\(permission denied\\)|attach to tap sl-nobody:"
                                + " EPERM \\(operation not permitted\\)): run as root or with"
                                + " CAP_NET_ADMIN");
    }

    private long read(final Tun tun) {
        return tun.read(frame.address(), (int) frame.byteSize());
    }
}
