package io.sluice.control.policy;

import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What one policy says about its subjects in one direction. A new kind of policy is a translator to
 * this form.
 *
 * @param policy the policy, or profile, that it comes from
 * @param place when it is asked
 * @param subject the endpoints it is about
 * @param direction direction of the rules
 * @param isolates whether it counts for the end of its tier: endpoints that it selects are denied
 *     what no rule of the tier decides, if the tier denies at all
 * @param rules in the order written; inside the additive group the order only decides who is named
 */
record PolicyStatement(
        KubeObject policy,
        Place place,
        PeerMatch subject,
        PolicyDirection direction,
        boolean isolates,
        List<PolicyRule> rules) {
    /**
     * Where among all statements this one is asked.
     *
     * @param tier its tier
     * @param order order inside the tier, lower first
     * @param key breaks ties, compared bytewise: {@code name/namespace/kind}
     * @param additive whether neighbours that are additive too are judged together with it: denies
     *     first, then a union of what they allow
     */
    record Place(PolicyTier tier, double order, String key, boolean additive)
            implements Comparable<Place> {
        @Override
        public int compareTo(final Place other) {
            int result = tier.compareTo(other.tier);
            if (result == 0) {
                result = Double.compare(order, other.order);
            }
            return result == 0 ? key.compareTo(other.key) : result;
        }
    }

    /**
     * Of what tells statements apart: the whole policy would be hashed with each look into a set.
     */
    @Override
    public int hashCode() {
        return Objects.hash(policy.ref(), subject, direction, rules.size());
    }

    /** Whether the policy is enforced, or computed beside what is. */
    Staging staging() {
        return stagingOf(policy);
    }

    private static Staging stagingOf(final KubeObject policy) {
        return switch (policy) {
            case final NetworkPolicy networkPolicy -> networkPolicy.staging();
            case final CalicoPolicy calicoPolicy -> calicoPolicy.staging();
            default -> Staging.ENFORCED;
        };
    }

    /** The enforced policy that a staged one stands for. */
    Optional<ObjectRef> stagedTarget() {
        return stagedTargetOf(policy);
    }

    /** The enforced policy that a staged one stands for. */
    static Optional<ObjectRef> stagedTargetOf(final KubeObject policy) {
        final ObjectRef ref = policy.ref();
        return switch (stagingOf(policy)) {
            case ENFORCED, IGNORE -> Optional.empty();
            case SET, DELETE, LEARN ->
                    Optional.of(
                            new ObjectRef(
                                    switch (ref.kind()) {
                                        case "StagedKubernetesNetworkPolicy" -> "NetworkPolicy";
                                        case "StagedNetworkPolicy" ->
                                                "NetworkPolicy.projectcalico.org";
                                        default -> "GlobalNetworkPolicy";
                                    },
                                    ref.namespace(),
                                    ref.name()));
        };
    }

    /** The same about other endpoints. */
    PolicyStatement about(final PeerMatch others) {
        return new PolicyStatement(policy, place, others, direction, isolates, rules);
    }

    /** Whether the policy is only audited: annotated so by its author. */
    boolean isAudited() {
        return Audit.isAudited(policy.meta());
    }
}
