package io.sluice.l7proxy;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.util.concurrent.MockTicker;
import io.netty.util.concurrent.Ticker;
import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http.HttpProtocol;
import io.sluice.l7proxy.rule.HttpRule;
import io.sluice.l7proxy.tls.TlsProtocol;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Time and back-pressure, with channels in memory and a clock that the test moves. */
@ExtendWith(LeakCheck.class)
final class LinkTest {
    private static final String REQUEST = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
    private static final InetSocketAddress ANY =
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 80);
    private static final HttpProtocol HTTP =
            new HttpProtocol(HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, event -> {});
    private static final ProxyConfig CONFIG = ProxyConfig.DEFAULTS;

    private final MockTicker ticker = Ticker.newMockTicker();
    private final EmbeddedChannel client = EmbeddedChannel.builder().ticker(ticker).build();
    private final EmbeddedChannel server = EmbeddedChannel.builder().ticker(ticker).build();
    private final ProxyCounters counters = new ProxyCounters();

    private void open(final Protocol protocol, final ChannelFuture dialed) {
        final FlowRules rules = new FlowRules(1, SideRules.ALLOW_ALL, SideRules.ALLOW_ALL);
        counters.takePlace(1);
        new Link(client, new Flow(ANY, ANY, 1, 2, () -> rules), link -> dialed, CONFIG, counters)
                .open(protocol);
    }

    private void send(final String bytes) {
        client.writeInbound(Unpooled.copiedBuffer(bytes, Wire.LATIN));
    }

    private static String sent(final EmbeddedChannel channel) {
        final StringBuilder all = new StringBuilder();
        for (ByteBuf next = channel.readOutbound(); next != null; next = channel.readOutbound()) {
            all.append(next.toString(Wire.LATIN));
            next.release();
        }
        return all.toString();
    }

    private void advance(final Duration time) {
        ticker.advance(time.toNanos(), TimeUnit.NANOSECONDS);
        client.runScheduledPendingTasks();
        client.runPendingTasks();
    }

    @AfterEach
    void everyPlaceIsGivenBack() {
        client.close().syncUninterruptibly();
        server.close().syncUninterruptibly();
        sent(client);
        sent(server);
        client.checkException();
        assertThat(counters.openConnections()).isZero();
    }

    @Test
    void aHeadThatDoesNotArriveInTimeIsAnsweredAndEnds() {
        open(HTTP, server.newSucceededFuture());
        advance(CONFIG.headTimeout().multipliedBy(5));
        assertThat(client.isOpen()).isTrue();
        for (int i = 0; i < 9; i++) {
            send(REQUEST.substring(i, i + 1));
            advance(CONFIG.headTimeout().dividedBy(10));
        }
        assertThat(sent(client)).isEmpty();
        advance(CONFIG.headTimeout().dividedBy(10));
        assertThat(sent(client)).startsWith("HTTP/1.1 408 ");
        assertThat(client.isOpen()).isFalse();
        assertThat(sent(server)).isEmpty();
        assertThat(counters.value(ProxyCounter.REQUESTS_LATE)).isEqualTo(1);
    }

    @Test
    void aHeadOfHttp2ThatDoesNotArriveInTimeEndsTheConnection() {
        open(HTTP, server.newSucceededFuture());
        // Preface, SETTINGS, and the head of a HEADERS frame of five bytes.
        send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\0\0\0\4\0\0\0\0\0" + "\0\0\5\1\4\0\0\0\1");
        sent(client);
        advance(CONFIG.headTimeout().dividedBy(2));
        assertThat(client.isOpen()).isTrue();
        advance(CONFIG.headTimeout().dividedBy(2));
        final String goAway = sent(client);
        assertThat(goAway.charAt(3)).isEqualTo((char) 7);
        assertThat(client.isOpen()).isFalse();
        assertThat(sent(server)).isEmpty();
    }

    @Test
    void aHeadInTimeLeavesNoDeadlineBehind() {
        open(HTTP, server.newSucceededFuture());
        send(REQUEST.substring(0, 9));
        send(REQUEST.substring(9));
        assertThat(sent(server)).isEqualTo(REQUEST);
        advance(CONFIG.headTimeout().multipliedBy(2));
        assertThat(sent(client)).isEmpty();
        assertThat(client.isOpen()).isTrue();
    }

    @Test
    void aConnectionWithoutTrafficIsClosedAndTrafficPutsItOff() {
        open(HTTP, server.newSucceededFuture());
        advance(CONFIG.idleTimeout().dividedBy(2));
        send(REQUEST);
        advance(CONFIG.idleTimeout().multipliedBy(3).dividedBy(4));
        assertThat(client.isOpen()).isTrue();
        server.writeInbound(
                Unpooled.copiedBuffer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Wire.LATIN));
        advance(CONFIG.idleTimeout().multipliedBy(3).dividedBy(4));
        assertThat(client.isOpen()).isTrue();
        advance(CONFIG.idleTimeout());
        assertThat(client.isOpen()).isFalse();
        assertThat(server.isOpen()).isFalse();
        assertThat(counters.value(ProxyCounter.CONNECTIONS_IDLE)).isEqualTo(1);
    }

    @Test
    void aClientHelloThatDoesNotArriveInTimeIsReset() {
        open(new TlsProtocol(event -> {}), server.newSucceededFuture());
        send("\u0016\u0003\u0001");
        advance(CONFIG.headTimeout());
        assertThat(client.isOpen()).isFalse();
        assertThat(counters.value(ProxyCounter.REQUESTS_LATE)).isEqualTo(1);
    }

    @Test
    void theClientIsNotReadWhileItsServerIsBeingConnectedTo() {
        final ChannelPromise dialed = server.newPromise();
        open(HTTP, dialed);
        assertThat(client.config().isAutoRead()).isTrue();
        send(REQUEST);
        assertThat(client.config().isAutoRead()).isFalse();
        assertThat(sent(server)).isEmpty();
        dialed.setSuccess();
        assertThat(client.config().isAutoRead()).isTrue();
        assertThat(sent(server)).isEqualTo(REQUEST);
    }

    @Test
    void aServerThatCannotBeConnectedToIsUnavailable() {
        final ChannelPromise dialed = server.newPromise();
        open(HTTP, dialed);
        send(REQUEST);
        dialed.setFailure(new java.net.ConnectException("timed out"));
        client.runPendingTasks();
        assertThat(sent(client)).startsWith("HTTP/1.1 503 ");
        assertThat(client.isOpen()).isFalse();
        assertThat(counters.value(ProxyCounter.SERVER_UNREACHABLE)).isEqualTo(1);
    }

    @Test
    void aClientThatGoesAwayEndsTheConnectionBeingMadeForIt() {
        open(HTTP, server.newPromise());
        send(REQUEST);
        client.close().syncUninterruptibly();
        client.runPendingTasks();
        assertThat(server.isOpen()).isFalse();
    }

    @Test
    void aPlaceIsTakenUntilBothConnectionsAreClosed() {
        open(HTTP, server.newSucceededFuture());
        final List<Integer> whenTheServerCloses = new ArrayList<>();
        server.closeFuture()
                .addListener(closed -> whenTheServerCloses.add(counters.openConnections()));
        send(REQUEST);
        client.close().syncUninterruptibly();
        client.runPendingTasks();
        server.runPendingTasks();
        assertThat(whenTheServerCloses).containsExactly(1);
        assertThat(counters.openConnections()).isZero();
    }

    @Test
    void piecesThatLieSideBySideAreOneWrite() {
        open(HTTP, server.newSucceededFuture());
        final String request = "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\nabc";
        final String answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        send(REQUEST);
        assertThat(server.outboundMessages()).hasSize(1);
        send(request + REQUEST + request);
        assertThat(server.outboundMessages()).hasSize(2);
        assertThat(sent(server)).isEqualTo(REQUEST + request + REQUEST + request);
        server.writeInbound(Unpooled.copiedBuffer(answer + answer, Wire.LATIN));
        assertThat(client.outboundMessages()).hasSize(1);
        assertThat(sent(client)).isEqualTo(answer + answer);
    }

    @Test
    void aSlowEndIsWaitedForByTheOther() {
        open(HTTP, server.newSucceededFuture());
        send(REQUEST);
        setWritable(server, false);
        assertThat(client.config().isAutoRead()).isFalse();
        setWritable(server, true);
        assertThat(client.config().isAutoRead()).isTrue();
        setWritable(client, false);
        assertThat(server.config().isAutoRead()).isFalse();
        setWritable(client, true);
        assertThat(server.config().isAutoRead()).isTrue();
    }

    @Test
    void aClientThatDoesNotReadItsAnswersIsNotAskedForMore() {
        open(HTTP, server.newSucceededFuture());
        setWritable(client, false);
        send(REQUEST);
        assertThat(client.config().isAutoRead()).isFalse();
        assertThat(sent(server)).isEmpty();
        setWritable(client, true);
        assertThat(client.config().isAutoRead()).isTrue();
        assertThat(sent(server)).isEqualTo(REQUEST);
    }

    @Test
    void requestsWithoutAnAnswerAreBounded() {
        open(HTTP, server.newSucceededFuture());
        final int most = HttpLimits.DEFAULTS.pipelinedMax();
        send(REQUEST.repeat(most + 2));
        assertThat(sent(server)).isEqualTo(REQUEST.repeat(most));
        assertThat(client.config().isAutoRead()).isFalse();
        server.writeInbound(
                Unpooled.copiedBuffer(
                        "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 204 No\r\n\r\n", Wire.LATIN));
        assertThat(sent(server)).isEqualTo(REQUEST.repeat(2));
    }

    private static void setWritable(final EmbeddedChannel channel, final boolean isWritable) {
        channel.unsafe().outboundBuffer().setUserDefinedWritability(1, isWritable);
        channel.runPendingTasks();
    }
}
