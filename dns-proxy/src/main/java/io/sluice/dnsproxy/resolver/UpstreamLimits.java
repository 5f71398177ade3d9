package io.sluice.dnsproxy.resolver;

/**
 * Bounds of {@link Upstreams}.
 *
 * @param timeoutMs one server is waited for, 50 to 10,000 ms; 1,500 by default: three servers in
 *     the 5 s a client waits
 * @param attemptsMax servers asked per query, 1 to 10; 3 by default; one server is asked again
 * @param inFlightMax queries under way, 1 to 20,000; 1,000 by default, a socket each
 */
public record UpstreamLimits(long timeoutMs, int attemptsMax, int inFlightMax) {
    /** What is not said otherwise. */
    public static final UpstreamLimits DEFAULT = new UpstreamLimits(1_500, 3, 1_000);

    /**
     * Checks ranges.
     *
     * @throws IllegalArgumentException with what is accepted
     */
    public UpstreamLimits {
        check("timeoutMs", timeoutMs, 50, 10_000);
        check("attemptsMax", attemptsMax, 1, 10);
        check("inFlightMax", inFlightMax, 1, 20_000);
    }

    private static void check(final String name, final long value, final long from, final long to) {
        if (value < from || value > to) {
            throw new IllegalArgumentException(
                    name + ": accepted: " + from + " to " + to + ", not " + value);
        }
    }
}
