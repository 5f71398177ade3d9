package io.sluice.control.policy.recommend;

import io.sluice.control.policy.IpProtocol;
import java.util.Comparator;

/**
 * A port of a drafted rule.
 *
 * @param protocol IP protocol number
 * @param port number; type * 256 + code of ICMP
 */
record DraftPort(int protocol, int port) implements Comparable<DraftPort> {
    private static final int DNS = 53;

    static final DraftPort DNS_UDP = new DraftPort(IpProtocol.UDP, DNS);
    static final DraftPort DNS_TCP = new DraftPort(IpProtocol.TCP, DNS);

    boolean isIcmp() {
        return IpProtocol.isIcmp(protocol);
    }

    boolean isDns() {
        return equals(DNS_UDP) || equals(DNS_TCP);
    }

    @Override
    public int compareTo(final DraftPort other) {
        return Comparator.comparingInt(DraftPort::protocol)
                .thenComparingInt(DraftPort::port)
                .compare(this, other);
    }

    /** {@code 80/TCP}, {@code ICMP 8}. */
    @Override
    public String toString() {
        return isIcmp()
                ? IpProtocol.nameOf(protocol) + " " + (port >> 8)
                : IpProtocol.hasPorts(protocol)
                        ? port + "/" + IpProtocol.nameOf(protocol)
                        : "protocol " + IpProtocol.nameOf(protocol);
    }
}
