package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Which packets of a peer a rule is about: protocol and the ports of both ends. A rule without any
 * is about all of them.
 *
 * @param protocol IP protocol number, or {@link #EVERY_PROTOCOL}
 * @param notProtocol a protocol that is taken out, or {@link #EVERY_PROTOCOL} for none
 * @param source ports of the sender
 * @param destination ports of the receiver; for ICMP type * 256 + code
 */
record Traffic(int protocol, int notProtocol, Ports source, Ports destination) {
    static final int EVERY_PROTOCOL = -1;

    /** Protocols whose packets have ports that a container can name. */
    private static final List<Integer> PORT_PROTOCOLS =
            List.of(IpProtocol.TCP, IpProtocol.UDP, IpProtocol.SCTP);

    /** Numbers from one to another, both included. */
    record Range(int from, int to) {
        static final Range ALL = new Range(0, VerdictProgram.PORT_MAX);

        @Override
        public String toString() {
            return from == to ? "" + from : from + "-" + to;
        }
    }

    /**
     * Ports of one end.
     *
     * @param ranges one of these; every port if there are neither ranges nor names
     * @param names or a port of one of these names
     * @param notRanges and none of these
     * @param notNames and none of these names
     */
    record Ports(
            List<Range> ranges, List<String> names, List<Range> notRanges, List<String> notNames) {
        static final Ports ALL = new Ports(List.of(), List.of(), List.of(), List.of());

        static Ports of(final int from, final int to) {
            return from == 0 && to == VerdictProgram.PORT_MAX
                    ? ALL
                    : new Ports(List.of(new Range(from, to)), List.of(), List.of(), List.of());
        }

        static Ports named(final String name) {
            return new Ports(List.of(), List.of(name), List.of(), List.of());
        }

        boolean hasNames() {
            return !names.isEmpty() || !notNames.isEmpty();
        }

        private boolean isEvery() {
            return ranges.isEmpty() && names.isEmpty();
        }

        private boolean isAll() {
            return isEvery() && notRanges.isEmpty() && notNames.isEmpty();
        }

        /** Sorted, disjoint ranges of one protocol, names looked up among an end's ports. */
        private List<Range> resolve(final int protocol, final Set<Pod.NamedPort> named) {
            if (isAll()) {
                return List.of(Range.ALL);
            }
            final List<Range> taken = new ArrayList<>(notRanges);
            addNamed(notNames, protocol, named, taken);
            if (isEvery()) {
                return subtract(List.of(Range.ALL), taken);
            }
            final List<Range> listed = new ArrayList<>(ranges);
            addNamed(names, protocol, named, listed);
            return subtract(merge(listed), taken);
        }

        private static void addNamed(
                final List<String> wanted,
                final int protocol,
                final Set<Pod.NamedPort> named,
                final List<Range> into) {
            for (final Pod.NamedPort port : named) {
                if (port.protocol() == protocol && wanted.contains(port.name())) {
                    into.add(new Range(port.port(), port.port()));
                }
            }
        }

        private static List<Range> merge(final List<Range> ranges) {
            final List<Range> sorted = new ArrayList<>(ranges);
            sorted.sort((a, b) -> Integer.compare(a.from, b.from));
            final List<Range> merged = new ArrayList<>();
            for (final Range range : sorted) {
                final Range last = merged.isEmpty() ? new Range(-2, -2) : merged.getLast();
                if (range.from <= last.to + 1) {
                    merged.set(
                            merged.size() - 1, new Range(last.from, Math.max(last.to, range.to)));
                } else {
                    merged.add(range);
                }
            }
            return merged;
        }

        private static List<Range> subtract(final List<Range> from, final List<Range> taken) {
            List<Range> left = from;
            for (final Range hole : taken) {
                final List<Range> next = new ArrayList<>();
                for (final Range range : left) {
                    if (hole.to < range.from || hole.from > range.to) {
                        next.add(range);
                        continue;
                    }
                    if (range.from < hole.from) {
                        next.add(new Range(range.from, hole.from - 1));
                    }
                    if (range.to > hole.to) {
                        next.add(new Range(hole.to + 1, range.to));
                    }
                }
                left = next;
            }
            return left;
        }

        @Override
        public String toString() {
            final List<String> texts = new ArrayList<>();
            ranges.forEach(range -> texts.add(range.toString()));
            texts.addAll(names);
            notRanges.forEach(range -> texts.add("not " + range));
            notNames.forEach(name -> texts.add("not " + name));
            return String.join(",", texts);
        }
    }

    /**
     * Part of the space of packets, names looked up.
     *
     * @param protocol IP protocol number, or {@link #EVERY_PROTOCOL}
     * @param notProtocols protocols taken out, if it is about every protocol
     * @param source ports of the sender
     * @param destination ports of the receiver
     */
    record Box(int protocol, Set<Integer> notProtocols, Range source, Range destination) {}

    static Traffic of(final int protocol, final Ports destination) {
        return new Traffic(protocol, EVERY_PROTOCOL, Ports.ALL, destination);
    }

    boolean hasNames() {
        return source.hasNames() || destination.hasNames();
    }

    /**
     * The packets, as boxes.
     *
     * @param sourcePorts named ports of the sender
     * @param destinationPorts named ports of the receiver
     */
    List<Box> boxes(
            final Set<Pod.NamedPort> sourcePorts, final Set<Pod.NamedPort> destinationPorts) {
        final List<Box> boxes = new ArrayList<>();
        if (protocol != EVERY_PROTOCOL) {
            if (protocol != notProtocol) {
                addBoxes(protocol, sourcePorts, destinationPorts, boxes);
            }
            return boxes;
        }
        final Set<Integer> without = new TreeSet<>();
        if (notProtocol != EVERY_PROTOCOL) {
            without.add(notProtocol);
        }
        if (source.isAll() && destination.isAll()) {
            boxes.add(new Box(EVERY_PROTOCOL, without, Range.ALL, Range.ALL));
            return boxes;
        }
        for (final int withPorts : PORT_PROTOCOLS) {
            if (without.add(withPorts)) {
                addBoxes(withPorts, sourcePorts, destinationPorts, boxes);
            }
        }
        if (source.isEvery() && destination.isEvery()) {
            // Only ports are taken out, and what has no ports has none of these.
            boxes.add(new Box(EVERY_PROTOCOL, without, Range.ALL, Range.ALL));
        }
        return boxes;
    }

    private void addBoxes(
            final int number,
            final Set<Pod.NamedPort> sourcePorts,
            final Set<Pod.NamedPort> destinationPorts,
            final List<Box> boxes) {
        final List<Range> sources = source.resolve(number, sourcePorts);
        for (final Range to : destination.resolve(number, destinationPorts)) {
            for (final Range from : sources) {
                boxes.add(new Box(number, Set.of(), from, to));
            }
        }
    }

    /** Whether a packet belongs to it. */
    boolean contains(
            final int packetProtocol,
            final int sourcePort,
            final int destinationPort,
            final Set<Pod.NamedPort> sourcePorts,
            final Set<Pod.NamedPort> destinationPorts) {
        for (final Box box : boxes(sourcePorts, destinationPorts)) {
            final boolean fits =
                    box.protocol == EVERY_PROTOCOL
                            ? !box.notProtocols.contains(packetProtocol)
                            : box.protocol == packetProtocol;
            if (fits
                    && box.source.from <= sourcePort
                    && sourcePort <= box.source.to
                    && box.destination.from <= destinationPort
                    && destinationPort <= box.destination.to) {
                return true;
            }
        }
        return false;
    }

    /** {@code 80/TCP}, {@code 8000-8080/UDP}, {@code ICMP type 8}, {@code not TCP}. */
    @Override
    public String toString() {
        final StringBuilder text = new StringBuilder();
        final String name =
                protocol == EVERY_PROTOCOL
                        ? notProtocol == EVERY_PROTOCOL
                                ? "any protocol"
                                : "not " + IpProtocol.nameOf(notProtocol)
                        : IpProtocol.nameOf(protocol);
        if (destination.isAll()) {
            text.append(name);
        } else if (IpProtocol.isIcmp(protocol)) {
            text.append(name).append(" type ").append(icmpText());
        } else {
            text.append(destination).append('/').append(name);
        }
        if (!source.isAll()) {
            text.append(" from ").append(source);
        }
        return text.toString();
    }

    private String icmpText() {
        final List<String> texts = new ArrayList<>();
        destination.ranges.forEach(range -> texts.add(icmpText(range)));
        destination.notRanges.forEach(range -> texts.add("not " + icmpText(range)));
        return String.join(",", texts);
    }

    private static String icmpText(final Range range) {
        return range.from == range.to
                ? (range.from >> 8) + " code " + (range.from & 0xff)
                : "" + (range.from >> 8);
    }
}
