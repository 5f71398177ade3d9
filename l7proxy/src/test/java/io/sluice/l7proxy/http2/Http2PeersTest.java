package io.sluice.l7proxy.http2;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.http.Nginx;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** curl, nghttp and h2load before the proxy, nginx and Netty behind it. */
@Tag("netns")
@ExtendWith(LeakCheck.class)
final class Http2PeersTest {
    @TempDir Path folder;

    private static String run(final String... command) throws IOException, InterruptedException {
        final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        final String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        process.waitFor();
        return output;
    }

    private static String url(final ProxyHarness proxy, final String path) {
        return "http://127.0.0.1:" + proxy.address().getPort() + path;
    }

    @Test
    void curlReachesNginxWithPriorKnowledge() throws Exception {
        try (Nginx nginx = Nginx.startHttp2();
                ProxyHarness proxy = Http2ProxyTest.proxy(nginx.address())) {
            final byte[] large = new byte[16 << 20];
            new Random(3).nextBytes(large);
            Files.write(nginx.files().resolve("file"), large);
            final Path fetched = folder.resolve("fetched");
            // One at a time: curl 7.88 cannot use such a connection again, with or without a proxy.
            assertThat(curl(url(proxy, "/public/a"), "-")).isEqualTo("ok 2 200\n");
            assertThat(curl(url(proxy, "/secret"), "-")).isEqualTo("Access denied\r\n 2 403\n");
            assertThat(curl(url(proxy, "/public/file"), fetched.toString())).isEqualTo(" 2 200\n");
            assertThat(fetched).hasBinaryContent(large);
            assertThat(nginx.stop())
                    .containsExactly("GET /public/a HTTP/2.0", "GET /public/file HTTP/2.0");
        }
    }

    private static String curl(final String url, final String output)
            throws IOException, InterruptedException {
        return run(
                "curl",
                "-sS",
                "--http2-prior-knowledge",
                "-w",
                " %{http_version} %{http_code}\n",
                "-o",
                output,
                url);
    }

    @Test
    void curlUploadsThroughTheWindows() throws Exception {
        final Path file = folder.resolve("large");
        Files.write(file, new byte[8 << 20]);
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address())) {
            assertThat(
                            run(
                                    "curl",
                                    "-sS",
                                    "--http2-prior-knowledge",
                                    "--data-binary",
                                    "@" + file,
                                    url(proxy, "/public/up")))
                    .isEqualTo("POST /public/up " + (8 << 20));
        }
    }

    @Test
    void curlUpgradesAnAllowedRequest() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address())) {
            assertThat(
                            run(
                                    "curl",
                                    "-sS",
                                    "--http2",
                                    "-w",
                                    " %{http_version} %{http_code} %{num_connects}\n",
                                    url(proxy, "/public/a"),
                                    url(proxy, "/secret"),
                                    url(proxy, "/public/b")))
                    .isEqualTo(
                            """
                            GET /public/a 0 2 200 1
                            Access denied\r
                             2 403 0
                            GET /public/b 0 2 200 0
                            """);
            assertThat(origin.asked()).containsExactly("GET /public/a", "GET /public/b");
        }
    }

    @Test
    void curlIsDeniedAnUpgradeAndStaysWithHttp1() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address())) {
            assertThat(
                            run(
                                    "curl",
                                    "-sS",
                                    "--http2",
                                    "-w",
                                    " %{http_version} %{http_code}\n",
                                    url(proxy, "/secret")))
                    .isEqualTo("Access denied\r\n 1.1 403\n");
            assertThat(origin.asked()).isEmpty();
        }
    }

    @Test
    void nghttpFetchesManyAtOnce() throws Exception {
        try (Nginx nginx = Nginx.startHttp2();
                ProxyHarness proxy = Http2ProxyTest.proxy(nginx.address())) {
            final String output =
                    run("nghttp", "-m", "50", "-v", url(proxy, "/public/a"), url(proxy, "/secret"));
            assertThat(output.lines().filter(line -> line.contains(":status: 200"))).hasSize(50);
            assertThat(output.lines().filter(line -> line.contains(":status: 403"))).hasSize(50);
            assertThat(nginx.stop())
                    .containsExactlyElementsOf(Collections.nCopies(50, "GET /public/a HTTP/2.0"));
        }
    }

    @Test
    void h2loadLosesNothing() throws Exception {
        try (Nginx nginx = Nginx.startHttp2();
                ProxyHarness proxy = Http2ProxyTest.proxy(nginx.address())) {
            Files.write(nginx.files().resolve("file"), new byte[100_000]);
            for (final List<String> round :
                    List.of(
                            List.of("/public/a", "2000 2xx, 0 3xx, 0 4xx"),
                            List.of("/public/file", "2000 2xx, 0 3xx, 0 4xx"),
                            List.of("/secret", "0 2xx, 0 3xx, 2000 4xx"))) {
                assertThat(run("h2load", "-n2000", "-c8", "-m20", url(proxy, round.getFirst())))
                        .contains("2000 done, ")
                        .contains("0 errored, 0 timeout")
                        .contains(round.getLast());
            }
            assertThat(proxy.count(ProxyCounter.REQUESTS_FORWARDED)).isEqualTo(4_000);
            assertThat(proxy.count(ProxyCounter.REQUESTS_DENIED)).isEqualTo(2_000);
        }
    }
}
