package io.sluice.control.policy;

import io.sluice.control.policy.AdminPolicy.Action;
import io.sluice.control.policy.AdminPolicy.DomainNames;
import io.sluice.control.policy.AdminPolicy.Namespaces;
import io.sluice.control.policy.AdminPolicy.Networks;
import io.sluice.control.policy.AdminPolicy.Nodes;
import io.sluice.control.policy.AdminPolicy.Peer;
import io.sluice.control.policy.AdminPolicy.Pods;
import io.sluice.control.policy.AdminPolicy.PortName;
import io.sluice.control.policy.AdminPolicy.PortRange;
import io.sluice.control.policy.AdminPolicy.Rule;
import io.sluice.control.policy.AdminPolicy.UnknownPeer;
import io.sluice.dnsproxy.rule.NamePattern;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy to statements of the
 * tiers around the policies of namespaces. They isolate nothing: what no rule of theirs matches
 * goes on.
 */
final class AdminPolicyTranslator {
    private AdminPolicyTranslator() {}

    static Translation translate(final AdminPolicy policy) {
        final PolicyTier tier =
                switch (policy.level()) {
                    case ADMIN -> PolicyTier.ADMIN;
                    case BASELINE -> PolicyTier.BASELINE;
                };
        final PeerMatch subject =
                LabelMatch.pods(
                        policy.subject().namespaces(),
                        policy.subject().pods().orElse(LabelSelector.EVERYTHING));
        final List<PolicyStatement> statements = new ArrayList<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            if (!policy.rules(direction).isEmpty()) {
                statements.add(
                        new PolicyStatement(
                                policy,
                                new PolicyStatement.Place(
                                        tier,
                                        policy.priority(),
                                        CalicoPolicyTranslator.key(
                                                policy.meta(), policy.ref().kind()),
                                        false),
                                subject,
                                direction,
                                false,
                                rules(policy, tier, direction)));
            }
        }
        return Translation.of(statements);
    }

    private static List<PolicyRule> rules(
            final AdminPolicy policy, final PolicyTier tier, final PolicyDirection direction) {
        final List<PolicyRule> rules = new ArrayList<>();
        for (final Rule rule : policy.rules(direction)) {
            rules.add(
                    new PolicyRule(
                            PeerMatch.anyOf(
                                    rule.peers().stream()
                                            .map(peer -> peer(peer, rule.action()))
                                            .toList()),
                            PeerMatch.EVERYONE,
                            rule.ports().stream().map(AdminPolicyTranslator::traffic).toList(),
                            switch (rule.action()) {
                                case ACCEPT -> PolicyRule.Effect.ALLOW;
                                case DENY -> PolicyRule.Effect.DENY;
                                case PASS -> PolicyRule.Effect.PASS;
                            },
                            Optional.empty(),
                            Author.ofRule(
                                    tier.name(),
                                    policy,
                                    direction.field(),
                                    rules.size(),
                                    rule.where())));
        }
        return List.copyOf(rules);
    }

    private static PeerMatch peer(final Peer peer, final Action action) {
        return switch (peer) {
            case final Namespaces any ->
                    LabelMatch.pods(any.namespaces(), LabelSelector.EVERYTHING);
            case final Pods some -> LabelMatch.pods(some.namespaces(), some.pods());
            case final Networks networks ->
                    PeerMatch.anyOf(
                            networks.cidrs().stream()
                                    .map(
                                            cidr ->
                                                    (PeerMatch)
                                                            new PeerMatch.InPrefix(
                                                                    cidr,
                                                                    List.of(),
                                                                    PeerMatch.ALL_KINDS))
                                    .toList());
            case final Nodes nodes ->
                    PeerMatch.allOf(
                            List.of(
                                    new PeerMatch.OfKind(PeerFacts.Kind.NODE),
                                    new PeerMatch.Labelled(
                                            nodes.nodes().requirements().stream()
                                                    .map(LabelMatch::ofNodeLabel)
                                                    .toList())));
            case final DomainNames domains ->
                    PeerMatch.anyOf(
                            domains.names().stream()
                                    .map(
                                            name ->
                                                    (PeerMatch)
                                                            new PeerMatch.Named(
                                                                    NamePattern.parseDomainName(
                                                                            name),
                                                                    PeerMatch.ALL_KINDS))
                                    .toList());
            // What is not understood must not open anything.
            case UnknownPeer _ ->
                    switch (action) {
                        case ACCEPT -> PeerMatch.NOBODY;
                        case DENY, PASS -> PeerMatch.EVERYONE;
                    };
        };
    }

    private static Traffic traffic(final AdminPolicy.Port port) {
        return switch (port) {
            case final PortRange range ->
                    Traffic.of(range.protocol(), Traffic.Ports.of(range.from(), range.to()));
            case final PortName name ->
                    Traffic.of(Traffic.EVERY_PROTOCOL, Traffic.Ports.named(name.name()));
        };
    }
}
