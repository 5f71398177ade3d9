package io.sluice.control.agent.dns;

import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.DnsClock;
import io.sluice.dnsproxy.resolver.ClusterWorld;
import io.sluice.dnsproxy.resolver.EmbeddedResolver;
import io.sluice.dnsproxy.resolver.UpstreamLimits;
import io.sluice.dnsproxy.wire.Address;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The switch's own resolver with its event loop. It has no socket for clients: the lane punts what
 * they send, and the DNS agent's answers go back the same way. Only for what it asks other servers
 * has it sockets, in the daemon's namespace.
 *
 * <p>Thread: any.
 */
public final class Resolver implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Resolver.class);

    private static final Path RESOLV_CONF = Path.of("/etc/resolv.conf");
    private static final int DNS_PORT = 53;

    private final List<IpAddress> addresses;
    private final MultiThreadIoEventLoopGroup loops;
    private final EmbeddedResolver embedded;

    /**
     * A resolver.
     *
     * @param addresses its own; empty if nobody can reach it
     * @param servers who is asked for what is not the cluster's; empty for those of this machine
     * @param domain of the cluster
     */
    public Resolver(
            final List<IpAddress> addresses,
            final List<IpAddress> servers,
            final String domain,
            final ClusterWorld world,
            final DnsClock clock) {
        this.addresses = List.copyOf(addresses);
        this.loops =
                new MultiThreadIoEventLoopGroup(
                        1,
                        Thread.ofPlatform().name("sluice-resolver").daemon().factory(),
                        NioIoHandler.newFactory());
        this.embedded =
                new EmbeddedResolver(
                        loops.next(),
                        world,
                        domain,
                        others(addresses, servers.isEmpty() ? readNameservers() : servers),
                        UpstreamLimits.DEFAULT,
                        clock);
    }

    /** Whether this is one of its own addresses. */
    public boolean isAt(final Address address) {
        return addresses.contains(new IpAddress(address.high(), address.low()));
    }

    /**
     * Answers a query.
     *
     * @param done gets the answer, on another thread; never for what is not a query
     */
    public void answer(final byte[] query, final Consumer<byte[]> done) {
        embedded.answer(query, false, done);
    }

    /** The same for a client that takes answers of any length. */
    public void answerTcp(final byte[] query, final Consumer<byte[]> done) {
        embedded.answer(query, true, done);
    }

    /** Never itself: that would be a loop. */
    static List<InetSocketAddress> others(
            final List<IpAddress> own, final List<IpAddress> servers) {
        final List<InetSocketAddress> others = new ArrayList<>();
        for (final IpAddress server : servers) {
            if (!own.contains(server)) {
                others.add(new InetSocketAddress(inet(server), DNS_PORT));
            }
        }
        return others;
    }

    private static InetAddress inet(final IpAddress address) {
        try {
            return InetAddress.getByName(address.toString());
        } catch (final UnknownHostException impossible) {
            throw new IllegalStateException("an address in numbers", impossible);
        }
    }

    private static List<IpAddress> readNameservers() {
        try {
            return nameservers(Files.readAllLines(RESOLV_CONF));
        } catch (final IOException e) {
            LOG.warn("{} cannot be read: only names of the cluster are resolved", RESOLV_CONF, e);
            return List.of();
        }
    }

    /**
     * Lines {@code nameserver ADDRESS} of resolv.conf(5); an address with a zone is passed over.
     */
    static List<IpAddress> nameservers(final List<String> lines) {
        final List<IpAddress> found = new ArrayList<>();
        for (final String line : lines) {
            final String[] words = line.strip().split("\\s+", -1);
            if (words.length > 1 && words[0].equals("nameserver")) {
                IpAddress.parse(words[1]).ifPresent(found::add);
            }
        }
        return found;
    }

    @Override
    public void close() {
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }
}
