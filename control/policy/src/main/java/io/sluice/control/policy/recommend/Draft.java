package io.sluice.control.policy.recommend;

import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.PolicyDirection;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;

/** What one workload may do, before it is written down. Thread: the recommender's. */
final class Draft {
    /**
     * Peers that use the same ports.
     *
     * @param peers in order
     * @param ports what they use, with how often
     */
    record Rule(List<DraftPeer> peers, NavigableMap<DraftPort, DraftUse> ports) {
        /** Connections of all ports. */
        long flows() {
            return ports.values().stream().mapToLong(DraftUse::flows).sum();
        }
    }

    private final Workload workload;
    private final WorkloadSelector selector;
    private final String name;
    private final NavigableMap<DraftPeer, NavigableMap<DraftPort, DraftUse>> ingress =
            new TreeMap<>(DraftPeer.ORDER);
    private final NavigableMap<DraftPeer, NavigableMap<DraftPort, DraftUse>> egress =
            new TreeMap<>(DraftPeer.ORDER);
    private final NavigableSet<IpAddress> outside = new TreeSet<>();
    private final NavigableSet<String> remarks = new TreeSet<>();

    Draft(final Workload workload, final WorkloadSelector selector, final String name) {
        this.workload = workload;
        this.selector = selector;
        this.name = name;
    }

    Workload workload() {
        return workload;
    }

    WorkloadSelector selector() {
        return selector;
    }

    /** Name of the policy. */
    String name() {
        return name;
    }

    /** What its reader has to know besides. */
    NavigableSet<String> remarks() {
        return remarks;
    }

    NavigableMap<DraftPeer, NavigableMap<DraftPort, DraftUse>> side(
            final PolicyDirection direction) {
        return switch (direction) {
            case INGRESS -> ingress;
            case EGRESS -> egress;
        };
    }

    DraftUse use(final PolicyDirection direction, final DraftPeer peer, final DraftPort port) {
        return side(direction)
                .computeIfAbsent(peer, _ -> new TreeMap<>())
                .computeIfAbsent(port, _ -> new DraftUse());
    }

    /** Connections in a direction. */
    long flows(final PolicyDirection direction) {
        return side(direction).values().stream()
                .flatMap(ports -> ports.values().stream())
                .mapToLong(DraftUse::flows)
                .sum();
    }

    /**
     * Where there are many addresses for one port, it is not about these addresses: outside is
     * allowed in their place.
     *
     * @param max addresses of one family for one port that are named one by one
     */
    void generaliseAddresses(final PolicyDirection direction, final int max) {
        final NavigableMap<DraftPeer, NavigableMap<DraftPort, DraftUse>> side = side(direction);
        final Map<DraftPort, List<DraftPeer.At>> ipv4 = new TreeMap<>();
        final Map<DraftPort, List<DraftPeer.At>> ipv6 = new TreeMap<>();
        side.forEach(
                (peer, ports) -> {
                    if (peer instanceof final DraftPeer.At at) {
                        final Map<DraftPort, List<DraftPeer.At>> family =
                                at.address().isIpv4() ? ipv4 : ipv6;
                        ports.keySet()
                                .forEach(
                                        port ->
                                                family.computeIfAbsent(port, _ -> new ArrayList<>())
                                                        .add(at));
                    }
                });
        generalise(side, ipv4, new DraftPeer.Outside(true), max);
        generalise(side, ipv6, new DraftPeer.Outside(false), max);
    }

    /** Addresses that are allowed as a part of everything outside. */
    NavigableSet<IpAddress> outside() {
        return outside;
    }

    /** Names that an address was learned from. */
    NavigableSet<String> namesOf(final PolicyDirection direction, final DraftPeer.At at) {
        final NavigableSet<String> names = new TreeSet<>();
        side(direction)
                .getOrDefault(at, new TreeMap<>())
                .values()
                .forEach(use -> names.addAll(use.names()));
        return names;
    }

    private void generalise(
            final NavigableMap<DraftPeer, NavigableMap<DraftPort, DraftUse>> side,
            final Map<DraftPort, List<DraftPeer.At>> addresses,
            final DraftPeer.Outside everything,
            final int max) {
        addresses.forEach(
                (port, peers) -> {
                    if (peers.size() <= max) {
                        return;
                    }
                    final DraftUse sum =
                            side.computeIfAbsent(everything, _ -> new TreeMap<>())
                                    .computeIfAbsent(port, _ -> new DraftUse());
                    for (final DraftPeer.At peer : peers) {
                        outside.add(peer.address());
                        final NavigableMap<DraftPort, DraftUse> ports =
                                side.getOrDefault(peer, new TreeMap<>());
                        final DraftUse use = ports.remove(port);
                        if (use != null) {
                            sum.addAll(use);
                        }
                        if (ports.isEmpty()) {
                            side.remove(peer);
                        }
                    }
                });
    }

    /** Rules in order; addresses that use the same ports are one rule. */
    List<Rule> rules(final PolicyDirection direction) {
        final List<Rule> rules = new ArrayList<>();
        final Map<List<DraftPort>, Rule> ofAddresses = new TreeMap<>(PORTS);
        side(direction)
                .forEach(
                        (peer, ports) -> {
                            if (peer instanceof DraftPeer.At) {
                                final Rule rule =
                                        ofAddresses.computeIfAbsent(
                                                List.copyOf(ports.keySet()),
                                                _ -> {
                                                    final Rule made =
                                                            new Rule(
                                                                    new ArrayList<>(),
                                                                    new TreeMap<>());
                                                    rules.add(made);
                                                    return made;
                                                });
                                rule.peers.add(peer);
                                ports.forEach(
                                        (port, use) ->
                                                rule.ports
                                                        .computeIfAbsent(port, _ -> new DraftUse())
                                                        .addAll(use));
                            } else {
                                rules.add(new Rule(List.of(peer), ports));
                            }
                        });
        return rules;
    }

    private static final Comparator<List<DraftPort>> PORTS =
            Comparator.comparing(ports -> ports.toString());
}
