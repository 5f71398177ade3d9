package io.sluice.dataplane;

import java.util.Arrays;

/**
 * A token bucket of ICMP errors for each port: 1000 a second, 50 at once, as Linux allows by
 * default (net.ipv4.icmp_msgs_per_sec, icmp_msgs_burst in Documentation/networking/ip-sysctl.rst),
 * so that a flood of bad packets does not become a flood of errors. One bucket a port, so that one
 * endpoint's flood does not cost the others their path MTU. Lanes have budgets of their own, which
 * for n lanes allows n times as many: still no flood, and no word between lanes.
 *
 * <p>Thread: the lane's.
 */
final class IcmpErrorBudgets {
    private static final long NS_PER_TOKEN = 1_000_000L;
    private static final int TOKENS_MAX = 50;

    private final int[] tokens = new int[ForwardingLoop.PORTS_MAX];
    private final long[] lastNs = new long[ForwardingLoop.PORTS_MAX];

    IcmpErrorBudgets() {
        Arrays.fill(tokens, TOKENS_MAX);
    }

    /** Takes a token of the port's. */
    boolean take(final int port, final long nowNs) {
        final long earned = (nowNs - lastNs[port]) / NS_PER_TOKEN;
        if (earned < 0 || earned >= TOKENS_MAX) {
            // Long ago, or never: the bucket is full, and counts from now.
            tokens[port] = TOKENS_MAX;
            lastNs[port] = nowNs;
        } else {
            tokens[port] = (int) Math.min(TOKENS_MAX, tokens[port] + earned);
            lastNs[port] += earned * NS_PER_TOKEN;
        }
        if (tokens[port] == 0) {
            return false;
        }
        tokens[port]--;
        return true;
    }
}
