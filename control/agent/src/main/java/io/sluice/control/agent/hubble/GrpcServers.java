package io.sluice.control.agent.hubble;

import io.grpc.Server;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.local.LocalAddress;
import io.netty.channel.nio.NioIoHandler;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.SluiceConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * gRPC's servers: one for the Unix socket, one for TLS where it is asked for, on one event loop.
 * Calls run on virtual threads.
 *
 * <p>Thread: any, one at a time.
 */
final class GrpcServers implements AutoCloseable {
    /** What hubble's {@code status} asks the health service about (pkg/hubble/api/v1). */
    private static final String HEALTH_NAME = "hubble.server.Observer";

    private final ObserverService observer;
    private final HealthStatusManager health = new HealthStatusManager();
    private final AtomicInteger connections = new AtomicInteger();
    private final ExecutorService calls =
            Executors.newThreadPerTaskExecutor(
                    Thread.ofVirtual().name("sluice-hubble-call-", 0).factory());
    private final EventLoopGroup loop =
            new MultiThreadIoEventLoopGroup(
                    1,
                    Thread.ofPlatform().name("sluice-hubble").daemon().factory(),
                    NioIoHandler.newFactory());
    private final List<Server> servers = new ArrayList<>();
    private @Nullable AcceptedSockets unix;

    GrpcServers(final SluiceConfig config, final ControlPlane control) {
        this.observer = new ObserverService(control, config, calls, Clock.systemUTC());
        health.setStatus(HEALTH_NAME, ServingStatus.SERVING);
    }

    /** Takes on a connection of the Unix socket. */
    void acceptUnix(final SocketChannel connection) {
        unix().accept(connection);
    }

    private synchronized AcceptedSockets unix() {
        AcceptedSockets sockets = unix;
        if (sockets == null) {
            final AcceptedSockets made =
                    new AcceptedSockets(new LocalAddress("hubble"), connections);
            serve(
                    made,
                    // gRPC wants TCP's keepalive of every channel; no value takes it away again.
                    builder("hubble", made).withChildOption(ChannelOption.SO_KEEPALIVE, null));
            unix = made;
            sockets = made;
        }
        return sockets;
    }

    /**
     * Where connections go that have to show a certificate.
     *
     * @throws IOException when certificates or key cannot be read or used, with the file
     */
    synchronized Consumer<SocketChannel> listenTls(final SluiceConfig.Hubble hubble)
            throws IOException {
        final AcceptedSockets made =
                new AcceptedSockets(new LocalAddress("hubble-tls"), connections);
        serve(made, builder("hubble-tls", made).sslContext(tls(hubble)));
        return made::accept;
    }

    private static SslContext tls(final SluiceConfig.Hubble hubble) throws IOException {
        final Path certificate = hubble.certFile().orElseThrow();
        final Path key = hubble.keyFile().orElseThrow();
        final Path authorities = hubble.clientCaFile().orElseThrow();
        try {
            return GrpcSslContexts.configure(
                            SslContextBuilder.forServer(certificate.toFile(), key.toFile())
                                    .trustManager(authorities.toFile())
                                    .clientAuth(ClientAuth.REQUIRE),
                            SslProvider.JDK)
                    .build();
        } catch (final IllegalArgumentException | IOException e) {
            throw new IOException(
                    "hubble.listen: %s, %s, %s cannot be used for TLS: %s"
                            .formatted(certificate, key, authorities, cause(e)),
                    e);
        }
    }

    private static String cause(final Throwable e) {
        Throwable cause = e;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return String.valueOf(cause.getMessage());
    }

    private NettyServerBuilder builder(final String name, final AcceptedSockets sockets) {
        return NettyServerBuilder.forAddress(new LocalAddress(name))
                .channelFactory(() -> sockets)
                .bossEventLoopGroup(loop)
                .workerEventLoopGroup(loop)
                .executor(calls)
                .handshakeTimeout(HubbleLimits.HANDSHAKE_SECONDS, TimeUnit.SECONDS)
                .keepAliveTime(HubbleLimits.KEEPALIVE_SECONDS, TimeUnit.SECONDS)
                .permitKeepAliveTime(HubbleLimits.CLIENT_KEEPALIVE_SECONDS_MIN, TimeUnit.SECONDS)
                .permitKeepAliveWithoutCalls(true)
                .maxConcurrentCallsPerConnection(HubbleLimits.CALLS_PER_CONNECTION_MAX)
                .maxInboundMessageSize(HubbleLimits.REQUEST_BYTES_MAX)
                .maxInboundMetadataSize(HubbleLimits.HEADERS_BYTES_MAX)
                .addService(observer)
                .addService(health.getHealthService());
    }

    private void serve(final AcceptedSockets sockets, final NettyServerBuilder builder) {
        final Server server = builder.build();
        servers.add(server);
        try {
            server.start();
        } catch (final IOException e) {
            throw new UncheckedIOException(sockets + " could not be opened", e);
        }
    }

    @Override
    public void close() {
        observer.close();
        servers.forEach(Server::shutdownNow);
        calls.shutdownNow();
        loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }
}
