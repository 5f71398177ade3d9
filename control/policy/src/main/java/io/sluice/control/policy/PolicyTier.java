package io.sluice.control.policy;

import java.util.OptionalDouble;

/**
 * A tier: policies that are judged before the next tier is asked.
 *
 * @param name name, also in authors
 * @param defined whether a Tier object, or Sluice itself, says where it stands; one that only its
 *     policies name comes after all others
 * @param order lower first; positive infinity where none is given
 * @param denies what happens to packets of an endpoint which some policy of the tier isolates when
 *     no rule of the tier decided: dropped, or left to the next tier
 */
record PolicyTier(String name, boolean defined, double order, boolean denies)
        implements Comparable<PolicyTier> {
    static final PolicyTier ADMIN = new PolicyTier("kube-admin", true, 1_000, false);
    static final PolicyTier DEFAULT = new PolicyTier("default", true, 1_000_000, true);
    static final PolicyTier BASELINE = new PolicyTier("kube-baseline", true, 10_000_000, false);

    /** Order inside the tier {@code default} of the kinds that have none of their own. */
    static final double ADDITIVE_ORDER = 1_000;

    /** Order of a policy, or a tier, that does not say any: after those that do. */
    static double orderOf(final OptionalDouble written) {
        return written.orElse(Double.POSITIVE_INFINITY);
    }

    /** The tier of this name in a world. */
    static PolicyTier of(final World world, final String name) {
        return switch (name) {
            case "kube-admin" -> ADMIN;
            case "default" -> DEFAULT;
            case "kube-baseline" -> BASELINE;
            default ->
                    world.lookup(new ObjectRef("Tier", "", name)).orElse(null)
                                    instanceof final CalicoPolicy.Tier tier
                            ? new PolicyTier(
                                    name,
                                    true,
                                    orderOf(tier.order()),
                                    tier.defaultAction() == CalicoPolicy.Tier.DefaultAction.DENY)
                            : new PolicyTier(name, false, Double.POSITIVE_INFINITY, true);
        };
    }

    /** Calico: {@code felix/calc/policy_sorter.go TierLess}. */
    @Override
    public int compareTo(final PolicyTier other) {
        if (defined != other.defined) {
            return defined ? -1 : 1;
        }
        final int byOrder = Double.compare(order, other.order);
        return byOrder == 0 ? name.compareTo(other.name) : byOrder;
    }
}
