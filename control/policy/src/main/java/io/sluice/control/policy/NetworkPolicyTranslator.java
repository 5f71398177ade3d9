package io.sluice.control.policy;

import io.sluice.control.policy.NetworkPolicy.IpBlock;
import io.sluice.control.policy.NetworkPolicy.Peer;
import io.sluice.control.policy.NetworkPolicy.PodsOfNamespaces;
import io.sluice.control.policy.NetworkPolicy.PodsOfSameNamespace;
import io.sluice.control.policy.NetworkPolicy.PortName;
import io.sluice.control.policy.NetworkPolicy.PortRange;
import io.sluice.control.policy.NetworkPolicy.Rule;
import java.util.ArrayList;
import java.util.List;

/** NetworkPolicy to statements of the additive group. */
final class NetworkPolicyTranslator {
    /** Kind in the key that orders policies of one tier (Calico: {@code PolKVLess}). */
    private static final String KIND = "KubernetesNetworkPolicy";

    private NetworkPolicyTranslator() {}

    static Translation translate(final NetworkPolicy policy) {
        final PeerMatch subject = LabelMatch.pods(policy.meta().namespace(), policy.podSelector());
        final List<PolicyStatement> statements = new ArrayList<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            if (policy.directions().contains(direction)) {
                statements.add(
                        new PolicyStatement(
                                policy,
                                new PolicyStatement.Place(
                                        PolicyTier.DEFAULT,
                                        PolicyTier.ADDITIVE_ORDER,
                                        CalicoPolicyTranslator.key(policy.meta(), KIND),
                                        true),
                                subject,
                                direction,
                                true,
                                rules(policy, direction)));
            }
        }
        return Translation.of(statements);
    }

    private static List<PolicyRule> rules(
            final NetworkPolicy policy, final PolicyDirection direction) {
        final List<Rule> written =
                switch (direction) {
                    case INGRESS -> policy.ingress();
                    case EGRESS -> policy.egress();
                };
        final List<PolicyRule> rules = new ArrayList<>();
        for (int i = 0; i < written.size(); i++) {
            final Rule rule = written.get(i);
            rules.add(
                    PolicyRule.allow(
                            peers(policy, rule.peers()),
                            rule.ports().stream().map(NetworkPolicyTranslator::traffic).toList(),
                            Author.ofRule(
                                    PolicyTier.DEFAULT.name(),
                                    policy,
                                    direction.field(),
                                    i,
                                    rule.where())));
        }
        return List.copyOf(rules);
    }

    private static PeerMatch peers(final NetworkPolicy policy, final List<Peer> peers) {
        if (peers.isEmpty()) {
            return PeerMatch.EVERYONE;
        }
        final List<PeerMatch> alternatives = new ArrayList<>();
        for (final Peer peer : peers) {
            alternatives.add(
                    switch (peer) {
                        case final PodsOfSameNamespace same ->
                                LabelMatch.pods(policy.meta().namespace(), same.pods());
                        case final PodsOfNamespaces any ->
                                LabelMatch.pods(any.namespaces(), any.pods());
                        // An ipBlock matches by address alone, pods and nodes included.
                        case final IpBlock block ->
                                new PeerMatch.InPrefix(
                                        block.cidr(), block.except(), PeerMatch.ALL_KINDS);
                    });
        }
        return PeerMatch.anyOf(alternatives);
    }

    private static Traffic traffic(final NetworkPolicy.Port port) {
        return switch (port) {
            case final PortRange range ->
                    Traffic.of(range.protocol(), Traffic.Ports.of(range.from(), range.to()));
            case final PortName name ->
                    Traffic.of(name.protocol(), Traffic.Ports.named(name.name()));
        };
    }
}
