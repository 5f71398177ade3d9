package io.sluice.l7proxy.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
import io.sluice.l7proxy.rule.CalicoHttpRule;
import io.sluice.l7proxy.rule.CalicoHttpRule.PathMatch;
import io.sluice.l7proxy.rule.HeaderMatch;
import io.sluice.l7proxy.rule.HeaderMatch.OnMismatch;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.rule.ServerNamePattern;
import java.io.IOException;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
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
                                    L7Event.Http.NO_GRPC,
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

    private static String get(final String path) {
        return "GET " + path + " HTTP/1.1\r\nHost: shop\r\n\r\n";
    }

    @Test
    void pipelinedAnswersComeInOrderWhoeverGivesThem() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            final int rounds = 200;
            client.send(
                    (get("/public/a") + get("/no") + get("/no") + get("/public/b")).repeat(rounds));
            for (int i = 0; i < rounds; i++) {
                assertThat(client.read().body()).contains("/public/a");
                assertThat(client.read().status()).isEqualTo(403);
                assertThat(client.read().status()).isEqualTo(403);
                assertThat(client.read().body()).contains("/public/b");
            }
            assertThat(origin.received()).doesNotContain("/no");
        }
    }

    @Test
    void bothSidesMustLetARequestPass() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy =
                        proxy(origin).egress(side(rule("GET", ""))).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/public")).read().status()).isEqualTo(200);
            assertThat(client.send(get("/other")).read().status()).isEqualTo(403);
            assertThat(client.send("DELETE /public HTTP/1.1\r\nHost: shop\r\n\r\n").read().status())
                    .isEqualTo(403);
        }
    }

    @Test
    void auditLetsPassAndReports() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy =
                        proxy(origin)
                                .ingress(
                                        new SideRules(
                                                true, PUBLIC_ONLY.stages(), false, "audited"));
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/other")).read().status()).isEqualTo(200);
            assertThat(proxy.event().verdict()).isEqualTo(Verdict.AUDITED);
            assertThat(proxy.count(ProxyCounter.REQUESTS_AUDITED)).isEqualTo(1);
        }
    }

    @Test
    void aPolicyChangeHoldsForTheNextRequestOfAnOpenConnection() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/public")).read().status()).isEqualTo(200);
            proxy.ingress(side(rule("", "/new")));
            assertThat(client.send(get("/public")).read().status()).isEqualTo(403);
            assertThat(client.send(get("/new")).read().status()).isEqualTo(200);
            assertThat(proxy.count(ProxyCounter.CONNECTIONS_ACCEPTED)).isEqualTo(1);
        }
    }

    @Test
    void aStageThatDoesNotLetPassLeavesItToTheNext() throws Exception {
        final SideRules stages =
                new SideRules(
                        false,
                        List.of(
                                RuleStage.ofCalicoHttp(
                                        List.of(
                                                new CalicoHttpRule(
                                                        List.of("GET"),
                                                        List.of(new PathMatch("/a", true)))),
                                        "first"),
                                RuleStage.ofHttp(List.of(rule("PUT", "")), "second"),
                                RuleStage.ofServerNames(
                                        List.of(ServerNamePattern.compile("*")), "tls only")),
                        false,
                        "end");
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin).ingress(stages);
                Wire client = proxy.connect()) {
            client.send(get("/x/../a/b")).read();
            client.send("PUT /b HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n").read();
            client.send(get("/b")).read();
            final List<String> by = new ArrayList<>();
            for (int i = 0; i < 6; i++) {
                final L7Event event = proxy.event();
                by.add(event.type() + " " + event.verdict() + " " + event.by());
            }
            assertThat(by)
                    .contains(
                            "REQUEST FORWARDED first",
                            "REQUEST FORWARDED second",
                            "REQUEST DENIED end");
        }
    }

    @Test
    void headerRulesEditWhatTheServerGets() throws Exception {
        final HttpRule edits =
                HttpRule.compile(
                        "",
                        "",
                        "",
                        List.of(),
                        List.of(
                                match("X-Add", "a", OnMismatch.ADD),
                                match("X-Drop", "wanted", OnMismatch.DELETE),
                                match("X-Set", "right", OnMismatch.REPLACE),
                                match("X-Log", "seen", OnMismatch.LOG)));
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin).ingress(side(edits));
                Wire client = proxy.connect()) {
            client.send(
                            "GET / HTTP/1.1\r\nx-drop: no\r\nHost: shop\r\nx-set: wrong\r\nX-ADD:"
                                    + " b\r\nX-Set: 2\r\nX-Last:  keep \r\n\r\n")
                    .read();
            assertThat(origin.received())
                    .isEqualTo(
                            "GET / HTTP/1.1\r\nHost: shop\r\nX-ADD: b\r\nX-Last:  keep"
                                    + " \r\nx-add: a\r\nx-set: right\r\n\r\n");
            assertThat(proxy.event().detail())
                    .isInstanceOfSatisfying(
                            L7Event.Http.class,
                            http -> assertThat(http.missing().toString()).contains("x-log=seen"));
        }
    }

    @Test
    void theServerSideSeesTheEditsOfTheClientSide() throws Exception {
        final HttpRule adds =
                HttpRule.compile(
                        "", "", "", List.of(), List.of(match("X-Team", "shop", OnMismatch.ADD)));
        final HttpRule asks = HttpRule.compile("", "", "", List.of("X-Team: shop"), List.of());
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin).egress(side(adds)).ingress(side(asks));
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/")).read().status()).isEqualTo(200);
            proxy.egress(SideRules.ALLOW_ALL);
            assertThat(client.send(get("/")).read().status()).isEqualTo(403);
        }
    }

    @Test
    void anEditThatWouldMoveTheEndOfTheMessageIsDenied() throws Exception {
        for (final HeaderMatch bad :
                List.of(
                        match("Content-Length", "5", OnMismatch.REPLACE),
                        match("Host", "other", OnMismatch.REPLACE),
                        match("X-A", "b\r\nTransfer-Encoding: chunked", OnMismatch.ADD))) {
            try (Origin origin = Origin.echo();
                    ProxyHarness proxy =
                            proxy(origin)
                                    .ingress(
                                            side(
                                                    HttpRule.compile(
                                                            "", "", "", List.of(), List.of(bad))));
                    Wire client = proxy.connect()) {
                assertThat(client.send(get("/")).read().status()).isEqualTo(403);
                assertThat(origin.peers()).isEmpty();
            }
        }
    }

    private static HeaderMatch match(
            final String name, final String value, final OnMismatch onMismatch) {
        return HeaderMatch.of(name, value, Optional.empty(), onMismatch);
    }

    @Test
    void theClientIsToldToGoOnByTheServer() throws Exception {
        final Origin.Service service =
                (socket, in, out) -> {
                    Wire.head(in);
                    out.write("HTTP/1.1 100 Continue\r\n\r\n".getBytes(Wire.LATIN));
                    final String body = new String(in.readNBytes(5), Wire.LATIN);
                    out.write(
                            ("HTTP/1.1 201 Made\r\nContent-Length: 5\r\n\r\n" + body)
                                    .getBytes(Wire.LATIN));
                };
        try (Origin origin = new Origin(service);
                ProxyHarness proxy = proxy(origin).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            client.send(
                    "PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\nExpect:"
                            + " 100-continue\r\n\r\n");
            assertThat(client.readHead()).isEqualTo("HTTP/1.1 100 Continue\r\n\r\n");
            assertThat(client.send("hello").read().body()).isEqualTo("hello");
        }
    }

    @Test
    void answersOfEveryFramingPassUnchanged() throws Exception {
        final String chunked =
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n";
        final String none = "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n";
        final String same = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n";
        final String hints =
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\na";
        for (final String answer : List.of(chunked, none, same, hints)) {
            try (Origin origin = Origin.answering(answer);
                    ProxyHarness proxy = proxy(origin).ingress(SideRules.ALLOW_ALL);
                    Wire client = proxy.connect()) {
                for (int i = 0; i < 3; i++) {
                    assertThat(client.send(get("/")).read(answer.length())).isEqualTo(answer);
                }
            }
        }
    }

    @Test
    void anAnswerToHeadHasNoBodyWhateverItSays() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            client.send("HEAD /public HTTP/1.1\r\nHost: shop\r\n\r\n" + get("/public"));
            assertThat(client.readHead()).contains("Content-Length: 21");
            assertThat(client.read().body()).isEqualTo("GET /public HTTP/1.1");
            client.send("HEAD /no HTTP/1.1\r\nHost: shop\r\n\r\n" + get("/public"));
            assertThat(client.readHead()).startsWith("HTTP/1.1 403 ").contains("length: 15");
            assertThat(client.read().body()).isEqualTo("GET /public HTTP/1.1");
        }
    }

    @Test
    void aBodyThatEndsWithTheConnectionEndsTheClientsToo() throws Exception {
        final String answer = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
        final Origin.Service service =
                (socket, in, out) -> {
                    Wire.head(in);
                    out.write(answer.getBytes(Wire.LATIN));
                };
        try (Origin origin = new Origin(service);
                ProxyHarness proxy = proxy(origin).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/")).readToEnd()).isEqualTo(answer);
        }
    }

    @Test
    void anAnswerThatCannotBeFramedIsNotPassedOn() throws Exception {
        for (final String answer :
                List.of(
                        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding:"
                                + " chunked\r\n\r\n0\r\n\r\n",
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
                        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
                        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
                        "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
                        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
                        "220 mail ESMTP\r\n\r\n")) {
            try (Origin origin = Origin.answering(answer);
                    ProxyHarness proxy = proxy(origin).ingress(SideRules.ALLOW_ALL);
                    Wire client = proxy.connect()) {
                final String got = client.send(get("/")).readToEnd();
                assertThat(got).as(answer).startsWith("HTTP/1.1 502 ").endsWith("understood\r\n");
                assertThat(proxy.count(ProxyCounter.ANSWERS_MALFORMED)).isEqualTo(1);
            }
        }
    }

    /** The body is more than a client that does not read takes, and less than stops the proxy. */
    @Test
    void anAnswerBeforeOneThatCannotBeFramedArrivesWholeAtASlowClient() throws Exception {
        final String first =
                "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                        .formatted(128 << 10, "x".repeat(128 << 10));
        final CountDownLatch cut = new CountDownLatch(1);
        try (Origin origin =
                        new Origin(
                                (socket, in, out) -> {
                                    Wire.head(in);
                                    Wire.head(in);
                                    out.write((first + "nonsense\r\n\r\n").getBytes(Wire.LATIN));
                                    out.flush();
                                    try {
                                        assertThat(in.read()).isNegative();
                                    } catch (final SocketException e) {
                                        // The proxy resets: that is its end, too.
                                    }
                                    cut.countDown();
                                });
                ProxyHarness proxy = proxy(origin).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            client.send(get("/1") + get("/2"));
            cut.await();

            final String got = client.readToEnd();
            assertThat(got).startsWith(first);
            assertThat(got.substring(first.length())).startsWith("HTTP/1.1 502 ");
        }
    }

    @Test
    void anAnswerThatNobodyAwaitsIsNobodysAnswer() throws Exception {
        final String answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        try (Origin origin = Origin.answering(answer + answer);
                ProxyHarness proxy = proxy(origin).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/")).readToEnd()).isEqualTo(answer);
        }
    }

    @Test
    void afterAnUpgradeBytesPassBothWaysUntilPolicyCutsThem() throws Exception {
        final String upgrade =
                "GET /public/ws HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade:"
                        + " websocket\r\n\r\n";
        final String switched =
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection:"
                        + " Upgrade\r\n\r\n";
        try (Origin origin = new Origin(tunnel(switched));
                ProxyHarness proxy = proxy(origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            client.send(upgrade + "early");
            assertThat(client.readHead()).isEqualTo(switched);
            assertThat(client.read(7)).isEqualTo("welcome");
            assertThat(client.read(5)).isEqualTo("early");
            assertThat(client.send("GET /no HT").read(10)).isEqualTo("GET /no HT");
            proxy.ingress(side(rule("", "/public/ws"), rule("", "/more")));
            assertThat(client.send("still").read(5)).isEqualTo("still");
            proxy.ingress(side(rule("", "/more")));
            client.send("gone");
            assertThatThrownBy(client::readToEnd).hasMessageContaining("reset");
            assertThat(proxy.count(ProxyCounter.CONNECTIONS_CUT)).isEqualTo(1);
        }
    }

    /** Answers a head, says welcome, then echoes. */
    private static Origin.Service tunnel(final String answer) {
        return (socket, in, out) -> {
            Wire.head(in);
            out.write((answer + "welcome").getBytes(Wire.LATIN));
            final byte[] buffer = new byte[1024];
            for (int n = in.read(buffer); n > 0; n = in.read(buffer)) {
                out.write(buffer, 0, n);
            }
            out.write("bye".getBytes(Wire.LATIN));
        };
    }

    @Test
    void afterConnectBytesPassAndEndsPassOneByOne() throws Exception {
        final String connect = "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n";
        final String connected = "HTTP/1.1 200 Connected\r\n\r\n";
        try (Origin origin = new Origin(tunnel(connected));
                ProxyHarness proxy = proxy(origin).ingress(side(rule("CONNECT", "db:5432")));
                Wire client = proxy.connect()) {
            assertThat(client.send(connect).readHead()).isEqualTo(connected);
            assertThat(client.send("x").end().readToEnd()).isEqualTo("welcomexbye");
            origin.join();
        }
    }

    @Test
    void aTunnelThatTheServerRefusesStaysHttp() throws Exception {
        try (Origin origin = Origin.answering("HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\nno");
                ProxyHarness proxy =
                        proxy(origin).ingress(side(rule("CONNECT", "db:1"), rule("GET", "/ok")));
                Wire client = proxy.connect()) {
            client.send("CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\n\r\n" + get("/no") + get("/ok"));
            assertThat(client.read().status()).isEqualTo(405);
            assertThat(client.read().status()).isEqualTo(403);
            assertThat(client.read().status()).isEqualTo(405);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aClientThatSendsNothingMoreStillGetsItsAnswers(final Transport transport)
            throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(with(transport), origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            client.send(get("/public/1") + get("/no") + get("/public/2")).end();
            final List<Wire.Message> answers = Wire.answers(client.readToEnd());
            assertThat(answers).extracting(Wire.Message::status).containsExactly(200, 403, 200);
            origin.join();
        }
    }

    @Test
    void aServerThatEndsEndsTheClient() throws Exception {
        try (Origin origin = new Origin((socket, in, out) -> Wire.head(in));
                ProxyHarness proxy = proxy(origin).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/")).readToEnd()).isEmpty();
        }
    }

    @ParameterizedTest
    @EnumSource
    void aResetPassesFromServerToClient(final Transport transport) throws Exception {
        final Origin.Service service =
                (socket, in, out) -> {
                    Wire.head(in);
                    socket.setSoLinger(true, 0);
                };
        try (Origin origin = new Origin(service);
                ProxyHarness proxy = proxy(with(transport), origin).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            client.send(get("/"));
            assertThatThrownBy(client::readToEnd).hasMessageContaining("reset");
            assertThat(proxy.count(ProxyCounter.CONNECTIONS_RESET)).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aResetPassesFromClientToServer(final Transport transport) throws Exception {
        final CompletableFuture<String> seen = new CompletableFuture<>();
        final CountDownLatch arrived = new CountDownLatch(1);
        final Origin.Service service =
                (socket, in, out) -> {
                    Wire.head(in);
                    arrived.countDown();
                    try {
                        seen.complete("end " + in.read());
                    } catch (final SocketException e) {
                        seen.complete(String.valueOf(e.getMessage()));
                    }
                };
        try (Origin origin = new Origin(service);
                ProxyHarness proxy = proxy(with(transport), origin).ingress(SideRules.ALLOW_ALL);
                Wire client = proxy.connect()) {
            client.send(get("/"));
            arrived.await();
            client.reset();
            assertThat(seen.get()).contains("reset");
        }
    }

    @Test
    void aServerThatRefusesIsServiceUnavailable() throws Exception {
        final Origin origin = Origin.echo();
        origin.close();
        try (ProxyHarness proxy = proxy(origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            client.send(get("/no") + get("/public"));
            assertThat(client.read().status()).isEqualTo(403);
            assertThat(client.read().status()).isEqualTo(503);
            assertThat(client.readToEnd()).isEmpty();
            assertThat(proxy.count(ProxyCounter.SERVER_UNREACHABLE)).isEqualTo(1);
        }
    }

    @Test
    void whoIsOverTheLimitOfConnectionsIsReset() throws Exception {
        final ProxyConfig c = ProxyHarness.CONFIG;
        final ProxyConfig one =
                new ProxyConfig(
                        c.transport(),
                        1,
                        c.addressing(),
                        1,
                        c.connectTimeout(),
                        c.idleTimeout(),
                        c.headTimeout(),
                        c.lingerTimeout());
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(one, origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            assertThat(client.send(get("/public")).read().status()).isEqualTo(200);
            // The reset may come before connect has returned, or after.
            assertThatThrownBy(
                            () -> {
                                try (Wire second = proxy.connect()) {
                                    second.send(get("/public")).read();
                                }
                            })
                    .isInstanceOf(IOException.class);
            assertThat(proxy.count(ProxyCounter.CONNECTIONS_OVER_LIMIT)).isEqualTo(1);
            assertThat(client.send(get("/public")).read().status()).isEqualTo(200);
        }
    }

    @ParameterizedTest
    @EnumSource
    void largeBodiesPassBothWaysWhoeverIsSlow(final Transport transport) throws Exception {
        final int length = 24 << 20;
        final byte[] body = new byte[length];
        new Random(7).nextBytes(body);
        final Origin.Service service =
                (socket, in, out) -> {
                    out.write(Wire.head(in).isEmpty() ? new byte[0] : OK.getBytes(Wire.LATIN));
                    out.write(in.readNBytes(length));
                };
        try (Origin origin = new Origin(service);
                ProxyHarness proxy = proxy(with(transport), origin).ingress(PUBLIC_ONLY);
                Wire client = proxy.connect()) {
            client.send(
                    "PUT /public HTTP/1.1\r\nHost: s\r\nContent-Length: " + length + "\r\n\r\n");
            client.socket().getOutputStream().write(body);
            assertThat(client.readHead()).isEqualTo(OK);
            assertThat(client.socket().getInputStream().readNBytes(length)).isEqualTo(body);
        }
    }

    private static final String OK =
            "HTTP/1.1 200 OK\r\nContent-Length: " + (24 << 20) + "\r\n\r\n";

    @Test
    void severalLoopsListenOnOneAddressAfterTheirThreadsWereMadeReady() throws Exception {
        final ProxyConfig c = ProxyHarness.CONFIG;
        final ProxyConfig four =
                new ProxyConfig(
                        c.transport(),
                        4,
                        c.addressing(),
                        c.connectionsMax(),
                        c.connectTimeout(),
                        c.idleTimeout(),
                        c.headTimeout(),
                        c.lingerTimeout());
        try (Origin origin = Origin.echo();
                ProxyHarness proxy = proxy(four, origin).ingress(PUBLIC_ONLY)) {
            assertThat(proxy.readyThreads()).hasSize(4);
            for (int i = 0; i < 32; i++) {
                try (Wire client = proxy.connect()) {
                    assertThat(client.send(get("/public")).read().status()).isEqualTo(200);
                }
            }
        }
    }
}
