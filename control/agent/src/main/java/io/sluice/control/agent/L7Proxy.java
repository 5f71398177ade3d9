package io.sluice.control.agent;

import com.sun.management.UnixOperatingSystemMXBean;
import io.sluice.control.policy.CiliumPolicy.TlsContext;
import io.sluice.control.policy.L7Rules.Parser;
import io.sluice.control.policy.TlsContexts;
import io.sluice.dataplane.ProxyLegs;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;
import io.sluice.l7proxy.ProxyConfig;
import io.sluice.l7proxy.ProxyConfig.Addressing;
import io.sluice.l7proxy.ProxyCounters;
import io.sluice.l7proxy.ProxyServer;
import io.sluice.l7proxy.ProxyServer.Listener;
import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http.HttpProtocol;
import io.sluice.l7proxy.kafka.KafkaLimits;
import io.sluice.l7proxy.kafka.KafkaProtocol;
import io.sluice.l7proxy.tls.TlsProtocol;
import io.sluice.l7proxy.tls.TlsProtocol.Termination;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The L7 proxy as part of this daemon: what it listens at, and who reads which flow.
 *
 * <p>A listener port stands for no protocol: policy says of each flow who has to read it. Thread:
 * any.
 */
final class L7Proxy {
    private static final Logger LOG = LoggerFactory.getLogger(L7Proxy.class);

    /** Files that the rest of the daemon has open, devices of many pods among them. */
    private static final int DESCRIPTORS_OF_OTHERS = 1_024;

    private final ProxyConfig config;
    private final RedirectedFlows flows;
    private final ProxyCounters counters;
    private final Protocol http;
    private final KafkaLimits kafkaLimits;
    private @Nullable Protocol kafka;
    private final Protocol tls;
    private final Protocol dns;
    private final SecretKeys secrets;
    private final L7Sink sink;

    /**
     * @param secrets values of secrets that rules refer to
     * @param sink where requests and answers are reported
     * @param dns reads queries for names
     */
    L7Proxy(
            final SluiceConfig.L7 config,
            final RedirectedFlows flows,
            final ProxyCounters counters,
            final SecretKeys secrets,
            final L7Sink sink,
            final Protocol dns) {
        this.config =
                new ProxyConfig(
                        config.transport(),
                        config.loops(),
                        Addressing.TRANSPARENT,
                        places(config.connections(), descriptorsMax()),
                        Duration.ofSeconds(config.connectTimeoutSeconds()),
                        Duration.ofSeconds(config.idleTimeoutSeconds()),
                        Duration.ofSeconds(config.headTimeoutSeconds()),
                        ProxyConfig.DEFAULTS.lingerTimeout());
        this.flows = flows;
        this.counters = counters;
        this.http = new HttpProtocol(HttpLimits.DEFAULTS, secrets::headerValue, sink);
        this.kafkaLimits = config.kafka();
        this.tls = new TlsProtocol(sink);
        this.secrets = secrets;
        this.sink = sink;
        this.dns = dns;
    }

    /**
     * Client connections that there are descriptors for: each has one of its own, and one for its
     * connection to the server.
     */
    static int places(final int wanted, final long descriptorsMax) {
        final long most = Math.max(1, (descriptorsMax - DESCRIPTORS_OF_OTHERS) / 2);
        if (wanted <= most) {
            return wanted;
        }
        LOG.warn(
                "l7.connections: {} need {} open files, the limit is {}: {} connections at most;"
                        + " LimitNOFILE or ulimit -n raises it",
                wanted,
                2L * wanted + DESCRIPTORS_OF_OTHERS,
                descriptorsMax,
                most);
        return (int) most;
    }

    private static long descriptorsMax() {
        return ManagementFactory.getOperatingSystemMXBean()
                        instanceof final UnixOperatingSystemMXBean unix
                ? unix.getMaxFileDescriptorCount()
                : Long.MAX_VALUE;
    }

    /**
     * Makes ready for flows of these parsers, before policy redirects the first of them: Kafka's
     * schemas take some tenths of a second to load, and some MB, which event loops and policies
     * without Kafka do without.
     */
    void prepare(final Set<Parser> parsers) {
        if (parsers.contains(Parser.KAFKA)) {
            kafka();
        }
    }

    private synchronized Protocol kafka() {
        Protocol made = kafka;
        if (made == null) {
            made = new KafkaProtocol(kafkaLimits, sink);
            kafka = made;
        }
        return made;
    }

    /**
     * Starts listening.
     *
     * @param enter moves the calling thread into the proxy's namespace
     * @throws IllegalStateException if it cannot listen
     */
    AutoCloseable start(final Runnable enter) {
        final List<Listener> listeners = new ArrayList<>();
        for (int i = 0; i < ProxyLegs.LISTENERS; i++) {
            listeners.add(
                    new Listener(
                            // Both families: an IPv4 client is accepted by its mapped address.
                            new InetSocketAddress(
                                    InetAddress.ofLiteral("::"), ProxyLegs.FIRST_LISTENER + i),
                            this::open));
        }
        return ProxyServer.start(config, listeners, flows, counters, enter);
    }

    /**
     * A flow that policy has let go of in the meantime is read as before it was redirected: HTTP.
     */
    private Conversation open(final Link link) {
        final Parser parser = flows.parser(link.flow()).orElse(Parser.HTTP);
        final TlsContexts contexts = flows.tls(link.flow());
        contexts.originating()
                .ifPresent(
                        context ->
                                link.secureServer(
                                        (buffers, name, protocols) ->
                                                secrets.originating(context)
                                                        .orElseThrow(L7Proxy::noKeys)
                                                        .layer(buffers, name, protocols)));
        return contexts.terminating()
                .map(context -> terminated(parser, context))
                .orElseGet(() -> reader(parser))
                .open(link);
    }

    private Protocol reader(final Parser parser) {
        return switch (parser) {
            case HTTP, CUSTOM -> http;
            case KAFKA -> kafka();
            case TLS -> tls;
            case DNS -> dns;
        };
    }

    private Protocol terminated(final Parser parser, final TlsContext context) {
        return new TlsProtocol(
                sink,
                Optional.of(
                        new Termination(
                                () -> secrets.terminating(context),
                                parser == Parser.TLS
                                        ? Optional.empty()
                                        : Optional.of(reader(parser)))));
    }

    private static IllegalStateException noKeys() {
        return new IllegalStateException("there are no keys for TLS with the server");
    }
}
