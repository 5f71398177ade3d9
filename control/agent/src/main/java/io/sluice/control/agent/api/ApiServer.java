package io.sluice.control.agent.api;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioChannelOption;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.handler.flow.FlowControlHandler;
import io.netty.handler.timeout.ReadTimeoutException;
import io.netty.handler.timeout.ReadTimeoutHandler;
import io.netty.util.NetUtil;
import io.sluice.control.agent.ControlPlane;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The control API: HTTP/1.1 with JSON over a Unix socket; and over TCP, where configured, the pages
 * that Prometheus and health checks read.
 *
 * <p>Theory of operation. One event loop accepts and parses; every request is then handled on a
 * virtual thread of its own, because the control plane may keep it waiting (a change is answered
 * when it is live). {@link ApiRoutes} decides what is answered; this file only carries it. A
 * streaming answer ({@code /v1/flows}, {@code /v1/conntrack}) is pulled from its source piece by
 * piece, and each write is awaited: a slow client holds up its own thread only. A follower that is
 * too slow loses flows in the ring, which the stream then tells it.
 *
 * <p>Access is the file's: mode 0660, owner and group of the daemon. There is no other
 * authentication. Who can write to the socket can change policy. Who reaches the metrics address
 * can read {@link MetricsRoutes} and nothing else; its connections are counted apart, so that they
 * cannot keep anybody from the API.
 *
 * <p>Limits: see {@link ApiLimits}.
 *
 * <p>Thread: {@link #start} and {@link #close} by whoever composes the daemon; the rest is its own.
 */
// Netty's close and shutdown answer with a future that says nothing we could act on: the connection
// is given up either way.
@SuppressWarnings("FutureReturnValueIgnored")
public final class ApiServer implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ApiServer.class);

    private static final String IDLE = "idle";

    /** Piece in which a body arrives at the aggregator, in bytes: Netty's own. */
    private static final int CHUNK_BYTES_MAX = 8192;

    private final Path socket;
    private final EventLoopGroup loop;
    private final ExecutorService requests;
    private final Channel listener;
    private final Optional<MetricsListener> metrics;

    private ApiServer(
            final Path socket,
            final Optional<InetSocketAddress> metricsAddress,
            final ControlPlane control)
            throws IOException {
        this.socket = socket;
        this.loop =
                new MultiThreadIoEventLoopGroup(
                        1,
                        Thread.ofPlatform().name("sluice-api").daemon().factory(),
                        NioIoHandler.newFactory());
        this.requests =
                Executors.newThreadPerTaskExecutor(
                        Thread.ofVirtual().name("sluice-api-", 0).factory());
        try {
            this.listener =
                    listen(new Entrance("API", ApiLimits.BODY_BYTES_MAX, new ApiRoutes(control)));
        } catch (final IOException e) {
            loop.shutdownGracefully(0, 0, TimeUnit.SECONDS);
            requests.shutdownNow();
            throw e;
        }
        this.metrics =
                metricsAddress.map(
                        address ->
                                new MetricsListener(
                                        address,
                                        new Entrance(
                                                "metrics",
                                                ApiLimits.METRICS_BODY_BYTES_MAX,
                                                new MetricsRoutes(control))));
        metrics.ifPresent(MetricsListener::listen);
    }

    /**
     * Listens on the socket. A file left there by a daemon that was killed is replaced: the run
     * folder's lock, which the caller holds, says that none is alive.
     *
     * @param metrics where {@code /metrics} and {@code /healthz} are answered over TCP; while
     *     another process has the address it is tried again every second
     * @throws IOException when the socket cannot be made, with its path in the message
     */
    public static ApiServer start(
            final Path socket,
            final Optional<InetSocketAddress> metrics,
            final ControlPlane control)
            throws IOException {
        return new ApiServer(socket, metrics, control);
    }

    private Channel listen(final Entrance entrance) throws IOException {
        Files.deleteIfExists(socket);
        final ChannelFuture bound =
                new ServerBootstrap()
                        .group(loop)
                        .channel(NioServerDomainSocketChannel.class)
                        .childHandler(entrance)
                        .bind(UnixDomainSocketAddress.of(socket))
                        .awaitUninterruptibly();
        if (!bound.isSuccess()) {
            throw new IOException(
                    socket + ": cannot listen on this socket: " + bound.cause().getMessage(),
                    bound.cause());
        }
        // Between bind and this line the mode is that of the umask; the run folder's own mode
        // (0750) covers the gap.
        Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw----"));
        return bound.channel();
    }

    /** Where connections come in: counted, bounded, and answered by their routes. */
    @ChannelHandler.Sharable
    private final class Entrance extends ChannelInitializer<Channel> {
        private final String name;
        private final int bodyBytesMax;
        private final Routes routes;
        private final AtomicInteger connections = new AtomicInteger();

        Entrance(final String name, final int bodyBytesMax, final Routes routes) {
            this.name = name;
            this.bodyBytesMax = bodyBytesMax;
            this.routes = routes;
        }

        @Override
        protected void initChannel(final Channel channel) {
            if (connections.incrementAndGet() > ApiLimits.CONNECTIONS_MAX) {
                connections.decrementAndGet();
                LOG.warn(
                        "{}: more than {} connections, one refused",
                        name,
                        ApiLimits.CONNECTIONS_MAX);
                channel.close();
                return;
            }
            channel.closeFuture().addListener(closed -> connections.decrementAndGet());
            channel.pipeline()
                    .addLast(IDLE, new ReadTimeoutHandler(ApiLimits.IDLE_SECONDS))
                    .addLast(
                            new HttpServerCodec(
                                    ApiLimits.REQUEST_LINE_BYTES_MAX,
                                    ApiLimits.HEADERS_BYTES_MAX,
                                    CHUNK_BYTES_MAX))
                    .addLast(new HttpObjectAggregator(bodyBytesMax))
                    .addLast(new FlowControlHandler())
                    .addLast(new RequestHandler(routes));
        }
    }

    /**
     * Listens for those who want metrics. The daemon does its work without them, so an address that
     * is taken (by the predecessor of a hand-over, for a moment) is waited for.
     *
     * <p>Thread: {@link #close} any, the rest the event loop or the constructor.
     */
    private final class MetricsListener {
        private static final long RETRY_SECONDS = 1;

        private final InetSocketAddress address;
        private final Entrance entrance;
        private boolean told;
        private volatile @Nullable Channel bound;

        MetricsListener(final InetSocketAddress address, final Entrance entrance) {
            this.address = address;
            this.entrance = entrance;
        }

        void listen() {
            new ServerBootstrap()
                    .group(loop)
                    .channel(NioServerSocketChannel.class)
                    .option(ChannelOption.SO_REUSEADDR, true)
                    .childHandler(entrance)
                    .bind(address)
                    .addListener((ChannelFutureListener) this::onBound);
        }

        private void onBound(final ChannelFuture future) {
            if (future.isSuccess()) {
                bound = future.channel();
                LOG.info("metrics on {}", text());
                return;
            }
            if (!told) {
                LOG.warn(
                        "metrics.address: cannot listen on {}, it is tried again: {}",
                        text(),
                        future.cause().getMessage());
                told = true;
            }
            loop.schedule(this::listen, RETRY_SECONDS, TimeUnit.SECONDS);
        }

        private String text() {
            return NetUtil.toSocketAddressString(address);
        }

        void close() {
            final Channel channel = bound;
            if (channel != null) {
                channel.close().awaitUninterruptibly();
            }
        }
    }

    /** Stops listening, ends the streams, and removes the socket. */
    @Override
    public void close() {
        listener.close().awaitUninterruptibly();
        metrics.ifPresent(MetricsListener::close);
        requests.shutdownNow();
        loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        try {
            Files.deleteIfExists(socket);
        } catch (final IOException e) {
            LOG.warn("API: {}: the socket stays behind: {}", socket, e.getMessage());
        }
    }

    /** Thread: the event loop; {@code answer} and below a request's own virtual thread. */
    private final class RequestHandler extends SimpleChannelInboundHandler<FullHttpRequest> {
        private final Routes routes;

        /** Set once the connection carries a stream, which is its last answer. */
        private volatile boolean streams;

        RequestHandler(final Routes routes) {
            this.routes = routes;
        }

        @Override
        protected void channelRead0(
                final ChannelHandlerContext context, final FullHttpRequest request) {
            if (streams) {
                return;
            }
            // One request at a time, so that answers leave in the order of the requests (RFC 9112
            // section 9.3.2): the next one is held back until this one is answered.
            context.channel().config().setAutoRead(false);
            if (request.decoderResult().isFailure()) {
                send(context, notHttp(request.decoderResult().cause()), false);
                return;
            }
            final boolean keepAlive = HttpUtil.isKeepAlive(request);
            // An answer may take longer than an idle client is given.
            context.pipeline().remove(IDLE);
            final ApiRequest asked =
                    ApiRequest.of(
                            request.method().name(),
                            request.uri(),
                            request.content().toString(StandardCharsets.UTF_8),
                            user(context.channel()));
            requests.execute(() -> answer(context, asked, keepAlive));
        }

        /** Whose process is at the other end (unix(7), SO_PEERCRED); empty over TCP. */
        private static String user(final Channel channel) {
            if (!(channel instanceof NioDomainSocketChannel)) {
                return "";
            }
            final @Nullable UnixDomainPrincipal peer =
                    channel.config()
                            .getOption(NioChannelOption.of(ExtendedSocketOptions.SO_PEERCRED));
            return peer == null ? "" : peer.user().getName();
        }

        /** Netty hands on what it cannot read as a request for "/bad-request". */
        private static ApiReply.Page notHttp(final Throwable cause) {
            return switch (cause) {
                case TooLongHttpLineException _ ->
                        ApiRoutes.error(
                                414,
                                "request line: longer than "
                                        + ApiLimits.REQUEST_LINE_BYTES_MAX
                                        + " bytes");
                case TooLongHttpHeaderException _ ->
                        ApiRoutes.error(
                                431,
                                "headers: longer than " + ApiLimits.HEADERS_BYTES_MAX + " bytes");
                default -> ApiRoutes.error(400, "not an HTTP/1.1 request: " + cause.getMessage());
            };
        }

        private void answer(
                final ChannelHandlerContext context,
                final ApiRequest request,
                final boolean keepAlive) {
            try {
                switch (routes.answer(request)) {
                    case ApiReply.Page page -> send(context, page, keepAlive);
                    case ApiReply.Lines lines -> stream(context, lines.source());
                }
            } catch (final RuntimeException | Error e) {
                // Nobody else would end the connection: it is not read from while it is answered.
                LOG.error("API: an answer failed, its connection is closed", e);
                context.close();
            }
        }

        private void send(
                final ChannelHandlerContext context,
                final ApiReply.Page page,
                final boolean keepAlive) {
            final byte[] body = page.body().getBytes(StandardCharsets.UTF_8);
            final DefaultFullHttpResponse response =
                    new DefaultFullHttpResponse(
                            HttpVersion.HTTP_1_1,
                            HttpResponseStatus.valueOf(page.status()),
                            Unpooled.wrappedBuffer(body));
            response.headers().set(HttpHeaderNames.CONTENT_TYPE, page.contentType());
            response.headers().setInt(HttpHeaderNames.CONTENT_LENGTH, body.length);
            HttpUtil.setKeepAlive(response, keepAlive);
            final ChannelFuture written = context.writeAndFlush(response);
            if (keepAlive) {
                written.addListener(sent -> next(context));
            } else {
                written.addListener(ChannelFutureListener.CLOSE);
            }
        }

        /** Thread: the event loop. */
        private void next(final ChannelHandlerContext context) {
            context.pipeline().addFirst(IDLE, new ReadTimeoutHandler(ApiLimits.IDLE_SECONDS));
            context.channel().config().setAutoRead(true);
        }

        private void stream(final ChannelHandlerContext context, final ApiReply.LineSource source) {
            try (source) {
                final HttpResponse head =
                        new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
                head.headers().set(HttpHeaderNames.CONTENT_TYPE, source.contentType());
                head.headers().set(HttpHeaderNames.TRANSFER_ENCODING, HttpHeaderValues.CHUNKED);
                head.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
                context.writeAndFlush(head).await();
                // Only a channel that reads notices that its other end is gone.
                streams = true;
                context.channel().config().setAutoRead(true);

                String lines = source.next();
                while (lines != null && context.channel().isActive()) {
                    if (!lines.isEmpty()) {
                        context.writeAndFlush(
                                        new DefaultHttpContent(
                                                Unpooled.copiedBuffer(
                                                        lines, StandardCharsets.UTF_8)))
                                .await();
                    }
                    lines = source.next();
                }
                // The listener goes first: added after the write it may find the loop shut down.
                context.writeAndFlush(
                        LastHttpContent.EMPTY_LAST_CONTENT,
                        context.newPromise().addListener(ChannelFutureListener.CLOSE));
            } catch (final InterruptedException e) {
                // The daemon stops. The client sees the connection end.
                Thread.currentThread().interrupt();
                context.close();
            }
        }

        @Override
        public void exceptionCaught(final ChannelHandlerContext context, final Throwable cause) {
            if (!(cause instanceof ReadTimeoutException) && !(cause instanceof IOException)) {
                LOG.warn("API: a connection failed: {}", cause.toString());
            }
            context.close();
        }
    }
}
