package io.sluice.control.policy;

import io.sluice.control.policy.AdminPolicy.Action;
import io.sluice.control.policy.Question.PacketEnd;
import java.util.List;
import java.util.Map;

/** What a policy of policy.networking.k8s.io says about a packet, straight from the object. */
final class AdminJudge {
    private final World world;

    AdminJudge(final World world) {
        this.world = world;
    }

    /** The first rule that matches; a policy without one has no say, it isolates nobody. */
    Ruling judge(final AdminPolicy policy, final Question question) {
        if (question.pod().filter(pod -> selects(policy.subject(), pod)).isEmpty()) {
            return Ruling.NOT_SELECTED;
        }
        final List<AdminPolicy.Rule> rules = policy.rules(question.direction());
        for (int i = 0; i < rules.size(); i++) {
            if (matches(rules.get(i), question)) {
                final String by = policy.ref() + " " + question.direction() + " " + i;
                return switch (rules.get(i).action()) {
                    case ACCEPT -> Ruling.allow(by);
                    case DENY -> Ruling.deny(by);
                    case PASS -> Ruling.pass(by);
                };
            }
        }
        return Ruling.NO_RULE;
    }

    private boolean selects(final AdminPolicy.Subject subject, final Pod pod) {
        return JudgedLabels.match(subject.namespaces(), namespaceLabels(pod))
                && (subject.pods().isEmpty()
                        || JudgedLabels.match(subject.pods().get(), pod.meta().labels()));
    }

    private Map<String, String> namespaceLabels(final Pod pod) {
        return world.namespaceLabels(pod.meta().namespace());
    }

    private boolean matches(final AdminPolicy.Rule rule, final Question question) {
        final boolean peer =
                rule.peers().stream().anyMatch(p -> matches(rule.action(), p, question.peer()));
        final boolean port =
                rule.ports().isEmpty() || rule.ports().stream().anyMatch(p -> matches(p, question));
        return peer && port;
    }

    private boolean matches(
            final Action action, final AdminPolicy.Peer peer, final PacketEnd other) {
        return switch (peer) {
            case final AdminPolicy.Namespaces namespaces ->
                    other.pod().isPresent()
                            && JudgedLabels.match(
                                    namespaces.namespaces(), namespaceLabels(other.pod().get()));
            case final AdminPolicy.Pods pods ->
                    other.pod().isPresent()
                            && JudgedLabels.match(
                                    pods.namespaces(), namespaceLabels(other.pod().get()))
                            && JudgedLabels.match(pods.pods(), other.pod().get().meta().labels());
            case final AdminPolicy.Networks networks ->
                    networks.cidrs().stream().anyMatch(cidr -> cidr.contains(other.address()));
            case final AdminPolicy.Nodes nodes ->
                    other.node().isPresent()
                            && JudgedLabels.match(
                                    nodes.nodes(), other.node().get().meta().labels());
            // No answers of name servers are learned in these worlds.
            case AdminPolicy.DomainNames _ -> false;
            case AdminPolicy.UnknownPeer _ -> action != Action.ACCEPT;
        };
    }

    private static boolean matches(final AdminPolicy.Port port, final Question question) {
        return switch (port) {
            case final AdminPolicy.PortRange range ->
                    question.isTo(range.protocol(), range.from(), range.to());
            case final AdminPolicy.PortName name -> question.isToNamed(name.name());
        };
    }
}
