package io.sluice.control.policy;

import io.sluice.control.policy.UnmetCondition.Kind;
import io.sluice.control.policy.UnmetPeerConditions.End;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What a packet lacks to be matched by a {@link PolicyRule}: the peer, the endpoint's own address,
 * protocol and ports.
 *
 * <p>It has nothing to say exactly when the rule matches, because it asks the rule's own parts
 * ({@link PeerMatch#matches}, {@link Traffic#contains}) and only then looks for words; a test
 * compares the two in random worlds. Immutable, any thread.
 *
 * @param direction of the rules
 * @param packet what is asked about
 * @param peer the other end; empty where nothing is known of it, and only rules for everyone match
 * @param own the endpoint
 * @param ownPorts its ports with names
 */
record UnmetConditions(
        PolicyDirection direction,
        Packet packet,
        Optional<End> peer,
        Optional<End> own,
        Set<Pod.NamedPort> ownPorts) {
    /** Ports that a sentence lists. */
    private static final int LISTED_MAX = 8;

    /**
     * The packet.
     *
     * @param port destination port; for ICMP type * 256 + code
     * @param destination the receiver's name, as sentences call it
     */
    record Packet(int protocol, int sourcePort, int port, String destination) {
        /** {@code port 8081}, {@code ICMP type 8 code 0}, {@code protocol 47}. */
        String portText() {
            return IpProtocol.isIcmp(protocol)
                    ? "type " + (port >> 8) + " code " + (port & 0xff)
                    : "port " + port;
        }

        @Override
        public String toString() {
            if (IpProtocol.isIcmp(protocol)) {
                return IpProtocol.nameOf(protocol) + " " + portText();
            }
            return IpProtocol.hasPorts(protocol)
                    ? port + "/" + IpProtocol.nameOf(protocol)
                    : "protocol " + IpProtocol.nameOf(protocol);
        }
    }

    /** Empty exactly if the rule matches the packet, its request aside. */
    List<UnmetCondition> of(final PolicyRule rule) {
        final List<UnmetCondition> unmet = new ArrayList<>();
        if (peer.isPresent()) {
            unmet.addAll(new UnmetPeerConditions(peer.get(), "the rule").of(rule.peers()));
        } else if (!rule.peers().equals(PeerMatch.EVERYONE)) {
            unmet.add(UnmetCondition.of(Kind.NOBODY, "nothing is known of the peer"));
        }
        if (own.isPresent() && !rule.local().matches(own.get().facts())) {
            unmet.add(
                    UnmetCondition.of(
                            Kind.OWN_ADDRESS,
                            "the rule is about "
                                    + UnmetPeerConditions.plain(rule.local())
                                    + ", not about "
                                    + own.get().name()));
        }
        unmet.addAll(ofTraffic(rule.traffic()));
        return List.copyOf(unmet);
    }

    private List<UnmetCondition> ofTraffic(final List<Traffic> alternatives) {
        if (alternatives.isEmpty() || alternatives.stream().anyMatch(this::contains)) {
            return List.of();
        }
        final List<List<UnmetCondition>> all = alternatives.stream().map(this::of).toList();
        final List<UnmetCondition> closest = UnmetPeerConditions.closest(all);
        // Alternatives that lack the same things are one list of ports.
        final Set<String> accepted = new LinkedHashSet<>();
        for (int i = 0; i < all.size(); i++) {
            if (kinds(all.get(i)).equals(kinds(closest))) {
                accepted.add(all.get(i).getFirst().text());
            }
        }
        return accepted.size() == 1 || closest.size() > 1
                ? closest
                : List.of(joined(closest.getFirst(), accepted));
    }

    private static List<Kind> kinds(final List<UnmetCondition> unmet) {
        return unmet.stream().map(UnmetCondition::kind).toList();
    }

    /** {@code port 81 is not in 80} and {@code port 81 is not in 82}: is not in 80, 82. */
    private static UnmetCondition joined(final UnmetCondition first, final Set<String> texts) {
        final String start = commonStart(texts);
        final String ends =
                String.join(
                        ", ",
                        texts.stream()
                                .limit(LISTED_MAX)
                                .map(text -> text.substring(start.length()))
                                .toList());
        return UnmetCondition.of(
                first.kind(), start + ends + (texts.size() > LISTED_MAX ? ", ..." : ""));
    }

    /** What all texts begin with, up to a space. */
    private static String commonStart(final Set<String> texts) {
        String start = texts.iterator().next();
        for (final String text : texts) {
            int same = 0;
            while (same < Math.min(start.length(), text.length())
                    && start.charAt(same) == text.charAt(same)) {
                same++;
            }
            start = start.substring(0, same);
        }
        return start.substring(0, start.lastIndexOf(' ') + 1);
    }

    private boolean contains(final Traffic traffic) {
        return traffic.contains(
                packet.protocol, packet.sourcePort, packet.port, sourcePorts(), destinationPorts());
    }

    private Set<Pod.NamedPort> sourcePorts() {
        return direction == PolicyDirection.INGRESS ? peerPorts() : ownPorts;
    }

    private Set<Pod.NamedPort> destinationPorts() {
        return direction == PolicyDirection.INGRESS ? ownPorts : peerPorts();
    }

    private Set<Pod.NamedPort> peerPorts() {
        return peer.map(end -> end.facts().ports()).orElse(Set.of());
    }

    /** What one alternative lacks, which does not contain the packet. */
    private List<UnmetCondition> of(final Traffic traffic) {
        final List<UnmetCondition> unmet = new ArrayList<>();
        final boolean takenOut = traffic.notProtocol() == packet.protocol;
        final boolean other =
                traffic.protocol() != Traffic.EVERY_PROTOCOL
                        && traffic.protocol() != packet.protocol;
        if (takenOut || other) {
            unmet.add(
                    UnmetCondition.of(
                            Kind.PROTOCOL,
                            "protocol "
                                    + IpProtocol.nameOf(packet.protocol)
                                    + " is not "
                                    + (other
                                            ? IpProtocol.nameOf(traffic.protocol())
                                            : "what the rule is about: " + traffic)));
        }
        if (other && !(IpProtocol.hasPorts(packet.protocol) && hasPorts(traffic))) {
            // A port and a type cannot be compared.
            return unmet;
        }
        if (!isIn(traffic, traffic.protocol(), Traffic.Ports.ALL, traffic.destination())) {
            unmet.add(destination(traffic));
        }
        if (!isIn(traffic, traffic.protocol(), traffic.source(), Traffic.Ports.ALL)) {
            unmet.add(
                    UnmetCondition.of(
                            Kind.SOURCE_PORT,
                            "source port " + packet.sourcePort + " is not in " + traffic.source()));
        }
        return unmet;
    }

    private static boolean hasPorts(final Traffic traffic) {
        return IpProtocol.hasPorts(traffic.protocol());
    }

    /** Whether the packet, if only it were of the protocol, has one of these ports. */
    private boolean isIn(
            final Traffic traffic,
            final int protocol,
            final Traffic.Ports source,
            final Traffic.Ports destination) {
        final int asked = protocol == Traffic.EVERY_PROTOCOL ? packet.protocol : protocol;
        if (traffic.notProtocol() == asked) {
            // Nothing is left of the ports; the protocol is what is told.
            return true;
        }
        return new Traffic(protocol, Traffic.EVERY_PROTOCOL, source, destination)
                .contains(asked, packet.sourcePort, packet.port, sourcePorts(), destinationPorts());
    }

    private UnmetCondition destination(final Traffic traffic) {
        final int protocol = traffic.protocol();
        if (IpProtocol.isIcmp(protocol)) {
            return UnmetCondition.of(
                    Kind.ICMP_TYPE, packet.portText() + " is not in type " + icmp(traffic));
        }
        if (!IpProtocol.hasPorts(packet.protocol)) {
            return UnmetCondition.of(
                    Kind.PORT,
                    IpProtocol.nameOf(packet.protocol)
                            + " has no ports, and the rule asks for "
                            + traffic.destination());
        }
        final Traffic.Ports ports = traffic.destination();
        if (!ports.names().isEmpty() && ports.ranges().isEmpty()) {
            return named(ports.names(), protocol);
        }
        return UnmetCondition.of(Kind.PORT, packet.portText() + " is not in " + ports);
    }

    private static String icmp(final Traffic traffic) {
        return traffic.toString().replaceFirst("^ICMP(v6)? type ", "");
    }

    private UnmetCondition named(final List<String> names, final int protocol) {
        final List<String> elsewhere = new ArrayList<>();
        for (final Pod.NamedPort port : destinationPorts()) {
            if (names.contains(port.name())) {
                elsewhere.add(
                        "port "
                                + port.name()
                                + " of "
                                + packet.destination
                                + " is "
                                + port.port()
                                + "/"
                                + IpProtocol.nameOf(port.protocol())
                                + ", not "
                                + packet);
            }
        }
        if (!elsewhere.isEmpty()) {
            return UnmetCondition.of(
                    Kind.NAMED_PORT, String.join("; ", elsewhere.stream().sorted().toList()));
        }
        final String asked = String.join(" or ", names);
        return new UnmetCondition(
                Kind.NAMED_PORT,
                packet.destination
                        + " has no port named "
                        + asked
                        + (protocol == Traffic.EVERY_PROTOCOL
                                ? ""
                                : " for " + IpProtocol.nameOf(protocol)),
                destinationPorts().stream()
                        .filter(
                                port ->
                                        port.protocol() == packet.protocol
                                                && port.port() == packet.port)
                        .map(Pod.NamedPort::name)
                        .sorted()
                        .findFirst()
                        .orElse(""));
    }
}
