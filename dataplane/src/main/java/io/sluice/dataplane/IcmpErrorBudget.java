package io.sluice.dataplane;

/**
 * Token bucket for ICMP errors: 1000 a second, 50 at once, as Linux allows by default
 * (net.ipv4.icmp_msgs_per_sec, icmp_msgs_burst in Documentation/networking/ip-sysctl.rst), so that
 * a flood of bad packets does not become a flood of errors.
 *
 * <p>Thread: the lane's.
 */
final class IcmpErrorBudget {
    private static final long NS_PER_TOKEN = 1_000_000L;
    private static final int TOKENS_MAX = 50;

    private int tokens = TOKENS_MAX;
    private long lastNs;
    private boolean started;

    /** Takes a token. */
    boolean take(final long nowNs) {
        if (!started) {
            started = true;
            lastNs = nowNs;
        }
        final long earned = (nowNs - lastNs) / NS_PER_TOKEN;
        if (earned > 0) {
            tokens = (int) Math.min(TOKENS_MAX, tokens + earned);
            lastNs += earned * NS_PER_TOKEN;
        }
        if (tokens == 0) {
            return false;
        }
        tokens--;
        return true;
    }
}
