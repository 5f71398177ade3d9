package io.sluice.l7proxy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.ssl.SslCloseCompletionEvent;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslHandshakeCompletionEvent;
import io.netty.util.concurrent.Future;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A client's connection and the one to its server, joined.
 *
 * <p><b>Theory of operation.</b> A link moves bytes, ends and resets; what they mean is its {@link
 * Conversation}'s to say. Client and server legs live on one event loop, so nothing here is shared.
 *
 * <p><i>Server leg.</i> There is none until the conversation first sends something: a client whose
 * requests are all denied never reaches its server, not even with a SYN. Until it is open, what is
 * sent waits here and the client is not read, so one read buffer waits at most. There is one server
 * connection per client connection, never shared or used again: the server's answers can only reach
 * the client that asked.
 *
 * <pre>
 *   NONE --toServer--> CONNECTING --connected--> OPEN --gone--> GONE
 *    ^ +---askServer-----^  | +------failed-------------------^
 *    +--failed when asked---+
 * </pre>
 *
 * <p><i>Back-pressure.</i> A leg that is not drained (Netty's high water mark, {@link
 * ProxyServer#WATER_MARK_HIGH}) stops reading from the other one until it is (low water mark). The
 * conversation may stop reading the client for reasons of its own. Per direction at most the high
 * water mark and one read buffer are held.
 *
 * <p><i>Ends.</i> A FIN is passed on by the conversation, {@link #endToServer} and {@link
 * #endToClient}, after everything sent before. A leg is closed when both its directions have ended
 * and are written. A reset of one leg resets the other (SO_LINGER 0), so that neither end takes a
 * broken stream for a complete one. {@link #finish} is the orderly end: the client gets everything
 * and FIN, and whatever it still sends is read and dropped for the linger time. Closing at once
 * would make the kernel answer unread bytes with a reset, and the client would lose the answer (RFC
 * 9112, 9.6).
 *
 * <p><i>Passing on.</i> What a conversation lets through as it came ({@link #passToServer}, {@link
 * #passToClient}) waits until something else is sent or the read has been dealt with, so that the
 * pieces of one read that lie side by side, such as a head and its body, are one write and not
 * several: each piece of its own costs a system call's vector and an entry of Netty's queue. If all
 * of a read passes, its buffer goes on without a slice being made.
 *
 * <p><i>TLS</i> may lie below the conversation on either leg ({@link #secureClient}, {@link
 * #secureServer}); the conversation gets and gives what is inside. The end of a direction is then
 * close_notify (RFC 8446, 6.1): a FIN without it is a broken stream, like a reset. The server's leg
 * is open when its handshake is done, and has failed if it failed. A reset sends no close_notify.
 * What one handshake computes is computed on the event loop. What TLS carries is agreed on with
 * both ends alike (ALPN, RFC 7301), since nothing here translates: {@link #askServer} learns what
 * the server speaks before the client is told. A server that could not be asked is connected to
 * again when there is something to send.
 *
 * <p><i>Places.</i> The proxy has room for so many links ({@link ProxyConfig#connectionsMax}), each
 * with two descriptors. A link gives its place back when both are closed: clients that come and go
 * faster than their servers answer would else use up the descriptors of everybody. A connection
 * that is still being made is given up with its link, not after its timeout.
 *
 * <p><i>Time</i> is the event loop's, and stands still while a read is dealt with. One timer per
 * link, set anew only when it fires, looks at the conversation's deadline and at the time of the
 * last byte moved.
 *
 * <p>Calls into the channels never call back into the conversation on the same stack, except that
 * {@code close} of a channel is left to the loop's next turn for this very reason.
 *
 * <p>Thread: the event loop of both legs.
 */
@SuppressWarnings("FutureReturnValueIgnored") // A channel says itself, by its events, what failed.
public final class Link {
    /** Why the client is not read, as bits: any of them is enough. */
    private static final int PAUSED_BY_CONVERSATION = 1;

    private static final int PAUSED_BY_FULL_SERVER = 2;
    private static final int PAUSED_BY_CONNECTING = 4;

    private enum ServerState {
        /** Nothing was sent yet. */
        NONE,
        /** {@code waiting} holds what was sent; the client is not read. */
        CONNECTING,
        /** {@code server} is set. */
        OPEN,
        /** Closed, refused or reset: what is sent is dropped. */
        GONE
    }

    private enum State {
        /** Bytes go to the conversation. */
        TALKING,
        /** The last answer is on its way: the client's bytes are dropped until it ends. */
        LINGERING,
        /** Both legs are closed or about to be. */
        CLOSED
    }

    private static final long NEVER = Long.MAX_VALUE;

    /** Inside TLS it must be agreed on: RFC 9113, 3.3. */
    private static final String HTTP2 = "h2";

    private final Channel client;
    private final Flow flow;
    private final Function<Link, ChannelFuture> dialer;
    private final ProxyConfig config;
    private final ProxyCounters counters;
    private Conversation conversation = Unopened.INSTANCE;

    private State state = State.TALKING;
    private ServerState serverState = ServerState.NONE;
    private @Nullable Channel server;

    /** The connection to the server until it is {@code server}. */
    private @Nullable Channel dialing;

    private boolean isClientClosed;
    private boolean hasServerSocket;
    private boolean gavePlaceBack;
    private final Deque<ByteBuf> waiting = new ArrayDeque<>(2);
    private int paused;
    private boolean isServerPaused;
    private @Nullable Consumer<Throwable> clientTlsFailed;
    private @Nullable ServerTls serverTls;

    /** Waits for what the server selects. */
    private @Nullable Consumer<String> asking;

    /** What the server is offered. */
    private List<String> offered = List.of();

    private String applicationProtocol = "";
    private String serverName = "";
    private String connectFailure = "";
    private final Run passingToServer = new Run();
    private final Run passingToClient = new Run();
    private boolean hasUnflushedToServer;
    private boolean hasUnflushedToClient;

    private boolean clientEnded;
    private boolean serverEnded;
    private boolean endedToClient;
    private boolean endedToServer;

    /** Everything up to FIN has been handed to the kernel. */
    private boolean isClientOutputDone;

    private boolean isServerOutputDone;
    private boolean closedConversation;
    private boolean isReset;

    private final long startNs;

    /** The time of the read at hand, since the start, in ns; {@link #NEVER} between reads. */
    private long readNs = NEVER;

    /** Since the start, in ns. */
    private long movedNs;

    /** Since the start, in ns; {@link #NEVER} if there is none. */
    private long deadlineNs = NEVER;

    private @Nullable Future<?> timer;
    private long timerNs = NEVER;

    Link(
            final Channel client,
            final Flow flow,
            final Function<Link, ChannelFuture> dialer,
            final ProxyConfig config,
            final ProxyCounters counters) {
        this.client = client;
        this.flow = flow;
        this.dialer = dialer;
        this.config = config;
        this.counters = counters;
        this.startNs = client.eventLoop().ticker().nanoTime();
    }

    /** Begins: the conversation gets what the client sends. */
    void open(final Protocol protocol) {
        conversation = protocol.open(this);
        client.pipeline().addLast(new ClientLeg());
        armTimer();
    }

    /** What the switch knows of the connection. */
    public Flow flow() {
        return flow;
    }

    /** Where to count. */
    public ProxyCounters counters() {
        return counters;
    }

    /** Settings of the proxy. */
    public ProxyConfig config() {
        return config;
    }

    /** The name that the client asked for in the TLS below; empty without one or the other. */
    public String serverName() {
        return serverName;
    }

    /** Whether there is TLS below on the client's side. */
    public boolean isClientSecure() {
        return clientTlsFailed != null;
    }

    /** Whether the server is met with TLS. */
    public boolean isServerSecure() {
        return serverTls != null;
    }

    /** What was agreed on with the client to be in the TLS below; empty if nothing was. */
    public String applicationProtocol() {
        return applicationProtocol;
    }

    /** Why {@link Conversation#onConnectFailed} was called. */
    public String connectFailure() {
        return connectFailure;
    }

    /** Nanoseconds since the link began; of a read, when it was begun. */
    public long nowNs() {
        return readNs == NEVER ? client.eventLoop().ticker().nanoTime() - startNs : readNs;
    }

    /** Whether the conversation is over: nothing that is sent arrives any more. */
    public boolean isOver() {
        return state != State.TALKING;
    }

    /** Hands the rest of the connection to another conversation, which may get bytes at once. */
    public void switchTo(final Conversation next) {
        conversation = next;
    }

    /**
     * Has the event loop run a task, for a conversation that waited for another thread; what it
     * sends goes out behind it. Thread: any.
     */
    public void execute(final Runnable task) {
        client.eventLoop()
                .execute(
                        () -> {
                            task.run();
                            flush();
                        });
    }

    /**
     * Puts TLS below on the client's side. If its handshake fails, or takes longer than {@code
     * headTimeout}, the client gets the alert and both legs are closed.
     *
     * @param layer for this connection, which agrees on {@link #applicationProtocol}
     * @param received from the ClientHello on; released here
     * @param onFailure called once if the handshake fails
     */
    public void secureClient(
            final SslHandler layer, final ByteBuf received, final Consumer<Throwable> onFailure) {
        clientTlsFailed = onFailure;
        layer.setHandshakeTimeoutMillis(config.headTimeout().toMillis());
        client.pipeline().addFirst(layer);
        client.pipeline().fireChannelRead(received);
    }

    /**
     * Says what the client's TLS is for, before {@link #secureClient}.
     *
     * @param name that the client asked for, or empty
     * @param protocol that is agreed on with the client, and offered to the server; empty is none
     */
    public void agree(final String name, final String protocol) {
        serverName = name;
        applicationProtocol = protocol;
        offered = protocol.isEmpty() ? List.of() : List.of(protocol);
    }

    /**
     * Connects to the server, which has TLS, to learn what it speaks. The client is not read until
     * then.
     *
     * @param name that the client asked for, or empty
     * @param protocols to offer
     * @param answered called with what the server has selected, or with nothing if it selects
     *     nothing or cannot be reached; not if the link ends before
     */
    public void askServer(
            final String name, final List<String> protocols, final Consumer<String> answered) {
        serverName = name;
        offered = protocols;
        asking = answered;
        connect();
    }

    /**
     * Has TLS below on the server's side, once it is connected to. The handshake may take the
     * {@code connectTimeout} once more.
     *
     * @param tls called when the TCP connection stands; what it throws as an IllegalStateException
     *     fails the connection, with its message as {@link #connectFailure}
     */
    public void secureServer(final ServerTls tls) {
        serverTls = tls;
    }

    /** A buffer to write into. */
    public ByteBuf buffer(final int capacity) {
        return client.alloc().buffer(capacity);
    }

    /** For codecs of Netty that take their buffers from a context. */
    public ChannelHandlerContext context() {
        return client.pipeline().lastContext();
    }

    /**
     * Sends to the server, connecting to it first if need be. Goes out when the bytes at hand have
     * been dealt with.
     *
     * @param bytes released here
     */
    public void toServer(final ByteBuf bytes) {
        settleToServer();
        final Channel to = server;
        if (state != State.TALKING || serverState == ServerState.GONE || endedToServer) {
            bytes.release();
        } else if (to != null) {
            counters.add(ProxyCounter.BYTES_TO_SERVER, bytes.readableBytes());
            to.write(bytes, to.voidPromise());
            hasUnflushedToServer = true;
        } else {
            counters.add(ProxyCounter.BYTES_TO_SERVER, bytes.readableBytes());
            waiting.add(bytes);
            connect();
        }
    }

    /**
     * Sends to the client. Goes out when the bytes at hand have been dealt with.
     *
     * @param bytes released here
     */
    public void toClient(final ByteBuf bytes) {
        settleToClient();
        if (state != State.TALKING || endedToClient) {
            bytes.release();
            return;
        }
        counters.add(ProxyCounter.BYTES_TO_CLIENT, bytes.readableBytes());
        client.write(bytes, client.voidPromise());
        hasUnflushedToClient = true;
    }

    /**
     * As {@link #toServer}, for bytes that go on as they came.
     *
     * @param in its reader index moves on; its reference stays the caller's
     * @param length at most what is readable
     */
    public void passToServer(final ByteBuf in, final int length) {
        if (server == null) {
            toServer(in.readRetainedSlice(length));
        } else if (state != State.TALKING || serverState == ServerState.GONE || endedToServer) {
            in.skipBytes(length);
        } else {
            if (!passingToServer.isFollowedBy(in)) {
                settleToServer();
            }
            passingToServer.add(in, length);
        }
    }

    /** As {@link #passToServer}, for the client. */
    public void passToClient(final ByteBuf in, final int length) {
        if (state != State.TALKING || endedToClient) {
            in.skipBytes(length);
        } else {
            if (!passingToClient.isFollowedBy(in)) {
                settleToClient();
            }
            passingToClient.add(in, length);
        }
    }

    private void settleToServer() {
        final ByteBuf bytes = passingToServer.take();
        final Channel to = server;
        if (bytes == null) {
            return;
        }
        if (to == null) {
            bytes.release();
            return;
        }
        counters.add(ProxyCounter.BYTES_TO_SERVER, bytes.readableBytes());
        to.write(bytes, to.voidPromise());
        hasUnflushedToServer = true;
    }

    private void settleToClient() {
        final ByteBuf bytes = passingToClient.take();
        if (bytes != null) {
            counters.add(ProxyCounter.BYTES_TO_CLIENT, bytes.readableBytes());
            client.write(bytes, client.voidPromise());
            hasUnflushedToClient = true;
        }
    }

    /** Whether more is on its way to the client than it takes: answer no more before it drains. */
    public boolean isClientFull() {
        return !client.isWritable();
    }

    /** Stops reading the client; what has been read already still comes. */
    public void pauseClient() {
        pauseClient(PAUSED_BY_CONVERSATION);
    }

    /** Reads the client again. */
    public void resumeClient() {
        resumeClient(PAUSED_BY_CONVERSATION);
    }

    private void pauseClient(final int why) {
        if (state == State.LINGERING) {
            return;
        }
        if (paused == 0) {
            client.config().setAutoRead(false);
        }
        paused |= why;
    }

    private void resumeClient(final int why) {
        final int before = paused;
        paused &= ~why;
        if (before != 0 && paused == 0) {
            client.config().setAutoRead(true);
        }
    }

    /** Passes FIN on to the server, behind everything sent. */
    public void endToServer() {
        if (endedToServer) {
            return;
        }
        settleToServer();
        endedToServer = true;
        if (server != null) {
            endServerOutput(server);
        }
    }

    /** Netty fails what is not written yet when a direction is shut down, so this waits for it. */
    private void endServerOutput(final Channel to) {
        writeEnd(
                to,
                () -> {
                    isServerOutputDone = true;
                    if (serverEnded) {
                        to.close();
                    } else {
                        shutdownOutput(to);
                    }
                });
    }

    /** Waits until everything is written, and close_notify behind it if there is TLS. */
    private static void writeEnd(final Channel to, final Runnable written) {
        to.writeAndFlush(Unpooled.EMPTY_BUFFER)
                .addListener(
                        all -> {
                            final SslHandler tls = to.pipeline().get(SslHandler.class);
                            if (tls == null) {
                                written.run();
                            } else {
                                tls.closeOutbound().addListener(notified -> written.run());
                            }
                        });
    }

    /** Passes FIN on to the client, behind everything sent. */
    public void endToClient() {
        if (endedToClient) {
            return;
        }
        settleToClient();
        endedToClient = true;
        writeEnd(
                client,
                () -> {
                    isClientOutputDone = true;
                    if (clientEnded) {
                        client.close();
                    } else {
                        shutdownOutput(client);
                        if (state == State.LINGERING) {
                            setDeadlineIn(config.lingerTimeout().toNanos());
                        }
                    }
                });
    }

    /** Without half-close, the end of one direction is that of both. */
    private static void shutdownOutput(final Channel channel) {
        if (channel instanceof final DuplexChannel duplex) {
            duplex.shutdownOutput();
        } else {
            channel.close();
        }
    }

    /**
     * The orderly end: the client gets everything sent to it, then FIN; the server is let go. What
     * the client still sends is dropped.
     */
    public void finish() {
        if (state != State.TALKING) {
            return;
        }
        settleToServer();
        state = State.LINGERING;
        deadlineNs = NEVER;
        serverState = ServerState.GONE;
        releaseWaiting();
        giveUpDialing();
        if (server != null) {
            final Channel to = server;
            to.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(written -> to.close());
        }
        if (isClientOutputDone) {
            setDeadlineIn(config.lingerTimeout().toNanos());
        }
        endToClient();
        paused = 0;
        client.config().setAutoRead(true);
        client.eventLoop().execute(this::endConversation);
    }

    private void releaseWaiting() {
        waiting.forEach(ByteBuf::release);
        waiting.clear();
    }

    /** Resets the server's leg: what it has of a request must not be taken for complete. */
    public void resetServer() {
        serverState = ServerState.GONE;
        releaseWaiting();
        giveUpDialing();
        if (server != null) {
            final Channel to = server;
            resetOnClose(to);
            client.eventLoop().execute(() -> closeBelow(to));
        }
    }

    /** Resets both legs: neither end must take what it got for complete. */
    public void reset() {
        if (state == State.CLOSED) {
            return;
        }
        resetOnClose(client);
        if (server != null) {
            resetOnClose(server);
        }
        isReset = true;
        close();
    }

    /** Past TLS, which would tell the peer that everything has been said. */
    private static void closeBelow(final Channel channel) {
        final ChannelHandlerContext first = channel.pipeline().firstContext();
        if (first == null) {
            channel.close();
        } else {
            first.close();
        }
    }

    static void resetOnClose(final Channel channel) {
        if (channel.isOpen()) {
            channel.config().setOption(ChannelOption.SO_LINGER, 0);
        }
    }

    /** Closes both legs in the loop's next turn. What is not written yet is lost. */
    private void close() {
        if (state == State.CLOSED) {
            return;
        }
        if (timer != null) {
            timer.cancel(false);
        }
        state = State.CLOSED;
        serverState = ServerState.GONE;
        releaseWaiting();
        giveUpDialing();
        client.eventLoop()
                .execute(
                        () -> {
                            flush();
                            close(client);
                            if (server != null) {
                                close(server);
                            }
                            endConversation();
                        });
    }

    private void close(final Channel channel) {
        if (isReset) {
            closeBelow(channel);
        } else {
            channel.close();
        }
    }

    private void endConversation() {
        if (!closedConversation) {
            closedConversation = true;
            conversation.onClosed();
        }
    }

    /**
     * Asks for {@link Conversation#onDeadline}. One at a time: a new one takes the old one's place.
     *
     * @param fromNowNs in nanoseconds
     */
    public void setDeadline(final long fromNowNs) {
        if (state == State.TALKING) {
            setDeadlineIn(fromNowNs);
        }
    }

    private void setDeadlineIn(final long fromNowNs) {
        deadlineNs = nowNs() + fromNowNs;
        if (deadlineNs < timerNs) {
            armTimer();
        }
    }

    /** No deadline any more. */
    public void clearDeadline() {
        if (state == State.TALKING) {
            deadlineNs = NEVER;
        }
    }

    private void armTimer() {
        if (timer != null) {
            timer.cancel(false);
        }
        timerNs = Math.min(deadlineNs, movedNs + config.idleTimeout().toNanos());
        timer = client.eventLoop().schedule(this::onTimer, timerNs - nowNs(), TimeUnit.NANOSECONDS);
    }

    private void onTimer() {
        readNs = NEVER;
        final long now = nowNs();
        if (state == State.CLOSED) {
            return;
        }
        if (now >= deadlineNs) {
            deadlineNs = NEVER;
            if (state == State.LINGERING) {
                close();
                return;
            }
            conversation.onDeadline();
            flush();
            if (state == State.CLOSED) {
                return;
            }
        } else if (now - movedNs >= config.idleTimeout().toNanos()) {
            counters.count(ProxyCounter.CONNECTIONS_IDLE);
            close();
            return;
        }
        armTimer();
    }

    private void connect() {
        if (serverState != ServerState.NONE) {
            return;
        }
        serverState = ServerState.CONNECTING;
        pauseClient(PAUSED_BY_CONNECTING);
        final ChannelFuture dialed = dialer.apply(this);
        final Channel channel = dialed.channel();
        dialing = channel;
        hasServerSocket = channel.isOpen();
        if (hasServerSocket) {
            channel.closeFuture().addListener(closed -> onServerClosed());
        }
        dialed.addListener(ended -> onLoop(() -> onDialed(dialed)));
    }

    /** Netty says on a thread of its own that there was no descriptor for a socket. */
    private void onLoop(final Runnable task) {
        if (client.eventLoop().inEventLoop()) {
            task.run();
        } else {
            client.eventLoop().execute(task);
        }
    }

    private void onDialed(final ChannelFuture dialed) {
        if (dialed.isSuccess()) {
            onConnected(dialed.channel());
        } else {
            onConnectFailed("the server cannot be reached");
        }
    }

    /** In the loop's next turn, as with every close. */
    private void giveUpDialing() {
        final Channel to = dialing;
        dialing = null;
        if (to != null && hasServerSocket) {
            resetOnClose(to);
            client.eventLoop().execute(() -> closeBelow(to));
        }
    }

    private void onServerClosed() {
        hasServerSocket = false;
        givePlaceBack();
    }

    private void givePlaceBack() {
        if (isClientClosed && !hasServerSocket && !gavePlaceBack) {
            gavePlaceBack = true;
            counters.givePlaceBack();
        }
    }

    private void onConnected(final Channel channel) {
        if (state != State.TALKING || serverState != ServerState.CONNECTING) {
            resetOnClose(channel);
            channel.close();
            return;
        }
        counters.count(ProxyCounter.SERVER_CONNECTS);
        if (serverTls == null) {
            onServerReady(channel);
            channel.pipeline().addLast(new ServerLeg());
            channel.config().setAutoRead(!isServerPaused);
        } else {
            secure(channel, serverTls);
        }
    }

    /** Reads by itself until its handshake is done. */
    private void secure(final Channel channel, final ServerTls tls) {
        try {
            final SslHandler layer = tls.layer(channel.alloc(), serverName, offered);
            layer.setHandshakeTimeoutMillis(config.connectTimeout().toMillis());
            channel.pipeline().addLast(layer, new ServerLeg());
        } catch (final IllegalStateException impossible) {
            channel.close();
            onTlsFailed(String.valueOf(impossible.getMessage()));
        }
    }

    private void onTlsFailed(final String why) {
        counters.count(ProxyCounter.SERVER_TLS_FAILED);
        onConnectFailed(why);
    }

    private void onServerReady(final Channel channel) {
        serverState = ServerState.OPEN;
        server = channel;
        dialing = null;
        while (!waiting.isEmpty()) {
            channel.write(waiting.remove(), channel.voidPromise());
        }
        channel.flush();
        if (endedToServer) {
            endServerOutput(channel);
        }
        resumeClient(PAUSED_BY_CONNECTING);
        answerAsking(selected(channel));
    }

    /** What TLS carries, as the server selected; empty without TLS or a selection. */
    private static String selected(final Channel channel) {
        final SslHandler tls = channel.pipeline().get(SslHandler.class);
        final String selected = tls == null ? null : tls.engine().getApplicationProtocol();
        return selected == null ? "" : selected;
    }

    private void answerAsking(final String selected) {
        final Consumer<String> asked = asking;
        if (asked != null) {
            asking = null;
            asked.accept(selected);
            // TLS writes at the end of what was read, and this is not within a read.
            client.pipeline().fireChannelReadComplete();
        }
    }

    private void onConnectFailed(final String why) {
        if (state != State.TALKING || serverState != ServerState.CONNECTING) {
            return;
        }
        counters.count(ProxyCounter.SERVER_UNREACHABLE);
        connectFailure = why;
        if (asking == null) {
            serverState = ServerState.GONE;
            releaseWaiting();
            conversation.onConnectFailed();
        } else {
            serverState = ServerState.NONE;
            answerAsking("");
        }
        flush();
        resumeClient(PAUSED_BY_CONNECTING);
    }

    /** Lets out what has been sent since the last time. */
    private void flush() {
        settleToServer();
        settleToClient();
        if (hasUnflushedToServer && server != null) {
            hasUnflushedToServer = false;
            server.flush();
        }
        if (hasUnflushedToClient) {
            hasUnflushedToClient = false;
            client.flush();
        }
    }

    private void moved() {
        movedNs = nowNs();
    }

    private void beginRead() {
        if (readNs == NEVER) {
            readNs = nowNs();
        }
    }

    private void endRead() {
        moved();
        flush();
        readNs = NEVER;
    }

    /** A leg ended without FIN: RFC 9293, 3.5.3. */
    private void onBroken() {
        if (state == State.TALKING) {
            counters.count(ProxyCounter.CONNECTIONS_RESET);
        }
        reset();
    }

    private final class ClientLeg extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(final ChannelHandlerContext context, final Object message) {
            final ByteBuf bytes = (ByteBuf) message;
            beginRead();
            if (state == State.TALKING) {
                conversation.onClientBytes(bytes);
            } else {
                bytes.release();
            }
        }

        @Override
        public void channelReadComplete(final ChannelHandlerContext context) {
            endRead();
        }

        @Override
        public void userEventTriggered(final ChannelHandlerContext context, final Object event) {
            if (event == ChannelInputShutdownEvent.INSTANCE && !clientEnded) {
                if (clientTlsFailed != null && state == State.TALKING) {
                    onBroken();
                } else {
                    onEnd();
                }
            } else if (event == SslCloseCompletionEvent.SUCCESS && !clientEnded) {
                onEnd();
            } else if (event instanceof final SslHandshakeCompletionEvent handshake
                    && !handshake.isSuccess()) {
                onTlsFailed(handshake.cause());
            }
        }

        private void onEnd() {
            clientEnded = true;
            if (state == State.TALKING) {
                conversation.onClientEnd();
                flush();
            }
            if (isClientOutputDone) {
                client.close();
            }
        }

        /** TLS has written its alert, and closes the leg itself. */
        private void onTlsFailed(final Throwable cause) {
            if (state == State.TALKING && clientTlsFailed != null) {
                counters.count(ProxyCounter.CLIENT_TLS_FAILED);
                clientTlsFailed.accept(cause);
                close();
            }
        }

        @Override
        public void channelWritabilityChanged(final ChannelHandlerContext context) {
            moved();
            isServerPaused = !client.isWritable();
            final Channel from = server;
            if (from != null) {
                from.config().setAutoRead(!isServerPaused);
            }
            if (!isServerPaused && state == State.TALKING) {
                conversation.onClientDrained();
                flush();
            }
        }

        @Override
        public void channelInactive(final ChannelHandlerContext context) {
            isClientClosed = true;
            givePlaceBack();
            if (state == State.LINGERING) {
                close();
            } else if (state == State.TALKING) {
                if (!clientEnded || !isClientOutputDone) {
                    onBroken();
                } else if (server == null || !endedToServer) {
                    close();
                }
                // Else the server's leg has bytes to be written before it closes by itself.
            }
        }

        @Override
        public void exceptionCaught(final ChannelHandlerContext context, final Throwable cause) {
            onBroken();
        }
    }

    private final class ServerLeg extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(final ChannelHandlerContext context, final Object message) {
            final ByteBuf bytes = (ByteBuf) message;
            beginRead();
            if (state == State.TALKING) {
                conversation.onServerBytes(bytes);
            } else {
                bytes.release();
            }
        }

        @Override
        public void channelReadComplete(final ChannelHandlerContext context) {
            endRead();
        }

        @Override
        public void userEventTriggered(final ChannelHandlerContext context, final Object event) {
            final boolean isFin = event == ChannelInputShutdownEvent.INSTANCE;
            final boolean isEnd = isFin || event == SslCloseCompletionEvent.SUCCESS;
            if (event instanceof final SslHandshakeCompletionEvent handshake) {
                onHandshake(context.channel(), handshake);
            } else if (isEnd && !context.channel().equals(server)) {
                // Before the end of the handshake, which fails by this.
                context.close();
            } else if (isFin && serverTls != null && !serverEnded) {
                onFinWithoutNotice(context);
            } else if (isEnd && !serverEnded) {
                serverEnded = true;
                if (state == State.TALKING) {
                    conversation.onServerEnd();
                    flush();
                }
                if (isServerOutputDone) {
                    context.close();
                }
            }
        }

        private void onHandshake(
                final Channel channel, final SslHandshakeCompletionEvent handshake) {
            if (!handshake.isSuccess()) {
                Link.this.onTlsFailed("no TLS with the server: " + handshake.cause().getMessage());
            } else if (asking == null
                    && applicationProtocol.equals(HTTP2)
                    && !selected(channel).equals(HTTP2)) {
                Link.this.onTlsFailed("the server does not speak HTTP/2");
                resetOnClose(channel);
                closeBelow(channel);
            } else if (state != State.TALKING || serverState != ServerState.CONNECTING) {
                resetOnClose(channel);
                closeBelow(channel);
            } else {
                onServerReady(channel);
                channel.config().setAutoRead(!isServerPaused);
            }
        }

        private void onFinWithoutNotice(final ChannelHandlerContext context) {
            if (state != State.TALKING) {
                context.close();
            } else {
                onBroken();
            }
        }

        @Override
        public void channelWritabilityChanged(final ChannelHandlerContext context) {
            moved();
            if (!context.channel().equals(server)) {
                return;
            }
            if (context.channel().isWritable()) {
                resumeClient(PAUSED_BY_FULL_SERVER);
            } else {
                pauseClient(PAUSED_BY_FULL_SERVER);
            }
        }

        @Override
        public void channelInactive(final ChannelHandlerContext context) {
            if (!context.channel().equals(server)) {
                return;
            }
            serverState = ServerState.GONE;
            server = null;
            if (state == State.TALKING) {
                resumeClient(PAUSED_BY_FULL_SERVER);
                if (!serverEnded || !isServerOutputDone) {
                    onBroken();
                } else if (!client.isOpen()) {
                    close();
                }
            }
        }

        @Override
        public void exceptionCaught(final ChannelHandlerContext context, final Throwable cause) {
            if (state == State.TALKING && context.channel().equals(server)) {
                onBroken();
            }
        }
    }

    /**
     * Bytes of one buffer that lie side by side, with a reference to the buffer while there are.
     */
    private static final class Run {
        private @Nullable ByteBuf bytes;
        private int from;
        private int to;

        @SuppressWarnings("ReferenceEquality") // Equal bytes in another buffer do not follow.
        boolean isFollowedBy(final ByteBuf in) {
            return bytes == in && to == in.readerIndex();
        }

        /** Begins, or goes on with what it {@link #isFollowedBy}. */
        void add(final ByteBuf in, final int length) {
            if (bytes == null) {
                bytes = in.retain();
                from = in.readerIndex();
            }
            in.skipBytes(length);
            to = in.readerIndex();
        }

        /** What is there, with its reference; null if there is nothing. Empty afterwards. */
        @Nullable ByteBuf take() {
            final ByteBuf all = bytes;
            bytes = null;
            if (all == null) {
                return null;
            }
            // Nobody else reads a buffer whose only reference is ours: its indexes are free.
            return all.refCnt() == 1 ? all.setIndex(from, to) : all.slice(from, to - from);
        }
    }

    /** Before {@link #open}: nothing can arrive yet. */
    private enum Unopened implements Conversation {
        INSTANCE;

        @Override
        public void onClientBytes(final ByteBuf bytes) {
            bytes.release();
        }

        @Override
        public void onServerBytes(final ByteBuf bytes) {
            bytes.release();
        }

        @Override
        public void onClientEnd() {}

        @Override
        public void onServerEnd() {}

        @Override
        public void onConnectFailed() {}

        @Override
        public void onDeadline() {}

        @Override
        public void onClientDrained() {}

        @Override
        public void onClosed() {}
    }
}
