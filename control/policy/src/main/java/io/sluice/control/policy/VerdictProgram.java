package io.sluice.control.policy;

import java.util.List;

/**
 * What one endpoint's policy says about one identity in one direction: for every protocol and port,
 * an entry.
 *
 * <p>Total: the intervals of each protocol are sorted, disjoint and cover every pair of ports;
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
     * @param intervals sorted by from, then sourceFrom; intervals with the same from have the same
     *     to, and together cover all source ports
     */
    public record ProtocolProgram(int protocol, List<Interval> intervals) {}

    /**
     * Packets with the same entry.
     *
     * @param from first destination port; for ICMP and ICMPv6 type * 256 + code
     * @param to last destination port, inclusive
     * @param sourceFrom first source port; nearly always 0
     * @param sourceTo last source port, inclusive; nearly always 65535
     * @param entry what holds for them
     */
    public record Interval(int from, int to, int sourceFrom, int sourceTo, PolicyEntry entry) {}

    /**
     * The entry of a packet.
     *
     * @param protocol IP protocol number
     * @param sourcePort source port, 0 for protocols without ports
     * @param port destination port, 0 for protocols without ports, type * 256 + code for ICMP
     */
    public PolicyEntry lookup(final int protocol, final int sourcePort, final int port) {
        for (final ProtocolProgram program : protocols) {
            if (program.protocol == protocol) {
                return lookup(program.intervals, sourcePort, port);
            }
        }
        return otherProtocols;
    }

    private static PolicyEntry lookup(
            final List<Interval> intervals, final int sourcePort, final int port) {
        int low = 0;
        int high = intervals.size() - 1;
        while (low < high) {
            final int middle = (low + high) >>> 1;
            final Interval interval = intervals.get(middle);
            if (interval.to < port || (interval.from <= port && interval.sourceTo < sourcePort)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return intervals.get(low).entry;
    }
}
