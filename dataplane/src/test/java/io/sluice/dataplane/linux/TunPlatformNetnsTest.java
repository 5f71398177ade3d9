package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.port.TestNamespaces;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
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
