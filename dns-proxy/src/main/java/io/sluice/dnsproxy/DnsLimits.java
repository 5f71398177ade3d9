package io.sluice.dnsproxy;

/**
 * Bounds and answers of {@link DnsExchange}.
 *
 * @param deniedRcode what a denied query is answered with
 * @param clusterDomain lower case, dot-terminated: a denied name in it is answered NXDOMAIN
 *     whatever {@code deniedRcode} is, for it is mostly what a search list made of another name,
 *     and musl's resolver does not come to that other name after REFUSED
 * @param queryTimeoutMs how long an answer is waited for, 100 to 60,000 ms; 10 s by default: glibc
 *     gives up a server after 5 s, the BIND resolver after 10 s
 * @param holdTimeoutMs how long an answer is held, 1 to 5,000 ms; 1 s by default: publication takes
 *     milliseconds, and the client must be told before its own 5 s are over
 * @param pendingPerEndpoint queries in flight, 1 to 65,536; 4,096 by default: 400 a second, none of
 *     which is answered; some 300 bytes each
 * @param heldMax answers held in all, and batches on their way, 1 to 1,000,000; 16,384 by default,
 *     the rate of a busy node for the time of one hold
 */
public record DnsLimits(
        DeniedRcode deniedRcode,
        String clusterDomain,
        long queryTimeoutMs,
        long holdTimeoutMs,
        int pendingPerEndpoint,
        int heldMax) {
    /** How a denied query is answered. */
    public enum DeniedRcode {
        /** Cilium's default. */
        REFUSED,
        /** For resolvers that stop at REFUSED and never try the next name of their search list. */
        NXDOMAIN
    }

    /** What is not said otherwise. */
    public static final DnsLimits DEFAULT =
            new DnsLimits(DeniedRcode.REFUSED, "cluster.local.", 10_000, 1_000, 4_096, 16_384);

    /**
     * Checks ranges.
     *
     * @throws IllegalArgumentException with what is accepted
     */
    public DnsLimits {
        if (!clusterDomain.endsWith(".")) {
            throw new IllegalArgumentException(
                    "clusterDomain: accepted: a name with its last dot, not " + clusterDomain);
        }
        check("queryTimeoutMs", queryTimeoutMs, 100, 60_000);
        check("holdTimeoutMs", holdTimeoutMs, 1, 5_000);
        check("pendingPerEndpoint", pendingPerEndpoint, 1, 65_536);
        check("heldMax", heldMax, 1, 1_000_000);
    }

    private static void check(final String name, final long value, final long from, final long to) {
        if (value < from || value > to) {
            throw new IllegalArgumentException(
                    name + ": accepted: " + from + " to " + to + ", not " + value);
        }
    }
}
