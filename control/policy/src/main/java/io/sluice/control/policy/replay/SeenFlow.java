package io.sluice.control.policy.replay;

import java.util.List;
import java.util.Map;

/**
 * What policy can tell apart about a flow: flows that are equal get the same answer. Immutable.
 *
 * @param from who opened it
 * @param to whom
 * @param protocol IP protocol number
 * @param port destination port; for ICMP and ICMPv6 type * 256 + code; 0 for other protocols
 * @param names that the destination's address was learned from, sorted, without the final dot
 * @param request what a proxy read, in the fields of {@link io.sluice.control.policy.Probe#l7};
 *     empty for the connection itself
 */
public record SeenFlow(
        SeenPeer from,
        SeenPeer to,
        int protocol,
        int port,
        List<String> names,
        Map<String, String> request) {
    public SeenFlow {
        names = List.copyOf(names);
        request = Map.copyOf(request);
    }

    /** Whether it is a request in a connection, not the connection. */
    public boolean isRequest() {
        return !request.isEmpty();
    }
}
