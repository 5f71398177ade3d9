package io.sluice.dataplane.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What needs neither root nor another namespace. */
final class NetworkNamespaceTest {
    @Test
    void missingNameIsRefusedWithThePlacesLookedAt() {
        assertThatThrownBy(() -> NetworkNamespace.of("sluice-no-such"))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "network namespace sluice-no-such: not found in /run/netns or"
                                + " /var/run/netns: make it with: ip netns add sluice-no-such");
    }

    @Test
    void wordsThatAreNoNamesAreRefused() {
        assertThatThrownBy(() -> NetworkNamespace.of("..")).hasMessageContaining("not a name");
        assertThatThrownBy(() -> NetworkNamespace.of("")).hasMessageContaining("not a name");
        assertThatThrownBy(() -> NetworkNamespace.of("netns/a"))
                .hasMessage("network namespace netns/a: give a name or an absolute path");
    }

    @Test
    void fileThatIsNoNamespaceIsRefused(@TempDir final Path folder) throws IOException {
        final Path file = Files.createFile(folder.resolve("leftover"));
        assertThatThrownBy(() -> NetworkNamespace.of(file.toString()))
                .isInstanceOf(LinuxException.class)
                .hasMessageContaining("the file is no network namespace");
        assertThatThrownBy(() -> NetworkNamespace.of(folder.resolve("missing").toString()))
                .hasMessageEndingWith("missing: no such file");
    }

    @Test
    void namespaceOfAnotherKindIsRefused() {
        assertThatThrownBy(() -> NetworkNamespace.of("/proc/self/ns/uts"))
                .hasMessageContaining("the file is no network namespace");
    }

    @Test
    void missingProcessIsRefused() {
        // Above the largest process number of Linux, 2^22.
        assertThatThrownBy(() -> NetworkNamespace.ofProcess(4_194_305))
                .hasMessage("network namespace of process 4194305: no such process");
    }

    @Test
    void everyWayToTheOwnNamespaceIsTheSameNamespace() {
        final NetworkNamespace own = NetworkNamespace.current();
        assertThat(own.isSameAs(NetworkNamespace.of("/proc/self/ns/net"))).isTrue();
        assertThat(own.isPresent()).isTrue();
    }
}
