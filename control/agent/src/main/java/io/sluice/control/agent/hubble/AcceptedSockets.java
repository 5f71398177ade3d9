package io.sluice.control.agent.hubble;

import io.netty.channel.AbstractServerChannel;
import io.netty.channel.Channel;
import io.netty.channel.ChannelConfig;
import io.netty.channel.DefaultChannelConfig;
import io.netty.channel.EventLoop;
import io.netty.channel.local.LocalAddress;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A server's channel whose connections somebody else accepts: to Netty it is bound as soon as it is
 * asked, and what {@link #accept} is given comes in as a child.
 *
 * <p>Thread: {@link #accept} any; the rest the event loop.
 */
final class AcceptedSockets extends AbstractServerChannel {
    private static final Logger LOG = LoggerFactory.getLogger(AcceptedSockets.class);

    private final ChannelConfig config = new DefaultChannelConfig(this);
    private final LocalAddress address;
    private final AtomicInteger connections;
    private volatile boolean bound;
    private volatile boolean closed;

    /**
     * @param connections open ones, counted together with those of other channels
     */
    AcceptedSockets(final LocalAddress address, final AtomicInteger connections) {
        this.address = address;
        this.connections = connections;
    }

    /** Takes a connection on, or closes it where there are too many. */
    @SuppressWarnings("FutureReturnValueIgnored") // A listener, and a close whose end is nobody's.
    void accept(final SocketChannel socket) {
        if (connections.incrementAndGet() > HubbleLimits.CONNECTIONS_MAX) {
            connections.decrementAndGet();
            LOG.warn("hubble: more than {} connections, one refused", HubbleLimits.CONNECTIONS_MAX);
            try {
                socket.close();
            } catch (final IOException e) {
                throw new UncheckedIOException(e);
            }
            return;
        }
        final Channel child =
                isUnix(socket)
                        ? new NioDomainSocketChannel(this, socket)
                        : new NioSocketChannel(this, socket);
        child.closeFuture().addListener(gone -> connections.decrementAndGet());
        eventLoop()
                .execute(
                        () -> {
                            pipeline().fireChannelRead(child);
                            pipeline().fireChannelReadComplete();
                        });
    }

    private static boolean isUnix(final SocketChannel socket) {
        try {
            return socket.getLocalAddress() instanceof UnixDomainSocketAddress;
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public ChannelConfig config() {
        return config;
    }

    @Override
    public boolean isOpen() {
        return !closed;
    }

    @Override
    public boolean isActive() {
        return bound && !closed;
    }

    @Override
    protected boolean isCompatible(final EventLoop loop) {
        return true;
    }

    @Override
    protected SocketAddress localAddress0() {
        return address;
    }

    @Override
    protected void doBind(final SocketAddress local) {
        bound = true;
    }

    @Override
    protected void doClose() {
        closed = true;
    }

    @Override
    protected void doBeginRead() {
        // Connections come when they come.
    }
}
