package io.sluice.l7proxy;

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.unix.IntegerUnixChannelOption;
import io.netty.channel.unix.UnixChannelOption;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.EventExecutor;
import io.sluice.l7proxy.ProxyConfig.Addressing;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * The transparent proxy: listeners, event loops, limits.
 *
 * <p><b>Theory of operation.</b> The switch sends a flow here by rewriting the destination port to
 * that of a listener, and by routing it into the proxy's namespace, where every address is local.
 * The listener is IP_TRANSPARENT, so client and server addresses are the real ones, and {@link
 * OriginalDestination} knows the port and the policy. The connection to the server is bound to the
 * client's own address and port: to the switch, both connections are one flow.
 *
 * <p>There is one listener per protocol and loop, all of a protocol on one address (SO_REUSEPORT):
 * the kernel spreads connections, and each lives on the loop that accepted it, with its server leg.
 * A loop's thread runs the hook it was given before anything else, which is where it enters the
 * namespace; sockets are only ever made on loops, because a socket belongs to the namespace of the
 * thread that makes it. (Netty makes a channel on the thread that calls {@code bind} or {@code
 * connect}.)
 *
 * <p>At the limit of connections a new one is accepted and reset: left in the backlog it would wait
 * for a place without anybody knowing. Established ones go on.
 *
 * <p>Thread: {@link #start} and {@link #close} are for one owner; the rest runs on loops.
 */
@SuppressWarnings("FutureReturnValueIgnored") // A channel says itself, by its events, what failed.
public final class ProxyServer implements AutoCloseable {
    /** Bytes to one end above which the other is not read: one full read buffer (64 KiB) twice. */
    static final int WATER_MARK_HIGH = 128 * 1024;

    /** Bytes to one end below which the other is read again. */
    static final int WATER_MARK_LOW = 64 * 1024;

    /**
     * socket(7), SO_REUSEPORT, for sockets that do not listen: Netty names it for others only. A
     * bind to the port of a listener is refused unless both have it
     * (net/ipv4/inet_connection_sock.c, inet_csk_bind_conflict).
     */
    private static final ChannelOption<Integer> REUSE_PORT =
            new IntegerUnixChannelOption("SO_REUSEPORT", 1, 15);

    /** How long the loops may take to end. A loop that hangs is left behind. */
    private static final int SHUTDOWN_SECONDS_MAX = 10;

    /**
     * A place to accept flows of one protocol.
     *
     * @param address port 0 lets the kernel choose
     */
    public record Listener(InetSocketAddress address, Protocol protocol) {}

    private final ProxyConfig config;
    private final OriginalDestination destinations;
    private final ProxyCounters counters;
    private final EventLoopGroup loops;
    private final List<Channel> listening = new ArrayList<>();

    private ProxyServer(
            final ProxyConfig config,
            final OriginalDestination destinations,
            final ProxyCounters counters) {
        this.config = config;
        this.destinations = destinations;
        this.counters = counters;
        this.loops =
                new MultiThreadIoEventLoopGroup(
                        config.loops(),
                        new DefaultThreadFactory("sluice-l7", true),
                        config.transport().handlers());
    }

    /**
     * Starts listening.
     *
     * @param onLoopThread run by each loop's thread first: enters the namespace
     * @return the server, and {@link #addresses} in the order of the listeners
     * @throws IllegalStateException if the hook fails, or an address cannot be listened at
     */
    public static ProxyServer start(
            final ProxyConfig config,
            final List<Listener> listeners,
            final OriginalDestination destinations,
            final ProxyCounters counters,
            final Runnable onLoopThread) {
        final ProxyServer server = new ProxyServer(config, destinations, counters);
        try {
            for (final EventExecutor loop : server.loops) {
                loop.submit(onLoopThread).get();
            }
            for (final Listener listener : listeners) {
                server.listen(listener);
            }
            return server;
        } catch (final ExecutionException failed) {
            server.close();
            throw new IllegalStateException(
                    "the proxy cannot start: " + failed.getCause(), failed.getCause());
        } catch (final InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            server.close();
            throw new IllegalStateException("interrupted while the proxy starts", interrupted);
        }
    }

    private void listen(final Listener listener) throws ExecutionException, InterruptedException {
        InetSocketAddress address = listener.address();
        for (final EventExecutor executor : loops) {
            final EventLoop loop = (EventLoop) executor;
            final InetSocketAddress at = address;
            final ChannelFuture bound = loop.submit(() -> bind(loop, at, listener)).get();
            final Channel channel = bound.sync().channel();
            if (address.getPort() == 0 && channel.localAddress() instanceof InetSocketAddress own) {
                address = new InetSocketAddress(address.getAddress(), own.getPort());
            }
            listening.add(channel);
        }
    }

    private ChannelFuture bind(
            final EventLoop loop, final InetSocketAddress address, final Listener listener) {
        final ServerBootstrap bootstrap =
                new ServerBootstrap()
                        .group(loop, loop)
                        .channelFactory(config.transport().listeners())
                        .option(ChannelOption.SO_REUSEADDR, true)
                        .option(UnixChannelOption.SO_REUSEPORT, true)
                        .childOption(ChannelOption.TCP_NODELAY, true)
                        .childOption(ChannelOption.ALLOW_HALF_CLOSURE, true)
                        .childOption(
                                ChannelOption.WRITE_BUFFER_WATER_MARK,
                                new WriteBufferWaterMark(WATER_MARK_LOW, WATER_MARK_HIGH))
                        .childHandler(
                                new ChannelInitializer<>() {
                                    @Override
                                    protected void initChannel(final Channel channel) {
                                        accept(channel, listener.protocol());
                                    }
                                });
        if (config.addressing() == Addressing.TRANSPARENT) {
            bootstrap.option(config.transport().transparent(), true);
        }
        return bootstrap.bind(address);
    }

    private void accept(final Channel channel, final Protocol protocol) {
        final Optional<Flow> flow =
                channel.remoteAddress() instanceof InetSocketAddress client
                                && channel.localAddress() instanceof InetSocketAddress local
                        ? destinations.find(client, local)
                        : Optional.empty();
        if (flow.isEmpty()) {
            counters.count(ProxyCounter.CONNECTIONS_UNKNOWN);
            refuse(channel);
            return;
        }
        if (!counters.takePlace(config.connectionsMax())) {
            counters.count(ProxyCounter.CONNECTIONS_OVER_LIMIT);
            refuse(channel);
            return;
        }
        counters.count(ProxyCounter.CONNECTIONS_ACCEPTED);
        serve(
                channel,
                flow.get(),
                protocol,
                accepted -> dial(channel.eventLoop(), accepted),
                config,
                counters);
    }

    /**
     * Serves one connection that is there, on its event loop; also one in memory.
     *
     * @param client is read from now on
     * @param dialer connects to the flow's server: a channel on the client's event loop that is not
     *     read yet
     */
    public static void serve(
            final Channel client,
            final Flow flow,
            final Protocol protocol,
            final Function<Flow, ChannelFuture> dialer,
            final ProxyConfig config,
            final ProxyCounters counters) {
        new Link(client, flow, link -> dialer.apply(link.flow()), config, counters).open(protocol);
    }

    private static void refuse(final Channel channel) {
        Link.resetOnClose(channel);
        channel.eventLoop().execute(channel::close);
    }

    private ChannelFuture dial(final EventLoop loop, final Flow flow) {
        final Bootstrap bootstrap =
                new Bootstrap()
                        .group(loop)
                        .channelFactory(config.transport().connections())
                        .option(ChannelOption.TCP_NODELAY, true)
                        .option(ChannelOption.ALLOW_HALF_CLOSURE, true)
                        .option(ChannelOption.AUTO_READ, false)
                        .option(
                                ChannelOption.CONNECT_TIMEOUT_MILLIS,
                                Math.toIntExact(config.connectTimeout().toMillis()))
                        .option(
                                ChannelOption.WRITE_BUFFER_WATER_MARK,
                                new WriteBufferWaterMark(WATER_MARK_LOW, WATER_MARK_HIGH))
                        .handler(new Unread());
        if (config.addressing() == Addressing.TRANSPARENT) {
            // Connections of the client to other servers have the same port, and a client's port
            // may
            // be that of a listener.
            bootstrap
                    .option(config.transport().transparent(), true)
                    .option(ChannelOption.SO_REUSEADDR, true)
                    .option(REUSE_PORT, 1);
            return bootstrap.connect(flow.server(), flow.client());
        }
        return bootstrap.connect(flow.server());
    }

    /** Bootstraps ask for a handler. The link adds its own once the connection is there. */
    private static final class Unread extends ChannelInboundHandlerAdapter {
        @Override
        public void handlerAdded(final ChannelHandlerContext context) {
            context.pipeline().remove(this);
        }
    }

    /** Where it listens, in the order of the listeners. */
    public List<InetSocketAddress> addresses() {
        final List<InetSocketAddress> addresses = new ArrayList<>();
        for (int i = 0; i < listening.size(); i += config.loops()) {
            if (listening.get(i).localAddress() instanceof InetSocketAddress address) {
                addresses.add(address);
            }
        }
        return addresses;
    }

    /** Stops listening and closes all connections. */
    @Override
    public void close() {
        loops.shutdownGracefully(0, SHUTDOWN_SECONDS_MAX, TimeUnit.SECONDS)
                .awaitUninterruptibly(SHUTDOWN_SECONDS_MAX, TimeUnit.SECONDS);
    }
}
