package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.PolicyEvaluator.End;
import io.sluice.control.policy.PolicyEvaluator.Question;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Why a probe got its verdict, in sentences: tier by tier the policies that select the endpoint,
 * rule by rule what matched and what was missing where one did not.
 *
 * <p>It asks the statements, not the compiled map, whose verdict it prints; so a reader can check
 * the one against the other. Thread: any, stateless.
 */
final class PolicyExplainer {
    private static final int REASONS_MAX = 3;

    /** Shorter values are close to each other without being meant for each other. */
    private static final int TYPO_LENGTH_MIN = 4;

    private final PolicySet policies;
    private final PolicyEvaluator evaluator;

    PolicyExplainer(final PolicySet policies, final PolicyEvaluator evaluator) {
        this.policies = policies;
        this.evaluator = evaluator;
    }

    List<String> explain(final Question question, final Evaluation evaluation) {
        final List<String> lines = new ArrayList<>();
        lines.add(
                question.from().text()
                        + " -> "
                        + question.to().text()
                        + " "
                        + packet(question)
                        + ": "
                        + evaluation.verdict()
                        + (evaluation.reason() == PolicyEntry.Reason.NONE
                                ? ""
                                : " (" + evaluation.reason() + ")"));
        evaluation
                .request()
                .ifPresent(
                        answer ->
                                lines.add(
                                        "  request: "
                                                + (answer.allowed()
                                                        ? "forwarded"
                                                        : "refused: " + answer.answer())
                                                + ", by "
                                                + answer.by()));
        evaluation
                .pending()
                .ifPresent(
                        pending ->
                                lines.add(
                                        "  with the staged policies: "
                                                + (pending.allowed() ? "allowed" : "denied")
                                                + ", by "
                                                + decider(pending)));
        if (question.isSelf()) {
            lines.add("  a pod to itself: no policy applies");
            return lines;
        }
        explain(question, PolicyDirection.EGRESS, evaluation.egress(), lines);
        explain(question, PolicyDirection.INGRESS, evaluation.ingress(), lines);
        return lines;
    }

    private static Author decider(final Evaluation.Pending pending) {
        return pending.egress().isAllowed() ? pending.ingress().by() : pending.egress().by();
    }

    private static String packet(final Question question) {
        final int protocol = question.protocol();
        if (IpProtocol.isIcmp(protocol)) {
            return IpProtocol.nameOf(protocol)
                    + " type "
                    + (question.port() >> 8)
                    + " code "
                    + (question.port() & 0xff);
        }
        return IpProtocol.hasPorts(protocol)
                ? question.port() + "/" + IpProtocol.nameOf(protocol)
                : "protocol " + IpProtocol.nameOf(protocol);
    }

    private void explain(
            final Question question,
            final PolicyDirection direction,
            final PolicyEntry answer,
            final List<String> lines) {
        final End subject = question.subject(direction);
        lines.add(
                direction.field()
                        + " of "
                        + subject.text()
                        + ": "
                        + answer.verdict()
                        + (answer.isAllowed() ? "" : " " + answer.reason())
                        + ", by "
                        + answer.by());
        answer.audited()
                .ifPresent(
                        audited ->
                                lines.add(
                                        "  audited policies would say: "
                                                + audited.verdict()
                                                + (audited.isAllowed()
                                                        ? ""
                                                        : " " + audited.reason())
                                                + ", by "
                                                + audited.by()));
        answer.logs().forEach(log -> lines.add("  logged by " + log));
        final List<HostPolicies.Asked> nodes = evaluator.asked(question, direction);
        if (subject.subject().isEmpty() && nodes.isEmpty()) {
            return;
        }
        final int number = question.peerIdentity(direction);
        lines.add(
                "  peer: identity "
                        + number
                        + policies.identity(number)
                                .map(identity -> " " + identity.labels())
                                .orElse(""));
        final Optional<PeerFacts> peer = evaluator.peerFacts(question, direction);
        subject.subject()
                .map(policy -> policy.side(direction).statements())
                .ifPresent(asked -> explain(question, direction, asked, peer, lines));
        for (final HostPolicies.Asked asked : nodes) {
            explain(question, asked, lines);
        }
    }

    private static void explain(
            final Question question, final HostPolicies.Asked asked, final List<String> lines) {
        final HostPolicies.Side side = asked.side();
        final String direction = asked.direction().field();
        switch (side.way()) {
            case LOCAL -> {}
            case LOOPBACK ->
                    lines.add("  through the loopback of node " + side.host().node() + ":");
            case RECEIVED -> lines.add("  received by node " + side.host().node() + ":");
            case FORWARD ->
                    lines.add("  forwarded by node " + side.host().node() + ", " + direction + ":");
        }
        final Optional<PeerFacts> peer = Optional.of(asked.peer());
        final String effect =
                side.way() == HostPolicies.Way.FORWARD
                        ? "match: doNotTrack and preDNAT do not apply"
                        : "match: always open";
        for (final PolicyRule rule : side.failsafes()) {
            lines.add(
                    "  failsafe ports: "
                            + (contains(question, asked.direction(), rule, peer)
                                    ? effect
                                    : "no match: " + packet(question) + " is none of them"));
        }
        explain(question, asked.direction(), side.statements(), peer, lines);
    }

    private static void explain(
            final Question question,
            final PolicyDirection direction,
            final List<PolicyStatement> statements,
            final Optional<PeerFacts> peer,
            final List<String> lines) {
        if (statements.isEmpty()) {
            lines.add("  no policy selects the endpoint in this direction");
            return;
        }
        String tier = "";
        for (int i = 0; i < statements.size(); i++) {
            final PolicyStatement statement = statements.get(i);
            if (!statement.place().tier().name().equals(tier)) {
                tier = statement.place().tier().name();
                lines.add("  tier " + tier + ":");
            }
            lines.add("    " + heading(statement));
            if (statement.rules().isEmpty()) {
                lines.add("      no rules");
            }
            for (final PolicyRule rule : statement.rules()) {
                lines.add("      " + explain(question, direction, rule, peer));
            }
            final boolean last =
                    i + 1 == statements.size()
                            || !statements.get(i + 1).place().tier().name().equals(tier);
            if (last) {
                lines.add("    " + endOfTier(statements, statement.place().tier()));
            }
        }
    }

    private static String heading(final PolicyStatement statement) {
        final String remark =
                switch (statement.staging()) {
                    case ENFORCED -> statement.isAudited() ? ", audited" : "";
                    case SET, LEARN -> ", staged";
                    case DELETE -> ", staged: would delete the policy of its name";
                    case IGNORE -> ", staged: ignored";
                };
        final boolean orders =
                statement.policy() instanceof AdminPolicy
                        || statement.policy() instanceof CalicoPolicy.Profile;
        return statement.policy().ref()
                + " ("
                + statement.policy().where()
                + ")"
                + remark
                + (statement.isolates() || orders ? "" : ", does not isolate")
                + ":";
    }

    private static String endOfTier(final List<PolicyStatement> statements, final PolicyTier tier) {
        final boolean isolated =
                statements.stream()
                        .anyMatch(
                                statement ->
                                        statement.place().tier().equals(tier)
                                                && statement.isolates()
                                                && statement.staging() == Staging.ENFORCED
                                                && !statement.isAudited());
        return tier.denies() && isolated && !goesOn(statements, tier)
                ? "end of tier: what no rule decided is denied"
                : "end of tier: what no rule decided goes on";
    }

    /** Whether the tier is of policies that leave the rest to the next stage of a node. */
    private static boolean goesOn(final List<PolicyStatement> statements, final PolicyTier tier) {
        return statements.stream()
                .filter(statement -> statement.place().tier().equals(tier))
                .allMatch(
                        statement ->
                                statement.policy() instanceof final CalicoPolicy calico
                                        && (calico.doNotTrack() || calico.preDnat()));
    }

    private static String explain(
            final Question question,
            final PolicyDirection direction,
            final PolicyRule rule,
            final Optional<PeerFacts> peer) {
        final Author by = rule.by();
        final String name = by.list() + "[" + by.rule() + "] (line " + by.line() + "): ";
        final boolean peerMatches =
                peer.map(facts -> rule.peers().matches(facts))
                        .orElse(rule.peers().equals(PeerMatch.EVERYONE));
        final boolean trafficMatches = contains(question, direction, rule, peer);
        final String traffic =
                rule.traffic().isEmpty()
                        ? "every port"
                        : String.join(
                                ", ", rule.traffic().stream().map(Traffic::toString).toList());
        if (!peerMatches) {
            return name
                    + "no match: "
                    + peer.map(facts -> whyNot(rule.peers(), facts)).orElse("the peer is unknown")
                    + (trafficMatches ? "" : "; and " + packet(question) + " is not in " + traffic);
        }
        if (!trafficMatches) {
            return name
                    + "no match: the peer is "
                    + rule.peers()
                    + ", but "
                    + packet(question)
                    + " is not in "
                    + traffic;
        }
        return name
                + "match: "
                + effect(rule)
                + " "
                + rule.peers()
                + " at "
                + traffic
                + (rule.local().equals(PeerMatch.EVERYONE) ? "" : ", if it is " + rule.local());
    }

    private static String effect(final PolicyRule rule) {
        return switch (rule.effect()) {
            case ALLOW ->
                    rule.l7()
                            .map(l7 -> "asks the " + l7.parser() + " proxy about")
                            .orElse("allows");
            case DENY -> "denies";
            case AUTHENTICATE -> "demands authentication of";
            case PASS -> "passes to the next tier";
            case LOG -> "logs";
        };
    }

    private static boolean contains(
            final Question question,
            final PolicyDirection direction,
            final PolicyRule rule,
            final Optional<PeerFacts> peer) {
        if (rule.traffic().isEmpty()) {
            return true;
        }
        final Set<Pod.NamedPort> own = Set.copyOf(question.subject(direction).ports());
        final Set<Pod.NamedPort> others = peer.map(PeerFacts::ports).orElse(Set.of());
        final boolean ingress = direction == PolicyDirection.INGRESS;
        return rule.traffic().stream()
                .anyMatch(
                        traffic ->
                                traffic.contains(
                                        question.protocol(),
                                        question.sourcePort(),
                                        question.port(),
                                        ingress ? others : own,
                                        ingress ? own : others));
    }

    /** What a peer lacks to be matched. */
    private static String whyNot(final PeerMatch match, final PeerFacts peer) {
        return switch (match) {
            case PeerMatch.Everyone _ -> "everyone matches";
            case final PeerMatch.AnyOf any -> {
                if (any.alternatives().isEmpty()) {
                    yield "the rule matches nobody";
                }
                final List<String> reasons =
                        any.alternatives().stream()
                                .limit(REASONS_MAX)
                                .map(alternative -> whyNot(alternative, peer))
                                .distinct()
                                .toList();
                yield String.join("; ", reasons)
                        + (any.alternatives().size() > REASONS_MAX ? "; ..." : "");
            }
            case final PeerMatch.AllOf all ->
                    all.conditions().stream()
                            .filter(condition -> !condition.matches(peer))
                            .findFirst()
                            .map(condition -> whyNot(condition, peer))
                            .orElse("");
            case final PeerMatch.Labelled labelled ->
                    labelled.requirements().stream()
                            .filter(requirement -> !requirement.matches(peer.labels()))
                            .findFirst()
                            .map(requirement -> whyNot(requirement, peer))
                            .orElse("");
            case final PeerMatch.InPrefix prefix -> "its address is not in " + prefix;
            case final PeerMatch.Named named ->
                    "its address was not learned from " + named.pattern();
            case PeerMatch.Not _, PeerMatch.OfKind _, PeerMatch.OfNode _, PeerMatch.Selected _ ->
                    "the peer is not " + match;
        };
    }

    private static String whyNot(final LabelMatch requirement, final PeerFacts peer) {
        for (final String key : requirement.keys()) {
            final String value = peer.labels().get(key);
            if (value != null) {
                final String shown =
                        key.startsWith(LabelMatch.SOURCE_K8S)
                                ? key.substring(LabelMatch.SOURCE_K8S.length())
                                : key;
                final String near =
                        requirement.operator() == Operator.IN && value.length() >= TYPO_LENGTH_MIN
                                ? Fields.nearest(value, requirement.values())
                                        .map(name -> ": did you mean " + value + "?")
                                        .orElse("")
                                : "";
                return "its label "
                        + shown
                        + " is "
                        + value
                        + ", and the rule asks for "
                        + requirement
                        + near;
            }
        }
        return "it has no label for " + requirement;
    }
}
