package io.sluice.perf;

import io.sluice.l7proxy.Flow;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.ProxyConfig;
import io.sluice.l7proxy.ProxyConfig.Addressing;
import io.sluice.l7proxy.ProxyCounters;
import io.sluice.l7proxy.ProxyServer;
import io.sluice.l7proxy.ProxyServer.Listener;
import io.sluice.l7proxy.RuleStage;
import io.sluice.l7proxy.SideRules;
import io.sluice.l7proxy.Transport;
import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http.HttpProtocol;
import io.sluice.l7proxy.rule.HttpRule;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;

/**
 * The HTTP proxy alone, on loopback before one server, for {@code scripts/bench-http}: one loop,
 * and the rule {@code GET /public/.*}. Every report is made and counted.
 */
final class HttpProxyMain {
    private HttpProxyMain() {}

    /**
     * Runs until it is killed.
     *
     * @param arguments port to listen at, port of the server, transport (epoll, io_uring)
     */
    public static void main(final String[] arguments) throws InterruptedException {
        final InetSocketAddress listen = loopback(arguments[0]);
        final InetSocketAddress server = loopback(arguments[1]);
        final ProxyConfig defaults = ProxyConfig.DEFAULTS;
        final HttpRule rule = HttpRule.compile("GET", "/public/.*", "", List.of(), List.of());
        final SideRules ingress =
                new SideRules(
                        false, List.of(RuleStage.ofHttp(List.of(rule), "public")), false, "end");
        final FlowRules rules = new FlowRules(1, SideRules.ALLOW_ALL, ingress);
        final LongAdder reports = new LongAdder();
        try (ProxyServer proxy =
                ProxyServer.start(
                        new ProxyConfig(
                                Transport.valueOf(arguments[2].toUpperCase(Locale.ROOT)),
                                1,
                                Addressing.OWN,
                                defaults.connectionsMax(),
                                defaults.connectTimeout(),
                                defaults.idleTimeout(),
                                defaults.headTimeout(),
                                defaults.lingerTimeout()),
                        List.of(
                                new Listener(
                                        listen,
                                        new HttpProtocol(
                                                HttpLimits.DEFAULTS,
                                                HttpRule.NO_SECRETS,
                                                event -> reports.increment()))),
                        (client, local) -> Optional.of(new Flow(client, server, 1, 2, () -> rules)),
                        new ProxyCounters(),
                        () -> {})) {
            System.out.println("listening at " + proxy.addresses());
            new CountDownLatch(1).await();
        }
    }

    private static InetSocketAddress loopback(final String port) {
        return new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(port));
    }
}
