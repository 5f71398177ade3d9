package io.sluice.dataplane.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.port.TestNamespaces;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What {@link NetworkNamespace} takes for granted about setns(2), /proc and child processes. */
@Tag("netns")
@Timeout(60)
final class NamespacePlatformNetnsTest {
    private final TestNamespaces namespaces = new TestNamespaces();

    @AfterEach
    void removeNamespaces() {
        namespaces.close();
    }

    @Test
    void workInsideSeesOnlyTheNamespacesDevices() {
        final NetworkNamespace pod = namespaces.add("a");
        IpCommand.in(pod).batch(List.of("link add pod0 type veth peer name pod1"));
        assertThat(pod.<Boolean, RuntimeException>call(() -> Tun.deviceExists("pod0"))).isTrue();
        assertThat(Tun.deviceExists("pod0")).as("of the caller's own thread").isFalse();
    }

    @Test
    void sysctlFilesBelongToTheNamespaceOfTheThreadThatOpensThem() throws IOException {
        final NetworkNamespace pod = namespaces.add("a");
        final Path file = Path.of("/proc/sys/net/ipv4/ip_default_ttl");
        final String outside = firstRead(file);
        final String inside =
                pod.call(
                        () -> {
                            Files.writeString(file, "99");
                            return firstRead(file);
                        });
        assertThat(inside).isEqualTo("99");
        assertThat(firstRead(file)).isEqualTo(outside);
    }

    @Test
    void processStartedInsideLivesInTheNamespace() throws IOException {
        final NetworkNamespace pod = namespaces.add("a");
        final String link =
                pod.call(
                        () ->
                                TestNamespaces.outputOf(
                                        new ProcessBuilder("readlink", "/proc/self/ns/net")
                                                .start()));
        assertThat(link.strip()).isEqualTo("net:[" + pod.inode() + "]");
        assertThat(IpCommand.in(pod).query("netns", "identify").strip()).isEqualTo(pod.toString());
    }

    @Test
    void nameUsedAgainIsAnotherNamespaceAndIsNotEntered() throws IOException {
        final NetworkNamespace first = namespaces.add("a");
        // Lives on, so that its inode number is not given to the next one.
        final Process resident = namespaces.start(first, "sh", "-c", "echo in; exec sleep 60");
        assertThat(resident.inputReader().readLine()).isEqualTo("in");
        namespaces.remove(first);
        assertThat(first.isPresent()).isFalse();
        final NetworkNamespace second = namespaces.add("a");
        assertThat(second.isSameAs(first)).isFalse();
        assertThat(first.isPresent()).isFalse();
        assertThatThrownBy(() -> first.call(() -> Tun.deviceExists("lo")))
                .isInstanceOf(LinuxException.class)
                .hasMessage("network namespace " + first + ": gone from /run/netns/" + first);
    }

    @Test
    void whatTheWorkThrowsReachesTheCaller() {
        final NetworkNamespace pod = namespaces.add("a");
        assertThatThrownBy(
                        () ->
                                pod.call(
                                        () -> {
                                            throw new IOException("no");
                                        }))
                .isInstanceOf(IOException.class)
                .hasMessage("no");
    }

    @Test
    void threadsWithoutPrivilegeAreToldWhatIsMissing() {
        final NetworkNamespace pod = namespaces.add("a");
        assertThat(Unprivileged.run(() -> pod.call(() -> Tun.deviceExists("lo"))))
                .hasMessage(
                        "enter network namespace "
                                + pod
                                + ": EPERM (operation not permitted): run as root or with"
                                + " CAP_SYS_ADMIN");
    }

    /** A sysctl file answers its first read(2) only, and Files.readString begins with one byte. */
    private static String firstRead(final Path file) throws IOException {
        try (InputStream stream = Files.newInputStream(file)) {
            final byte[] bytes = new byte[64];
            return new String(bytes, 0, stream.read(bytes), StandardCharsets.US_ASCII).strip();
        }
    }
}
