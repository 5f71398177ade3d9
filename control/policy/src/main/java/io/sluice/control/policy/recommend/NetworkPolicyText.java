package io.sluice.control.policy.recommend;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.replay.ReplayWorld;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * Drafts as {@code NetworkPolicy}.
 *
 * <p>It has no names: the address that a name had is allowed, with the name in a comment. Its
 * {@code ipBlock} matches pods and nodes as well, so everything outside is everything except the
 * prefixes in which pods and nodes are: of 24 and 64 bits, or each address where a peer outside was
 * seen in its prefix.
 */
final class NetworkPolicyText implements PolicyText {
    private static final int IPV4_PREFIX_BITS = 24;
    private static final int IPV6_PREFIX_BITS = 64;

    private final Collection<Draft> drafts;
    private final RecommendOptions options;
    private final Function<Workload, WorkloadSelector> selectors;
    private final NavigableSet<IpAddress> inside = new TreeSet<>();

    NetworkPolicyText(
            final ReplayWorld world,
            final Function<Workload, WorkloadSelector> selectors,
            final Collection<Draft> drafts,
            final RecommendOptions options) {
        this.drafts = drafts;
        this.options = options;
        this.selectors = selectors;
        world.world().pods().stream()
                .filter(Pod::isEndpoint)
                .forEach(pod -> inside.addAll(pod.addresses()));
        world.world().all(KubeObject.Node.class).forEach(node -> inside.addAll(node.addresses()));
        inside.addAll(world.options().hostAddresses());
    }

    @Override
    public String write() {
        final YamlLines yaml = new YamlLines();
        for (final Draft draft : drafts) {
            PolicyText.head(
                    yaml, draft, "networking.k8s.io/v1", "NetworkPolicy", options.audited());
            final WorkloadSelector selector = draft.selector();
            if (selector.isEmpty()) {
                yaml.line(2, "podSelector: {}");
            } else {
                yaml.line(2, "podSelector:").selector(4, Map.of(), selector);
            }
            yaml.line(2, "policyTypes: [Ingress, Egress]");
            side(yaml, draft, PolicyDirection.INGRESS, "ingress", "from");
            side(yaml, draft, PolicyDirection.EGRESS, "egress", "to");
        }
        return yaml.toString();
    }

    private void side(
            final YamlLines yaml,
            final Draft draft,
            final PolicyDirection direction,
            final String list,
            final String peers) {
        final List<Draft.Rule> rules = draft.rules(direction);
        if (rules.isEmpty()) {
            yaml.line(2, list + ": []");
            return;
        }
        yaml.line(2, list + ":");
        for (final Draft.Rule rule : rules) {
            yaml.comment(2, PolicyText.comment(rule));
            yaml.line(2, "- " + peers + ":");
            rule.peers().forEach(peer -> peer(yaml, draft, direction, peer));
            yaml.line(4, "ports:");
            for (final PolicyText.Range range : PolicyText.ranges(rule.ports().keySet())) {
                yaml.line(
                        4,
                        "- {protocol: "
                                + range.protocolName()
                                + ", port: "
                                + range.first()
                                + (range.last() == range.first()
                                        ? ""
                                        : ", endPort: " + range.last())
                                + "}");
            }
        }
    }

    private void peer(
            final YamlLines yaml,
            final Draft draft,
            final PolicyDirection direction,
            final DraftPeer peer) {
        switch (peer) {
            case final DraftPeer.OfWorkload pods -> pods(yaml, draft, pods.workload());
            case final DraftPeer.OfNode node ->
                    yaml.line(4, "- ipBlock:")
                            .line(8, "cidr: " + cidr(node.address()) + " # a node");
            case final DraftPeer.At at -> {
                final NavigableSet<String> names = draft.namesOf(direction, at);
                yaml.line(4, "- ipBlock:");
                if (!names.isEmpty()) {
                    yaml.comment(
                            8,
                            String.join(", ", names)
                                    + ": a name's address may change, and this policy with it");
                }
                yaml.line(8, "cidr: " + cidr(at.address()));
            }
            case final DraftPeer.Outside outside -> outside(yaml, draft, outside);
            case final DraftPeer.Named named ->
                    throw new IllegalArgumentException(named + ": NetworkPolicy has no names");
        }
    }

    private void pods(final YamlLines yaml, final Draft draft, final Workload workload) {
        final WorkloadSelector selector = selectors.apply(workload);
        final boolean foreign = !workload.namespace().equals(draft.workload().namespace());
        String dash = "- ";
        if (foreign) {
            yaml.line(4, "- namespaceSelector:")
                    .line(8, "matchLabels:")
                    .map(10, Map.of("kubernetes.io/metadata.name", workload.namespace()));
            dash = "  ";
        }
        if (selector.isEmpty()) {
            yaml.line(4, dash + "podSelector: {}");
        } else {
            yaml.line(4, dash + "podSelector:").selector(8, Map.of(), selector);
        }
    }

    private void outside(final YamlLines yaml, final Draft draft, final DraftPeer.Outside outside) {
        yaml.line(4, "- ipBlock:")
                .comment(
                        8, "everything outside: more than " + options.addressesMax() + " addresses")
                .line(8, "cidr: " + (outside.ipv4() ? "0.0.0.0/0" : "'::/0'"));
        final Map<Cidr, NavigableSet<IpAddress>> byPrefix = new TreeMap<>();
        for (final IpAddress address : inside) {
            if (address.isIpv4() == outside.ipv4()) {
                byPrefix.computeIfAbsent(prefix(address), _ -> new TreeSet<>()).add(address);
            }
        }
        final Set<Cidr> shared = new HashSet<>();
        draft.outside().forEach(address -> shared.add(prefix(address)));
        if (!byPrefix.isEmpty()) {
            yaml.line(8, "except: # pods and nodes");
            byPrefix.forEach(
                    (prefix, addresses) -> {
                        if (shared.contains(prefix)) {
                            addresses.forEach(address -> yaml.line(8, "- " + cidr(address)));
                        } else {
                            yaml.line(8, "- " + YamlLines.scalar(prefix.toString()));
                        }
                    });
        }
    }

    private static Cidr prefix(final IpAddress address) {
        return Cidr.around(address, address.isIpv4() ? IPV4_PREFIX_BITS : IPV6_PREFIX_BITS);
    }

    private static String cidr(final IpAddress address) {
        return YamlLines.scalar(Cidr.host(address).toString());
    }
}
