package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.DENY_SHADOWS_ALLOW;
import static io.sluice.control.policy.lint.LintCheck.EQUAL_ORDER;
import static io.sluice.control.policy.lint.LintCheck.LOG_ONLY_TIER;

import io.sluice.control.policy.AdminPolicy;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.NetworkPolicy;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;

/** Which rule comes first, and which therefore never comes. */
final class OrderChecks {
    private static final String DEFAULT_TIER = "default";

    /** Order in tier default at which NetworkPolicy and Cilium policies stand. */
    private static final double ADDITIVE_ORDER = 1000;

    private final LintedWorld linted;
    private final List<Finding> found;

    private OrderChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final OrderChecks checks = new OrderChecks(linted, found);
        checks.equalOrders();
        checks.logOnlyTiers();
        checks.shadowedAllows();
    }

    /** Where a policy stands: equal places are ordered by name only. */
    private record Rank(String tier, OptionalDouble order) {
        static Rank of(final KubeObject.Policy policy) {
            return switch (policy) {
                case final CalicoPolicy calico -> new Rank(calico.tier(), calico.order());
                case final AdminPolicy admin ->
                        new Rank(
                                admin.level() == AdminPolicy.Level.ADMIN
                                        ? "kube-admin"
                                        : "kube-baseline",
                                OptionalDouble.of(admin.priority()));
                case NetworkPolicy _, CiliumPolicy _ ->
                        new Rank(DEFAULT_TIER, OptionalDouble.of(ADDITIVE_ORDER));
            };
        }

        @Override
        public String toString() {
            if (order.isEmpty()) {
                return "no order";
            }
            final double value = order.getAsDouble();
            return "order "
                    + (value == Math.rint(value) ? Long.toString((long) value) : "" + value);
        }
    }

    private record Pair(KubeObject.Policy first, KubeObject.Policy second) {}

    private void equalOrders() {
        final Map<Pair, Rank> pairs = new LinkedHashMap<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            for (final SubjectGroup group : linted.groups(direction)) {
                for (int i = 0; i < group.sides().size(); i++) {
                    for (int j = i + 1; j < group.sides().size(); j++) {
                        final PolicySide first = group.sides().get(i);
                        final PolicySide second = group.sides().get(j);
                        final Rank rank = Rank.of(first.policy());
                        if (!first.policy().equals(second.policy())
                                && rank.equals(Rank.of(second.policy()))
                                && (first.isOrdered() || second.isOrdered())
                                && decideDifferently(first, second)) {
                            pairs.put(new Pair(first.policy(), second.policy()), rank);
                        }
                    }
                }
            }
        }
        pairs.forEach(this::reportEqual);
    }

    /** Two policies that only allow, or only deny, may change places. */
    private static boolean decideDifferently(final PolicySide first, final PolicySide second) {
        final EnumSet<CalicoPolicy.Action> ofFirst = actions(first);
        final EnumSet<CalicoPolicy.Action> ofSecond = actions(second);
        final EnumSet<CalicoPolicy.Action> all = EnumSet.copyOf(ofFirst);
        all.addAll(ofSecond);
        return !ofFirst.isEmpty() && !ofSecond.isEmpty() && all.size() > 1;
    }

    private static EnumSet<CalicoPolicy.Action> actions(final PolicySide side) {
        final EnumSet<CalicoPolicy.Action> actions = EnumSet.noneOf(CalicoPolicy.Action.class);
        side.rules().forEach(rule -> actions.add(rule.action()));
        actions.remove(CalicoPolicy.Action.LOG);
        return actions;
    }

    private void reportEqual(final Pair pair, final Rank rank) {
        final boolean admin = pair.second instanceof AdminPolicy;
        final KubeObject.Policy at =
                pair.second instanceof NetworkPolicy || pair.second instanceof CiliumPolicy
                        ? pair.first
                        : pair.second;
        final KubeObject.Policy other = at.equals(pair.first) ? pair.second : pair.first;
        final boolean beside = other instanceof NetworkPolicy || other instanceof CiliumPolicy;
        found.add(
                Finding.of(
                        at,
                        EQUAL_ORDER,
                        at.ref()
                                + " and "
                                + other.ref()
                                + " ("
                                + other.where()
                                + ") decide differently about the same pods at "
                                + (admin
                                        ? "priority " + ((AdminPolicy) at).priority()
                                        : rank + " of tier " + rank.tier)
                                + ": "
                                + (beside
                                        ? "policies of Kubernetes and Cilium stand there too"
                                        : "only their names say which is first"),
                        admin
                                ? "give each a priority of its own"
                                : "give each an order of its own"));
    }

    /** Tiers in which, for some pods, nothing but Log is said before the end drops everything. */
    private void logOnlyTiers() {
        final Map<KubeObject.Policy, Set<String>> pods = new LinkedHashMap<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            for (final SubjectGroup group : linted.groups(direction)) {
                final Map<String, List<PolicySide>> tiers = new TreeMap<>();
                for (final PolicySide side : group.sides()) {
                    tiers.computeIfAbsent(Rank.of(side.policy()).tier, _ -> new ArrayList<>())
                            .add(side);
                }
                for (final List<PolicySide> tier : tiers.values()) {
                    if (tier.stream().allMatch(OrderChecks::logsOnly)) {
                        final Set<String> names =
                                pods.computeIfAbsent(
                                        tier.get(0).policy(), _ -> new LinkedHashSet<>());
                        group.pods().forEach(pod -> names.add(linted.name(pod)));
                    }
                }
            }
        }
        pods.forEach(
                (policy, names) ->
                        found.add(
                                Finding.of(
                                        policy,
                                        LOG_ONLY_TIER,
                                        policy.ref()
                                                + " only logs, and so does all of tier "
                                                + Rank.of(policy).tier
                                                + " for "
                                                + LintedWorld.listed(List.copyOf(names))
                                                + ": the end of the tier drops what was logged",
                                        "add a rule with action Pass, or set the tier's"
                                                + " defaultAction to Pass")));
    }

    private static boolean logsOnly(final PolicySide side) {
        return side.policy() instanceof CalicoPolicy
                && side.isolates()
                && !side.rules().isEmpty()
                && side.rules().stream().allMatch(rule -> rule.action() == CalicoPolicy.Action.LOG);
    }

    private void shadowedAllows() {
        final List<PolicySide> denying =
                linted.sides().stream()
                        .filter(side -> side.policy() instanceof CiliumPolicy)
                        .filter(
                                side ->
                                        side.rules().stream()
                                                .anyMatch(
                                                        rule ->
                                                                rule.action()
                                                                        == CalicoPolicy.Action
                                                                                .DENY))
                        .toList();
        for (final PolicySide side : linted.sides()) {
            if (side.isOrdered()) {
                shadowedInOrder(side);
            } else {
                shadowedByDenies(side, denying);
            }
        }
    }

    private void shadowedInOrder(final PolicySide side) {
        for (int later = 1; later < side.rules().size(); later++) {
            for (int earlier = 0; earlier < later; earlier++) {
                if (shadows(side.rules().get(earlier), side.rules().get(later))) {
                    reportShadow(side, side.rules().get(later), side, side.rules().get(earlier));
                    break;
                }
            }
        }
    }

    private static boolean shadows(final RuleView deny, final RuleView allow) {
        return deny.action() == CalicoPolicy.Action.DENY
                && allow.action() == CalicoPolicy.Action.ALLOW
                && deny.covers(allow);
    }

    /** Of the additive kinds Cilium's alone can deny, wherever the rule stands. */
    private void shadowedByDenies(final PolicySide allowing, final List<PolicySide> denying) {
        final Set<ObjectRef> subjects = refs(allowing);
        for (final RuleView allow : allowing.rules()) {
            denying.stream()
                    .filter(side -> side.direction() == allowing.direction())
                    .filter(side -> covers(side, allowing, subjects))
                    .flatMap(side -> side.rules().stream().map(rule -> new Deny(side, rule)))
                    .filter(deny -> shadows(deny.rule, allow))
                    .findFirst()
                    .ifPresent(deny -> reportShadow(allowing, allow, deny.side, deny.rule));
        }
    }

    private record Deny(PolicySide side, RuleView rule) {}

    /** Whether a side selects all that the other selects, and means the same by the same peers. */
    private static boolean covers(
            final PolicySide side, final PolicySide other, final Set<ObjectRef> subjects) {
        return side.equals(other)
                || (!subjects.isEmpty()
                        && side.policy()
                                .meta()
                                .namespace()
                                .equals(other.policy().meta().namespace())
                        && refs(side).containsAll(subjects));
    }

    private static Set<ObjectRef> refs(final PolicySide side) {
        final Set<ObjectRef> refs = new HashSet<>();
        side.pods().forEach(pod -> refs.add(pod.ref()));
        return refs;
    }

    private void reportShadow(
            final PolicySide allowing,
            final RuleView allow,
            final PolicySide denying,
            final RuleView deny) {
        found.add(
                Finding.at(
                        allow.where(),
                        allowing.policy(),
                        DENY_SHADOWS_ALLOW,
                        allowing.policy().ref()
                                + ": everything that this rule allows is denied by "
                                + (allowing.policy().equals(denying.policy())
                                        ? "the rule at "
                                        : denying.policy().ref() + " at ")
                                + deny.where(),
                        "take one of the two out, or make the deny rule narrower"));
    }
}
