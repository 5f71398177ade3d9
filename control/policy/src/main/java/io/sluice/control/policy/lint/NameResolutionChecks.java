package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.EGRESS_WITHOUT_DNS;
import static io.sluice.control.policy.lint.LintCheck.FQDN_NOT_IN_DNS_RULES;
import static io.sluice.control.policy.lint.LintCheck.FQDN_WITHOUT_DNS_RULE;

import io.sluice.control.policy.AdminPolicy;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.NetworkPolicy;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.SourceLocation;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import io.sluice.dnsproxy.rule.NamePattern;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** DNS for who is isolated, and names in rules. */
final class NameResolutionChecks {
    /** Values of the label k8s-app that name servers have, whatever they run. */
    private static final Set<String> DNS_LABELS = Set.of("kube-dns", "coredns", "node-local-dns");

    private final LintedWorld linted;
    private final List<Finding> found;
    private final Set<Integer> nameServers;

    private NameResolutionChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
        this.nameServers = nameServers(linted);
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final NameResolutionChecks checks = new NameResolutionChecks(linted, found);
        checks.egressWithoutDns();
        checks.namesWithoutDnsRule();
        checks.namesNotInDnsRules();
    }

    /** What a pod's egress lets through to name servers. */
    private enum Dns {
        ALLOWED,
        WITHOUT_TCP,
        DENIED,
        /** Not even anything else: such a pod may need no names. */
        NOTHING_ALLOWED
    }

    private Dns dnsOf(final SubjectGroup group) {
        final boolean allows = group.sides().stream().anyMatch(PolicySide::hasAllow);
        if (!allows && !LintedWorld.opensAnything(group.map())) {
            return Dns.NOTHING_ALLOWED;
        }
        if (!allowsDns(group, IpProtocol.UDP)) {
            return Dns.DENIED;
        }
        return allowsDns(group, IpProtocol.TCP) ? Dns.ALLOWED : Dns.WITHOUT_TCP;
    }

    /**
     * Whether a rule names the port of DNS, whoever its peers are; or whether what is known of name
     * servers, or anything outside the cluster, can be asked. A world without name servers is a
     * part of a cluster: then any rule that could be about them counts, other than those about pods
     * of the policy's own namespace.
     */
    private boolean allowsDns(final SubjectGroup group, final int protocol) {
        final boolean named =
                group.sides().stream()
                        .flatMap(side -> side.rules().stream())
                        .anyMatch(
                                rule ->
                                        rule.namesDns(protocol)
                                                || (nameServers.isEmpty()
                                                        && rule.mayAllowDns(protocol)
                                                        && !isLocal(rule)));
        return named
                || linted.policies().identities().stream()
                        .filter(at -> !at.isCluster() || nameServers.contains(at.number()))
                        .map(at -> group.map().program(at.number()))
                        .anyMatch(
                                program ->
                                        LintedWorld.opens(
                                                program.lookup(
                                                        protocol,
                                                        LintedWorld.SOURCE_PORT,
                                                        RuleView.DNS_PORT)));
    }

    /**
     * Whether the peers are pods of the policy's namespace only, which serve no names but there.
     */
    private static boolean isLocal(final RuleView rule) {
        if (rule.peers() instanceof final CiliumPolicy.PeerEndpoints endpoints) {
            return endpoints.selectors().stream()
                    .flatMap(selector -> selector.requirements().stream())
                    .noneMatch(requirement -> requirement.key().contains("namespace"));
        }
        return rule.peers() instanceof final List<?> peers
                && !peers.isEmpty()
                && peers.stream().allMatch(NetworkPolicy.PodsOfSameNamespace.class::isInstance);
    }

    /** Identities of the pods that serve names, by label or by a port of theirs. */
    private static Set<Integer> nameServers(final LintedWorld linted) {
        final Set<Integer> servers = new HashSet<>();
        for (final Pod pod : linted.endpoints()) {
            if (DNS_LABELS.contains(pod.meta().labels().getOrDefault("k8s-app", ""))
                    || pod.ports().stream().anyMatch(port -> port.port() == RuleView.DNS_PORT)) {
                linted.policies()
                        .identityOf(pod.ref())
                        .ifPresent(identity -> servers.add(identity.number()));
            }
        }
        return servers;
    }

    private void egressWithoutDns() {
        record Case(PolicySide side, Dns dns) {}
        final Map<Case, List<Pod>> cases = new LinkedHashMap<>();
        for (final SubjectGroup group : linted.groups(PolicyDirection.EGRESS)) {
            final Dns dns = dnsOf(group);
            if (group.map().isIsolated() && dns != Dns.ALLOWED) {
                sideToName(group)
                        .ifPresent(
                                side ->
                                        cases.computeIfAbsent(
                                                        new Case(side, dns), _ -> new ArrayList<>())
                                                .addAll(group.pods()));
            }
        }
        cases.forEach((at, pods) -> report(at.side, at.dns, linted.names(pods)));
    }

    /** The first policy that allows something: its author is who forgot; else the first of all. */
    private static Optional<PolicySide> sideToName(final SubjectGroup group) {
        return group.sides().stream()
                .filter(side -> side.isolates() && side.hasAllow())
                .findFirst()
                .or(group::firstIsolating);
    }

    private void report(final PolicySide side, final Dns dns, final String pods) {
        final Finding finding =
                switch (dns) {
                    case DENIED ->
                            Finding.of(
                                    side.policy(),
                                    EGRESS_WITHOUT_DNS,
                                    side.policy().ref()
                                            + " isolates egress of "
                                            + pods
                                            + ", and no rule allows DNS (UDP and TCP 53): no name"
                                            + " resolves",
                                    "allow UDP 53 and TCP 53 to the name servers, or to everyone");
                    case WITHOUT_TCP ->
                            Finding.of(
                                            side.policy(),
                                            EGRESS_WITHOUT_DNS,
                                            side.policy().ref()
                                                    + " isolates egress of "
                                                    + pods
                                                    + ", and DNS is allowed over UDP only: answers"
                                                    + " that are too long for UDP never arrive",
                                            "allow TCP 53 beside UDP 53")
                                    .asInfo();
                    case NOTHING_ALLOWED, ALLOWED ->
                            Finding.of(
                                            side.policy(),
                                            EGRESS_WITHOUT_DNS,
                                            side.policy().ref()
                                                    + " isolates egress of "
                                                    + pods
                                                    + ", and nothing is allowed, DNS neither",
                                            "allow UDP 53 and TCP 53 to the name servers if a name"
                                                    + " should ever resolve there")
                                    .asInfo();
                };
        found.add(finding);
    }

    private void namesWithoutDnsRule() {
        final Set<ObjectRef> seen = podsWithDnsRules();
        final Set<ObjectRef> deaf = podsWithoutDns();
        for (final PolicySide side : linted.sides()) {
            if (side.direction() == PolicyDirection.EGRESS) {
                switch (side.policy()) {
                    case final CiliumPolicy cilium -> ciliumNames(cilium, side, seen);
                    case final CalicoPolicy calico -> calicoDomains(calico, side, deaf);
                    case final AdminPolicy admin -> adminDomains(admin, side, deaf);
                    default -> {}
                }
            }
        }
    }

    /** Pods of which some DNS rule sees the answers. */
    private Set<ObjectRef> podsWithDnsRules() {
        final Set<ObjectRef> pods = new HashSet<>();
        for (final PolicySide side : linted.sides()) {
            if (side.direction() == PolicyDirection.EGRESS
                    && side.policy() instanceof CiliumPolicy
                    && side.rules().stream().anyMatch(rule -> rule.l7() && rule.isDns())) {
                side.pods().forEach(pod -> pods.add(pod.ref()));
            }
        }
        return pods;
    }

    private Set<ObjectRef> podsWithoutDns() {
        final Set<ObjectRef> pods = new HashSet<>();
        for (final SubjectGroup group : linted.groups(PolicyDirection.EGRESS)) {
            if (!allowsDns(group, IpProtocol.UDP)) {
                group.pods().forEach(pod -> pods.add(pod.ref()));
            }
        }
        return pods;
    }

    private void ciliumNames(
            final CiliumPolicy policy, final PolicySide side, final Set<ObjectRef> seen) {
        final List<Pod> unseen =
                side.pods().stream().filter(pod -> !seen.contains(pod.ref())).toList();
        if (unseen.isEmpty()) {
            return;
        }
        for (final RuleView rule : side.rules()) {
            if (rule.peers() instanceof CiliumPolicy.PeerNames) {
                found.add(
                        Finding.at(
                                rule.where(),
                                policy,
                                FQDN_WITHOUT_DNS_RULE,
                                policy.ref()
                                        + " allows names, but no DNS rule (rules.dns) selects "
                                        + linted.names(unseen)
                                        + ": answers are not seen, toFQDNs never matches",
                                "allow port 53 to the name servers with rules.dns for these names"));
                return;
            }
        }
    }

    /**
     * Names that may be connected to but not asked for. Of a pod that may ask for anything through
     * another rule, or whose name servers are reached without a proxy, there is nothing to say.
     */
    private void namesNotInDnsRules() {
        final Map<ObjectRef, Set<NamePattern>> asked = new HashMap<>();
        for (final PolicySide side : linted.sides()) {
            if (side.direction() == PolicyDirection.EGRESS
                    && side.policy() instanceof final CiliumPolicy cilium) {
                final Set<NamePattern> patterns = dnsPatterns(cilium);
                for (final Pod pod : side.pods()) {
                    asked.computeIfAbsent(pod.ref(), _ -> new HashSet<>()).addAll(patterns);
                }
            }
        }
        for (final PolicySide side : linted.sides()) {
            if (side.direction() == PolicyDirection.EGRESS) {
                for (final RuleView rule : side.rules()) {
                    if (rule.peers() instanceof final CiliumPolicy.PeerNames names) {
                        namesNotAsked(side, rule, names, asked);
                    }
                }
            }
        }
    }

    private static Set<NamePattern> dnsPatterns(final CiliumPolicy policy) {
        final Set<NamePattern> patterns = new HashSet<>();
        for (final CiliumPolicy.Rule rule : policy.rules()) {
            for (final CiliumPolicy.Entry entry : rule.egress().allow()) {
                for (final CiliumPolicy.PortRule port : entry.ports()) {
                    port.rules().ifPresent(rules -> patterns.addAll(rules.dns()));
                }
            }
        }
        return patterns;
    }

    private void namesNotAsked(
            final PolicySide side,
            final RuleView rule,
            final CiliumPolicy.PeerNames names,
            final Map<ObjectRef, Set<NamePattern>> asked) {
        for (final CiliumPolicy.FqdnSelector selector : names.names()) {
            final String sample = sample(selector.pattern());
            final List<Pod> pods =
                    side.pods().stream()
                            .filter(pod -> lacks(asked.getOrDefault(pod.ref(), Set.of()), sample))
                            .toList();
            if (!pods.isEmpty()) {
                final String written = selector.matchName() + selector.matchPattern();
                found.add(
                        Finding.at(
                                rule.where(),
                                side.policy(),
                                FQDN_NOT_IN_DNS_RULES,
                                side.policy().ref()
                                        + " allows "
                                        + written
                                        + ", but the DNS rules of "
                                        + linted.names(pods)
                                        + " do not let them ask for it",
                                "add " + written + " to rules.dns"));
            }
        }
    }

    /** Without any pattern there is no DNS rule at all: another check's finding. */
    private static boolean lacks(final Set<NamePattern> patterns, final String name) {
        return !patterns.isEmpty() && patterns.stream().noneMatch(pattern -> pattern.matches(name));
    }

    /** A name that a pattern matches: what a DNS rule must match, too. */
    private static String sample(final NamePattern pattern) {
        final String name = pattern.toString().replace("**.", "lint.").replace("*", "lint");
        return name.endsWith(".") ? name : name + ".";
    }

    private void calicoDomains(
            final CalicoPolicy policy, final PolicySide side, final Set<ObjectRef> deaf) {
        policy.egress().stream()
                .filter(rule -> !rule.destination().domains().isEmpty())
                .filter(rule -> rule.protocol().filter(CalicoPolicy.Protocol::tls).isEmpty())
                .findFirst()
                .ifPresent(rule -> withoutDns(policy, side, rule.where(), deaf));
    }

    private void adminDomains(
            final AdminPolicy policy, final PolicySide side, final Set<ObjectRef> deaf) {
        policy.egress().stream()
                .filter(
                        rule ->
                                rule.peers().stream()
                                        .anyMatch(AdminPolicy.DomainNames.class::isInstance))
                .findFirst()
                .ifPresent(rule -> withoutDns(policy, side, rule.where(), deaf));
    }

    private void withoutDns(
            final KubeObject policy,
            final PolicySide side,
            final SourceLocation where,
            final Set<ObjectRef> deaf) {
        final List<Pod> pods =
                side.pods().stream().filter(pod -> deaf.contains(pod.ref())).toList();
        if (!pods.isEmpty()) {
            found.add(
                    Finding.at(
                            where,
                            policy,
                            FQDN_WITHOUT_DNS_RULE,
                            policy.ref()
                                    + " allows domains, but "
                                    + linted.names(pods)
                                    + " may not ask any name server (port 53): the names never"
                                    + " resolve",
                            "allow UDP 53 and TCP 53 to the name servers"));
        }
    }
}
