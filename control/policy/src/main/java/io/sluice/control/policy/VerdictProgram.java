package io.sluice.control.policy;

import java.util.List;

/**
 * What one endpoint's policy says about one identity in one direction: for every protocol and port,
 * an entry.
 *
 * <p>Total: the intervals of each protocol are sorted, disjoint and cover 0 to 65535 without gaps;
 * protocols that are not listed have {@code otherProtocols}. Equal programs of one {@link
 * PolicySet} are one instance.
 *
 * @param protocols protocols that some rule treats on their own, by ascending number
 * @param otherProtocols entry of all others
 */
public record VerdictProgram(List<ProtocolProgram> protocols, PolicyEntry otherProtocols) {
    /** Highest port. */
    public static final int PORT_MAX = 0xffff;

    /**
     * Entries of one protocol.
     *
     * @param protocol IP protocol number
     * @param intervals sorted, disjoint, without gaps from 0 to 65535
     */
    public record ProtocolProgram(int protocol, List<Interval> intervals) {}

    /**
     * Destination ports with the same entry; for ICMP and ICMPv6 type * 256 + code.
     *
     * @param from first
     * @param to last, inclusive
     * @param entry what holds for them
     */
    public record Interval(int from, int to, PolicyEntry entry) {}

    /**
     * The entry of a packet.
     *
     * @param protocol IP protocol number
     * @param port destination port, 0 for protocols without ports, type * 256 + code for ICMP
     */
    public PolicyEntry lookup(final int protocol, final int port) {
        for (final ProtocolProgram program : protocols) {
            if (program.protocol == protocol) {
                return lookup(program.intervals, port);
            }
        }
        return otherProtocols;
    }

    private static PolicyEntry lookup(final List<Interval> intervals, final int port) {
        int low = 0;
        int high = intervals.size() - 1;
        while (low < high) {
            final int middle = (low + high) >>> 1;
            if (intervals.get(middle).to < port) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return intervals.get(low).entry;
    }
}
