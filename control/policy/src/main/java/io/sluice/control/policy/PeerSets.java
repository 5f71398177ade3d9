package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Operator;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Which peers each condition of the rules matches: a bit per peer, kept up to date while peers and
 * rules come and go.
 *
 * <p>A condition that asks for a label, a prefix, a name or a node matches only who has that: its
 * "anchor". So a new condition is evaluated for the peers that have one of its anchors, and a new
 * peer for the conditions of its anchors; the few conditions that ask for nothing of the kind are
 * evaluated for everyone, and everyone for them. Ten thousand rules about as many prefixes cost ten
 * thousand evaluations, not their square.
 *
 * <p>Thread: that of the compiler.
 */
final class PeerSets {
    /** The peers that one condition matches. Equal conditions share one instance. */
    static final class PeerSet {
        private final PeerMatch match;
        private final boolean everyone;
        private final BitSet members = new BitSet();
        private int rules;

        /** Policies of endpoints that have a rule with this condition. */
        private final Set<SubjectSide> users = new HashSet<>();

        private PeerSet(final PeerMatch match) {
            this.match = match;
            this.everyone = match.equals(PeerMatch.EVERYONE);
        }

        PeerMatch match() {
            return match;
        }

        /** Positions of the peers; not to be changed. */
        BitSet members() {
            return members;
        }

        Set<SubjectSide> users() {
            return users;
        }

        boolean isEveryone() {
            return everyone;
        }
    }

    private final Map<PeerMatch, PeerSet> sets = new HashMap<>();
    private final Map<String, List<PeerSet>> byAnchor = new HashMap<>();
    private final Set<PeerSet> unanchored = new LinkedHashSet<>();

    /** Positions of the peers that have what an anchor names. */
    private final Map<String, Set<Integer>> peersByAnchor = new HashMap<>();

    /** A peer and its identity: looking a number up by facts costs a hash of all their labels. */
    private record Peer(PeerFacts facts, int number) {}

    /** Peers by position; a free position holds nothing. */
    private final List<Optional<Peer>> peers = new ArrayList<>();

    private final Map<PeerFacts, Integer> positions = new HashMap<>();
    private final BitSet free = new BitSet();

    /** The set of a rule's condition; evaluated if no rule had it before. */
    PeerSet acquire(final PeerMatch match) {
        PeerSet set = sets.get(match);
        if (set == null) {
            set = new PeerSet(match);
            sets.put(match, set);
            final Optional<Set<String>> anchors = anchors(match);
            if (anchors.isEmpty()) {
                unanchored.add(set);
                evaluate(set, positions.values());
            } else {
                for (final String anchor : anchors.get()) {
                    byAnchor.computeIfAbsent(anchor, _ -> new ArrayList<>()).add(set);
                    evaluate(set, peersByAnchor.getOrDefault(anchor, Set.of()));
                }
            }
        }
        set.rules++;
        return set;
    }

    private void evaluate(final PeerSet set, final Collection<Integer> candidates) {
        for (final int position : candidates) {
            if (set.match.matches(peerAt(position).facts)) {
                set.members.set(position);
            }
        }
    }

    /** A rule with this condition is gone. */
    void release(final PeerSet set) {
        set.rules--;
        if (set.rules > 0) {
            return;
        }
        sets.remove(set.match);
        unanchored.remove(set);
        for (final String anchor : anchors(set.match).orElse(Set.of())) {
            final List<PeerSet> anchored = byAnchor.getOrDefault(anchor, new ArrayList<>());
            anchored.remove(set);
            if (anchored.isEmpty()) {
                byAnchor.remove(anchor);
            }
        }
    }

    /**
     * A new peer.
     *
     * @param number its identity
     * @return the sets that it is in now
     */
    List<PeerSet> add(final PeerFacts facts, final int number) {
        final int position = free.isEmpty() ? peers.size() : free.nextSetBit(0);
        if (position == peers.size()) {
            peers.add(Optional.of(new Peer(facts, number)));
        } else {
            free.clear(position);
            peers.set(position, Optional.of(new Peer(facts, number)));
        }
        positions.put(facts, position);
        final List<String> anchors = anchors(facts);
        for (final String anchor : anchors) {
            peersByAnchor.computeIfAbsent(anchor, _ -> new HashSet<>()).add(position);
        }
        final List<PeerSet> joined = new ArrayList<>();
        for (final PeerSet set : candidates(anchors)) {
            if (set.match.matches(facts)) {
                set.members.set(position);
                joined.add(set);
            }
        }
        return joined;
    }

    /** The conditions that may match a peer with these anchors. */
    private Set<PeerSet> candidates(final List<String> anchors) {
        final Set<PeerSet> candidates = new LinkedHashSet<>(unanchored);
        for (final String anchor : anchors) {
            candidates.addAll(byAnchor.getOrDefault(anchor, List.of()));
        }
        return candidates;
    }

    /** A peer is gone; answers the sets that it was in. */
    List<PeerSet> remove(final PeerFacts facts) {
        final int position = positionOf(facts);
        final List<String> anchors = anchors(facts);
        for (final String anchor : anchors) {
            final Set<Integer> anchored = peersByAnchor.getOrDefault(anchor, new HashSet<>());
            anchored.remove(position);
            if (anchored.isEmpty()) {
                peersByAnchor.remove(anchor);
            }
        }
        final List<PeerSet> left = new ArrayList<>();
        for (final PeerSet set : candidates(anchors)) {
            if (set.members.get(position)) {
                set.members.clear(position);
                left.add(set);
            }
        }
        positions.remove(facts);
        peers.set(position, Optional.empty());
        free.set(position);
        return left;
    }

    int positionOf(final PeerFacts facts) {
        final Integer position = positions.get(facts);
        if (position == null) {
            throw new IllegalStateException("no such peer: " + facts);
        }
        return position;
    }

    PeerFacts factsAt(final int position) {
        return peerAt(position).facts;
    }

    /** Identity of the peer at a position. */
    int numberAt(final int position) {
        return peerAt(position).number;
    }

    /** Whether there is a peer at a position. */
    boolean isTaken(final int position) {
        return position < peers.size() && peers.get(position).isPresent();
    }

    private Peer peerAt(final int position) {
        return peers.get(position)
                .orElseThrow(() -> new IllegalStateException("no peer at " + position));
    }

    /** Every peer there is. */
    Set<PeerFacts> peers() {
        return positions.keySet();
    }

    // Anchors: what a peer has, and what it must have for a condition to match.

    private static List<String> anchors(final PeerFacts facts) {
        final List<String> anchors = new ArrayList<>();
        facts.labels().forEach((key, value) -> anchors.add(labelAnchor(key, value)));
        facts.prefixes().forEach(prefix -> anchors.add(prefixAnchor(prefix)));
        facts.names().forEach(name -> anchors.add(nameAnchor(name.toString())));
        anchors.add(nodeAnchor(facts.nodeName()));
        return anchors;
    }

    private static String labelAnchor(final String key, final String value) {
        return key + '=' + value;
    }

    private static String prefixAnchor(final Cidr prefix) {
        return "prefix " + prefix;
    }

    private static String nameAnchor(final String pattern) {
        return "name " + pattern;
    }

    private static String nodeAnchor(final String name) {
        return "node " + name;
    }

    /** Empty if the condition asks for nothing of the kind. */
    private static Optional<Set<String>> anchors(final PeerMatch match) {
        return switch (match) {
            case PeerMatch.Everyone _, PeerMatch.Not _, PeerMatch.OfKind _ -> Optional.empty();
            case final PeerMatch.OfNode node -> Optional.of(Set.of(nodeAnchor(node.nodeName())));
            case final PeerMatch.InPrefix in -> Optional.of(Set.of(prefixAnchor(in.cidr())));
            case final PeerMatch.Named named ->
                    Optional.of(Set.of(nameAnchor(named.pattern().toString())));
            case final PeerMatch.Labelled labelled -> anchors(labelled.requirements());
            case final PeerMatch.Selected selected -> anchors(selected.sourced().root());
            case final PeerMatch.AnyOf any ->
                    all(any.alternatives().stream().map(PeerSets::anchors).toList());
            case final PeerMatch.AllOf all ->
                    fewest(all.conditions().stream().map(PeerSets::anchors).toList());
        };
    }

    private static Optional<Set<String>> anchors(final List<LabelMatch> requirements) {
        Optional<Set<String>> best = Optional.empty();
        for (final LabelMatch requirement : requirements) {
            if (requirement.operator() == Operator.IN) {
                final Set<String> anchors = new HashSet<>();
                for (final String key : requirement.keys()) {
                    requirement.values().forEach(value -> anchors.add(labelAnchor(key, value)));
                }
                // The namespace is what most conditions of a policy ask for; the rest tells more.
                if (best.isEmpty() || !requirement.isAbout(PeerFacts.NAMESPACE_KEY)) {
                    best = Optional.of(anchors);
                }
            }
        }
        return best;
    }

    private static Optional<Set<String>> anchors(final CalicoSelector.Expression expression) {
        return switch (expression) {
            case final CalicoSelector.Compare compare ->
                    compare.comparison() == CalicoSelector.Comparison.EQUAL
                            ? Optional.of(Set.of(labelAnchor(compare.label(), compare.value())))
                            : Optional.empty();
            case final CalicoSelector.In in -> {
                final Set<String> anchors = new HashSet<>();
                in.values().forEach(value -> anchors.add(labelAnchor(in.label(), value)));
                yield Optional.of(anchors);
            }
            case final CalicoSelector.And and ->
                    fewest(and.operands().stream().map(PeerSets::anchors).toList());
            case final CalicoSelector.Or or ->
                    all(or.operands().stream().map(PeerSets::anchors).toList());
            case CalicoSelector.All _,
                    CalicoSelector.Global _,
                    CalicoSelector.Has _,
                    CalicoSelector.NotIn _,
                    CalicoSelector.Not _ ->
                    Optional.empty();
        };
    }

    private static Optional<Set<String>> all(final List<Optional<Set<String>>> parts) {
        final Set<String> all = new HashSet<>();
        for (final Optional<Set<String>> part : parts) {
            if (part.isEmpty()) {
                return Optional.empty();
            }
            all.addAll(part.get());
        }
        return Optional.of(all);
    }

    private static Optional<Set<String>> fewest(final List<Optional<Set<String>>> parts) {
        return parts.stream()
                .flatMap(Optional::stream)
                .min((a, b) -> Integer.compare(a.size(), b.size()));
    }
}
