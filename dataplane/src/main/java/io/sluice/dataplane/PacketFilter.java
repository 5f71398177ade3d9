package io.sluice.dataplane;

/**
 * Which packets are meant: a condition on what the steps have found out about a packet. It never
 * looks at header bytes again.
 *
 * <p>A condition on something that a packet has not, or that was not understood of it, does not
 * hold: no port equals that of a fragment without its first one. Addresses are those of the packet
 * itself, not of one that an ICMP error quotes.
 *
 * <p>Immutable. Thread: {@link #matches} on the lane, for every packet while somebody traces;
 * neither blocks nor allocates.
 */
public sealed interface PacketFilter {
    /** Which of a packet's two ends is meant. */
    enum Side {
        SOURCE,
        DESTINATION,
        /** One of the two. */
        EITHER
    }

    /** Whether the packet is meant; it has come to its end. */
    boolean matches(Packet packet);

    /** Every packet. */
    record All() implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            return true;
        }
    }

    /** Both hold. */
    record And(PacketFilter left, PacketFilter right) implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            return left.matches(packet) && right.matches(packet);
        }
    }

    /** One of the two holds. */
    record Or(PacketFilter left, PacketFilter right) implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            return left.matches(packet) || right.matches(packet);
        }
    }

    /** It does not hold. */
    record Not(PacketFilter condition) implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            return !condition.matches(packet);
        }
    }

    /** Frames of one Ethernet type. */
    record EtherType(int type) implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            return packet.knownUpTo.compareTo(Packet.Known.ETHERNET) >= 0
                    && packet.etherType == type;
        }
    }

    /** IP packets of one protocol, fragments included. */
    record Protocol(int number) implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            return packet.knownUpTo.compareTo(Packet.Known.ADDRESSES) >= 0
                    && packet.tuple.protocol == number;
        }
    }

    /**
     * IP packets of an address, IPv4 mapped.
     *
     * @param high high half
     * @param low low half
     */
    record Address(Side side, long high, long low) implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            if (packet.knownUpTo.compareTo(Packet.Known.ADDRESSES) < 0) {
                return false;
            }
            final boolean isSource =
                    packet.tuple.sourceHigh == high && packet.tuple.sourceLow == low;
            final boolean isDestination =
                    packet.tuple.destinationHigh == high && packet.tuple.destinationLow == low;
            return switch (side) {
                case SOURCE -> isSource;
                case DESTINATION -> isDestination;
                case EITHER -> isSource || isDestination;
            };
        }
    }

    /** TCP, UDP and SCTP packets of a port. */
    record PortNumber(Side side, int number) implements PacketFilter {
        @Override
        public boolean matches(final Packet packet) {
            if (packet.knownUpTo.compareTo(Packet.Known.TUPLE) < 0 || packet.isIcmp()) {
                return false;
            }
            final boolean isSource = packet.tuple.sourcePort == number;
            final boolean isDestination = packet.tuple.destinationPort == number;
            return switch (side) {
                case SOURCE -> isSource;
                case DESTINATION -> isDestination;
                case EITHER -> isSource || isDestination;
            };
        }
    }
}
