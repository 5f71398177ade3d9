package io.sluice.l7proxy;

import io.sluice.l7proxy.ProxyConfig.Addressing;
import io.sluice.l7proxy.ProxyServer.Listener;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A proxy on loopback in front of one server, with rules that a test may change. */
public final class ProxyHarness implements AutoCloseable {
    private static final SideRules NOTHING = new SideRules(false, List.of(), false, "");
    public static final ProxyConfig CONFIG =
            new ProxyConfig(
                    Transport.EPOLL,
                    1,
                    Addressing.OWN,
                    1_000,
                    Duration.ofSeconds(5),
                    Duration.ofHours(1),
                    Duration.ofMinutes(5),
                    Duration.ofSeconds(10));

    private final ProxyCounters counters = new ProxyCounters();
    private final BlockingQueue<L7Event> events = new LinkedBlockingQueue<>();
    private final List<Thread> readyThreads = new CopyOnWriteArrayList<>();
    private final ProxyServer server;
    private volatile FlowRules rules = new FlowRules(0, SideRules.ALLOW_ALL, NOTHING);

    public ProxyHarness(
            final ProxyConfig config,
            final InetSocketAddress origin,
            final Function<L7Sink, Protocol> protocol) {
        server =
                ProxyServer.start(
                        config,
                        List.of(
                                new Listener(
                                        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                                        protocol.apply(events::add))),
                        (client, local) -> Optional.of(new Flow(client, origin, 7, 8, () -> rules)),
                        counters,
                        () -> readyThreads.add(Thread.currentThread()));
    }

    /** The server's rules, as of the next request. */
    public ProxyHarness ingress(final SideRules side) {
        rules = new FlowRules(rules.revision() + 1, rules.egress(), side);
        return this;
    }

    /** The client's rules, as of the next request. */
    public ProxyHarness egress(final SideRules side) {
        rules = new FlowRules(rules.revision() + 1, side, rules.ingress());
        return this;
    }

    public InetSocketAddress address() {
        return server.addresses().getFirst();
    }

    public Wire connect() throws IOException {
        return Wire.to(address());
    }

    public ProxyCounters counters() {
        return counters;
    }

    public long count(final ProxyCounter counter) {
        return counters.value(counter);
    }

    /** Threads on which the hook for loop threads has run. */
    public List<Thread> readyThreads() {
        return List.copyOf(readyThreads);
    }

    /** The next report; waits for it. */
    public L7Event event() throws InterruptedException {
        final @Nullable L7Event event = events.poll(20, TimeUnit.SECONDS);
        if (event == null) {
            throw new AssertionError("no report");
        }
        return event;
    }

    /** Whether there is a report that nobody has asked for. */
    public boolean hasEvent() {
        return !events.isEmpty();
    }

    @Override
    public void close() {
        server.close();
    }
}
