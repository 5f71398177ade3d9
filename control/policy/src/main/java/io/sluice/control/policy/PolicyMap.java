package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What one endpoint's policy says in one direction: identity to verdict program.
 *
 * <p>Endpoints with the same rules share one instance. Only identities about which it says
 * something particular have a program of their own; most peers of most endpoints are just everyone
 * else. Immutable, any thread.
 */
public final class PolicyMap {
    private final boolean isolated;
    private final PersistentMap<Integer, VerdictProgram> programs;
    private final VerdictProgram everyoneElse;

    /** Sum over the programs: a changed map's is had from that of the one before. */
    private final int hash;

    private PolicyMap(
            final boolean isolated,
            final PersistentMap<Integer, VerdictProgram> programs,
            final VerdictProgram everyoneElse,
            final int hash) {
        this.isolated = isolated;
        this.programs = programs;
        this.everyoneElse = everyoneElse;
        this.hash = hash;
    }

    /** A map that says the same of everyone. */
    static PolicyMap of(final boolean isolated, final VerdictProgram everyone) {
        return new PolicyMap(
                isolated, PersistentMap.empty(), everyone, System.identityHashCode(everyone));
    }

    /** This map with the programs of some identities changed; everyone else's means no own one. */
    PolicyMap with(final Map<Integer, VerdictProgram> changes) {
        PersistentMap<Integer, VerdictProgram> next = programs;
        int sum = hash;
        for (final Map.Entry<Integer, VerdictProgram> change : changes.entrySet()) {
            final Integer identity = change.getKey();
            final VerdictProgram program = change.getValue();
            final VerdictProgram before = programs.get(identity);
            if (before != null) {
                sum -= hash(identity, before);
            }
            if (isSame(program, everyoneElse)) {
                next = next.without(identity);
            } else {
                next = next.with(identity, program);
                sum += hash(identity, program);
            }
        }
        return new PolicyMap(isolated, next, everyoneElse, sum);
    }

    private static int hash(final int identity, final VerdictProgram program) {
        return identity * 31 ^ System.identityHashCode(program);
    }

    // Programs of one compiler are one instance if they are equal.
    @SuppressWarnings("ReferenceEquality")
    static boolean isSame(final VerdictProgram one, final VerdictProgram other) {
        return one == other;
    }

    /** Whether policy is enforced: some policy isolates the endpoint in this direction. */
    public boolean isIsolated() {
        return isolated;
    }

    /**
     * The program for an identity. For a number that the policy set does not know only the rules
     * about everyone hold.
     */
    public VerdictProgram program(final int identity) {
        return programs.getOrDefault(identity, everyoneElse);
    }

    /**
     * Identities whose program differs from that of another map of the same compiler, with the
     * program they have here. Empty where everyone else's differs: then all may. Between maps that
     * were made from each other it costs what differs.
     */
    public Optional<Map<Integer, VerdictProgram>> programsChangedSince(final PolicyMap earlier) {
        if (!isSame(everyoneElse, earlier.everyoneElse)) {
            return Optional.empty();
        }
        final Map<Integer, VerdictProgram> changed = new HashMap<>();
        programs.forEachChange(
                earlier.programs,
                (identity, _, program) ->
                        changed.put(identity, program == null ? everyoneElse : program));
        return Optional.of(changed);
    }

    /** The program for identities about which the map says nothing particular. */
    public VerdictProgram everyoneElse() {
        return everyoneElse;
    }

    /** Identities with a program of their own. */
    public Set<Integer> identities() {
        return programs.keySet();
    }

    /** The different programs of this map. */
    public List<VerdictProgram> distinctPrograms() {
        final IdentityHashMap<VerdictProgram, Boolean> seen = new IdentityHashMap<>();
        seen.put(everyoneElse, true);
        programs.values().forEach(program -> seen.put(program, true));
        return new ArrayList<>(seen.keySet());
    }

    /** Whether another map of the same compiler says the same. */
    @Override
    public boolean equals(final Object object) {
        return object instanceof final PolicyMap other
                && hash == other.hash
                && isolated == other.isolated
                && isSame(everyoneElse, other.everyoneElse)
                && programs.equals(other.programs);
    }

    @Override
    public int hashCode() {
        return hash;
    }
}
