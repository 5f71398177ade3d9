package io.sluice.control.policy;

import java.util.List;
import java.util.Set;

/** Whom a rule is about. */
sealed interface PeerMatch {
    PeerMatch EVERYONE = new Everyone();
    PeerMatch NOBODY = new AnyOf(List.of());

    boolean matches(PeerFacts peer);

    /** Every peer, known or not. */
    record Everyone() implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            return true;
        }

        @Override
        public String toString() {
            return "everyone";
        }
    }

    /** Peers that one of the terms matches; nobody without terms. */
    record AnyOf(List<Term> terms) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            for (final Term term : terms) {
                if (term.matches(peer)) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public String toString() {
            return terms.isEmpty()
                    ? "nobody"
                    : String.join(" or ", terms.stream().map(Term::toString).toList());
        }
    }

    /** One alternative. */
    sealed interface Term {
        boolean matches(PeerFacts peer);
    }

    /** Peers whose labels meet all requirements. */
    record Labelled(List<LabelMatch> requirements) implements Term {
        @Override
        public boolean matches(final PeerFacts peer) {
            return allMatch(requirements, peer);
        }

        @Override
        public String toString() {
            return "{"
                    + String.join(",", requirements.stream().map(LabelMatch::toString).toList())
                    + "}";
        }
    }

    /**
     * Peers of some kinds at addresses in a prefix.
     *
     * @param cidr the prefix
     * @param except prefixes taken out
     * @param kinds kinds of peer that the policy lets a prefix match
     */
    record InPrefix(Cidr cidr, List<Cidr> except, Set<PeerFacts.Kind> kinds) implements Term {
        @Override
        public boolean matches(final PeerFacts peer) {
            if (!kinds.contains(peer.kind()) || !peer.prefixes().contains(cidr)) {
                return false;
            }
            for (final Cidr taken : except) {
                if (peer.prefixes().contains(taken)) {
                    return false;
                }
            }
            return true;
        }

        @Override
        public String toString() {
            return except.isEmpty() ? cidr.toString() : cidr + " except " + except;
        }
    }

    static boolean allMatch(final List<LabelMatch> requirements, final PeerFacts peer) {
        for (final LabelMatch requirement : requirements) {
            if (!requirement.matches(peer.labels())) {
                return false;
            }
        }
        return true;
    }
}
