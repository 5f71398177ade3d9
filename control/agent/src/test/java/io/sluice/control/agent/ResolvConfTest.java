package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.IpAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files for the namespaces of endpoints, and whose they are. */
class ResolvConfTest {
    private static final EndpointSpec WEB = endpoint("web", "web-ns");
    private static final SluiceConfig.Resolver RESOLVER =
            SluiceConfig.defaults("node-1").dns().resolver();

    @TempDir private Path folder;
    private boolean isOurs = true;

    private static EndpointSpec endpoint(final String name, final String networkNamespace) {
        return new EndpointSpec(
                "shop",
                name,
                networkNamespace,
                "eth0",
                1500,
                List.of(IpAddress.parse("10.244.0.2").orElseThrow()));
    }

    private ResolvConf resolvConf(final SluiceConfig.Resolver resolver) {
        return new ResolvConf(folder, resolver, () -> isOurs);
    }

    private ResolvConf resolvConf() {
        return resolvConf(RESOLVER);
    }

    private Path file() {
        return folder.resolve("web-ns/resolv.conf");
    }

    private String text() throws IOException {
        return Files.readString(file());
    }

    private void write(final String text) throws IOException {
        Files.createDirectories(file().getParent());
        Files.writeString(file(), text);
    }

    @Test
    void programsOfTheNamespaceFindTheResolverAndTheSearchListOfAPod() throws IOException {
        resolvConf().write(WEB);

        assertThat(text().lines())
                .satisfiesExactly(
                        line -> assertThat(line).startsWith("# sluice wrote this for shop/web "),
                        line -> assertThat(line).isEqualTo("nameserver 10.96.0.10"),
                        line ->
                                assertThat(line)
                                        .isEqualTo(
                                                "search shop.svc.cluster.local svc.cluster.local"
                                                        + " cluster.local"),
                        line -> assertThat(line).isEqualTo("options ndots:5"));
        try (var files = Files.list(file().getParent())) {
            assertThat(files).containsExactly(file());
        }
    }

    @Test
    void itGoesWithTheEndpointAndLeavesNoEmptyFolder() {
        resolvConf().write(WEB);
        resolvConf().remove(WEB);

        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aFileOfSomebodyElseIsNeverTouched() throws IOException {
        write("nameserver 192.0.2.53\n");
        resolvConf().write(WEB);
        assertThat(text()).isEqualTo("nameserver 192.0.2.53\n");
        resolvConf().remove(WEB);
        assertThat(text()).isEqualTo("nameserver 192.0.2.53\n");
    }

    @Test
    void aLinkOfSomebodyElseIsNeverTouchedEither() throws IOException {
        Files.createDirectories(file().getParent());
        Files.createSymbolicLink(file(), folder.resolve("nowhere"));
        resolvConf().write(WEB);
        resolvConf().remove(WEB);

        assertThat(file()).isSymbolicLink();
        assertThat(folder.resolve("nowhere")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "options edns0\n", "\u00ff"})
    void whoChangesOursMakesItTheirs(final String more) throws IOException {
        resolvConf().write(WEB);
        final String changed =
                more.isEmpty() ? text().replace("shop/web", "shop/other") : text() + more;
        write(changed);

        resolvConf().write(WEB);
        resolvConf().remove(WEB);
        assertThat(text()).isEqualTo(changed);
    }

    @Test
    void whatAKilledDaemonLeftIsBroughtUpToDateAndTakenAway() throws IOException {
        resolvConf().write(WEB);
        final SluiceConfig.Resolver other =
                new SluiceConfig.Resolver(
                        List.of(IpAddress.parse("fd00::a").orElseThrow()),
                        List.of(),
                        "example.internal",
                        true);
        resolvConf(other).write(WEB);

        assertThat(text()).contains("nameserver fd00::a\nsearch shop.svc.example.internal ");
        resolvConf(other).remove(WEB);
        assertThat(file()).doesNotExist();
    }

    @Test
    void theFileOfALaterEndpointInTheSameNamespaceStays() throws IOException {
        resolvConf().write(WEB);
        resolvConf().write(endpoint("later", "/run/netns/web-ns"));
        resolvConf().remove(WEB);

        assertThat(text()).contains("for shop/later ");
    }

    @Test
    void otherFilesOfTheFolderStay() throws IOException {
        resolvConf().write(WEB);
        Files.writeString(file().resolveSibling("hosts"), "127.0.0.1 localhost\n");
        resolvConf().remove(WEB);

        assertThat(file().getParent()).isDirectoryContaining("glob:**/hosts");
        assertThat(file()).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"pid:17", "/proc/17/ns/net", "..", ".", "/run/netns/.."})
    void aNamespaceWithoutANameGetsNone(final String networkNamespace) {
        resolvConf().write(endpoint("web", networkNamespace));
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void nothingIsWrittenWhenItIsToldSoOrKubeDnsIsAnother() {
        resolvConf(
                        new SluiceConfig.Resolver(
                                RESOLVER.addresses(), List.of(), "cluster.local", false))
                .write(WEB);
        isOurs = false;
        resolvConf().write(WEB);

        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aFolderThatCannotBeWrittenIsNoReasonToFail() throws IOException {
        Files.writeString(folder.resolve("web-ns"), "a file where the folder ought to be");
        resolvConf().write(WEB);
        resolvConf().remove(WEB);

        assertThat(folder.resolve("web-ns")).isRegularFile();
    }
}
