package io.sluice.l7proxy.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.NetnsTopology;
import io.sluice.l7proxy.ProxyConfig;
import io.sluice.l7proxy.ProxyCounters;
import io.sluice.l7proxy.ProxyServer;
import io.sluice.l7proxy.ProxyServer.Listener;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.Transport;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.ServerNamePattern;
import io.sluice.l7proxy.tls.TlsProtocol;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * curl, nginx and openssl with the proxy between their namespaces: each sees the other's own
 * address, and the proxy's sockets are in the namespace that its loop threads entered.
 */
@Tag("netns")
@ExtendWith(LeakCheck.class)
final class TransparentProxyNetnsTest {
    private static final int HTTP = 8080;
    private static final int HTTPS = 8443;

    @TempDir Path folder;

    private static ProxyServer proxy(final NetnsTopology net, final Transport transport)
            throws Exception {
        final SideRules names =
                new SideRules(
                        false,
                        List.of(
                                RuleStage.ofServerNames(
                                        List.of(ServerNamePattern.compile("*.shop.example")),
                                        "names")),
                        false,
                        "end");
        final FlowRules http = new FlowRules(1, SideRules.ALLOW_ALL, HttpProxyTest.PUBLIC_ONLY);
        final FlowRules https = new FlowRules(1, names, SideRules.ALLOW_ALL);
        return ProxyServer.start(
                new ProxyConfig(
                        transport,
                        2,
                        ProxyConfig.Addressing.TRANSPARENT,
                        1_000,
                        ProxyConfig.DEFAULTS.connectTimeout(),
                        ProxyConfig.DEFAULTS.idleTimeout(),
                        ProxyConfig.DEFAULTS.headTimeout(),
                        ProxyConfig.DEFAULTS.lingerTimeout()),
                List.of(
                        new Listener(
                                any(HTTP),
                                new HttpProtocol(
                                        HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, event -> {})),
                        new Listener(any(HTTPS), new TlsProtocol(event -> {}))),
                (client, local) ->
                        Optional.of(
                                new Flow(
                                        client,
                                        local,
                                        1,
                                        2,
                                        () -> local.getPort() == HTTP ? http : https)),
                new ProxyCounters(),
                net::enterProxy);
    }

    private static InetSocketAddress any(final int port) {
        return new InetSocketAddress(InetAddress.ofLiteral("::"), port);
    }

    @ParameterizedTest
    @EnumSource
    void curlReachesNginxByItsOwnAddress(final Transport transport) throws Exception {
        for (final boolean isV6 : new boolean[] {false, true}) {
            try (NetnsTopology net = new NetnsTopology();
                    ProxyServer proxy = proxy(net, transport);
                    Nginx nginx = Nginx.start(NetnsTopology.server(isV6), HTTP, net.inServer())) {
                assertThat(proxy.addresses()).hasSize(2);
                final byte[] large = new byte[16 << 20];
                new Random(3).nextBytes(large);
                Files.write(nginx.files().resolve("file"), large);
                final String server = "http://" + (isV6 ? "[fd77:2::2]" : "10.77.2.2") + ":" + HTTP;
                final Path fetched = folder.resolve("fetched");
                final Path denied = folder.resolve("denied");
                assertThat(
                                net.runInClient(
                                        "curl",
                                        "-sS",
                                        "-w",
                                        " %{http_code} %{num_connects}\n",
                                        server + "/public/a",
                                        "-o",
                                        "/dev/null",
                                        server + "/secret",
                                        "-o",
                                        denied.toString(),
                                        server + "/public/file",
                                        "-o",
                                        fetched.toString()))
                        .isEqualTo(" 200 1\n 403 0\n 200 0\n");
                assertThat(denied).hasContent("Access denied\r\n");
                assertThat(Files.readAllBytes(fetched)).isEqualTo(large);
                assertThat(nginx.stop())
                        .containsExactly("GET /public/a HTTP/1.1", "GET /public/file HTTP/1.1");
                assertThat(nginx.peers())
                        .extracting(InetAddress::ofLiteral)
                        .containsOnly(NetnsTopology.client(isV6));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void curlReachesTheServerNamesThatItMay(final Transport transport) throws Exception {
        final String key = folder.resolve("key.pem").toString();
        final String certificate = folder.resolve("cert.pem").toString();
        final Process made =
                new ProcessBuilder(
                                "openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:prime256v1",
                                "-nodes",
                                "-days",
                                "1",
                                "-subj",
                                "/CN=www.shop.example",
                                "-keyout",
                                key,
                                "-out",
                                certificate)
                        .redirectErrorStream(true)
                        .start();
        made.getInputStream().readAllBytes();
        assertThat(made.waitFor()).isZero();
        try (NetnsTopology net = new NetnsTopology();
                ProxyServer proxy = proxy(net, transport)) {
            assertThat(proxy.addresses()).hasSize(2);
            final Process server =
                    net.startInServer(
                            "openssl",
                            "s_server",
                            "-accept",
                            String.valueOf(HTTPS),
                            "-www",
                            "-cert",
                            certificate,
                            "-key",
                            key);
            final BufferedReader said =
                    new BufferedReader(
                            new InputStreamReader(server.getInputStream(), StandardCharsets.UTF_8));
            while (!said.readLine().startsWith("ACCEPT")) {}
            assertThat(get(net, "www.shop.example")).contains("200");
            assertThat(get(net, "other.example")).contains("unrecognized name");
            assertThat(get(net, "10.77.2.2")).contains("access denied");
        }
    }

    private static String get(final NetnsTopology net, final String name) throws Exception {
        return net.runInClient(
                "curl",
                "-ksS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "--resolve",
                name + ":" + HTTPS + ":10.77.2.2",
                "https://" + name + ":" + HTTPS + "/");
    }
}
