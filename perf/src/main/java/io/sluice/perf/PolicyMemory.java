package io.sluice.perf;

import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import java.lang.ref.Reference;

/** Heap that the compiled form of a cluster holds, beside its objects. */
public final class PolicyMemory {
    private static final int COLLECTIONS = 5;

    private PolicyMemory() {}

    /** Prints one line per number of policies; args: the numbers, 10000 if none. */
    public static void main(final String[] args) {
        for (final String policies : args.length == 0 ? new String[] {"10000"} : args) {
            final World world = PolicyScale.of(Integer.parseInt(policies)).world();
            final long before = usedBytes();
            final PolicyCompiler compiler =
                    new PolicyCompiler(new IdentityAllocator(), PolicyOptions.DEFAULTS);
            final PolicySet compiled = compiler.update(world);
            try {
                System.out.printf(
                        "%s policies: %.1f MiB compiled; %d identities, %d policy maps,"
                                + " %d programs%n",
                        policies,
                        (usedBytes() - before) / 1048576.0,
                        compiled.identities().size(),
                        compiled.policyMaps().size(),
                        compiled.programs().size());
            } finally {
                // What the world needs was there before; what the compiler remembers counts too.
                Reference.reachabilityFence(world);
                Reference.reachabilityFence(compiler);
                Reference.reachabilityFence(compiled);
            }
        }
    }

    private static long usedBytes() {
        for (int i = 0; i < COLLECTIONS; i++) {
            System.gc();
        }
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
}
