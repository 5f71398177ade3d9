package io.sluice.control.agent.hubble;

import io.sluice.control.agent.ControlPlane;
import io.sluice.control.agent.SluiceConfig;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hubble's observer: the gRPC service {@code observer.Observer} on a Unix socket and, where
 * configured, over TCP with TLS on both sides, so that {@code hubble} and whatever else reads flows
 * from a Cilium node reads them from a Sluice node.
 *
 * <p>Theory of operation. The sockets are bound by plain means and a thread of their own accepts
 * connections; gRPC, protobuf and their event loop are loaded with the first of them. Most daemons
 * are never asked, and after a crash a start is time in which nothing is forwarded: it must not
 * load some thousand classes first. Accepted sockets go into {@link AcceptedSockets}, which is all
 * that gRPC sees of listening. So a connection is not lost, it waits for the classes (under a
 * second). Certificates are the exception: they are read at the start, so that a mistake in them
 * refuses it.
 *
 * <p>What clients ask is answered by {@link ObserverService}. They read flows and change nothing.
 *
 * <p>Access to the Unix socket is the file's: mode 0660, owner and group of the daemon. Over TCP a
 * client needs a certificate that one of the configured authorities signed; there is no plain TCP.
 *
 * <p>Limits: {@link HubbleLimits}. An address that another process has (the predecessor of a
 * hand-over, for a moment) is tried again every second; the daemon does its work without it.
 *
 * <p>Thread: {@link #start} and {@link #close} by whoever composes the daemon; connections are
 * accepted on {@code sluice-hubble-accept}, one thread for each address.
 */
public final class HubbleServer implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HubbleServer.class);

    private static final long RETRY_MS = 1000;

    private final List<Entrance> entrances = new ArrayList<>();
    private final Path socket;
    private final SluiceConfig config;
    private final ControlPlane control;
    private @Nullable GrpcServers grpc;
    private boolean closed;

    private HubbleServer(final Path socket, final SluiceConfig config, final ControlPlane control) {
        this.socket = socket;
        this.config = config;
        this.control = control;
    }

    /**
     * Listens where the configuration says. A socket file left by a daemon that was killed is
     * replaced: the run folder's lock, which the caller holds, says that none is alive.
     *
     * @param socket Unix socket to listen on
     * @throws IOException when the socket cannot be made, or the certificates cannot be used; with
     *     the file in the message
     */
    public static HubbleServer start(
            final Path socket, final SluiceConfig config, final ControlPlane control)
            throws IOException {
        final HubbleServer server = new HubbleServer(socket, config, control);
        if (!config.hubble().enabled()) {
            return server;
        }
        final Optional<InetSocketAddress> address = config.hubble().listen();
        try {
            if (address.isPresent()) {
                server.enter(
                        "sluice-hubble-tls",
                        TcpListener.of(address.get()),
                        server.grpc().listenTls(config.hubble()));
            }
            final ServerSocketChannel listener = listen(socket);
            server.enter(
                    "sluice-hubble-accept",
                    () -> listener,
                    connection -> server.grpc().acceptUnix(connection));
        } catch (final IOException e) {
            server.close();
            throw e;
        }
        return server;
    }

    private static ServerSocketChannel listen(final Path socket) throws IOException {
        Files.deleteIfExists(socket);
        final ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            listener.bind(UnixDomainSocketAddress.of(socket));
            // Until here the mode is that of the umask; the run folder's own (0750) covers the gap.
            Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw----"));
            return listener;
        } catch (final IOException e) {
            listener.close();
            throw new IOException(socket + ": cannot listen on this socket: " + e.getMessage(), e);
        }
    }

    private void enter(
            final String thread, final Listener listener, final Consumer<SocketChannel> accepted) {
        final Entrance entrance = new Entrance(listener, accepted);
        entrances.add(entrance);
        entrance.thread = Thread.ofPlatform().name(thread).daemon().start(entrance);
    }

    /** Loaded when it is asked for. Thread: those that accept, and the one that starts. */
    private synchronized GrpcServers grpc() {
        GrpcServers servers = grpc;
        if (servers == null) {
            if (closed) {
                throw new IllegalStateException("the daemon stops");
            }
            servers = new GrpcServers(config, control);
            grpc = servers;
        }
        return servers;
    }

    /** Where connections come from. */
    private interface Listener {
        ServerSocketChannel open() throws IOException, InterruptedException;
    }

    /**
     * An address that may be taken for a while.
     *
     * @param first empty where it was taken at the start
     */
    private record TcpListener(InetSocketAddress address, Optional<ServerSocketChannel> first)
            implements Listener {
        /** Bound before the start is over, unless the address is taken. */
        static TcpListener of(final InetSocketAddress address) throws IOException {
            final Optional<ServerSocketChannel> first = bind(address);
            if (first.isEmpty()) {
                LOG.warn("hubble.listen.address: {} is taken, it is tried again", address);
            }
            return new TcpListener(address, first);
        }

        @Override
        public ServerSocketChannel open() throws IOException, InterruptedException {
            Optional<ServerSocketChannel> bound = first;
            while (bound.isEmpty()) {
                Thread.sleep(RETRY_MS);
                bound = bind(address);
            }
            LOG.info("hubble on {}", address);
            return bound.get();
        }

        private static Optional<ServerSocketChannel> bind(final InetSocketAddress address)
                throws IOException {
            final ServerSocketChannel listener = ServerSocketChannel.open();
            try {
                listener.setOption(StandardSocketOptions.SO_REUSEADDR, true);
                listener.bind(address);
                return Optional.of(listener);
            } catch (final IOException e) {
                listener.close();
                LOG.debug("hubble: {} cannot be had", address, e);
                return Optional.empty();
            }
        }
    }

    /** Accepts connections until it is closed. */
    private static final class Entrance implements Runnable, AutoCloseable {
        private final Listener listener;
        private final Consumer<SocketChannel> accepted;
        private @Nullable Thread thread;
        private volatile boolean closed;

        Entrance(final Listener listener, final Consumer<SocketChannel> accepted) {
            this.listener = listener;
            this.accepted = accepted;
        }

        @Override
        public void run() {
            try (ServerSocketChannel from = listener.open()) {
                while (!closed) {
                    acceptOne(from);
                }
            } catch (final InterruptedException | ClosedChannelException e) {
                LOG.debug("hubble: listens no more", e);
            } catch (final IOException e) {
                LOG.error("hubble: no connection can be accepted any more", e);
            }
        }

        private void acceptOne(final ServerSocketChannel from) throws IOException {
            final SocketChannel connection = from.accept();
            try {
                accepted.accept(connection);
            } catch (final RuntimeException | LinkageError e) {
                LOG.error("hubble: a connection could not be taken on", e);
                connection.close();
            }
        }

        /** An interrupt closes the channel under the thread (java.nio InterruptibleChannel). */
        @Override
        public void close() {
            closed = true;
            final Thread running = thread;
            if (running == null) {
                return;
            }
            running.interrupt();
            try {
                running.join();
            } catch (final InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Stops listening, ends the streams, and removes the socket. */
    @Override
    public void close() {
        entrances.forEach(Entrance::close);
        synchronized (this) {
            closed = true;
            if (grpc != null) {
                grpc.close();
            }
        }
        try {
            Files.deleteIfExists(socket);
        } catch (final IOException e) {
            LOG.warn("hubble: {}: the socket stays behind: {}", socket, e.getMessage());
        }
    }
}
