package io.sluice.control.policy;

import io.sluice.control.policy.NetworkPolicy.IpBlock;
import io.sluice.control.policy.NetworkPolicy.Peer;
import io.sluice.control.policy.NetworkPolicy.PodsOfNamespaces;
import io.sluice.control.policy.NetworkPolicy.PodsOfSameNamespace;
import io.sluice.control.policy.NetworkPolicy.PortName;
import io.sluice.control.policy.NetworkPolicy.PortRange;
import io.sluice.control.policy.NetworkPolicy.Rule;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** NetworkPolicy to statements. */
final class NetworkPolicyTranslator {
    /** An ipBlock matches by address alone, pods and nodes included. */
    private static final Set<PeerFacts.Kind> IP_BLOCK_KINDS =
            Set.copyOf(EnumSet.allOf(PeerFacts.Kind.class));

    private NetworkPolicyTranslator() {}

    static List<PolicyStatement> translate(final NetworkPolicy policy, final String tier) {
        final List<LabelMatch> subject = new ArrayList<>();
        subject.add(inNamespace(policy.meta().namespace()));
        policy.podSelector().requirements().forEach(r -> subject.add(LabelMatch.ofPodLabel(r)));
        final List<PolicyStatement> statements = new ArrayList<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            if (policy.directions().contains(direction)) {
                statements.add(
                        new PolicyStatement(
                                policy,
                                List.copyOf(subject),
                                direction,
                                true,
                                rules(policy, direction, tier)));
            }
        }
        return statements;
    }

    private static List<PolicyRule> rules(
            final NetworkPolicy policy, final PolicyDirection direction, final String tier) {
        final List<Rule> written =
                switch (direction) {
                    case INGRESS -> policy.ingress();
                    case EGRESS -> policy.egress();
                };
        final List<PolicyRule> rules = new ArrayList<>();
        for (int i = 0; i < written.size(); i++) {
            final Rule rule = written.get(i);
            final Author author = Author.ofRule(tier, policy, direction.field(), i, rule.where());
            rules.add(
                    new PolicyRule(
                            peers(policy, rule.peers()),
                            rule.ports().stream().map(NetworkPolicyTranslator::port).toList(),
                            PolicyEntry.allow(author)));
        }
        return List.copyOf(rules);
    }

    private static PeerMatch peers(final NetworkPolicy policy, final List<Peer> peers) {
        if (peers.isEmpty()) {
            return PeerMatch.EVERYONE;
        }
        final List<PeerMatch.Term> terms = new ArrayList<>();
        for (final Peer peer : peers) {
            terms.add(
                    switch (peer) {
                        case final PodsOfSameNamespace same -> {
                            final List<LabelMatch> labels = new ArrayList<>();
                            labels.add(inNamespace(policy.meta().namespace()));
                            addPodLabels(same.pods(), labels);
                            yield new PeerMatch.Labelled(List.copyOf(labels));
                        }
                        case final PodsOfNamespaces any -> {
                            final List<LabelMatch> labels = new ArrayList<>();
                            labels.add(
                                    LabelMatch.exists(
                                            LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY));
                            any.namespaces()
                                    .requirements()
                                    .forEach(r -> labels.add(LabelMatch.ofNamespaceLabel(r)));
                            addPodLabels(any.pods(), labels);
                            yield new PeerMatch.Labelled(List.copyOf(labels));
                        }
                        case final IpBlock block ->
                                new PeerMatch.InPrefix(
                                        block.cidr(), block.except(), IP_BLOCK_KINDS);
                    });
        }
        return new PeerMatch.AnyOf(List.copyOf(terms));
    }

    private static void addPodLabels(final LabelSelector selector, final List<LabelMatch> labels) {
        selector.requirements().forEach(r -> labels.add(LabelMatch.ofPodLabel(r)));
    }

    private static LabelMatch inNamespace(final String namespace) {
        return LabelMatch.equal(LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY, namespace);
    }

    private static PortMatch port(final NetworkPolicy.Port port) {
        return switch (port) {
            case final PortRange range ->
                    new PortMatch.Range(range.protocol(), range.from(), range.to());
            case final PortName name -> new PortMatch.Named(name.protocol(), name.name());
        };
    }
}
