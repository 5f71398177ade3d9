package io.sluice.l7proxy.http2;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpServerUpgradeHandler;
import io.netty.handler.codec.http2.CleartextHttp2ServerUpgradeHandler;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2CodecUtil;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2ResetFrame;
import io.netty.handler.codec.http2.Http2ServerUpgradeCodec;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.Http2StreamFrame;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectedListenerFailureBehavior;
import io.netty.handler.ssl.ApplicationProtocolConfig.SelectorFailureBehavior;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.netty.util.AsciiString;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * Netty's own HTTP/2 server, with prior knowledge and by upgrade, that records requests and answers
 * 200 with what it saw: {@code METHOD path bodyLength}. It writes down the end of a request, too.
 */
public final class Http2Origin implements AutoCloseable {
    private final EventLoopGroup loop =
            new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    private final Channel listener;
    private final Http2Settings settings;
    private final List<Http2Headers> requests = new CopyOnWriteArrayList<>();
    private final List<String> ended = new CopyOnWriteArrayList<>();
    private final BlockingQueue<String> events = new LinkedBlockingQueue<>();

    Http2Origin() {
        this(new Http2Settings());
    }

    /**
     * With TLS, where HTTP/2 has to be agreed on.
     *
     * @param certificate and those that lead to its CA, PEM
     * @param key PKCS#8, PEM
     */
    public static Http2Origin secure(final String certificate, final String key)
            throws SSLException {
        return new Http2Origin(
                new Http2Settings(),
                Optional.of(
                        SslContextBuilder.forServer(pem(certificate), pem(key))
                                .sslProvider(SslProvider.JDK)
                                .applicationProtocolConfig(
                                        new ApplicationProtocolConfig(
                                                ApplicationProtocolConfig.Protocol.ALPN,
                                                SelectorFailureBehavior.NO_ADVERTISE,
                                                SelectedListenerFailureBehavior.ACCEPT,
                                                "h2"))
                                .build()));
    }

    private static InputStream pem(final String text) {
        return new ByteArrayInputStream(text.getBytes(UTF_8));
    }

    /** With settings of its own. */
    Http2Origin(final Http2Settings settings) {
        this(settings, Optional.empty());
    }

    private Http2Origin(final Http2Settings settings, final Optional<SslContext> tls) {
        this.settings = settings;
        listener =
                new ServerBootstrap()
                        .group(loop)
                        .channel(NioServerSocketChannel.class)
                        .childHandler(
                                new ChannelInitializer<>() {
                                    @Override
                                    protected void initChannel(final Channel channel) {
                                        tls.ifPresent(
                                                context ->
                                                        channel.pipeline()
                                                                .addLast(
                                                                        context.newHandler(
                                                                                channel.alloc())));
                                        initialize(channel);
                                    }
                                })
                        .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                        .syncUninterruptibly()
                        .channel();
    }

    private void initialize(final Channel channel) {
        final Http2FrameCodec frames =
                Http2FrameCodecBuilder.forServer()
                        .initialSettings(settings)
                        .decoderEnforceMaxRstFramesPerWindow(0, 0)
                        .build();
        final Http2MultiplexHandler streams =
                new Http2MultiplexHandler(
                        new ChannelInitializer<>() {
                            @Override
                            protected void initChannel(final Channel stream) {
                                stream.pipeline().addLast(new Exchange());
                            }
                        });
        final HttpServerCodec http1 = new HttpServerCodec();
        final HttpServerUpgradeHandler upgrade =
                new HttpServerUpgradeHandler(
                        http1,
                        protocol ->
                                AsciiString.contentEquals(
                                                Http2CodecUtil.HTTP_UPGRADE_PROTOCOL_NAME, protocol)
                                        ? new Http2ServerUpgradeCodec(frames, streams)
                                        : null);
        channel.pipeline()
                .addLast(
                        new CleartextHttp2ServerUpgradeHandler(
                                http1,
                                upgrade,
                                new ChannelInitializer<>() {
                                    @Override
                                    protected void initChannel(final Channel http2) {
                                        http2.pipeline().addLast(frames, streams);
                                    }
                                }));
    }

    @SuppressWarnings("FutureReturnValueIgnored") // A stream says itself what failed.
    private final class Exchange extends SimpleChannelInboundHandler<Http2StreamFrame> {
        private String asked = "";
        private int length;

        @Override
        protected void channelRead0(
                final ChannelHandlerContext context, final Http2StreamFrame frame) {
            switch (frame) {
                case final Http2HeadersFrame head -> {
                    if (head.headers().method() != null) {
                        requests.add(head.headers());
                        asked = head.headers().method() + " " + head.headers().path();
                        events.add(asked);
                    }
                    if (head.isEndStream()) {
                        answer(context);
                    }
                }
                case final Http2DataFrame data -> {
                    length += data.content().readableBytes();
                    if (data.isEndStream()) {
                        answer(context);
                    }
                }
                default -> {}
            }
        }

        @Override
        public void userEventTriggered(final ChannelHandlerContext context, final Object event) {
            if (event instanceof final Http2ResetFrame reset) {
                events.add("reset " + asked + " " + reset.errorCode());
            }
        }

        private void answer(final ChannelHandlerContext context) {
            ended.add(asked);
            events.add("end " + asked);
            final Http2Headers head = new DefaultHttp2Headers().status("200");
            context.write(new DefaultHttp2HeadersFrame(head));
            context.writeAndFlush(
                    new DefaultHttp2DataFrame(
                            Unpooled.copiedBuffer(asked + " " + length, UTF_8), true));
        }
    }

    public InetSocketAddress address() {
        return (InetSocketAddress) listener.localAddress();
    }

    /** Heads of requests, as they came. */
    List<Http2Headers> requests() {
        return List.copyOf(requests);
    }

    /** Method and path of each request that came to its end. */
    List<String> ended() {
        return List.copyOf(ended);
    }

    /** Method and path of each request. */
    public List<String> asked() {
        return requests.stream().map(head -> head.method() + " " + head.path()).toList();
    }

    /** The next that happened; waits for it. */
    String event() throws InterruptedException {
        final @Nullable String event = events.poll(20, TimeUnit.SECONDS);
        if (event == null) {
            throw new AssertionError("nothing happens");
        }
        return event;
    }

    @Override
    public void close() {
        loop.shutdownGracefully(0, 5, TimeUnit.SECONDS).syncUninterruptibly();
    }
}
