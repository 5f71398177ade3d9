package io.sluice.dnsproxy.resolver;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.socket.DatagramPacket;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.LengthFieldBasedFrameDecoder;
import io.netty.handler.codec.LengthFieldPrepender;
import io.netty.util.concurrent.Future;
import io.sluice.dnsproxy.wire.DnsMessage;
import io.sluice.dnsproxy.wire.DnsReply;
import io.sluice.dnsproxy.wire.WireFault;
import java.net.InetSocketAddress;
import java.security.SecureRandom;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.OPTRecord;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Section;

/**
 * Servers that are asked for what is not the cluster's.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Each attempt has a socket of its own, bound by the kernel to a random port and connected to
 * the server, so that the kernel drops what comes from elsewhere; the id is random as well (RFC
 * 5452 section 9). A message over it that does not read well, or has another id or question, is
 * counted and passed over, and the attempt goes on waiting: a forger must not be able to end it.
 *
 * <p>A query begins with the server after the one the last query began with. An attempt ends with
 * an answer; at the end of {@link UpstreamLimits#timeoutMs}; or at once if the socket fails. After
 * SERVFAIL, REFUSED or no answer the next server is asked, {@link UpstreamLimits#attemptsMax} in
 * all; if none does better, the last such answer is given, or null. A truncated answer is asked for
 * again over TCP, of the same server, within the same time.
 *
 * <p>At {@link UpstreamLimits#inFlightMax} a query ends with null at once.
 *
 * <p>Thread: the event loop, all methods but the counters.
 */
final class Upstreams {
    /** DO among the flags of OPT (RFC 3225). */
    private static final int DNSSEC_OK = 0x8000;

    private final EventLoop loop;
    private final List<InetSocketAddress> servers;
    private final UpstreamLimits limits;
    private final SecureRandom random = new SecureRandom();
    private int next;
    private int inFlight;
    private final LongAdder passedOver = new LongAdder();
    private final LongAdder timedOut = new LongAdder();
    private final LongAdder overTcp = new LongAdder();
    private final LongAdder refusedForRoom = new LongAdder();

    Upstreams(
            final EventLoop loop,
            final List<InetSocketAddress> servers,
            final UpstreamLimits limits) {
        this.loop = loop;
        this.servers = List.copyOf(servers);
        this.limits = limits;
    }

    /**
     * Asks.
     *
     * @param isDnssecOk DO of the query
     * @param isCheckingDisabled CD of the query
     * @param done gets the answer, or null if there was none, once, on the event loop
     */
    void ask(
            final Record question,
            final boolean isDnssecOk,
            final boolean isCheckingDisabled,
            final Consumer<@Nullable Message> done) {
        if (servers.isEmpty()) {
            done.accept(null);
            return;
        }
        if (inFlight >= limits.inFlightMax()) {
            refusedForRoom.increment();
            done.accept(null);
            return;
        }
        inFlight++;
        final Message query = new Message(random.nextInt(65536));
        query.getHeader().setFlag(Flags.RD);
        if (isCheckingDisabled) {
            query.getHeader().setFlag(Flags.CD);
        }
        query.addRecord(
                Record.newRecord(question.getName(), question.getType(), DClass.IN),
                Section.QUESTION);
        query.addRecord(
                new OPTRecord(DnsReply.UDP_LENGTH, 0, 0, isDnssecOk ? DNSSEC_OK : 0),
                Section.ADDITIONAL);
        next = (next + 1) % servers.size();
        new Query(query, next, done).attempt();
    }

    /** One query and its attempts. */
    private final class Query {
        private final Message query;
        private final Consumer<@Nullable Message> done;
        private int server;
        private int attempts;
        private @Nullable Message worse;
        private @Nullable Channel channel;
        private @Nullable Future<?> timer;
        private byte[] octets = new byte[0];
        private byte[] question = new byte[0];

        private Query(
                final Message query, final int server, final Consumer<@Nullable Message> done) {
            this.query = query;
            this.server = server;
            this.done = done;
        }

        private void attempt() {
            if (attempts++ == limits.attemptsMax()) {
                inFlight--;
                done.accept(worse);
                return;
            }
            query.getHeader().setID(random.nextInt(65536));
            octets = query.toWire();
            final DnsMessage own = new DnsMessage();
            own.read(octets, 0, octets.length);
            question = own.question();
            timer = loop.schedule(this::giveUp, limits.timeoutMs(), TimeUnit.MILLISECONDS);
            overUdp();
        }

        private void giveUp() {
            timedOut.increment();
            nextServer();
        }

        private void nextServer() {
            close();
            server = (server + 1) % servers.size();
            attempt();
        }

        private void close() {
            if (timer != null) {
                timer.cancel(false);
            }
            final Channel open = channel;
            channel = null;
            if (open != null) {
                final ChannelFuture _ = open.close();
            }
        }

        private void overUdp() {
            final Bootstrap bootstrap =
                    new Bootstrap()
                            .group(loop)
                            .channel(NioDatagramChannel.class)
                            .handler(
                                    new SimpleChannelInboundHandler<DatagramPacket>() {
                                        @Override
                                        protected void channelRead0(
                                                final ChannelHandlerContext context,
                                                final DatagramPacket packet) {
                                            received(context.channel(), packet.content());
                                        }

                                        @Override
                                        public void exceptionCaught(
                                                final ChannelHandlerContext context,
                                                final Throwable cause) {
                                            failed(context.channel());
                                        }
                                    });
            start(bootstrap.connect(servers.get(server)));
        }

        private void overTcp() {
            overTcp.increment();
            final Channel udp = channel;
            channel = null;
            if (udp != null) {
                final ChannelFuture _ = udp.close();
            }
            final Bootstrap bootstrap =
                    new Bootstrap()
                            .group(loop)
                            .channel(NioSocketChannel.class)
                            .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) limits.timeoutMs())
                            .handler(
                                    new ChannelInitializer<NioSocketChannel>() {
                                        @Override
                                        protected void initChannel(final NioSocketChannel made) {
                                            made.pipeline()
                                                    .addLast(
                                                            new LengthFieldBasedFrameDecoder(
                                                                    DnsMessage.LENGTH_MAX + 2,
                                                                    0,
                                                                    2,
                                                                    0,
                                                                    2),
                                                            new LengthFieldPrepender(2),
                                                            tcpHandler());
                                        }
                                    });
            start(bootstrap.connect(servers.get(server)));
        }

        private SimpleChannelInboundHandler<ByteBuf> tcpHandler() {
            return new SimpleChannelInboundHandler<>() {
                @Override
                protected void channelRead0(
                        final ChannelHandlerContext context, final ByteBuf content) {
                    received(context.channel(), content);
                }

                @Override
                public void channelInactive(final ChannelHandlerContext context) {
                    failed(context.channel());
                }

                @Override
                public void exceptionCaught(
                        final ChannelHandlerContext context, final Throwable cause) {
                    failed(context.channel());
                }
            };
        }

        private void start(final ChannelFuture connecting) {
            channel = connecting.channel();
            final ChannelFuture _ =
                    connecting.addListener(
                            (ChannelFutureListener)
                                    connected -> {
                                        if (connected.isSuccess()) {
                                            final ChannelFuture _ =
                                                    connected
                                                            .channel()
                                                            .writeAndFlush(
                                                                    Unpooled.wrappedBuffer(octets));
                                        } else {
                                            failed(connected.channel());
                                        }
                                    });
        }

        /** A socket that is not the attempt's any more may fail as it likes. */
        private void failed(final Channel which) {
            if (which.equals(channel)) {
                nextServer();
            }
        }

        private void received(final Channel from, final ByteBuf content) {
            if (!from.equals(channel)) {
                return;
            }
            final byte[] answer = new byte[content.readableBytes()];
            content.readBytes(answer);
            final DnsMessage read = new DnsMessage();
            if (read.read(answer, 0, answer.length) != WireFault.NONE
                    || !read.isAnswer()
                    || read.id() != query.getHeader().getID()
                    || !read.questionIs(question)) {
                passedOver.increment();
                return;
            }
            if (read.isTruncated() && !(from instanceof NioSocketChannel)) {
                overTcp();
                return;
            }
            final Message message = EmbeddedResolver.parsed(answer);
            if (message == null) {
                passedOver.increment();
                return;
            }
            if (message.getRcode() == Rcode.SERVFAIL || message.getRcode() == Rcode.REFUSED) {
                worse = message;
                nextServer();
                return;
            }
            close();
            inFlight--;
            done.accept(message);
        }
    }

    /** Messages that were no answer to what was asked, since the start. Any thread. */
    long passedOver() {
        return passedOver.sum();
    }

    /** Attempts without an answer, since the start. Any thread. */
    long timedOut() {
        return timedOut.sum();
    }

    /** Queries repeated over TCP, since the start. Any thread. */
    long overTcp() {
        return overTcp.sum();
    }

    /** Queries for which there was no room, since the start. Any thread. */
    long refusedForRoom() {
        return refusedForRoom.sum();
    }
}
