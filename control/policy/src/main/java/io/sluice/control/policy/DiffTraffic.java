package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * The different traffic maps of a comparison, by number: equal maps of both worlds have one number,
 * so that comparing two pairs of ends is comparing numbers, and what two maps make together is
 * worked out once.
 *
 * <p>Thread: that of the comparison.
 */
final class DiffTraffic {
    /** Number in place of traffic where two ends have no addresses of one family. */
    static final int NO_FAMILY = -1;

    /**
     * What is said about some packets.
     *
     * @param allowed whether they pass
     * @param by who said so, places left out; empty if that does not matter
     */
    record Judgement(boolean allowed, List<Author> by) {
        static final Judgement NOTHING = new Judgement(false, List.of());
    }

    /**
     * Numbers of the traffic from one end to another: over IPv4 and over IPv6, the same where the
     * family makes no difference.
     */
    record Reach(int ipv4, int ipv6) {
        boolean isOne() {
            return ipv4 == ipv6;
        }
    }

    private final PolicyDiff.Authors authors;
    private final List<TrafficMap<Judgement>> maps = new ArrayList<>();
    private final Map<TrafficMap<Judgement>, Integer> numbers = new HashMap<>();
    private final IdentityHashMap<VerdictProgram, Integer> ofPrograms = new IdentityHashMap<>();
    private final Map<Long, Integer> ofBoth = new HashMap<>();
    private final Map<Long, Reach> reaches = new HashMap<>();
    private final int nothing;
    private final int notAnEndpoint;

    DiffTraffic(final PolicyDiff.Authors authors) {
        this.authors = authors;
        this.nothing = number(TrafficMap.always(Judgement.NOTHING));
        this.notAnEndpoint =
                number(TrafficMap.always(judgement(PolicyEntry.allow(Author.NOT_AN_ENDPOINT))));
    }

    private int number(final TrafficMap<Judgement> map) {
        final Integer known = numbers.putIfAbsent(map, maps.size());
        if (known != null) {
            return known;
        }
        maps.add(map);
        return maps.size() - 1;
    }

    /** Number of what an end allows that has no policy. */
    int notAnEndpoint() {
        return notAnEndpoint;
    }

    /** Reach of ends of which one does not exist, or that have no common family. */
    Reach nothing() {
        return new Reach(nothing, nothing);
    }

    /** Number of what a program says. */
    int of(final VerdictProgram program) {
        final Integer known = ofPrograms.get(program);
        if (known != null) {
            return known;
        }
        final int number = number(TrafficMap.of(program, this::judgement));
        ofPrograms.put(program, number);
        return number;
    }

    private Judgement judgement(final PolicyEntry entry) {
        return new Judgement(
                entry.isAllowed(),
                switch (authors) {
                    case IGNORED -> List.of();
                    case COMPARED -> List.of(entry.by().withoutPlace());
                });
    }

    /** Number of what passes two policies, the sender's and the receiver's. */
    int both(final int egress, final int ingress) {
        if (egress == ingress && authors == PolicyDiff.Authors.IGNORED) {
            return egress;
        }
        return ofBoth.computeIfAbsent(
                key(egress, ingress),
                _ -> number(maps.get(egress).combine(maps.get(ingress), DiffTraffic::both)));
    }

    /** As a probe is answered: the first that denies is named, or both that allow. */
    private static Judgement both(final Judgement egress, final Judgement ingress) {
        if (!egress.allowed) {
            return egress;
        }
        if (!ingress.allowed) {
            return ingress;
        }
        final List<Author> by = new ArrayList<>(egress.by);
        by.addAll(ingress.by);
        return new Judgement(true, List.copyOf(by));
    }

    /**
     * The traffic over both families as one: each ICMP goes over its own family only, and says
     * nothing over the other.
     *
     * @param ipv4 number of the traffic over IPv4, or {@link #NO_FAMILY}
     * @param ipv6 number of the traffic over IPv6, or {@link #NO_FAMILY}
     */
    Reach reach(final int ipv4, final int ipv6) {
        return reaches.computeIfAbsent(key(ipv4, ipv6), _ -> newReach(ipv4, ipv6));
    }

    private Reach newReach(final int ipv4, final int ipv6) {
        if (ipv4 == NO_FAMILY && ipv6 == NO_FAMILY) {
            return nothing();
        }
        if (ipv4 == NO_FAMILY) {
            final int only = number(maps.get(ipv6).withoutProtocol(IpProtocol.ICMP));
            return new Reach(only, only);
        }
        if (ipv6 == NO_FAMILY) {
            final int only = number(maps.get(ipv4).withoutProtocol(IpProtocol.ICMPV6));
            return new Reach(only, only);
        }
        final TrafficMap<Judgement> over4 = maps.get(ipv4);
        final TrafficMap<Judgement> over6 = maps.get(ipv6);
        return new Reach(
                number(over4.withProtocol(IpProtocol.ICMPV6, over6)),
                number(over6.withProtocol(IpProtocol.ICMP, over4)));
    }

    private static long key(final int high, final int low) {
        return (long) high << 32 | (low & 0xffff_ffffL);
    }

    TrafficMap<Judgement> map(final int number) {
        return maps.get(number);
    }
}
