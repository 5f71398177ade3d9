package io.sluice.control.policy;

import io.sluice.control.policy.Question.PacketEnd;
import java.util.List;

/** What a NetworkPolicy of networking.k8s.io says about a packet, straight from the object. */
final class NetworkPolicyJudge {
    private final World world;
    private final List<NetworkPolicy> policies;

    NetworkPolicyJudge(final World world, final List<NetworkPolicy> policies) {
        this.world = world;
        this.policies = policies;
    }

    List<NetworkPolicy> all() {
        return policies;
    }

    /** Some rule allows; and what isolates an endpoint never keeps out the endpoint's own node. */
    Ruling judge(final NetworkPolicy policy, final Question question) {
        if (!selects(policy, question)) {
            return Ruling.NOT_SELECTED;
        }
        if (question.isFromOwnNode()) {
            return Ruling.allow("own node");
        }
        final List<NetworkPolicy.Rule> rules =
                question.direction() == PolicyDirection.INGRESS
                        ? policy.ingress()
                        : policy.egress();
        for (int i = 0; i < rules.size(); i++) {
            if (matches(policy, rules.get(i), question)) {
                return Ruling.allow(policy.ref() + " " + question.direction() + " " + i);
            }
        }
        return Ruling.NO_RULE;
    }

    private static boolean selects(final NetworkPolicy policy, final Question question) {
        return policy.directions().contains(question.direction())
                && question.pod()
                        .filter(pod -> policy.meta().namespace().equals(pod.meta().namespace()))
                        .filter(
                                pod ->
                                        JudgedLabels.match(
                                                policy.podSelector(), pod.meta().labels()))
                        .isPresent();
    }

    /** Some peer, and some port; an empty list is everything. */
    private boolean matches(
            final NetworkPolicy policy, final NetworkPolicy.Rule rule, final Question question) {
        final boolean peer =
                rule.peers().isEmpty()
                        || rule.peers().stream().anyMatch(p -> matches(policy, p, question.peer()));
        final boolean port =
                rule.ports().isEmpty() || rule.ports().stream().anyMatch(p -> matches(p, question));
        return peer && port;
    }

    private boolean matches(
            final NetworkPolicy policy, final NetworkPolicy.Peer peer, final PacketEnd other) {
        return switch (peer) {
            case final NetworkPolicy.IpBlock block ->
                    block.cidr().contains(other.address())
                            && block.except().stream().noneMatch(e -> e.contains(other.address()));
            case final NetworkPolicy.PodsOfSameNamespace same ->
                    other.pod().isPresent()
                            && other.pod()
                                    .get()
                                    .meta()
                                    .namespace()
                                    .equals(policy.meta().namespace())
                            && JudgedLabels.match(same.pods(), other.pod().get().meta().labels());
            case final NetworkPolicy.PodsOfNamespaces any ->
                    other.pod().isPresent()
                            && JudgedLabels.match(
                                    any.namespaces(),
                                    world.namespaceLabels(other.pod().get().meta().namespace()))
                            && JudgedLabels.match(any.pods(), other.pod().get().meta().labels());
        };
    }

    private static boolean matches(final NetworkPolicy.Port port, final Question question) {
        return switch (port) {
            case final NetworkPolicy.PortRange range ->
                    question.isTo(range.protocol(), range.from(), range.to());
            case final NetworkPolicy.PortName name ->
                    question.isToNamed(name.protocol(), name.name());
        };
    }
}
