package io.sluice.control.policy;

import io.sluice.dnsproxy.rule.NamePattern;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Whom a rule is about: a condition on the facts of a peer. Immutable; equal conditions are
 * evaluated once per peer, whichever rules they stand in.
 */
sealed interface PeerMatch {
    PeerMatch EVERYONE = new Everyone();
    PeerMatch NOBODY = new AnyOf(List.of());

    /** A rule that goes by address alone, whatever has the address. */
    Set<PeerFacts.Kind> ALL_KINDS = Set.copyOf(EnumSet.allOf(PeerFacts.Kind.class));

    boolean matches(PeerFacts peer);

    /** One of several; the simplest form of it. */
    static PeerMatch anyOf(final List<PeerMatch> alternatives) {
        return alternatives.size() == 1
                ? alternatives.getFirst()
                : new AnyOf(List.copyOf(alternatives));
    }

    /** All of several; the simplest form of it. */
    static PeerMatch allOf(final List<PeerMatch> conditions) {
        final List<PeerMatch> written =
                conditions.stream().filter(condition -> !condition.equals(EVERYONE)).toList();
        return switch (written.size()) {
            case 0 -> EVERYONE;
            case 1 -> written.getFirst();
            default -> new AllOf(written);
        };
    }

    /** Peers at addresses of one family. */
    static PeerMatch ofFamily(final Cidr all) {
        return new InPrefix(all, List.of(), ALL_KINDS);
    }

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

    /** Peers that one of the alternatives matches; nobody without any. */
    record AnyOf(List<PeerMatch> alternatives) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            for (final PeerMatch alternative : alternatives) {
                if (alternative.matches(peer)) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public String toString() {
            return alternatives.isEmpty()
                    ? "nobody"
                    : String.join(" or ", alternatives.stream().map(PeerMatch::toString).toList());
        }
    }

    /** Peers that all conditions match. */
    record AllOf(List<PeerMatch> conditions) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            for (final PeerMatch condition : conditions) {
                if (!condition.matches(peer)) {
                    return false;
                }
            }
            return true;
        }

        @Override
        public String toString() {
            return String.join(
                    " and ",
                    conditions.stream()
                            .map(
                                    condition ->
                                            condition instanceof AnyOf
                                                    ? "(" + condition + ")"
                                                    : condition.toString())
                            .toList());
        }
    }

    /** Peers that the condition does not match, unknown addresses included. */
    record Not(PeerMatch condition) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            return !condition.matches(peer);
        }

        @Override
        public String toString() {
            return "not (" + condition + ")";
        }
    }

    /** Peers of one kind. */
    record OfKind(PeerFacts.Kind kind) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            return peer.kind() == kind;
        }

        @Override
        public String toString() {
            return switch (kind) {
                case POD -> "any pod";
                case NODE -> "any node";
                case WORLD -> "the world";
            };
        }
    }

    /** The node of this name, at any of its addresses. */
    record OfNode(String nodeName) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            return peer.kind() == PeerFacts.Kind.NODE && peer.nodeName().equals(nodeName);
        }

        @Override
        public String toString() {
            return "node " + nodeName;
        }
    }

    /** Peers whose labels meet all requirements. */
    record Labelled(List<LabelMatch> requirements) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            for (final LabelMatch requirement : requirements) {
                if (!requirement.matches(peer.labels())) {
                    return false;
                }
            }
            return true;
        }

        @Override
        public String toString() {
            return "{"
                    + String.join(",", requirements.stream().map(LabelMatch::toString).toList())
                    + "}";
        }
    }

    /**
     * Pods by a Calico selector.
     *
     * @param sourced the selector, its keys with their source as in the facts
     * @param written the selector as the user knows it
     */
    record Selected(CalicoSelector sourced, String written) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            return peer.kind() == PeerFacts.Kind.POD && sourced.matches(peer.labels());
        }

        @Override
        public String toString() {
            return "{" + written + "}";
        }
    }

    /**
     * Peers of some kinds at addresses in a prefix.
     *
     * @param cidr the prefix
     * @param except prefixes taken out
     * @param kinds kinds of peer that the policy lets a prefix match
     */
    record InPrefix(Cidr cidr, List<Cidr> except, Set<PeerFacts.Kind> kinds) implements PeerMatch {
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

    /**
     * Peers of some kinds whose address was learned from a name that the pattern matches.
     *
     * @param pattern the pattern
     * @param kinds kinds of peer that the policy lets a name match
     */
    record Named(NamePattern pattern, Set<PeerFacts.Kind> kinds) implements PeerMatch {
        @Override
        public boolean matches(final PeerFacts peer) {
            return kinds.contains(peer.kind()) && peer.names().contains(pattern);
        }

        @Override
        public String toString() {
            return "name " + pattern;
        }
    }

    /** Visits a condition and all that it is made of. */
    static void visit(final PeerMatch match, final Consumer<PeerMatch> visitor) {
        visitor.accept(match);
        switch (match) {
            case final AnyOf any -> any.alternatives().forEach(part -> visit(part, visitor));
            case final AllOf all -> all.conditions().forEach(part -> visit(part, visitor));
            case final Not not -> visit(not.condition(), visitor);
            case Everyone _, OfKind _, OfNode _, Labelled _, Selected _, InPrefix _, Named _ -> {}
        }
    }
}
