package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.AND_OR_SLIP;
import static io.sluice.control.policy.lint.LintCheck.EGRESS_NOT_ISOLATED;
import static io.sluice.control.policy.lint.LintCheck.EMPTY_PEER_SELECTOR;
import static io.sluice.control.policy.lint.LintCheck.PERMISSIVE_POLICY_WINS;
import static io.sluice.control.policy.lint.LintCheck.RULES_WITHOUT_TYPE;

import io.sluice.control.policy.AdminPolicy;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.NetworkPolicy;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.SourceLocation;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** Rules that say something else than they seem to. */
final class RuleChecks {
    private final LintedWorld linted;
    private final List<Finding> found;

    private RuleChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final RuleChecks checks = new RuleChecks(linted, found);
        for (final KubeObject.Policy policy : linted.allPolicies()) {
            switch (policy) {
                case final NetworkPolicy kubernetes -> checks.kubernetes(kubernetes);
                case final CiliumPolicy cilium -> checks.cilium(cilium);
                case final CalicoPolicy calico -> checks.calicoTypes(calico);
                case AdminPolicy _ -> {}
            }
        }
        checks.permissivePolicyWins();
    }

    private void kubernetes(final NetworkPolicy policy) {
        egressNotIsolated(policy);
        for (final PolicyDirection direction : PolicyDirection.values()) {
            final List<NetworkPolicy.Rule> rules =
                    switch (direction) {
                        case INGRESS -> policy.ingress();
                        case EGRESS -> policy.egress();
                    };
            if (!policy.directions().contains(direction)) {
                if (!rules.isEmpty()) {
                    withoutType(policy, rules.get(0).where(), direction, "policyTypes");
                }
                continue;
            }
            final List<RuleView> views = RuleView.of(policy, direction);
            for (int i = 0; i < rules.size(); i++) {
                emptyPeers(policy, rules.get(i), views.get(i).isDns());
                slips(policy, rules.get(i));
            }
        }
    }

    /** Whether {@code egress} is written and empty can only be seen in the manifest. */
    private void egressNotIsolated(final NetworkPolicy policy) {
        if (policy.meta().manifest().get("spec") instanceof final Map<?, ?> spec
                && spec.get("egress") instanceof final List<?> egress
                && egress.isEmpty()
                && !policy.directions().contains(PolicyDirection.EGRESS)) {
            found.add(
                    Finding.of(
                            policy,
                            EGRESS_NOT_ISOLATED,
                            policy.ref()
                                    + " has egress: [] but does not isolate egress: policyTypes"
                                    + " does not list it",
                            "write policyTypes: [Ingress, Egress], or take the field out"));
        }
    }

    private void withoutType(
            final KubeObject policy,
            final SourceLocation where,
            final PolicyDirection direction,
            final String field) {
        final String type = direction == PolicyDirection.INGRESS ? "Ingress" : "Egress";
        found.add(
                Finding.at(
                        where,
                        policy,
                        RULES_WITHOUT_TYPE,
                        policy.ref()
                                + " has "
                                + direction.field()
                                + " rules, but "
                                + field
                                + " does not list "
                                + type
                                + ": they have no effect",
                        "add " + type + " to " + field + ", or take the rules out"));
    }

    private void calicoTypes(final CalicoPolicy policy) {
        for (final PolicyDirection direction : PolicyDirection.values()) {
            final List<CalicoPolicy.Rule> rules = policy.rules(direction);
            if (!rules.isEmpty() && !policy.types().contains(direction)) {
                withoutType(policy, rules.get(0).where(), direction, "types");
            }
        }
    }

    private void emptyPeers(
            final NetworkPolicy policy, final NetworkPolicy.Rule rule, final boolean dns) {
        for (final NetworkPolicy.Peer peer : rule.peers()) {
            switch (peer) {
                case final NetworkPolicy.PodsOfSameNamespace same -> {
                    if (LintedWorld.isEverything(same.pods())) {
                        ownNamespace(policy, rule.where(), "podSelector: {}");
                    }
                }
                case final NetworkPolicy.PodsOfNamespaces other -> {
                    // Name servers move between namespaces: for DNS it is the usual form.
                    if (!dns
                            && LintedWorld.isEverything(other.namespaces())
                            && LintedWorld.isEverything(other.pods())) {
                        found.add(
                                Finding.at(
                                        rule.where(),
                                        policy,
                                        EMPTY_PEER_SELECTOR,
                                        policy.ref()
                                                + ": namespaceSelector: {} in a peer is every pod"
                                                + " of every namespace",
                                        "select the namespaces that are meant by label"));
                    }
                }
                case NetworkPolicy.IpBlock _ -> {}
            }
        }
    }

    private void ownNamespace(
            final KubeObject policy, final SourceLocation where, final String selector) {
        found.add(
                Finding.at(
                                where,
                                policy,
                                EMPTY_PEER_SELECTOR,
                                policy.ref()
                                        + ": "
                                        + selector
                                        + " in a peer is every pod of namespace "
                                        + policy.meta().namespace()
                                        + ", and nobody outside it",
                                "nothing to do if that is meant; otherwise select pods by label")
                        .asInfo());
    }

    private void cilium(final CiliumPolicy policy) {
        for (final CiliumPolicy.Rule rule : policy.rules()) {
            for (final CiliumPolicy.Side side : List.of(rule.ingress(), rule.egress())) {
                for (final CiliumPolicy.Entry entry : side.allow()) {
                    if (entry.peers() instanceof final CiliumPolicy.PeerEndpoints peers
                            && peers.selectors().stream().anyMatch(LintedWorld::isEverything)) {
                        emptyCiliumPeer(policy, entry);
                    }
                }
            }
        }
    }

    private void emptyCiliumPeer(final CiliumPolicy policy, final CiliumPolicy.Entry entry) {
        final boolean dns = RuleView.of(entry).stream().allMatch(RuleView::isDns);
        if (!policy.isClusterwide()) {
            ownNamespace(policy, entry.where(), "an empty endpoint selector");
        } else if (!dns) {
            found.add(
                    Finding.at(
                            entry.where(),
                            policy,
                            EMPTY_PEER_SELECTOR,
                            policy.ref()
                                    + ": an empty endpoint selector in a peer of a clusterwide"
                                    + " policy is every pod of every namespace",
                            "select the pods that are meant by label"));
        }
    }

    private void slips(final NetworkPolicy policy, final NetworkPolicy.Rule rule) {
        for (int i = 0; i + 1 < rule.peers().size(); i++) {
            final NetworkPolicy.Peer first = rule.peers().get(i);
            final NetworkPolicy.Peer second = rule.peers().get(i + 1);
            if (first instanceof final NetworkPolicy.PodsOfNamespaces namespaces
                    && second instanceof final NetworkPolicy.PodsOfSameNamespace pods) {
                slip(policy, rule, namespaces, pods.pods());
            } else if (first instanceof final NetworkPolicy.PodsOfSameNamespace pods
                    && second instanceof final NetworkPolicy.PodsOfNamespaces namespaces) {
                slip(policy, rule, namespaces, pods.pods());
            }
        }
    }

    /**
     * Two such items may well be meant. They are not where such pods are in those namespaces, and
     * are suspect where the policy's own namespace has none, as far as pods are known.
     */
    private void slip(
            final NetworkPolicy policy,
            final NetworkPolicy.Rule rule,
            final NetworkPolicy.PodsOfNamespaces namespaces,
            final LabelSelector pods) {
        if (!LintedWorld.isEverything(namespaces.pods())
                || LintedWorld.isEverything(namespaces.namespaces())
                || LintedWorld.isEverything(pods)) {
            return;
        }
        boolean here = false;
        boolean there = false;
        for (final Pod pod : linted.world().pods()) {
            if (pod.isEndpoint() && pods.matches(SeenLabels.ofPod(pod))) {
                here |= pod.meta().namespace().equals(policy.meta().namespace());
                there |=
                        namespaces
                                .namespaces()
                                .matches(linted.labels().ofNamespace(pod.meta().namespace()));
            }
        }
        if (there || !here) {
            found.add(
                    Finding.at(
                            rule.where(),
                            policy,
                            AND_OR_SLIP,
                            policy.ref()
                                    + ": two items, one with only namespaceSelector, one with only"
                                    + " podSelector, are OR: every pod of namespaces "
                                    + namespaces.namespaces()
                                    + ", or pods "
                                    + pods
                                    + " of namespace "
                                    + policy.meta().namespace(),
                            "for AND put both selectors into one item (no dash before the second)"));
        }
    }

    private void permissivePolicyWins() {
        record Case(PolicySide open, TreeSet<String> restrictive, TreeSet<String> pods) {}
        final Map<PolicySide, Case> cases = new LinkedHashMap<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            for (final SubjectGroup group : linted.groups(direction)) {
                final List<PolicySide> additive =
                        group.sides().stream().filter(PolicySide::isAdditive).toList();
                additive.stream()
                        .filter(PolicySide::allowsAll)
                        .findFirst()
                        .ifPresent(
                                open -> {
                                    for (final PolicySide side : additive) {
                                        if (isRestrictive(side)) {
                                            final Case at =
                                                    cases.computeIfAbsent(
                                                            open,
                                                            _ ->
                                                                    new Case(
                                                                            open,
                                                                            new TreeSet<>(),
                                                                            new TreeSet<>()));
                                            at.restrictive.add(side.policy().ref().toString());
                                            group.pods()
                                                    .forEach(pod -> at.pods.add(linted.name(pod)));
                                        }
                                    }
                                });
            }
        }
        for (final Case at : cases.values()) {
            final SourceLocation where =
                    at.open.rules().stream()
                            .filter(RuleView::isAllowAll)
                            .findFirst()
                            .map(RuleView::where)
                            .orElse(at.open.policy().where());
            found.add(
                    Finding.at(
                            where,
                            at.open.policy(),
                            PERMISSIVE_POLICY_WINS,
                            at.open.policy().ref()
                                    + " allows everyone all "
                                    + at.open.direction().field()
                                    + " of "
                                    + LintedWorld.listed(List.copyOf(at.pods))
                                    + ": the rules of "
                                    + LintedWorld.listed(List.copyOf(at.restrictive))
                                    + " restrict nothing there",
                            "policies are a union: take the wide rule out, or the narrow ones"));
        }
    }

    /** A policy about DNS only is everyone's, beside whatever else there is. */
    private static boolean isRestrictive(final PolicySide side) {
        return side.hasAllow()
                && !side.allowsAll()
                && !side.rules().stream().allMatch(RuleView::isDns);
    }
}
