package io.sluice.control.policy;

import java.util.List;
import java.util.Map;

/** Policies to policy maps. Thread: any; the allocator belongs to the caller's thread. */
public final class PolicyCompiler {
    private PolicyCompiler() {}

    /** Compiles every policy of a world. */
    public static PolicySet compile(
            final World world, final IdentityAllocator identities, final PolicyOptions options) {
        return new PolicySet(
                List.of(),
                List.of(),
                List.of(),
                List.of(),
                Map.of(),
                Map.of(),
                Map.of(),
                world.problems());
    }
}
