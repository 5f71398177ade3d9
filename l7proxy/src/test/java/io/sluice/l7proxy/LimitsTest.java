package io.sluice.l7proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http.HttpProtocol;
import io.sluice.l7proxy.rule.HttpRule;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Times that real sockets have to run into: a server that never accepts, a client that stays. */
@ExtendWith(LeakCheck.class)
final class LimitsTest {
    private static final String REQUEST = "GET /public HTTP/1.1\r\nHost: shop\r\n\r\n";

    /** More than the kernel queues for a listener with a backlog of one. */
    private static final int QUEUED = 8;

    private static ProxyHarness proxy(
            final InetSocketAddress origin, final Duration connect, final Duration linger) {
        final ProxyConfig c = ProxyHarness.CONFIG;
        return new ProxyHarness(
                        new ProxyConfig(
                                c.transport(),
                                c.loops(),
                                c.addressing(),
                                c.connectionsMax(),
                                connect,
                                c.idleTimeout(),
                                c.headTimeout(),
                                linger),
                        origin,
                        sink -> new HttpProtocol(HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, sink))
                .ingress(SideRules.ALLOW_ALL);
    }

    @Test
    void aServerThatDoesNotAnswerInTimeIs503() throws Exception {
        final List<SocketChannel> queue = new ArrayList<>();
        try (ServerSocket deaf = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            // A full queue drops SYNs: listen(2).
            for (int i = 0; i < QUEUED; i++) {
                final SocketChannel waiting = SocketChannel.open();
                queue.add(waiting);
                waiting.configureBlocking(false);
                waiting.connect(deaf.getLocalSocketAddress());
            }
            try (ProxyHarness proxy =
                            proxy(
                                    (InetSocketAddress) deaf.getLocalSocketAddress(),
                                    Duration.ofMillis(200),
                                    ProxyHarness.CONFIG.lingerTimeout());
                    Wire client = proxy.connect()) {
                assertThat(client.send(REQUEST).read().status()).isEqualTo(503);
                assertThat(proxy.count(ProxyCounter.SERVER_UNREACHABLE)).isOne();
                assertThat(proxy.count(ProxyCounter.SERVER_CONNECTS)).isZero();
            }
        } finally {
            for (final SocketChannel waiting : queue) {
                waiting.close();
            }
        }
    }

    @Test
    void aClientThatStaysAfterItsLastAnswerIsNotWaitedForLong() throws Exception {
        try (Origin origin = Origin.echo();
                ProxyHarness proxy =
                        proxy(
                                origin.address(),
                                ProxyHarness.CONFIG.connectTimeout(),
                                Duration.ofMillis(1));
                Wire client = proxy.connect()) {
            assertThat(client.send("GET / HTTP/1.1\nHost: shop\n\n").readToEnd())
                    .startsWith("HTTP/1.1 400 ");
            // It reads no more: sooner or later what is sent comes back as a reset.
            assertThatThrownBy(
                            () -> {
                                while (true) {
                                    client.send("x".repeat(1000));
                                }
                            })
                    .isInstanceOf(IOException.class);
        }
    }
}
