package io.sluice.control.policy.lint;

import io.sluice.control.policy.AdminPolicy;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.NetworkPolicy;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One direction of a policy, or of one {@code spec} of a Cilium policy, that is enforced on pods.
 *
 * <p>Two sides are equal if they have the same number: what they hold is as long as a world.
 *
 * @param number position in {@link LintedWorld#sides}
 * @param policy the policy
 * @param direction the direction
 * @param isolates whether what no rule of the tier decides is dropped
 * @param everyone whether the subject is every pod of the namespace, or of all
 * @param rules its rules, in order; denies first where the kind has no order
 * @param pods the pods that it selects, by namespace and name
 */
record PolicySide(
        int number,
        KubeObject.Policy policy,
        PolicyDirection direction,
        boolean isolates,
        boolean everyone,
        List<RuleView> rules,
        List<Pod> pods) {
    @Override
    public boolean equals(final @Nullable Object other) {
        return other instanceof final PolicySide side && number == side.number;
    }

    @Override
    public int hashCode() {
        return number;
    }

    /** Whether it says nothing but default deny. */
    boolean isDefaultDeny() {
        return isolates && rules.isEmpty();
    }

    /** Whether it is of the kinds whose rules for one pod are a union. */
    boolean isAdditive() {
        return policy instanceof NetworkPolicy || policy instanceof CiliumPolicy;
    }

    /** Whether its rules are tried one after the other. */
    boolean isOrdered() {
        return policy instanceof AdminPolicy || policy instanceof CalicoPolicy;
    }

    boolean allowsAll() {
        return rules.stream().anyMatch(RuleView::isAllowAll);
    }

    boolean hasAllow() {
        return rules.stream().anyMatch(rule -> rule.action() == CalicoPolicy.Action.ALLOW);
    }
}
