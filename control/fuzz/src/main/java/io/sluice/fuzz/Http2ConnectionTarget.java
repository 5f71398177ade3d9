package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http2.DefaultHttp2FrameReader;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2FrameAdapter;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.util.concurrent.Ticker;
import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.ProxyConfig;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyCounters;
import io.sluice.l7proxy.ProxyServer;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.http2.Http2Limits;
import io.sluice.l7proxy.http2.Http2Protocol;
import io.sluice.l7proxy.rule.HttpRule;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Arrays;
import java.util.List;

/**
 * A connection of HTTP/2, both ends: two bytes say how much of the rest the client sends, then the
 * server sends what is left; the preface and empty SETTINGS go before each. What the proxy sends
 * does not depend on where bytes are cut, nothing that rules deny reaches the server, and what
 * reaches it is HTTP/2.
 */
public final class Http2ConnectionTarget {
    /** Small ones, so that a short text reaches each. */
    private static final Http2Limits LIMITS =
            new Http2Limits(3, 1024, 20, 3, 65_535, 65_535, 8, 8, 8, 8, 16);

    private static final byte[] SETTINGS = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    private static final InetSocketAddress ADDRESS =
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 80);
    private static final FlowRules RULES =
            new FlowRules(
                    1,
                    SideRules.ALLOW_ALL,
                    new SideRules(
                            false,
                            List.of(
                                    RuleStage.ofHttp(
                                            List.of(
                                                    HttpRule.compile(
                                                            "GET|POST",
                                                            "/public/.*",
                                                            "",
                                                            List.of(),
                                                            List.of())),
                                            "public")),
                            false,
                            ""));

    private Http2ConnectionTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        if (input.length < 2) {
            return;
        }
        final int split = Math.min(input.length, 2 + ((input[0] & 0xff) << 8 | (input[1] & 0xff)));
        final byte[] client = Arrays.copyOfRange(input, 2, split);
        final byte[] server = Arrays.copyOfRange(input, split, input.length);
        final Sent whole = run(client, server, Math.max(1, input.length));
        for (final int piece : new int[] {1, 7}) {
            final Sent cut = run(client, server, piece);
            Promise.holds(cut.toServer.equals(whole.toServer), "cuts", "to the server");
            Promise.holds(cut.toClient.equals(whole.toClient), "cuts", "to the client");
        }
        if (!whole.toServer.isEmpty()) {
            readAsServer(whole.toServer.getBytes(ISO_8859_1));
        }
    }

    /** A character per byte. */
    private record Sent(String toServer, String toClient) {}

    private static Sent run(final byte[] fromClient, final byte[] fromServer, final int piece) {
        final Ticker clock = Ticker.newMockTicker();
        final EmbeddedChannel client = EmbeddedChannel.builder().ticker(clock).build();
        final EmbeddedChannel server = EmbeddedChannel.builder().ticker(clock).build();
        final ProxyCounters counters = new ProxyCounters();
        ProxyServer.serve(
                client,
                new Flow(ADDRESS, ADDRESS, 1, 2, () -> RULES),
                new Http2Protocol(LIMITS, HttpRule.NO_SECRETS, event -> {}),
                flow -> server.newSucceededFuture(),
                ProxyConfig.DEFAULTS,
                counters);
        final ByteBuf preface = Unpooled.buffer();
        Http2Protocol.writePreface(preface, Http2Protocol.PREFACE_LENGTH);
        final byte[] start = new byte[preface.readableBytes()];
        preface.readBytes(start);
        feed(client, start, piece);
        feed(client, SETTINGS, piece);
        feed(client, fromClient, piece);
        if (counters.value(ProxyCounter.SERVER_CONNECTS) > 0) {
            feed(server, SETTINGS, piece);
            feed(server, fromServer, piece);
        }
        client.runPendingTasks();
        server.runPendingTasks();
        final Sent sent = new Sent(taken(server), taken(client));
        client.finishAndReleaseAll();
        server.finishAndReleaseAll();
        return sent;
    }

    private static void feed(final EmbeddedChannel channel, final byte[] bytes, final int piece) {
        for (int from = 0; from < bytes.length && channel.isOpen(); from += piece) {
            channel.writeInbound(
                    Unpooled.copiedBuffer(bytes, from, Math.min(piece, bytes.length - from)));
        }
    }

    private static String taken(final EmbeddedChannel channel) {
        final ByteBuf all = Unpooled.buffer();
        for (ByteBuf next = channel.readOutbound(); next != null; next = channel.readOutbound()) {
            all.writeBytes(next);
            next.release();
        }
        final byte[] bytes = new byte[all.readableBytes()];
        all.readBytes(bytes);
        return new String(bytes, ISO_8859_1);
    }

    private static void readAsServer(final byte[] bytes) {
        final ByteBuf in = Unpooled.wrappedBuffer(bytes);
        Promise.holds(
                Http2Protocol.matchPreface(in, 0) == Http2Protocol.PREFACE_LENGTH,
                "begins with the preface",
                bytes.length);
        in.skipBytes(Http2Protocol.PREFACE_LENGTH);
        final EmbeddedChannel channel = new EmbeddedChannel(new ChannelInboundHandlerAdapter());
        try (DefaultHttp2FrameReader reader = new DefaultHttp2FrameReader()) {
            while (in.isReadable()) {
                reader.readFrame(
                        channel.pipeline().firstContext(),
                        in,
                        new Http2FrameAdapter() {
                            @Override
                            public void onHeadersRead(
                                    final ChannelHandlerContext context,
                                    final int id,
                                    final Http2Headers head,
                                    final int padding,
                                    final boolean isEnd) {
                                check(head);
                            }
                        });
            }
        } catch (final Http2Exception broken) {
            throw new AssertionError("what reaches the server is HTTP/2", broken);
        } finally {
            channel.finishAndReleaseAll();
        }
    }

    private static void check(final Http2Headers head) {
        final CharSequence path = head.path();
        if (path != null) {
            Promise.holds(
                    path.toString().startsWith("/public/")
                            && ("GET".contentEquals(head.method())
                                    || "POST".contentEquals(head.method())),
                    "nothing denied reaches the server",
                    head);
        }
    }
}
