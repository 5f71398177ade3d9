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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;

/**
 * The HTTP proxy alone, on loopback before servers, for {@code scripts/bench-http}: one loop, and
 * the rule {@code /public/.*} with the methods asked for. Every report is made and counted.
 */
final class HttpProxyMain {
    private HttpProxyMain() {}

    /** Where a port leads, and what is allowed on the way. */
    private record Route(InetSocketAddress listen, InetSocketAddress server, FlowRules rules) {
        /** From {@code PORT:SERVER-PORT:METHODS}. */
        static Route of(final String text) {
            final String[] parts = text.split(":", 3);
            final HttpRule rule =
                    HttpRule.compile(parts[2], "/public/.*", "", List.of(), List.of());
            final SideRules ingress =
                    new SideRules(
                            false,
                            List.of(RuleStage.ofHttp(List.of(rule), "public")),
                            false,
                            "end");
            return new Route(
                    loopback(parts[0]),
                    loopback(parts[1]),
                    new FlowRules(1, SideRules.ALLOW_ALL, ingress));
        }
    }

    /**
     * Runs until it is killed.
     *
     * @param arguments transport (epoll, io_uring), then {@code PORT:SERVER-PORT:METHODS} for each
     *     port to listen at
     */
    public static void main(final String[] arguments) throws InterruptedException {
        final ProxyConfig defaults = ProxyConfig.DEFAULTS;
        final LongAdder reports = new LongAdder();
        final HttpProtocol http =
                new HttpProtocol(
                        HttpLimits.DEFAULTS, HttpRule.NO_SECRETS, event -> reports.increment());
        final List<Listener> listeners = new ArrayList<>();
        final Map<Integer, Route> routes = new HashMap<>();
        for (int i = 1; i < arguments.length; i++) {
            final Route route = Route.of(arguments[i]);
            listeners.add(new Listener(route.listen(), http));
            routes.put(route.listen().getPort(), route);
        }
        try (ProxyServer proxy =
                ProxyServer.start(
                        new ProxyConfig(
                                Transport.valueOf(arguments[0].toUpperCase(Locale.ROOT)),
                                1,
                                Addressing.OWN,
                                defaults.connectionsMax(),
                                defaults.connectTimeout(),
                                defaults.idleTimeout(),
                                defaults.headTimeout(),
                                defaults.lingerTimeout()),
                        listeners,
                        (client, local) ->
                                Optional.ofNullable(routes.get(local.getPort()))
                                        .map(
                                                route ->
                                                        new Flow(
                                                                client,
                                                                route.server(),
                                                                1,
                                                                2,
                                                                route::rules)),
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
