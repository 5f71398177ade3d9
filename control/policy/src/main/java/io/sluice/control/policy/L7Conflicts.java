package io.sluice.control.policy;

import io.sluice.control.policy.PeerSets.PeerSet;
import io.sluice.control.policy.RuleChain.IndexedRule;
import io.sluice.control.policy.Traffic.Box;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Rules of different policies that ask for two parsers for the same peers and port: a port has one,
 * so one of the two could not be carried out (Cilium: "cannot merge conflicting L7 parsers"). The
 * same for two TLS contexts of one side. Inside one spec the reader refuses it already. Thread:
 * any, stateless.
 */
final class L7Conflicts {
    private L7Conflicts() {}

    /** One problem per rule that asks for another parser than a rule before it. */
    static List<Problem> of(final RuleChain chain) {
        final List<Problem> conflicts = new ArrayList<>();
        final Map<PeerSet, List<IndexedRule>> byPeers = new HashMap<>();
        for (final IndexedRule rule : chain.rules()) {
            if (rule.rule().l7().isPresent()) {
                final List<IndexedRule> others =
                        byPeers.computeIfAbsent(rule.peers(), _ -> new ArrayList<>());
                others.stream()
                        .filter(other -> conflict(rule.rule(), other.rule()))
                        .findFirst()
                        .ifPresent(other -> conflicts.add(conflictOf(rule, other)));
                others.add(rule);
            }
        }
        return List.copyOf(conflicts);
    }

    private static boolean conflict(final PolicyRule one, final PolicyRule other) {
        final L7Rules mine = one.l7().orElseThrow();
        final L7Rules others = other.l7().orElseThrow();
        if (mine.parser() == others.parser() && !mine.tls().conflictsWith(others.tls())) {
            return false;
        }
        if (one.hasNamedPorts() || other.hasNamedPorts()) {
            return one.traffic().stream().anyMatch(other.traffic()::contains);
        }
        for (final Traffic a : one.traffic()) {
            for (final Traffic b : other.traffic()) {
                for (final Box x : a.boxes(Set.of(), Set.of())) {
                    for (final Box y : b.boxes(Set.of(), Set.of())) {
                        if (x.protocol() == y.protocol()
                                && x.destination().from() <= y.destination().to()
                                && y.destination().from() <= x.destination().to()) {
                            return true;
                        }
                    }
                }
            }
        }
        return false;
    }

    private static Problem conflictOf(final IndexedRule rule, final IndexedRule other) {
        final L7Rules mine = rule.rule().l7().orElseThrow();
        final L7Rules others = other.rule().l7().orElseThrow();
        final boolean isAboutParsers = mine.parser() != others.parser();
        return Problem.error(
                new SourceLocation(rule.rule().by().file(), rule.rule().by().line(), 1),
                "",
                "cannot merge conflicting "
                        + (isAboutParsers ? "L7 parsers: " + mine.parser() : "TLS contexts: those")
                        + " of "
                        + rule.rule().by()
                        + " and "
                        + (isAboutParsers ? others.parser() : "those")
                        + " of "
                        + other.rule().by()
                        + " for the same peers and port");
    }
}
