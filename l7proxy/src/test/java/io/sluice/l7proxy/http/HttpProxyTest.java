package io.sluice.l7proxy.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.Origin;
import io.sluice.l7proxy.ProxyConfig;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.Transport;
import io.sluice.l7proxy.Wire;
import io.sluice.l7proxy.rule.HttpRule;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Requests and answers through real sockets, to a server in this process. */
@ExtendWith(LeakCheck.class)
final class HttpProxyTest {
    static final SideRules PUBLIC_ONLY = side(rule("", "/public(/.*)?"));

    static SideRules side(final HttpRule... rules) {
        return new SideRules(
                false, List.of(RuleStage.ofHttp(List.of(rules), "web/public")), false, "web");
    }

    static HttpRule rule(final String method, final String path) {
        return HttpRule.compile(method, path, "", List.of(), List.of());
    }

    static ProxyHarness proxy(final Origin origin) {
        return proxy(ProxyHarness.CONFIG, origin);
    }

    static ProxyHarness proxy(final ProxyConfig config, final Origin origin) {
        return new ProxyHarness(
                config,
                origin.address(),
                sink -> new HttpProtocol(HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, sink));
    }

    static ProxyConfig with(final Transport transport) {
        final ProxyConfig c = ProxyHarness.CONFIG;
        return new ProxyConfig(
                transport,
                c.loops(),
                c.addressing(),
                c.connectionsMax(),
                c.connectTimeout(),
                c.idleTimeout(),
                c.headTimeout(),
                c.lingerTimeout());
    }

    @ParameterizedTest
    @EnumSource
    void anAllowedRequestPassesUnchangedAndADeniedOneIsAnsweredOnTheSameConnection(
            final Transport transport) throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(with(transport), origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            final String allowed =
                    "GET /public/a HTTP/1.1\r\nhost:  shop \r\nX-Odd-CASE:\tv\r\n\r\n";
            assertThat(client.send(allowed).read().body()).isEqualTo("GET /public/a HTTP/1.1");
            final Wire.Message denied =
                    client.send("GET /secret HTTP/1.1\r\nHost: shop\r\n\r\n").read();
            assertThat(denied.status()).isEqualTo(403);
            assertThat(denied.header("content-type")).isEqualTo("text/plain");
            assertThat(denied.body()).isEqualTo("Access denied\r\n");
            assertThat(client.send(allowed).read().status()).isEqualTo(200);
            assertThat(origin.received()).isEqualTo(allowed + allowed);
            assertThat(origin.peers()).hasSize(1);
            assertThat(proxy.count(ProxyCounter.REQUESTS_FORWARDED)).isEqualTo(2);
            assertThat(proxy.count(ProxyCounter.REQUESTS_DENIED)).isEqualTo(1);
        }
    }

    @Test
    void requestAndAnswerAreReportedWithWhoDecided() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            client.send("GET /public/a?b HTTP/1.1\r\nHost: shop:80\r\n\r\n").read();
            client.send("PUT /other HTTP/1.1\r\nHost: shop\r\n\r\n").read();
            final L7Event request = proxy.event();
            assertThat(request.type()).isEqualTo(L7Event.Type.REQUEST);
            assertThat(request.verdict()).isEqualTo(Verdict.FORWARDED);
            assertThat(request.by()).isEqualTo("web/public");
            assertThat(request.flow().clientIdentity()).isEqualTo(7);
            assertThat(request.detail())
                    .isEqualTo(
                            new L7Event.Http(
                                    "HTTP/1.1",
                                    "GET",
                                    "http://shop:80/public/a?b",
                                    0,
                                    0,
                                    List.of(),
                                    List.of()));
            final L7Event answer = proxy.event();
            assertThat(answer.type()).isEqualTo(L7Event.Type.ANSWER);
            assertThat(answer.detail())
                    .isInstanceOfSatisfying(
                            L7Event.Http.class,
                            http -> {
                                assertThat(http.status()).isEqualTo(200);
                                assertThat(http.latencyNs()).isPositive();
                            });
            final L7Event denied = proxy.event();
            assertThat(denied.verdict()).isEqualTo(Verdict.DENIED);
            assertThat(denied.by()).isEqualTo("web");
            assertThat(proxy.event().type()).isEqualTo(L7Event.Type.ANSWER);
            assertThat(proxy.hasEvent()).isFalse();
        }
    }
}
