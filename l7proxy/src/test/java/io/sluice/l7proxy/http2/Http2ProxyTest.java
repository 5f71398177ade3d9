package io.sluice.l7proxy.http2;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2Settings;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.Origin;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.Wire;
import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http.HttpProtocol;
import io.sluice.l7proxy.http2.Http2Wire.Frame;
import io.sluice.l7proxy.rule.HeaderMatch;
import io.sluice.l7proxy.rule.HeaderMatch.OnMismatch;
import io.sluice.l7proxy.rule.HttpRule;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Streams through real sockets: frames as they are on one side, Netty's server on the other. */
@ExtendWith(LeakCheck.class)
final class Http2ProxyTest {
    static final SideRules PUBLIC_ONLY =
            side(
                    HttpRule.compile(
                            "GET|POST|HEAD|OPTIONS", "/public(/.*)?", "", List.of(), List.of()));

    static SideRules side(final HttpRule... rules) {
        return new SideRules(
                false, List.of(RuleStage.ofHttp(List.of(rules), "web/public")), false, "web");
    }

    static ProxyHarness proxy(final InetSocketAddress origin) {
        return proxy(origin, Http2Limits.DEFAULTS);
    }

    static ProxyHarness proxy(final InetSocketAddress origin, final Http2Limits limits) {
        return new ProxyHarness(
                        ProxyHarness.CONFIG,
                        origin,
                        sink ->
                                new HttpProtocol(
                                        HttpLimits.DEFAULTS, limits, HttpRule.NO_SECRETS, sink))
                .ingress(PUBLIC_ONLY);
    }

    @Test
    void aDeniedStreamIsAnsweredWhileOthersGoOn() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    1,
                    Http2Wire.request("POST", "/public/a"));
            assertThat(origin.event()).isEqualTo("POST /public/a");
            client.get(3, "/secret");
            final Frame head = client.readNext(Http2Wire.HEADERS);
            assertThat(head.id()).isEqualTo(3);
            final Http2Headers denied = client.decode(head);
            assertThat(denied.status()).hasToString("403");
            assertThat(denied.get("content-type")).hasToString("text/plain");
            final Frame body = client.readNext(Http2Wire.DATA);
            assertThat(body.payload()).isEqualTo("Access denied\r\n");
            assertThat(body.isEnd()).isTrue();
            client.send(Http2Wire.DATA, Http2Wire.END_STREAM, 1, "hello");
            assertThat(client.outcome(1)).isEqualTo("200");
            assertThat(client.readNext(Http2Wire.DATA).payload()).isEqualTo("POST /public/a 5");
            assertThat(origin.asked()).containsExactly("POST /public/a");
            assertThat(proxy.count(ProxyCounter.REQUESTS_FORWARDED)).isEqualTo(1);
            assertThat(proxy.count(ProxyCounter.REQUESTS_DENIED)).isEqualTo(1);
            assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isEqualTo(1);
        }
    }

    @Test
    void aDeniedRequestWithABodyIsAnsweredAndItsRestDropped() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    1,
                    Http2Wire.request("POST", "/secret"));
            assertThat(client.outcome(1)).isEqualTo("403");
            assertThat(client.readNext(Http2Wire.RST_STREAM).number(0))
                    .isEqualTo((int) Http2Error.NO_ERROR.code());
            client.send(Http2Wire.DATA, Http2Wire.NONE, 1, "late")
                    .send(Http2Wire.HEADERS, Http2Wire.WHOLE, 1, Http2Wire.fields("a b"))
                    .get(3, "/public");
            assertThat(client.outcome(3)).isEqualTo("200");
            assertThat(origin.asked()).containsExactly("GET /public");
        }
    }

    /** Their answers are more than a connection's window: not the server's, which gets nothing. */
    @Test
    void howeverManyAreDeniedTheServerHearsNothing() throws Exception {
        final Http2Limits narrow =
                new Http2Limits(100, 65_536, 200, 64, 65_535, 65_535, 10, 10, 10, 10, 10);
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address(), narrow);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(Http2Wire.WINDOW_UPDATE, Http2Wire.NONE, 0, Http2Wire.number(10_000_000));
            int id = 1;
            for (int i = 0; i < 5_000; i++) {
                assertThat(client.get(id, "/secret").outcome(id)).isEqualTo("403");
                id += 2;
            }
            assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isZero();
            assertThat(proxy.count(ProxyCounter.BYTES_TO_SERVER)).isZero();
            assertThat(client.get(id, "/public").outcome(id)).isEqualTo("200");
        }
    }

    @Test
    void requestAndAnswerAreReported() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            client.get(1, "/public/a?b").outcome(1);
            final L7Event request = proxy.event();
            assertThat(request.verdict()).isEqualTo(Verdict.FORWARDED);
            assertThat(request.by()).isEqualTo("web/public");
            assertThat(request.detail())
                    .isEqualTo(
                            new L7Event.Http(
                                    "HTTP/2",
                                    "GET",
                                    "http://shop/public/a?b",
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
            client.get(3, "/secret").outcome(3);
            assertThat(proxy.event().verdict()).isEqualTo(Verdict.DENIED);
            assertThat(proxy.event().type()).isEqualTo(L7Event.Type.ANSWER);
            assertThat(proxy.hasEvent()).isFalse();
        }
    }

    @Test
    void auditLetsPassAndReports() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy =
                        proxy(origin.address())
                                .ingress(
                                        new SideRules(
                                                true, PUBLIC_ONLY.stages(), false, "audited"));
                Http2Wire client = Http2Wire.to(proxy)) {
            assertThat(client.get(1, "/secret").outcome(1)).isEqualTo("200");
            assertThat(proxy.event().verdict()).isEqualTo(Verdict.AUDITED);
        }
    }

    @Test
    void aPolicyChangeHoldsForTheNextStream() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            assertThat(client.get(1, "/public").outcome(1)).isEqualTo("200");
            proxy.ingress(side(HttpRule.compile("", "/new", "", List.of(), List.of())));
            assertThat(client.get(3, "/public").outcome(3)).isEqualTo("403");
            assertThat(client.get(5, "/new").outcome(5)).isEqualTo("200");
            assertThat(proxy.count(ProxyCounter.CONNECTIONS_ACCEPTED)).isEqualTo(1);
        }
    }

    @Test
    void headersAreEditedAsRulesSay() throws Exception {
        final SideRules edits =
                side(
                        HttpRule.compile(
                                "",
                                "/public",
                                "",
                                List.of(),
                                List.of(
                                        HeaderMatch.of(
                                                "X-Added", "1", Optional.empty(), OnMismatch.ADD),
                                        HeaderMatch.of(
                                                "X-Gone", "a", Optional.empty(), OnMismatch.DELETE),
                                        HeaderMatch.of(
                                                "X-Put",
                                                "new",
                                                Optional.empty(),
                                                OnMismatch.REPLACE))));
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address()).ingress(edits);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.WHOLE,
                    1,
                    Http2Wire.request("GET", "/public", "x-gone b", "x-put old", "x-kept k"));
            assertThat(client.outcome(1)).isEqualTo("200");
            final Http2Headers seen = origin.requests().getFirst();
            assertThat(seen.get("x-added")).hasToString("1");
            assertThat(seen.contains("x-gone")).isFalse();
            assertThat(seen.getAll("x-put")).hasToString("[new]");
            assertThat(seen.get("x-kept")).hasToString("k");
        }
    }

    @Test
    void aHeadInManyFramesPasses() throws Exception {
        final String value = "v".repeat(40_000);
        try (Http2Origin origin = new Http2Origin(new Http2Settings().maxHeaderListSize(65_536));
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            final String block = Http2Wire.request("GET", "/public", "x-long " + value);
            client.send(Http2Wire.HEADERS, Http2Wire.END_STREAM, 1, block.substring(0, 10));
            for (int i = 10; i < block.length(); i += 1_000) {
                final int end = Math.min(i + 1_000, block.length());
                client.send(
                        Http2Wire.CONTINUATION,
                        end == block.length() ? Http2Wire.END_HEADERS : Http2Wire.NONE,
                        1,
                        block.substring(i, end));
            }
            assertThat(client.outcome(1)).isEqualTo("200");
            assertThat(origin.requests().getFirst().get("x-long")).hasToString(value);
        }
    }

    @Test
    void cookiesInPiecesAreJudgedAsOne() throws Exception {
        final SideRules cookie =
                side(HttpRule.compile("", "", "", List.of("Cookie: a=1; b=2"), List.of()));
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address()).ingress(cookie);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.WHOLE,
                    1,
                    Http2Wire.request("GET", "/", "cookie a=1", "cookie b=2"));
            assertThat(client.outcome(1)).isEqualTo("200");
            assertThat(client.get(3, "/").outcome(3)).isEqualTo("403");
        }
    }

    @Test
    void aServerThatCannotBeReachedIs503AndTheEnd() throws Exception {
        final InetSocketAddress nobody;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nobody = new InetSocketAddress(socket.getInetAddress(), socket.getLocalPort());
        }
        try (ProxyHarness proxy = proxy(nobody);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.get(1, "/public");
            final Frame goAway = client.readNext(Http2Wire.GOAWAY);
            assertThat(goAway.number(0)).isEqualTo(1);
            assertThat(goAway.number(4)).isEqualTo((int) Http2Error.NO_ERROR.code());
            assertThat(client.outcome(1)).isEqualTo("503");
            assertThat(client.readToEnd()).isNotEmpty();
            assertThat(proxy.count(ProxyCounter.SERVER_UNREACHABLE)).isEqualTo(1);
        }
        try (ProxyHarness proxy = proxy(nobody);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    1,
                    Http2Wire.request("POST", "/public", "content-type application/grpc"));
            assertThat(client.readHead().get("grpc-status")).hasToString("14");
        }
    }

    @Test
    void dataWaitsForTheWindowOfWhoTakesIt() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(Http2Wire.SETTINGS, Http2Wire.NONE, 0, Http2Wire.setting(4, 10));
            client.get(1, "/public/" + "x".repeat(40));
            assertThat(client.outcome(1)).isEqualTo("200");
            final List<String> pieces = new ArrayList<>();
            pieces.add(client.readNext(Http2Wire.DATA).payload());
            client.sync();
            client.send(Http2Wire.WINDOW_UPDATE, Http2Wire.NONE, 1, Http2Wire.number(30));
            pieces.add(client.readNext(Http2Wire.DATA).payload());
            client.send(Http2Wire.SETTINGS, Http2Wire.NONE, 0, Http2Wire.setting(4, 1_000));
            final Frame last = client.readNext(Http2Wire.DATA);
            pieces.add(last.payload());
            assertThat(last.isEnd()).isTrue();
            assertThat(pieces.get(0)).hasSize(10);
            assertThat(pieces.get(1)).hasSize(30);
            assertThat(String.join("", pieces)).isEqualTo("GET /public/" + "x".repeat(40) + " 0");
        }
    }

    /** A server whose streams take no data. */
    private static Origin unwilling() throws IOException {
        return new Origin(
                (socket, in, out) -> {
                    out.write(
                            Http2Wire.frame(
                                            Http2Wire.SETTINGS,
                                            Http2Wire.NONE,
                                            0,
                                            Http2Wire.setting(3, 50) + Http2Wire.setting(4, 0))
                                    .getBytes(Wire.LATIN));
                    in.transferTo(OutputStream.nullOutputStream());
                });
    }

    private static void awaitUnwilling(final Http2Wire client) throws IOException {
        // Its limit of streams is passed on, so its window has come, too.
        while (!client.readNext(Http2Wire.SETTINGS).payload().equals(Http2Wire.setting(3, 50))) {}
    }

    /** The server takes nothing: the client may send the window that we gave, not a byte more. */
    @Test
    void aServerThatDoesNotReadStopsItsClient() throws Exception {
        try (Origin origin = unwilling();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    1,
                    Http2Wire.request("POST", "/public"));
            awaitUnwilling(client);
            final String piece = "x".repeat(Http2Leg.PAYLOAD_MAX);
            for (int i = 0; i < Http2Limits.DEFAULTS.streamWindow(); i += piece.length()) {
                client.send(Http2Wire.DATA, Http2Wire.NONE, 1, piece);
            }
            client.send(Http2Wire.DATA, Http2Wire.NONE, 1, "y");
            while (true) {
                final Frame frame = client.read();
                assertThat(frame.type() == Http2Wire.WINDOW_UPDATE && frame.id() == 1).isFalse();
                if (frame.type() == Http2Wire.RST_STREAM) {
                    assertThat(frame.number(0))
                            .isEqualTo((int) Http2Error.FLOW_CONTROL_ERROR.code());
                    break;
                }
            }
            // What was dropped is given back to the connection, and others go on.
            assertThat(client.get(3, "/secret").outcome(3)).isEqualTo("403");
        }
    }

    @Test
    void moreThanTheConnectionsWindowEndsIt() throws Exception {
        final Http2Limits narrow =
                new Http2Limits(100, 65_536, 200, 64, 131_072, 65_535, 10, 10, 10, 10, 10);
        try (Origin origin = unwilling();
                ProxyHarness proxy = proxy(origin.address(), narrow);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    1,
                    Http2Wire.request("POST", "/public"));
            awaitUnwilling(client);
            for (int i = 0; i < 4; i++) {
                client.send(Http2Wire.DATA, Http2Wire.NONE, 1, "x".repeat(Http2Leg.PAYLOAD_MAX));
            }
            assertThat(client.outcome(1)).isEqualTo("GOAWAY FLOW_CONTROL_ERROR");
        }
    }

    @Test
    void aLowerLimitOfStreamsOfTheServerIsPassedOn() throws Exception {
        try (Http2Origin origin = new Http2Origin(new Http2Settings().maxConcurrentStreams(1));
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            assertThat(client.get(1, "/public").outcome(1)).isEqualTo("200");
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    3,
                    Http2Wire.request("POST", "/public"));
            assertThat(client.get(5, "/public").outcome(5)).isEqualTo("RST REFUSED_STREAM");
            assertThat(proxy.count(ProxyCounter.STREAMS_REFUSED)).isEqualTo(1);
            client.send(Http2Wire.DATA, Http2Wire.END_STREAM, 3, "");
            assertThat(client.outcome(3)).isEqualTo("200");
        }
    }

    @Test
    void aResetPassesOn() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    1,
                    Http2Wire.request("POST", "/public"));
            assertThat(origin.event()).isEqualTo("POST /public");
            client.send(Http2Wire.RST_STREAM, Http2Wire.NONE, 1, Http2Wire.number(8));
            assertThat(origin.event()).isEqualTo("reset POST /public 8");
            assertThat(proxy.event().verdict()).isEqualTo(Verdict.FORWARDED);
            final L7Event failed = proxy.event();
            assertThat(failed.verdict()).isEqualTo(Verdict.ERROR);
            assertThat(failed.by()).isEqualTo("the client reset the stream");
            assertThat(client.get(3, "/public").outcome(3)).isEqualTo("200");
        }
    }

    @Test
    void aClientThatEndsCancelsAtTheServer() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(
                    Http2Wire.HEADERS,
                    Http2Wire.END_HEADERS,
                    1,
                    Http2Wire.request("POST", "/public"));
            assertThat(origin.event()).isEqualTo("POST /public");
            client.wire().end();
            assertThat(origin.event()).isEqualTo("reset POST /public 8");
        }
    }

    @Test
    void wherePrefaceAndFramesAreCutDoesNotMatter() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = proxy(origin.address());
                Wire client = proxy.connect()) {
            final String all =
                    Http2Wire.PREFACE
                            + Http2Wire.frame(Http2Wire.SETTINGS, Http2Wire.NONE, 0, "")
                            + Http2Wire.frame(
                                    Http2Wire.HEADERS,
                                    Http2Wire.END_HEADERS,
                                    1,
                                    Http2Wire.request("POST", "/public", "x-a " + "b".repeat(300)))
                            + Http2Wire.frame(Http2Wire.DATA, Http2Wire.NONE, 1, "hello")
                            + Http2Wire.frame(Http2Wire.DATA, Http2Wire.END_STREAM, 1, "");
            for (int i = 0; i < all.length(); i++) {
                client.send(all.substring(i, i + 1));
            }
            assertThat(origin.event()).isEqualTo("POST /public");
            assertThat(origin.event()).isEqualTo("end POST /public");
        }
    }
}
