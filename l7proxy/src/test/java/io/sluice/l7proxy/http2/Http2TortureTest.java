package io.sluice.l7proxy.http2;

import static io.sluice.l7proxy.http2.Http2Wire.CONTINUATION;
import static io.sluice.l7proxy.http2.Http2Wire.DATA;
import static io.sluice.l7proxy.http2.Http2Wire.END_HEADERS;
import static io.sluice.l7proxy.http2.Http2Wire.END_STREAM;
import static io.sluice.l7proxy.http2.Http2Wire.GOAWAY;
import static io.sluice.l7proxy.http2.Http2Wire.HEADERS;
import static io.sluice.l7proxy.http2.Http2Wire.NONE;
import static io.sluice.l7proxy.http2.Http2Wire.PADDED;
import static io.sluice.l7proxy.http2.Http2Wire.PING;
import static io.sluice.l7proxy.http2.Http2Wire.PRIORITY;
import static io.sluice.l7proxy.http2.Http2Wire.PUSH_PROMISE;
import static io.sluice.l7proxy.http2.Http2Wire.RST_STREAM;
import static io.sluice.l7proxy.http2.Http2Wire.SETTINGS;
import static io.sluice.l7proxy.http2.Http2Wire.WHOLE;
import static io.sluice.l7proxy.http2.Http2Wire.WINDOW_UPDATE;
import static io.sluice.l7proxy.http2.Http2Wire.fields;
import static io.sluice.l7proxy.http2.Http2Wire.frame;
import static io.sluice.l7proxy.http2.Http2Wire.number;
import static io.sluice.l7proxy.http2.Http2Wire.request;
import static io.sluice.l7proxy.http2.Http2Wire.setting;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.l7proxy.LeakCheck;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyHarness;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Malformed streams and connections, and floods: none of it reaches the server. */
@ExtendWith(LeakCheck.class)
final class Http2TortureTest {
    /**
     * A case.
     *
     * @param frames what the client sends after its SETTINGS
     * @param outcome of stream 1, see {@link Http2Wire#outcome}
     * @param reachesServer whether the start of a request may, never its end
     */
    record Case(String name, String outcome, String frames, boolean reachesServer) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static final String RESET = "RST PROTOCOL_ERROR";
    private static final String END = "GOAWAY PROTOCOL_ERROR";
    private static final String FLOOD = "GOAWAY ENHANCE_YOUR_CALM";

    private static final Http2Limits LIMITS =
            new Http2Limits(3, 4_096, 50, 8, 65_535, 65_535, 20, 20, 20, 20, 20);

    private static Case head(final String name, final String outcome, final String... fields) {
        return new Case(name, outcome, frame(HEADERS, WHOLE, 1, fields(fields)), false);
    }

    private static Case extra(final String name, final String outcome, final String... more) {
        return new Case(
                name, outcome, frame(HEADERS, WHOLE, 1, request("GET", "/public", more)), false);
    }

    private static Case raw(final String name, final String outcome, final String... frames) {
        return new Case(name, outcome, String.join("", frames), false);
    }

    /** After the head of an allowed POST. */
    private static Case body(final String name, final String outcome, final String... frames) {
        return new Case(
                name,
                outcome,
                frame(HEADERS, END_HEADERS, 1, request("POST", "/public"))
                        + String.join("", frames),
                true);
    }

    private static String times(final int n, final String frame) {
        return frame.repeat(n);
    }

    static List<Case> cases() {
        final List<Case> cases = new ArrayList<>();
        // Names and values: RFC 9113, 8.2.
        cases.add(extra("name in upper case", RESET, "X-A b"));
        cases.add(extra("empty name", RESET, " b"));
        cases.add(extra("name with a colon", RESET, "a:b c"));
        cases.add(extra("name with a control byte", RESET, "a\rb c"));
        cases.add(extra("name beyond ASCII", RESET, "\u00e9 c"));
        cases.add(extra("value with LF", RESET, "a b\nx: y"));
        cases.add(extra("value with CR", RESET, "a b\rx"));
        cases.add(extra("value with NUL", RESET, "a b\0x"));
        cases.add(extra("value that begins with a space", RESET, "a  b"));
        cases.add(extra("value that ends with a tab", RESET, "a b\t"));
        cases.add(extra("connection", RESET, "connection close"));
        cases.add(extra("keep-alive", RESET, "keep-alive 5"));
        cases.add(extra("proxy-connection", RESET, "proxy-connection close"));
        cases.add(extra("transfer-encoding", RESET, "transfer-encoding chunked"));
        cases.add(extra("transfer-encoding in disguise", RESET, "transfer_encoding chunked"));
        cases.add(extra("upgrade", RESET, "upgrade h2c"));
        cases.add(extra("te: gzip", RESET, "te gzip"));
        cases.add(extra("content-length twice", RESET, "content-length 0", "content-length 0"));
        cases.add(extra("content-length with a sign", RESET, "content-length +0"));
        cases.add(extra("content-length without digits", RESET, "content-length "));
        cases.add(
                extra("content-length of 19 digits", RESET, "content-length 1000000000000000000"));
        cases.add(extra("content-length in disguise", RESET, "content_length 5"));
        cases.add(extra("content-length without a body", RESET, "content-length 5"));
        // Pseudo-headers: RFC 9113, 8.3.
        cases.add(head("no method", RESET, ":scheme http", ":path /public", ":authority shop"));
        cases.add(head("no scheme", RESET, ":method GET", ":path /public", ":authority shop"));
        cases.add(head("no path", RESET, ":method GET", ":scheme http", ":authority shop"));
        cases.add(head("no authority", RESET, ":method GET", ":scheme http", ":path /public"));
        cases.add(extra("method twice", RESET, ":method GET"));
        cases.add(extra("another path", RESET, ":path /secret"));
        cases.add(extra("unknown pseudo-header", RESET, ":other x"));
        cases.add(extra("status in a request", RESET, ":status 200"));
        cases.add(extra("protocol that was not offered", RESET, ":protocol websocket"));
        cases.add(
                head(
                        "pseudo-header after a header",
                        RESET,
                        ":method GET",
                        ":scheme http",
                        ":authority shop",
                        "a b",
                        ":path /public"));
        cases.add(raw("method is no token", RESET, get("G ET", "/public")));
        cases.add(raw("empty method", RESET, get("", "/public")));
        cases.add(raw("empty path", RESET, get("GET", "")));
        cases.add(raw("path without a slash", RESET, get("GET", "public")));
        cases.add(raw("path with a space", RESET, get("GET", "/public /secret")));
        cases.add(raw("path with a line", RESET, get("GET", "/public HTTP/1.1\r\nx: y")));
        cases.add(raw("path with a fragment", RESET, get("GET", "/public#/secret")));
        cases.add(raw("absolute path", RESET, get("GET", "http://shop/public")));
        cases.add(raw("star", RESET, get("GET", "*")));
        cases.add(
                head(
                        "another scheme",
                        RESET,
                        ":method GET",
                        ":scheme file",
                        ":path /public",
                        ":authority shop"));
        for (final String authority :
                List.of("shop@other", "shop, other", "shop/x", "shop:80a", "", "[::1")) {
            cases.add(
                    head(
                            "authority '" + authority + "'",
                            RESET,
                            ":method GET",
                            ":scheme http",
                            ":path /public",
                            ":authority " + authority));
        }
        cases.add(extra("host is another", RESET, "host other"));
        cases.add(extra("host twice", RESET, "host shop", "host shop"));
        cases.add(
                head(
                        "CONNECT with a path",
                        RESET,
                        ":method CONNECT",
                        ":path /public",
                        ":authority shop:1"));
        cases.add(head("CONNECT without a port", RESET, ":method CONNECT", ":authority shop"));
        cases.add(head("CONNECT that is denied", "403", ":method CONNECT", ":authority shop:1"));
        // Bodies.
        cases.add(
                new Case(
                        "more than content-length",
                        RESET,
                        frame(
                                        HEADERS,
                                        END_HEADERS,
                                        1,
                                        request("POST", "/public", "content-length 3"))
                                + frame(DATA, NONE, 1, "GET /secret"),
                        true));
        cases.add(
                new Case(
                        "less than content-length",
                        RESET,
                        frame(
                                        HEADERS,
                                        END_HEADERS,
                                        1,
                                        request("POST", "/public", "content-length 3"))
                                + frame(DATA, END_STREAM, 1, "a"),
                        true));
        cases.add(
                body(
                        "trailers without an end",
                        RESET,
                        frame(HEADERS, END_HEADERS, 1, fields("a b"))));
        cases.add(
                body(
                        "pseudo-header in trailers",
                        RESET,
                        frame(HEADERS, WHOLE, 1, fields(":path /secret"))));
        cases.add(
                body(
                        "length in trailers",
                        RESET,
                        frame(HEADERS, WHOLE, 1, fields("content-length 3"))));
        cases.add(body("trailers in upper case", RESET, frame(HEADERS, WHOLE, 1, fields("A b"))));
        cases.add(body("window of nothing", RESET, frame(WINDOW_UPDATE, NONE, 1, number(0))));
        cases.add(
                body(
                        "window too large",
                        "RST FLOW_CONTROL_ERROR",
                        frame(WINDOW_UPDATE, NONE, 1, number(Integer.MAX_VALUE))));
        // Limits of a head.
        cases.add(extra("head too large", "431", "a " + "x".repeat(5_000)));
        cases.add(
                new Case(
                        "too many headers",
                        "431",
                        frame(
                                HEADERS,
                                WHOLE,
                                1,
                                request(
                                        "GET",
                                        "/public",
                                        Stream.generate(() -> "a b")
                                                .limit(60)
                                                .toArray(String[]::new))),
                        false));
        // Frames.
        cases.add(
                raw(
                        "a frame that is too long",
                        "GOAWAY FRAME_SIZE_ERROR",
                        frame(PING, NONE, 0, "x".repeat(20_000))));
        cases.add(raw("DATA of no stream", END, frame(DATA, NONE, 0, "x")));
        cases.add(raw("DATA of a stream that has not begun", END, frame(DATA, NONE, 1, "x")));
        cases.add(
                raw(
                        "HEADERS of an even stream",
                        END,
                        frame(HEADERS, WHOLE, 2, request("GET", "/public"))));
        cases.add(
                raw(
                        "HEADERS of an earlier stream",
                        END,
                        frame(HEADERS, WHOLE, 5, request("GET", "/secret")),
                        frame(HEADERS, WHOLE, 3, request("GET", "/public"))));
        cases.add(
                raw(
                        "RST_STREAM of a stream that has not begun",
                        END,
                        frame(RST_STREAM, NONE, 1, number(8))));
        cases.add(
                raw(
                        "WINDOW_UPDATE of a stream that has not begun",
                        END,
                        frame(WINDOW_UPDATE, NONE, 1, number(8))));
        cases.add(
                raw(
                        "PUSH_PROMISE",
                        END,
                        frame(
                                PUSH_PROMISE,
                                END_HEADERS,
                                1,
                                number(2) + request("GET", "/public"))));
        cases.add(
                raw(
                        "PING that is too short",
                        "GOAWAY FRAME_SIZE_ERROR",
                        frame(PING, NONE, 0, "x")));
        cases.add(raw("PING of a stream", END, frame(PING, NONE, 1, "12345678")));
        cases.add(raw("SETTINGS of a stream", END, frame(SETTINGS, NONE, 1, "")));
        cases.add(raw("SETTINGS cut", "GOAWAY FRAME_SIZE_ERROR", frame(SETTINGS, NONE, 0, "x")));
        cases.add(
                raw(
                        "SETTINGS with a window too large",
                        "GOAWAY FLOW_CONTROL_ERROR",
                        frame(SETTINGS, NONE, 0, setting(4, -1))));
        cases.add(
                raw("SETTINGS with a small frame", END, frame(SETTINGS, NONE, 0, setting(5, 100))));
        cases.add(raw("padding longer than the frame", END, frame(DATA, PADDED, 1, "\u00ffx")));
        cases.add(raw("CONTINUATION of nothing", END, frame(CONTINUATION, END_HEADERS, 1, "")));
        cases.add(
                raw(
                        "a frame within a head",
                        END,
                        frame(HEADERS, END_STREAM, 1, request("GET", "/public")),
                        frame(PING, NONE, 0, "12345678")));
        cases.add(
                raw(
                        "a head continued on another stream",
                        END,
                        frame(HEADERS, END_STREAM, 1, request("GET", "/public")),
                        frame(CONTINUATION, END_HEADERS, 3, "")));
        cases.add(
                raw(
                        "header of no table",
                        "GOAWAY COMPRESSION_ERROR",
                        frame(HEADERS, WHOLE, 1, "\u00fe")));
        cases.add(
                raw(
                        "header that is cut",
                        "GOAWAY COMPRESSION_ERROR",
                        frame(HEADERS, WHOLE, 1, "\0\5a")));
        cases.add(
                raw(
                        "connection's window of nothing",
                        END,
                        frame(WINDOW_UPDATE, NONE, 0, number(0))));
        cases.add(
                raw(
                        "connection's window too large",
                        "GOAWAY FLOW_CONTROL_ERROR",
                        frame(WINDOW_UPDATE, NONE, 0, number(Integer.MAX_VALUE))));
        // Floods.
        cases.add(raw("flood of PINGs", FLOOD, times(30, frame(PING, NONE, 0, "12345678"))));
        cases.add(raw("flood of SETTINGS", FLOOD, times(30, frame(SETTINGS, NONE, 0, ""))));
        cases.add(
                raw(
                        "flood of PRIORITY",
                        FLOOD,
                        times(30, frame(PRIORITY, NONE, 1, number(0) + "x"))));
        cases.add(raw("flood of unknown frames", FLOOD, times(30, frame(99, NONE, 0, ""))));
        cases.add(body("flood of empty frames", FLOOD, times(30, frame(DATA, NONE, 1, ""))));
        cases.add(
                raw(
                        "flood of continuations",
                        FLOOD,
                        frame(HEADERS, END_STREAM, 1, request("GET", "/public")),
                        times(30, frame(CONTINUATION, NONE, 1, ""))));
        cases.add(
                raw(
                        "a head without an end",
                        FLOOD,
                        frame(HEADERS, END_STREAM, 1, request("GET", "/public")),
                        times(2, frame(CONTINUATION, NONE, 1, "x".repeat(10_000)))));
        return cases;
    }

    private static String get(final String method, final String path) {
        return frame(HEADERS, WHOLE, 1, request(method, path));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void nothingOfItIsAnsweredByTheServer(final Case torture) throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address(), LIMITS);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(torture.frames());
            assertThat(client.outcome(1)).isEqualTo(torture.outcome());
            if (torture.outcome().startsWith("GOAWAY")) {
                client.readToEnd();
            } else {
                // The stream's end is not the connection's.
                assertThat(client.get(3, "/public/probe").outcome(3)).isEqualTo("200");
            }
            if (!torture.reachesServer()) {
                assertThat(origin.asked()).allMatch(asked -> asked.equals("GET /public/probe"));
            }
            assertThat(origin.ended()).allMatch(asked -> asked.equals("GET /public/probe"));
        }
    }

    /** CVE-2023-44487. */
    @Test
    void rapidResetEndsTheConnection() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address(), LIMITS);
                Http2Wire client = Http2Wire.to(proxy)) {
            final StringBuilder frames = new StringBuilder();
            for (int id = 1; id < 100; id += 2) {
                frames.append(frame(HEADERS, END_HEADERS, id, request("POST", "/public")))
                        .append(frame(RST_STREAM, NONE, id, number(8)));
            }
            client.send(frames.toString());
            assertThat(client.readNext(GOAWAY).number(4)).isEqualTo(11);
            assertThat(proxy.count(ProxyCounter.FLOODS_OF_RESETS)).isEqualTo(1);
            assertThat(proxy.count(ProxyCounter.REQUESTS_FORWARDED))
                    .isEqualTo(LIMITS.resetsMax() + 1);
        }
    }

    /** CVE-2025-8671: it is the proxy that resets, because of what the client sends. */
    @Test
    void havingUsResetIsRapidResetToo() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address(), LIMITS);
                Http2Wire client = Http2Wire.to(proxy)) {
            final StringBuilder frames = new StringBuilder();
            for (int id = 1; id < 100; id += 2) {
                frames.append(frame(HEADERS, END_HEADERS, id, request("POST", "/public")))
                        .append(frame(WINDOW_UPDATE, NONE, id, number(0)));
            }
            client.send(frames.toString());
            assertThat(client.readNext(GOAWAY).number(4)).isEqualTo(11);
            assertThat(proxy.count(ProxyCounter.FLOODS_OF_RESETS)).isEqualTo(1);
        }
    }

    @Test
    void floodsAreCountedByKind() throws Exception {
        counts(ProxyCounter.FLOODS_OF_PINGS, times(30, frame(PING, NONE, 0, "12345678")));
        counts(ProxyCounter.FLOODS_OF_SETTINGS, times(30, frame(SETTINGS, NONE, 0, "")));
        counts(ProxyCounter.FLOODS_OF_IDLE_FRAMES, times(30, frame(99, NONE, 0, "")));
        counts(
                ProxyCounter.FLOODS_OF_EMPTY_FRAMES,
                frame(HEADERS, END_HEADERS, 1, request("POST", "/public"))
                        + times(30, frame(DATA, NONE, 1, "")));
        counts(
                ProxyCounter.FLOODS_OF_CONTINUATIONS,
                frame(HEADERS, NONE, 1, "") + times(30, frame(CONTINUATION, NONE, 1, "")));
        counts(
                ProxyCounter.REQUESTS_MALFORMED,
                get("GET", "*") + frame(PING, NONE, 1, "12345678"),
                2);
    }

    private static void counts(final ProxyCounter counter, final String frames) throws Exception {
        counts(counter, frames, 1);
    }

    private static void counts(final ProxyCounter counter, final String frames, final int expected)
            throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address(), LIMITS);
                Http2Wire client = Http2Wire.to(proxy)) {
            client.send(frames).readNext(GOAWAY);
            assertThat(proxy.count(counter)).isEqualTo(expected);
        }
    }

    @Test
    void streamsBeyondTheLimitAreRefused() throws Exception {
        try (Http2Origin origin = new Http2Origin();
                ProxyHarness proxy = Http2ProxyTest.proxy(origin.address(), LIMITS);
                Http2Wire client = Http2Wire.to(proxy)) {
            for (int id = 1; id <= 7; id += 2) {
                client.send(HEADERS, END_HEADERS, id, request("POST", "/public"));
            }
            assertThat(client.outcome(7)).isEqualTo("RST REFUSED_STREAM");
            assertThat(proxy.count(ProxyCounter.STREAMS_REFUSED)).isEqualTo(1);
            client.send(DATA, END_STREAM, 1, "");
            assertThat(client.outcome(1)).isEqualTo("200");
        }
    }
}
