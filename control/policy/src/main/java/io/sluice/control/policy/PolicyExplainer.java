package io.sluice.control.policy;

import io.sluice.control.policy.Explanation.Chain;
import io.sluice.control.policy.Explanation.NearMiss;
import io.sluice.control.policy.Explanation.Policy;
import io.sluice.control.policy.Explanation.Rule;
import io.sluice.control.policy.Explanation.Side;
import io.sluice.control.policy.Explanation.Tier;
import io.sluice.control.policy.PolicyEvaluator.End;
import io.sluice.control.policy.PolicyEvaluator.Question;
import io.sluice.control.policy.UnmetConditions.Packet;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Why a probe got its verdict: tier by tier the policies that select the endpoint, rule by rule
 * what matched and what was missing where one did not; and in front what nearly decided otherwise.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>It asks the statements that were compiled, not the map whose verdict it explains; so a reader
 * can check the one against the other. What a rule lacks comes from {@link UnmetConditions}, which
 * has nothing to say of a rule exactly when the rule matches.
 *
 * <p>A near miss is what would have answered otherwise, had a few conditions been met: of a denied
 * packet rules that allow or pass, of an allowed one rules that deny; of a refused request rules
 * whose connections it belongs to; and, where no rule decided, policies that do not select the
 * endpoint because of one label that looks like a slip of the pen. At most {@link #UNMET_MAX}
 * conditions may be missing, and at most {@link Explanation#NEAR_MISSES_MAX} are told per
 * direction: those with the fewest unmet conditions first, before others of as many those about the
 * request, then those with a suggestion, then in the order they are asked.
 *
 * <p>Policies that do not select the endpoint are not kept with the compiled policy; they are
 * translated again when asked for, by the compiler's own translators. Thread: any, stateless.
 */
final class PolicyExplainer {
    /** Conditions that something which nearly matched may lack. */
    private static final int UNMET_MAX = 2;

    private static final Comparator<NearMiss> CLOSEST_FIRST =
            Comparator.<NearMiss>comparingInt(miss -> miss.unmet().size())
                    .thenComparing(miss -> miss.kind() != NearMiss.Kind.REQUEST)
                    .thenComparing(
                            miss ->
                                    miss.unmet().stream()
                                            .allMatch(unmet -> unmet.suggestion().isEmpty()));

    private final World world;
    private final PolicySet policies;
    private final PolicyEvaluator evaluator;
    private final Question question;
    private final Evaluation evaluation;
    private final RequestJudge request;
    private final Packet packet;

    PolicyExplainer(
            final World world,
            final PolicySet policies,
            final PolicyEvaluator evaluator,
            final Question question,
            final Probe probe,
            final Evaluation evaluation) {
        this.world = world;
        this.policies = policies;
        this.evaluator = evaluator;
        this.question = question;
        this.evaluation = evaluation;
        this.request = new RequestJudge(probe.l7());
        this.packet =
                new Packet(
                        question.protocol(),
                        question.sourcePort(),
                        question.port(),
                        nameOf(question.to()));
    }

    Explanation explain() {
        final List<String> headline = new ArrayList<>();
        headline.add(
                nameOf(question.from())
                        + " -> "
                        + nameOf(question.to())
                        + " "
                        + packet
                        + ": "
                        + evaluation.verdict()
                        + (evaluation.reason() == PolicyEntry.Reason.NONE
                                ? ""
                                : " (" + evaluation.reason() + ")"));
        evaluation
                .request()
                .ifPresent(
                        answer ->
                                headline.add(
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
                                headline.add(
                                        "  with the staged policies: "
                                                + (pending.allowed() ? "allowed" : "denied")
                                                + ", by "
                                                + decider(pending)));
        if (question.isSelf()) {
            headline.add("  a pod to itself: no policy applies");
            return new Explanation(List.copyOf(headline), List.of());
        }
        return new Explanation(
                List.copyOf(headline),
                List.of(
                        side(PolicyDirection.EGRESS, evaluation.egress()),
                        side(PolicyDirection.INGRESS, evaluation.ingress())));
    }

    private static Author decider(final Evaluation.Pending pending) {
        return pending.egress().isAllowed() ? pending.ingress().by() : pending.egress().by();
    }

    /** A pod by its name, and by its address too where the probe gave that. */
    private static String nameOf(final End end) {
        return end.pod()
                .map(pod -> pod.ref().path())
                .filter(path -> !path.equals(end.text()))
                .map(path -> end.text().indexOf('/') < 0 ? path + " (" + end.text() + ")" : path)
                .orElse(end.text());
    }

    // One direction.

    private Side side(final PolicyDirection direction, final PolicyEntry answer) {
        final End subject = question.subject(direction);
        final List<String> remarks = new ArrayList<>();
        answer.audited()
                .ifPresent(
                        audited ->
                                remarks.add(
                                        "audited policies would say: "
                                                + Explanation.said(audited)
                                                + ", by "
                                                + audited.by()));
        answer.logs().forEach(log -> remarks.add("logged by " + log));
        final List<HostPolicies.Asked> nodes = evaluator.asked(question, direction);
        if (subject.subject().isEmpty() && nodes.isEmpty()) {
            return new Side(
                    direction, nameOf(subject), answer, List.copyOf(remarks), List.of(), List.of());
        }
        final int number = question.peerIdentity(direction);
        remarks.add(
                "peer: identity "
                        + number
                        + policies.identity(number)
                                .map(identity -> " " + identity.labels())
                                .orElse(""));
        final List<Chain> chains = new ArrayList<>();
        subject.subject()
                .map(
                        policy ->
                                chain(
                                        "",
                                        List.of(),
                                        policy.side(direction).statements(),
                                        conditions(direction)))
                .ifPresent(chains::add);
        nodes.forEach(asked -> chains.add(ofNode(asked)));
        return new Side(
                direction,
                nameOf(subject),
                answer,
                List.copyOf(remarks),
                nearMisses(direction, answer, chains),
                List.copyOf(chains));
    }

    /** What a rule of the endpoint's own policies is asked. */
    UnmetConditions conditions(final PolicyDirection direction) {
        return conditions(
                direction,
                evaluator.peerFacts(question, direction),
                evaluator.ownFacts(question, direction));
    }

    private UnmetConditions conditions(
            final PolicyDirection direction,
            final Optional<PeerFacts> peer,
            final Optional<PeerFacts> own) {
        final End subject = question.subject(direction);
        final End other = direction == PolicyDirection.EGRESS ? question.to() : question.from();
        return new UnmetConditions(
                direction,
                packet,
                peer.map(facts -> end(other, facts)),
                own.map(facts -> end(subject, facts)),
                Set.copyOf(subject.ports()));
    }

    private UnmetPeerConditions.End end(final End end, final PeerFacts facts) {
        final Set<String> names = new TreeSet<>();
        end.addresses()
                .forEach(address -> names.addAll(world.names().getOrDefault(address, Set.of())));
        if (end.equals(question.to()) && !question.toName().isEmpty()) {
            names.add(question.toName());
        }
        return new UnmetPeerConditions.End(nameOf(end), facts, end.addresses(), names);
    }

    // Chains.

    private Chain ofNode(final HostPolicies.Asked asked) {
        final HostPolicies.Side side = asked.side();
        final String heading =
                switch (side.way()) {
                    case LOCAL -> "";
                    case LOOPBACK -> "through the loopback of node " + side.host().node() + ":";
                    case RECEIVED -> "received by node " + side.host().node() + ":";
                    case FORWARD ->
                            "forwarded by node "
                                    + side.host().node()
                                    + ", "
                                    + asked.direction().field()
                                    + ":";
                };
        final String effect =
                side.way() == HostPolicies.Way.FORWARD
                        ? "match: doNotTrack and preDNAT do not apply"
                        : "match: always open";
        final UnmetConditions conditions = conditions(asked);
        final List<String> remarks = new ArrayList<>();
        for (final PolicyRule rule : side.failsafes()) {
            remarks.add(
                    "failsafe ports: "
                            + (conditions.of(rule).isEmpty()
                                    ? effect
                                    : "no match: " + packet + " is none of them"));
        }
        return chain(heading, List.copyOf(remarks), side.statements(), conditions);
    }

    /** What a rule of a node's policies is asked. */
    UnmetConditions conditions(final HostPolicies.Asked asked) {
        return conditions(
                asked.direction(), Optional.of(asked.peer()), Optional.of(asked.side().own()));
    }

    private Chain chain(
            final String heading,
            final List<String> remarks,
            final List<PolicyStatement> statements,
            final UnmetConditions conditions) {
        final List<Tier> tiers = new ArrayList<>();
        int first = 0;
        while (first < statements.size()) {
            final PolicyTier tier = statements.get(first).place().tier();
            int end = first;
            while (end < statements.size()
                    && statements.get(end).place().tier().name().equals(tier.name())) {
                end++;
            }
            tiers.add(
                    new Tier(
                            tier.name(),
                            statements.subList(first, end).stream()
                                    .map(statement -> policy(statement, conditions))
                                    .toList(),
                            deniesRest(statements, tier)));
            first = end;
        }
        return new Chain(heading, remarks, List.copyOf(tiers));
    }

    private Policy policy(final PolicyStatement statement, final UnmetConditions conditions) {
        final String staging =
                switch (statement.staging()) {
                    case ENFORCED -> statement.isAudited() ? ", audited" : "";
                    case SET, LEARN -> ", staged";
                    case DELETE -> ", staged: would delete the policy of its name";
                    case IGNORE -> ", staged: ignored";
                };
        final boolean orders =
                statement.policy() instanceof AdminPolicy
                        || statement.policy() instanceof CalicoPolicy.Profile;
        return new Policy(
                statement.policy().ref(),
                statement.policy().where(),
                staging + (statement.isolates() || orders ? "" : ", does not isolate"),
                statement.rules().stream().map(rule -> rule(rule, conditions)).toList());
    }

    private Rule rule(final PolicyRule rule, final UnmetConditions conditions) {
        final String traffic =
                rule.traffic().isEmpty()
                        ? "every port"
                        : String.join(
                                ", ", rule.traffic().stream().map(Traffic::toString).toList());
        final List<UnmetCondition> unmet = conditions.of(rule);
        return new Rule(
                rule.by(),
                says(rule.effect()),
                effect(rule),
                UnmetPeerConditions.plain(rule.peers()) + " at " + traffic,
                unmet,
                unmet.isEmpty() ? rule.l7().map(request::unmet).orElse(List.of()) : List.of());
    }

    private static Rule.Says says(final PolicyRule.Effect effect) {
        return switch (effect) {
            case ALLOW -> Rule.Says.ALLOWED;
            case PASS -> Rule.Says.PASSED_ON;
            case DENY, AUTHENTICATE -> Rule.Says.DENIED;
            case LOG -> Rule.Says.NOTHING;
        };
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

    private static boolean deniesRest(
            final List<PolicyStatement> statements, final PolicyTier tier) {
        final boolean isolated =
                statements.stream()
                        .anyMatch(
                                statement ->
                                        statement.place().tier().equals(tier)
                                                && statement.isolates()
                                                && statement.staging() == Staging.ENFORCED
                                                && !statement.isAudited());
        return tier.denies() && isolated && !goesOn(statements, tier);
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

    // What came close.

    private List<NearMiss> nearMisses(
            final PolicyDirection direction, final PolicyEntry answer, final List<Chain> chains) {
        final List<NearMiss> misses = new ArrayList<>();
        for (final Chain chain : chains) {
            for (final Tier tier : asked(chain, answer)) {
                for (final Policy policy : tier.policies()) {
                    policy.rules().forEach(rule -> addIfContrary(rule, answer, misses));
                }
            }
        }
        if (answer.by().origin() == Author.Origin.DEFAULT
                || answer.by().origin() == Author.Origin.END_OF_TIER) {
            addUnselecting(direction, misses);
        }
        return misses.stream()
                .filter(miss -> miss.unmet().size() <= UNMET_MAX)
                .distinct()
                .sorted(CLOSEST_FIRST)
                .limit(Explanation.NEAR_MISSES_MAX)
                .toList();
    }

    /** The tiers up to the one that decided: what comes after it was not asked. */
    private static List<Tier> asked(final Chain chain, final PolicyEntry answer) {
        for (int i = 0; i < chain.tiers().size(); i++) {
            if (chain.tiers().get(i).name().equals(answer.by().tier())) {
                return chain.tiers().subList(0, i + 1);
            }
        }
        return chain.tiers();
    }

    /** Takes a rule that, had it matched, would have said otherwise. */
    private void addIfContrary(
            final Rule rule, final PolicyEntry answer, final List<NearMiss> misses) {
        final boolean refused = evaluation.request().map(said -> !said.allowed()).orElse(false);
        if (rule.matches()) {
            if (refused && !rule.request().isEmpty()) {
                misses.add(new NearMiss(NearMiss.Kind.REQUEST, rule.author(), rule.request()));
            }
            return;
        }
        final boolean denied = refused || !answer.isAllowed();
        final boolean isContrary =
                switch (rule.says()) {
                    case ALLOWED -> denied;
                    case PASSED_ON -> denied && rule.author().tier().equals(answer.by().tier());
                    case DENIED -> !denied;
                    case NOTHING -> false;
                };
        if (isContrary) {
            misses.add(new NearMiss(NearMiss.Kind.RULE, rule.author(), rule.unmet()));
        }
    }

    /** Policies that miss the endpoint by one label that looks like a slip of the pen. */
    private void addUnselecting(final PolicyDirection direction, final List<NearMiss> misses) {
        final Optional<PeerFacts> own = evaluator.ownFacts(question, direction);
        if (own.isEmpty() || question.subject(direction).subject().isEmpty()) {
            return;
        }
        final UnmetPeerConditions conditions =
                new UnmetPeerConditions(end(question.subject(direction), own.get()), "the policy");
        for (final PolicyStatement statement : policies.statements()) {
            if (statement.direction() != direction) {
                continue;
            }
            final List<UnmetCondition> unmet = conditions.of(statement.subject());
            if (unmet.size() == 1 && !unmet.getFirst().suggestion().isEmpty()) {
                misses.add(
                        new NearMiss(
                                NearMiss.Kind.SELECTOR,
                                Author.ofTierEnd(
                                        statement.place().tier().name(), statement.policy()),
                                unmet));
            }
        }
    }
}
