package io.sluice.control.policy;

import io.sluice.control.policy.PeerTable.Universe;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * What the rules of all policies ask about addresses, counted: prefixes and names that no rule asks
 * for any more are gone, and a policy that only asks what others ask as well changes nothing.
 *
 * <p>Thread: that of the compiler.
 */
final class AskedAddresses {
    /** A prefix that some rule matches against peers of a kind. */
    private record Prefix(PeerFacts.Kind kind, Cidr cidr) {}

    private final Map<Object, Integer> counts = new HashMap<>();
    private final Map<Object, Boolean> askedBefore = new HashMap<>();
    private Universe universe = Universe.EMPTY;

    void add(final Translation translation) {
        count(translation, 1);
    }

    void remove(final Translation translation) {
        count(translation, -1);
    }

    private void count(final Translation translation, final int step) {
        count(translation.statements(), step);
        count(translation.hosts().stream().map(HostStatement::statement).toList(), step);
    }

    private void count(final Collection<PolicyStatement> statements, final int step) {
        for (final PolicyStatement statement : statements) {
            for (final PolicyRule rule : statement.rules()) {
                PeerMatch.visit(rule.peers(), match -> count(match, step));
                if (!rule.local().equals(PeerMatch.EVERYONE)) {
                    PeerMatch.visit(rule.local(), match -> count(match, step));
                    // Which of the endpoint's addresses it is shows in the family of the peer's.
                    count(PeerMatch.ofFamily(Cidr.ALL_IPV4), step);
                    count(PeerMatch.ofFamily(Cidr.ALL_IPV6), step);
                }
            }
        }
    }

    private void count(final PeerMatch match, final int step) {
        if (match instanceof final PeerMatch.InPrefix inPrefix) {
            for (final PeerFacts.Kind kind : inPrefix.kinds()) {
                count(new Prefix(kind, inPrefix.cidr()), step);
                inPrefix.except().forEach(except -> count(new Prefix(kind, except), step));
            }
        } else if (match instanceof final PeerMatch.Named named) {
            count(named.pattern(), step);
        }
    }

    private void count(final Object asked, final int step) {
        askedBefore.putIfAbsent(asked, counts.containsKey(asked));
        counts.compute(
                asked,
                (_, count) -> {
                    final int next = (count == null ? 0 : count) + step;
                    return next == 0 ? null : next;
                });
    }

    /** Whether anything is asked now that was not before, or the other way, since the last call. */
    boolean takeChanged() {
        boolean changed = false;
        for (final Map.Entry<Object, Boolean> entry : askedBefore.entrySet()) {
            changed |= counts.containsKey(entry.getKey()) != entry.getValue();
        }
        askedBefore.clear();
        if (changed) {
            final Map<PeerFacts.Kind, Set<Cidr>> prefixes = new EnumMap<>(PeerFacts.Kind.class);
            final Set<NamePattern> names = new HashSet<>();
            for (final Object asked : counts.keySet()) {
                if (asked instanceof final Prefix prefix) {
                    prefixes.computeIfAbsent(prefix.kind, _ -> new HashSet<>()).add(prefix.cidr);
                } else if (asked instanceof final NamePattern name) {
                    names.add(name);
                }
            }
            universe = new Universe(prefixes, Set.copyOf(names), NamePatternIndex.of(names));
        }
        return changed;
    }

    Universe universe() {
        return universe;
    }
}
