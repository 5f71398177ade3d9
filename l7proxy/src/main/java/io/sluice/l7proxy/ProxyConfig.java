package io.sluice.l7proxy;

import java.time.Duration;

/**
 * Settings of the proxy. Immutable.
 *
 * @param transport epoll unless chosen otherwise
 * @param loops event-loop threads, 1 to 256; each has its own listening sockets
 * @param addressing whose addresses the sockets have
 * @param connectionsMax client connections at once, 1 to 1,000,000
 * @param connectTimeout how long a server may take to accept, 1 ms to 5 min; then 503
 * @param idleTimeout how long a connection may go without a byte in either direction, 1 s to 7 days
 * @param headTimeout how long the head of a request, or a ClientHello, may take from its first byte
 *     to its last, 1 ms to 10 min
 * @param lingerTimeout how long the rest of what a client sends is read after the last answer, so
 *     that the answer is not lost to a reset, 1 ms to 1 min
 */
public record ProxyConfig(
        Transport transport,
        int loops,
        Addressing addressing,
        int connectionsMax,
        Duration connectTimeout,
        Duration idleTimeout,
        Duration headTimeout,
        Duration lingerTimeout) {
    /** Whose addresses the sockets have. */
    public enum Addressing {
        /**
         * The listeners accept for every address, and servers see the client's: IP_TRANSPARENT,
         * which asks for CAP_NET_ADMIN in the namespace.
         */
        TRANSPARENT,
        /** The proxy's own. */
        OWN
    }

    /**
     * One connection costs some 20 kB with its sockets, and may hold two buffers of 128 KiB while
     * its ends are slow: 16,384 of them are 320 MB, and 4 GB at the very worst. The idle timeout is
     * Envoy's for a stream of requests; nothing shorter, since without a proxy there is none.
     */
    public static final ProxyConfig DEFAULTS =
            new ProxyConfig(
                    Transport.EPOLL,
                    1,
                    Addressing.TRANSPARENT,
                    16_384,
                    Duration.ofSeconds(5),
                    Duration.ofHours(1),
                    Duration.ofSeconds(10),
                    Duration.ofSeconds(2));

    /**
     * Checks the ranges.
     *
     * @throws IllegalArgumentException with the setting and what is accepted
     */
    public ProxyConfig {
        checkRange("loops", loops, 1, 256);
        checkRange("connectionsMax", connectionsMax, 1, 1_000_000);
        checkRange("connectTimeout", connectTimeout.toMillis(), 1, 300_000);
        checkRange("idleTimeout", idleTimeout.toMillis(), 1_000, 604_800_000);
        checkRange("headTimeout", headTimeout.toMillis(), 1, 600_000);
        checkRange("lingerTimeout", lingerTimeout.toMillis(), 1, 60_000);
    }

    private static void checkRange(
            final String name, final long value, final long least, final long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(
                    name + " " + value + ": accepted: " + least + " to " + most);
        }
    }
}
