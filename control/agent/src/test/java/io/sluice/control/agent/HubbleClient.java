package io.sluice.control.agent;

import io.grpc.ManagedChannel;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.sluice.control.agent.hubble.wire.FlowProto;
import io.sluice.control.agent.hubble.wire.ObserverGrpc;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsRequest;
import io.sluice.control.agent.hubble.wire.ObserverProto.GetFlowsResponse;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** A client of Hubble's observer, generated from the .proto. */
final class HubbleClient implements AutoCloseable {
    private static final long PATIENCE_SECONDS = 30;

    private final EventLoopGroup loop;
    private final ManagedChannel channel;

    private HubbleClient(final EventLoopGroup loop, final NettyChannelBuilder builder) {
        this.loop = loop;
        this.channel = builder.eventLoopGroup(loop).build();
    }

    private static EventLoopGroup newLoop() {
        return new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    }

    static HubbleClient of(final Path socket) {
        return new HubbleClient(
                newLoop(),
                NettyChannelBuilder.forAddress(UnixDomainSocketAddress.of(socket))
                        .channelType(NioDomainSocketChannel.class)
                        .withOption(ChannelOption.SO_KEEPALIVE, null)
                        .overrideAuthority("localhost")
                        .usePlaintext());
    }

    /**
     * @param identity certificate and key, empty for none
     */
    static HubbleClient ofTls(
            final InetSocketAddress address, final Path authority, final Optional<Path[]> identity)
            throws Exception {
        final SslContextBuilder tls =
                GrpcSslContexts.configure(SslContextBuilder.forClient(), SslProvider.JDK)
                        .trustManager(authority.toFile());
        identity.ifPresent(files -> tls.keyManager(files[0].toFile(), files[1].toFile()));
        return new HubbleClient(
                newLoop(),
                NettyChannelBuilder.forAddress(address)
                        .channelType(NioSocketChannel.class)
                        .overrideAuthority("sluice.test")
                        .sslContext(tls.build()));
    }

    ManagedChannel channel() {
        return channel;
    }

    ObserverGrpc.ObserverBlockingStub observer() {
        return ObserverGrpc.newBlockingStub(channel)
                .withDeadlineAfter(PATIENCE_SECONDS, TimeUnit.SECONDS);
    }

    List<GetFlowsResponse> responses(final GetFlowsRequest.Builder request) {
        final List<GetFlowsResponse> responses = new ArrayList<>();
        observer().getFlows(request.build()).forEachRemaining(responses::add);
        return responses;
    }

    List<FlowProto.Flow> flows(final GetFlowsRequest.Builder request) {
        return responses(request).stream().map(GetFlowsResponse::getFlow).toList();
    }

    @Override
    public void close() {
        channel.shutdownNow();
        loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }
}
