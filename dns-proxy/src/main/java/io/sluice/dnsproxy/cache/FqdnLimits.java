package io.sluice.dnsproxy.cache;

/**
 * Bounds of {@link FqdnCache}.
 *
 * @param ttlMinMs an address holds at least this long after an answer, ms, 0 to a week. 60 s by
 *     default: an application may connect later than a TTL of seconds allows (the JDK alone keeps
 *     answers for 30 s). Cilium's {@code tofqdns-min-ttl} is 0 (3600 s before 1.13), but there the
 *     collector that takes expired names runs once a minute.
 * @param addressesPerName 1 to 10,000; 50 by default, Cilium's number until 1.17
 * @param namesPerEndpoint 1 to 1,000,000; 10,000 by default: 50 addresses of some 200 bytes each at
 *     worst, 1 MB with the one or two addresses that names mostly have
 * @param zombiesPerEndpoint addresses kept for flows only, 1 to 1,000,000; 10,000 by default
 * @param zombieCheckMs between two looks at whether a flow uses one, 100 to 3,600,000 ms
 */
public record FqdnLimits(
        long ttlMinMs,
        int addressesPerName,
        int namesPerEndpoint,
        int zombiesPerEndpoint,
        long zombieCheckMs) {
    /** What is not said otherwise. */
    public static final FqdnLimits DEFAULT = new FqdnLimits(60_000, 50, 10_000, 10_000, 5_000);

    /**
     * A week, ms: RFC 8767 section 4 caps a time to live at 7 days, for longer ones are mistakes.
     */
    public static final long TTL_MAX_MS = 7 * 24 * 3_600_000L;

    /**
     * Checks ranges.
     *
     * @throws IllegalArgumentException with what is accepted
     */
    public FqdnLimits {
        check("ttlMinMs", ttlMinMs, 0, TTL_MAX_MS);
        check("addressesPerName", addressesPerName, 1, 10_000);
        check("namesPerEndpoint", namesPerEndpoint, 1, 1_000_000);
        check("zombiesPerEndpoint", zombiesPerEndpoint, 1, 1_000_000);
        check("zombieCheckMs", zombieCheckMs, 100, 3_600_000);
    }

    private static void check(final String name, final long value, final long from, final long to) {
        if (value < from || value > to) {
            throw new IllegalArgumentException(
                    name + ": accepted: " + from + " to " + to + ", not " + value);
        }
    }
}
