package io.sluice.l7proxy.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.Origin;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.Wire;
import io.sluice.l7proxy.rule.HttpRule;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Every line of {@code torture.txt}: nothing denied or refused ever reaches a server. */
@ExtendWith(LeakCheck.class)
final class HttpTortureTest {
    private static final String PROBE = "GET /public/probe HTTP/1.1\r\nHost: shop\r\n\r\n";
    private static final int CASES_LEAST = 60;

    @Test
    void theTableIsThere() throws Exception {
        assertThat(TortureCase.all()).hasSizeGreaterThan(CASES_LEAST).doesNotHaveDuplicates();
    }

    @Test
    void onlyAllowedBytesReachTheServerAndAllOfThem() throws Exception {
        final StringBuilder expected = new StringBuilder();
        try (Origin origin = Origin.echo()) {
            try (ProxyHarness proxy =
                    HttpProxyTest.proxy(origin).ingress(HttpProxyTest.PUBLIC_ONLY)) {
                for (final TortureCase torture : TortureCase.all()) {
                    if (!torture.isPartial()) {
                        run(torture, proxy, List.of(torture.bytes()));
                        expected.append(torture.forwarded())
                                .append(torture.staysOpen() ? PROBE : "");
                        assertThat(origin.received())
                                .as(torture.name())
                                .isEqualTo(expected.toString());
                    }
                }
            }
            origin.join();
            assertThat(origin.received()).isEqualTo(expected.toString());
        }
    }

    /** Where the bytes are cut must not matter. */
    @Test
    void byteByByteTheAnswersAreTheSame() throws Exception {
        try (Origin origin = Origin.echo()) {
            try (ProxyHarness proxy =
                    HttpProxyTest.proxy(origin).ingress(HttpProxyTest.PUBLIC_ONLY)) {
                for (final TortureCase torture : TortureCase.all()) {
                    if (torture.bytes().length() < 1_000) {
                        run(
                                torture,
                                proxy,
                                torture.bytes().chars().mapToObj(HttpTortureTest::text).toList());
                    }
                }
            }
            origin.join();
            // Connection by connection: what is broken late has been forwarded up to there.
            for (final String connection : origin.receivedByConnection()) {
                assertThat(Wire.requestLines(connection))
                        .noneMatch(firstLine -> firstLine.contains("/secret"));
            }
        }
    }

    private static String text(final int c) {
        return String.valueOf((char) c);
    }

    @Test
    void ofARequestThatIsBrokenLateNoServerSeesTheEnd() throws Exception {
        for (final TortureCase torture : TortureCase.all()) {
            if (torture.isPartial()) {
                try (Origin origin = Origin.echo()) {
                    try (ProxyHarness proxy =
                            HttpProxyTest.proxy(origin).ingress(HttpProxyTest.PUBLIC_ONLY)) {
                        run(torture, proxy, List.of(torture.bytes()));
                    }
                    origin.join();
                    assertThat(torture.bytes()).startsWith(origin.received());
                    assertThat(origin.received().length()).isLessThan(torture.bytes().length());
                }
            }
        }
    }

    @Test
    @Tag("netns")
    void nginxSeesTheAllowedRequestsAndNoOther() throws Exception {
        final List<String> expected = new ArrayList<>();
        try (Nginx nginx = Nginx.start()) {
            try (ProxyHarness proxy =
                    new ProxyHarness(
                                    ProxyHarness.CONFIG,
                                    nginx.address(),
                                    sink ->
                                            new HttpProtocol(
                                                    HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, sink))
                            .ingress(HttpProxyTest.PUBLIC_ONLY)) {
                for (final TortureCase torture : TortureCase.all()) {
                    if (torture.isPartial()) {
                        /* nginx answers before it has read a body. */
                        continue;
                    }
                    run(torture, proxy, List.of(torture.bytes()));
                    expected.addAll(torture.forwardedLines());
                    if (torture.staysOpen()) {
                        expected.add("GET /public/probe HTTP/1.1");
                    }
                }
            }
            assertThat(nginx.stop()).containsExactlyElementsOf(expected);
        }
    }

    private static void run(
            final TortureCase torture, final ProxyHarness proxy, final List<String> pieces)
            throws IOException {
        final List<Integer> statuses = new ArrayList<>();
        try (Wire client = proxy.connect()) {
            send(client, pieces);
            if (torture.staysOpen()) {
                while (statuses.size() < torture.statuses().size()) {
                    statuses.add(client.read().status());
                }
                assertThat(client.send(PROBE).read().status()).as(torture.name()).isEqualTo(200);
            } else {
                Wire.answers(client.readToEnd()).forEach(answer -> statuses.add(answer.status()));
            }
        } catch (final IOException failed) {
            throw new IOException(torture.name() + ": " + failed, failed);
        }
        assertThat(statuses).as(torture.name()).isEqualTo(torture.statuses());
    }

    /** A refusal may come before everything is sent; the rest is then not taken. */
    private static void send(final Wire client, final List<String> pieces) throws IOException {
        for (final String piece : pieces) {
            try {
                client.send(piece);
            } catch (final java.net.SocketException refused) {
                return;
            }
        }
    }
}
