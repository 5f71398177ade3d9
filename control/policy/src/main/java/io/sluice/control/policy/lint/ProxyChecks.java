package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.KAFKA_ROLE_NARROW;
import static io.sluice.control.policy.lint.LintCheck.L7_ON_ALL_TRAFFIC;
import static io.sluice.control.policy.lint.LintCheck.L7_RULE_TOOTHLESS;

import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.L7Rules;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.SourceLocation;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import io.sluice.l7proxy.rule.KafkaApi;
import io.sluice.l7proxy.rule.KafkaRule;
import java.util.ArrayList;
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
        checks.narrowRoles();
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

    /**
     * Roles are Cilium's of before idempotent producers. A rule for what is missing counts wherever
     * it is: lint need not know which rules meet.
     */
    private void narrowRoles() {
        for (final PolicyDirection direction : PolicyDirection.values()) {
            final List<KafkaRule> all = new ArrayList<>();
            for (final CiliumPolicy policy : linted.world().all(CiliumPolicy.class)) {
                kafkaRules(policy, direction).forEach(rule -> all.addAll(rule.kafka()));
            }
            for (final CiliumPolicy policy : linted.world().all(CiliumPolicy.class)) {
                for (final KafkaPort port : kafkaRules(policy, direction)) {
                    for (final KafkaRule rule : port.kafka()) {
                        narrowRole(policy, port, rule, all);
                    }
                }
            }
        }
    }

    private record KafkaPort(SourceLocation where, List<KafkaRule> kafka) {}

    private static List<KafkaPort> kafkaRules(
            final CiliumPolicy policy, final PolicyDirection direction) {
        final List<KafkaPort> ports = new ArrayList<>();
        for (final CiliumPolicy.Rule rule : policy.rules()) {
            for (final CiliumPolicy.Entry entry : rule.side(direction).allow()) {
                for (final CiliumPolicy.PortRule port : entry.ports()) {
                    port.rules()
                            .map(L7Rules::kafka)
                            .filter(rules -> !rules.isEmpty())
                            .ifPresent(rules -> ports.add(new KafkaPort(port.where(), rules)));
                }
            }
        }
        return ports;
    }

    private void narrowRole(
            final CiliumPolicy policy,
            final KafkaPort port,
            final KafkaRule rule,
            final List<KafkaRule> all) {
        final String missing =
                switch (rule.role()) {
                    case NONE -> "";
                    case PRODUCE -> "initproducerid";
                    case CONSUME -> "offsetforleaderepoch";
                };
        if (missing.isEmpty() || isAllowed(missing, rule.clientId(), all)) {
            return;
        }
        final boolean isProducer = rule.role() == KafkaRule.Role.PRODUCE;
        final Finding finding =
                Finding.at(
                        port.where(),
                        policy,
                        KAFKA_ROLE_NARROW,
                        policy.ref()
                                + ": role "
                                + (isProducer
                                        ? "produce leaves out InitProducerId: idempotent producers,"
                                                + " the default since Kafka 3.0, are denied before"
                                                + " they send anything"
                                        : "consume leaves out OffsetForLeaderEpoch: consumers that"
                                                + " go on after a change of leader are denied"),
                        "add a rule with apiKey: " + missing);
        found.add(isProducer ? finding : finding.asInfo());
    }

    private static boolean isAllowed(
            final String api, final String clientId, final List<KafkaRule> rules) {
        final int key = KafkaApi.byName(api).orElseThrow();
        return rules.stream()
                .anyMatch(
                        rule ->
                                (rule.apiKey().isPresent()
                                                ? rule.apiKey().get() == key
                                                : rule.role() == KafkaRule.Role.NONE)
                                        && (rule.clientId().isEmpty()
                                                || rule.clientId().equals(clientId)));
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
