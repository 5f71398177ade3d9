package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.L7_ON_ALL_TRAFFIC;
import static io.sluice.control.policy.lint.LintCheck.L7_RULE_TOOTHLESS;

import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** L7 rules: what they cost, and what undoes them. DNS rules are meant for all traffic. */
final class ProxyChecks {
    /** Ports of one rule from which on nobody has thought of each. */
    private static final int PORTS_MANY = 100;

    private final LintedWorld linted;
    private final List<Finding> found;

    private ProxyChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final ProxyChecks checks = new ProxyChecks(linted, found);
        checks.onAllTraffic();
        checks.toothless();
    }

    private static boolean isRequestRule(final RuleView rule) {
        return rule.l7() && rule.action() == CalicoPolicy.Action.ALLOW && !rule.isDns();
    }

    private void onAllTraffic() {
        for (final PolicySide side : linted.sides()) {
            for (final RuleView rule : side.rules()) {
                final int ports =
                        rule.ports().isEmpty()
                                ? PORTS_MANY
                                : rule.ports().stream().mapToInt(RuleView.PortSpan::width).sum();
                final boolean everywhere = side.everyone() && rule.everyone();
                if (isRequestRule(rule) && (everywhere || ports >= PORTS_MANY)) {
                    found.add(
                            Finding.at(
                                    rule.where(),
                                    side.policy(),
                                    L7_ON_ALL_TRAFFIC,
                                    side.policy().ref()
                                            + ": L7 rules send "
                                            + (everywhere
                                                    ? "traffic of every pod with everyone"
                                                    : "a range of " + ports + " ports")
                                            + " through a proxy, at the cost of latency and"
                                            + " processor time",
                                    "keep L7 rules to the pods and ports that need them"));
                }
            }
        }
    }

    private void toothless() {
        final Set<RuleView> reported = new HashSet<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            for (final SubjectGroup group : linted.groups(direction)) {
                final List<PolicySide> additive =
                        group.sides().stream().filter(PolicySide::isAdditive).toList();
                for (final PolicySide side : additive) {
                    for (final RuleView rule : side.rules()) {
                        if (rule.l7()
                                && rule.action() == CalicoPolicy.Action.ALLOW
                                && !reported.contains(rule)) {
                            for (final PolicySide other : additive) {
                                if (undoes(side, rule, other, group) && reported.add(rule)) {
                                    break;
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private boolean undoes(
            final PolicySide side,
            final RuleView l7,
            final PolicySide other,
            final SubjectGroup group) {
        for (final RuleView rule : other.rules()) {
            final boolean samePeers =
                    rule.everyone()
                            || side.policy()
                                    .meta()
                                    .namespace()
                                    .equals(other.policy().meta().namespace());
            if (rule.action() == CalicoPolicy.Action.ALLOW
                    && !rule.l7()
                    && samePeers
                    && rule.covers(l7)) {
                found.add(
                        Finding.at(
                                l7.where(),
                                side.policy(),
                                L7_RULE_TOOTHLESS,
                                side.policy().ref()
                                        + ": these L7 rules deny no request of "
                                        + linted.names(group.pods())
                                        + ": "
                                        + other.policy().ref()
                                        + " at "
                                        + rule.where()
                                        + " allows the same peers the same ports without any",
                                "take the rule without L7 out, or make it narrower"));
                return true;
            }
        }
        return false;
    }
}
