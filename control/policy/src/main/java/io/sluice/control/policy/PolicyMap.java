package io.sluice.control.policy;

import java.util.List;
import java.util.Map;

/**
 * What one endpoint's policy says in one direction: identity to verdict program.
 *
 * <p>Endpoints with the same rules share one instance. Immutable, any thread.
 */
public final class PolicyMap {
    private final int index;
    private final boolean isolated;
    private final Map<Integer, VerdictProgram> programs;
    private final VerdictProgram unknown;

    PolicyMap(
            final int index,
            final boolean isolated,
            final Map<Integer, VerdictProgram> programs,
            final VerdictProgram unknown) {
        this.index = index;
        this.isolated = isolated;
        this.programs = Map.copyOf(programs);
        this.unknown = unknown;
    }

    /** Position in {@link PolicySet#policyMaps}. */
    public int index() {
        return index;
    }

    /** Whether policy is enforced: some policy isolates the endpoint in this direction. */
    public boolean isIsolated() {
        return isolated;
    }

    /**
     * The program for an identity. For a number that the policy set does not know only the rules
     * about everyone hold, so it is denied more than it should be, never less.
     */
    public VerdictProgram program(final int identity) {
        return programs.getOrDefault(identity, unknown);
    }

    /** The program for identities that the policy set does not know. */
    public VerdictProgram unknownIdentityProgram() {
        return unknown;
    }

    /** The different programs of this map. */
    public List<VerdictProgram> distinctPrograms() {
        return programs.values().stream().distinct().toList();
    }
}
