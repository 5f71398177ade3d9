package io.sluice.control.policy;

/** Which packets of a peer a rule is about. A rule without any is about all of them. */
sealed interface PortMatch {
    /**
     * Destination ports of one protocol; type * 256 + code for ICMP.
     *
     * @param protocol IP protocol number
     * @param from first
     * @param to last, inclusive
     */
    record Range(int protocol, int from, int to) implements PortMatch {
        @Override
        public String toString() {
            if (IpProtocol.isIcmp(protocol)) {
                return IpProtocol.nameOf(protocol) + " type " + (from >> 8);
            }
            if (from == 0 && to == VerdictProgram.PORT_MAX) {
                return IpProtocol.nameOf(protocol);
            }
            return (from == to ? "" + from : from + "-" + to) + "/" + IpProtocol.nameOf(protocol);
        }
    }

    /**
     * A port by the name it has on the destination.
     *
     * @param protocol IP protocol number
     * @param name lower-case
     */
    record Named(int protocol, String name) implements PortMatch {
        @Override
        public String toString() {
            return name + "/" + IpProtocol.nameOf(protocol);
        }
    }
}
