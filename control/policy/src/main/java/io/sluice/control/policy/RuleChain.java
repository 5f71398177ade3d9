package io.sluice.control.policy;

import io.sluice.control.policy.PeerSets.PeerSet;
import io.sluice.control.policy.PolicyEntry.Reason;
import io.sluice.control.policy.Traffic.Box;
import io.sluice.control.policy.Traffic.Range;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What one direction of an endpoint asks, in the order it is asked: the rules of all policies that
 * select it, tier by tier. {@link #program} is what comes out of it for one peer.
 *
 * <pre>
 *   tiers before default:  Calico's by order, kube-admin at 1000
 *   tier default:          Calico policies by order; at 1000 the additive group
 *   end of default:        deny, if a policy of it isolates the endpoint
 *   kube-baseline:         ...
 *   nothing answered:      the default verdict
 * </pre>
 *
 * <p>Thread: that of the compiler; immutable once made.
 */
final class RuleChain {
    /**
     * A rule with the peers it matches.
     *
     * <p>Identity is what counts: two rules that say the same are two rules.
     */
    static final class IndexedRule {
        private static final List<Box> ALL_TRAFFIC =
                List.of(new Box(Traffic.EVERY_PROTOCOL, Set.of(), Range.ALL, Range.ALL));

        private final PolicyRule rule;
        private final PeerSet peers;
        private final boolean named;
        private final List<Box> fixedBoxes;

        IndexedRule(final PolicyRule rule, final PeerSet peers) {
            this.rule = rule;
            this.peers = peers;
            this.named = rule.hasNamedPorts();
            this.fixedBoxes = named ? List.of() : boxes(rule, Set.of(), Set.of());
        }

        PolicyRule rule() {
            return rule;
        }

        PeerSet peers() {
            return peers;
        }

        List<Box> boxes(
                final Set<Pod.NamedPort> sourcePorts, final Set<Pod.NamedPort> destinationPorts) {
            return named ? boxes(rule, sourcePorts, destinationPorts) : fixedBoxes;
        }

        private static List<Box> boxes(
                final PolicyRule rule,
                final Set<Pod.NamedPort> sourcePorts,
                final Set<Pod.NamedPort> destinationPorts) {
            if (rule.traffic().isEmpty()) {
                return ALL_TRAFFIC;
            }
            final List<Box> boxes = new ArrayList<>();
            for (final Traffic traffic : rule.traffic()) {
                boxes.addAll(traffic.boxes(sourcePorts, destinationPorts));
            }
            return boxes;
        }
    }

    /** One step down the chain. */
    private sealed interface Step {}

    /** Neighbouring rules of ordered policies: positions from, up to but not with to. */
    private record Ask(int from, int to) implements Step {}

    /**
     * Rules of neighbouring additive policies, as for {@link Ask}: denies, then demands to
     * authenticate, then allows.
     */
    private record Group(int from, int to) implements Step {}

    /** End of a tier; without a last word what is left goes on. */
    private record TierEnd(Optional<PolicyEntry> lastWord) implements Step {}

    /** What a rule matches is not asked about until the {@link Resume}. */
    private record Skip(int rule) implements Step {}

    /** What was skipped is asked about again. */
    private record Resume() implements Step {}

    private static final List<PolicyRule.Effect> GROUP_ORDER =
            List.of(
                    PolicyRule.Effect.DENY,
                    PolicyRule.Effect.AUTHENTICATE,
                    PolicyRule.Effect.ALLOW);

    private final PolicyDirection direction;
    private final Set<Pod.NamedPort> localPorts;
    private final List<IndexedRule> rules;
    private final List<Step> enforced;
    private final Optional<List<Step>> audit;
    private final PolicyEntry nothingAnswered;
    private final boolean named;
    private final Key key;

    private RuleChain(
            final PolicyDirection direction,
            final Set<Pod.NamedPort> localPorts,
            final List<IndexedRule> rules,
            final List<Step> enforced,
            final Optional<List<Step>> audit,
            final PolicyEntry nothingAnswered) {
        this.direction = direction;
        this.localPorts = localPorts;
        this.rules = rules;
        this.enforced = enforced;
        this.audit = audit;
        this.nothingAnswered = nothingAnswered;
        this.named = rules.stream().anyMatch(rule -> rule.named);
        this.key = key(direction, named ? localPorts : Set.of(), rules, enforced, audit);
    }

    /**
     * A statement that selects the endpoint, with the rules of it that concern the endpoint.
     *
     * @param statement the statement
     * @param rules its rules, less those about other addresses of its own
     */
    record Part(PolicyStatement statement, List<IndexedRule> rules) {
        @Override
        public int hashCode() {
            return statement.hashCode();
        }
    }

    /**
     * Makes a chain.
     *
     * @param parts statements that select the endpoint, in the order of their places
     * @param ownNode the rule that lets the endpoint's own node in, where there is one
     * @param audited whether the endpoint as a whole is audited
     */
    static RuleChain of(
            final PolicyDirection direction,
            final Set<Pod.NamedPort> localPorts,
            final List<Part> parts,
            final Optional<IndexedRule> ownNode,
            final boolean audited,
            final PolicyEntry nothingAnswered) {
        final List<IndexedRule> rules = new ArrayList<>();
        final List<Step> all = steps(parts, ownNode, rules);
        final List<Part> enforcedParts =
                audited
                        ? List.of()
                        : parts.stream().filter(part -> !part.statement.isAudited()).toList();
        if (enforcedParts.size() == parts.size()) {
            return new RuleChain(
                    direction,
                    localPorts,
                    List.copyOf(rules),
                    all,
                    Optional.empty(),
                    nothingAnswered);
        }
        final List<Step> enforced = steps(enforcedParts, ownNode, rules);
        return new RuleChain(
                direction,
                localPorts,
                List.copyOf(rules),
                enforced,
                Optional.of(all),
                nothingAnswered);
    }

    /**
     * Policies of a node that are asked together.
     *
     * @param parts in the order of their places
     * @param denies whether the end of a tier denies what the tier leaves
     */
    record Stage(List<Part> parts, boolean denies) {}

    /** What becomes of the traffic of the rules before all stages. */
    enum OpeningEffect {
        ALLOWS,
        /** Stages whose tiers do not deny are not asked about it. */
        SKIPS_EARLY_STAGES
    }

    /** Rules that come before all stages: those of failsafe ports. */
    record Opening(List<IndexedRule> rules, OpeningEffect effect) {}

    /**
     * Makes the chain of a node.
     *
     * @param opening what comes before all stages
     * @param stages in their order
     * @param lastWord what holds for what all stages leave; empty for the default verdict
     */
    static RuleChain ofHost(
            final PolicyDirection direction,
            final Set<Pod.NamedPort> localPorts,
            final Opening opening,
            final List<Stage> stages,
            final Optional<PolicyEntry> lastWord,
            final boolean audited,
            final PolicyEntry nothingAnswered) {
        final List<IndexedRule> rules = new ArrayList<>();
        final List<Step> all = steps(opening, stages, lastWord, rules);
        final List<Stage> enforcedStages =
                stages.stream()
                        .map(
                                stage ->
                                        new Stage(
                                                stage.parts.stream()
                                                        .filter(part -> !audited)
                                                        .filter(part -> !part.statement.isAudited())
                                                        .toList(),
                                                stage.denies))
                        .toList();
        if (!audited && enforcedStages.equals(stages)) {
            return new RuleChain(
                    direction,
                    localPorts,
                    List.copyOf(rules),
                    all,
                    Optional.empty(),
                    nothingAnswered);
        }
        final List<Step> enforced =
                steps(opening, enforcedStages, audited ? Optional.empty() : lastWord, rules);
        return new RuleChain(
                direction,
                localPorts,
                List.copyOf(rules),
                enforced,
                Optional.of(all),
                nothingAnswered);
    }

    private static List<Step> steps(
            final Opening opening,
            final List<Stage> stages,
            final Optional<PolicyEntry> lastWord,
            final List<IndexedRule> rules) {
        final List<Step> steps = new ArrayList<>();
        boolean skipping = opening.effect == OpeningEffect.SKIPS_EARLY_STAGES;
        for (final IndexedRule rule : opening.rules) {
            final int position = rules.size();
            rules.add(rule);
            steps.add(skipping ? new Skip(position) : new Ask(position, position + 1));
        }
        for (final Stage stage : stages) {
            if (skipping && stage.denies) {
                steps.add(new Resume());
                skipping = false;
            }
            for (final Step step : steps(stage.parts, Optional.empty(), rules)) {
                steps.add(
                        step instanceof TierEnd && !stage.denies
                                ? new TierEnd(Optional.empty())
                                : step);
            }
        }
        lastWord.ifPresent(word -> steps.add(new TierEnd(Optional.of(word))));
        return List.copyOf(steps);
    }

    private static List<Step> steps(
            final List<Part> parts,
            final Optional<IndexedRule> ownNode,
            final List<IndexedRule> rules) {
        final List<Step> steps = new ArrayList<>();
        int first = 0;
        while (first < parts.size()) {
            final PolicyTier tier = parts.get(first).statement.place().tier();
            int end = first;
            while (end < parts.size() && parts.get(end).statement.place().tier().equals(tier)) {
                end++;
            }
            addTier(tier, parts.subList(first, end), ownNode, rules, steps);
            first = end;
        }
        return List.copyOf(steps);
    }

    private static void addTier(
            final PolicyTier tier,
            final List<Part> parts,
            final Optional<IndexedRule> ownNode,
            final List<IndexedRule> rules,
            final List<Step> steps) {
        int position = 0;
        while (position < parts.size()) {
            final boolean additive = parts.get(position).statement.place().additive();
            int end = position;
            while (end < parts.size() && parts.get(end).statement.place().additive() == additive) {
                end++;
            }
            final int first = rules.size();
            final List<Part> run = parts.subList(position, end);
            if (additive) {
                addGroup(run, ownNode, rules);
                steps.add(new Group(first, rules.size()));
            } else {
                run.forEach(part -> rules.addAll(part.rules));
                steps.add(new Ask(first, rules.size()));
            }
            position = end;
        }
        final Optional<PolicyEntry> lastWord =
                parts.stream()
                        .map(Part::statement)
                        .filter(statement -> tier.denies() && statement.isolates())
                        .findFirst()
                        .map(
                                statement ->
                                        PolicyEntry.deny(
                                                Reason.POLICY_DENIED,
                                                Author.ofTierEnd(tier.name(), statement.policy())));
        steps.add(new TierEnd(lastWord));
    }

    private static void addGroup(
            final List<Part> parts,
            final Optional<IndexedRule> ownNode,
            final List<IndexedRule> rules) {
        if (ownNode.isPresent() && parts.stream().anyMatch(part -> part.statement.isolates())) {
            rules.add(ownNode.get());
        }
        for (final Part part : parts) {
            for (final IndexedRule rule : part.rules) {
                switch (rule.rule.effect()) {
                    case DENY, AUTHENTICATE, ALLOW -> rules.add(rule);
                    case PASS, LOG ->
                            throw new IllegalStateException(
                                    "no " + rule.rule.effect() + " in the additive group");
                }
            }
        }
    }

    /** All rules; a rule that is enforced and audited stands here twice. */
    List<IndexedRule> rules() {
        return rules;
    }

    /** Whether the ports that a peer has names for matter. */
    boolean asksForNames() {
        return named;
    }

    /** Positions of the rules that match a peer, which need not be one of the world's. */
    BitSet matching(final PeerFacts peer) {
        final BitSet matching = new BitSet(rules.size());
        for (int i = 0; i < rules.size(); i++) {
            matching.set(i, rules.get(i).peers.match().matches(peer));
        }
        return matching;
    }

    /**
     * Rules that match a peer of the world.
     *
     * @param position of the peer in the rules' {@link PeerSet}s
     * @return positions of the rules
     */
    BitSet matchingAt(final int position) {
        final BitSet matching = new BitSet(rules.size());
        for (int i = 0; i < rules.size(); i++) {
            matching.set(i, rules.get(i).peers.members().get(position));
        }
        return matching;
    }

    /** Positions of the rules that match everyone, and so peers of whom nothing is known. */
    BitSet matchingEveryone() {
        final BitSet matching = new BitSet(rules.size());
        for (int i = 0; i < rules.size(); i++) {
            if (rules.get(i).peers.isEveryone()) {
                matching.set(i);
            }
        }
        return matching;
    }

    /**
     * What holds for a peer.
     *
     * @param matching positions of the rules that match it
     * @param peerPorts its named ports; need not be given if nothing asks for names
     */
    VerdictProgram program(final BitSet matching, final Set<Pod.NamedPort> peerPorts) {
        final VerdictProgram held = paint(enforced, matching, peerPorts);
        return audit.map(steps -> Canvas.audited(held, paint(steps, matching, peerPorts)))
                .orElse(held);
    }

    private VerdictProgram paint(
            final List<Step> steps, final BitSet matching, final Set<Pod.NamedPort> peerPorts) {
        final Canvas canvas = new Canvas();
        for (final Step step : steps) {
            switch (step) {
                case final Ask ask -> {
                    for (int i = matching.nextSetBit(ask.from);
                            i >= 0 && i < ask.to;
                            i = matching.nextSetBit(i + 1)) {
                        paint(canvas, rules.get(i), peerPorts);
                    }
                }
                case final Group group -> paint(canvas, group, matching, peerPorts);
                case final TierEnd end -> canvas.endTier(end.lastWord);
                case final Skip skip -> {
                    if (matching.get(skip.rule)) {
                        canvas.skip(boxes(rules.get(skip.rule), peerPorts));
                    }
                }
                case Resume _ -> canvas.resume();
            }
        }
        return canvas.finish(nothingAnswered);
    }

    private void paint(
            final Canvas canvas, final IndexedRule indexed, final Set<Pod.NamedPort> peerPorts) {
        final PolicyRule rule = indexed.rule;
        final List<Box> boxes = boxes(indexed, peerPorts);
        switch (rule.effect()) {
            case ALLOW -> {
                if (rule.l7().isPresent()) {
                    canvas.decideRequests(boxes, rule.l7().get(), rule.by());
                } else {
                    canvas.decide(boxes, PolicyEntry.allow(rule.by()));
                }
            }
            case DENY -> canvas.decide(boxes, PolicyEntry.deny(Reason.POLICY_DENY, rule.by()));
            case AUTHENTICATE ->
                    canvas.decide(boxes, PolicyEntry.deny(Reason.AUTH_REQUIRED, rule.by()));
            case PASS -> canvas.pass(boxes);
            case LOG -> canvas.log(boxes, rule.by());
        }
    }

    private void paint(
            final Canvas canvas,
            final Group group,
            final BitSet matching,
            final Set<Pod.NamedPort> peerPorts) {
        for (final PolicyRule.Effect effect : GROUP_ORDER) {
            for (int i = matching.nextSetBit(group.from);
                    i >= 0 && i < group.to;
                    i = matching.nextSetBit(i + 1)) {
                final IndexedRule indexed = rules.get(i);
                if (indexed.rule.effect() != effect) {
                    continue;
                }
                if (effect == PolicyRule.Effect.ALLOW) {
                    canvas.allow(boxes(indexed, peerPorts), indexed.rule.l7(), indexed.rule.by());
                } else {
                    paint(canvas, indexed, peerPorts);
                }
            }
        }
        canvas.endGroup();
    }

    private List<Box> boxes(final IndexedRule rule, final Set<Pod.NamedPort> peerPorts) {
        return switch (direction) {
            case INGRESS -> rule.boxes(peerPorts, localPorts);
            case EGRESS -> rule.boxes(localPorts, peerPorts);
        };
    }

    /**
     * How two chains of the same endpoints differ.
     *
     * @param gone rules of the former that are not in the same place of the other
     * @param added the same the other way round
     */
    record Difference(List<IndexedRule> gone, List<IndexedRule> added) {}

    /**
     * In which rules this chain differs from one before it, where that is all: for peers that none
     * of them matches both chains have the same program. Empty where that cannot be said at a look:
     * rules are audited, ask for named ports, or the order of tiers and groups is another. Costs a
     * look at each rule.
     *
     * <p>What both have at the beginning and at the end is left out. Of what is left, a step that
     * holds the common rules only must be the same in both; so a peer that no other rule matches
     * meets the same rules, in the same order, in the same groups, with the same last words.
     */
    Optional<Difference> differenceFrom(final RuleChain before) {
        if (audit.isPresent()
                || before.audit.isPresent()
                || named
                || before.named
                || direction != before.direction
                || !nothingAnswered.equals(before.nothingAnswered)) {
            return Optional.empty();
        }
        final int shorter = Math.min(rules.size(), before.rules.size());
        int front = 0;
        while (front < shorter && isSame(rules.get(front), before.rules.get(front))) {
            front++;
        }
        int back = 0;
        while (back < shorter - front
                && isSame(
                        rules.get(rules.size() - 1 - back),
                        before.rules.get(before.rules.size() - 1 - back))) {
            back++;
        }
        if (!stepsOfCommonRules(front, back).equals(before.stepsOfCommonRules(front, back))) {
            return Optional.empty();
        }
        return Optional.of(
                new Difference(
                        before.rules.subList(front, before.rules.size() - back),
                        rules.subList(front, rules.size() - back)));
    }

    // Identity is what counts.
    @SuppressWarnings("ReferenceEquality")
    private static boolean isSame(final IndexedRule one, final IndexedRule other) {
        return one == other;
    }

    /** The steps as if the rules behind the first front and before the last back were not there. */
    private List<Step> stepsOfCommonRules(final int front, final int back) {
        final List<Step> steps = new ArrayList<>();
        for (final Step step : enforced) {
            switch (step) {
                case final Ask ask -> {
                    final int from = inCommon(ask.from, front, back);
                    final int to = inCommon(ask.to, front, back);
                    if (from < to) {
                        steps.add(new Ask(from, to));
                    }
                }
                case final Group group -> {
                    final int from = inCommon(group.from, front, back);
                    final int to = inCommon(group.to, front, back);
                    if (from < to) {
                        steps.add(new Group(from, to));
                    }
                }
                case TierEnd _, Skip _, Resume _ -> steps.add(step);
            }
        }
        return steps;
    }

    private int inCommon(final int position, final int front, final int back) {
        return Math.min(position, front) + Math.max(0, position - (rules.size() - back));
    }

    /** Equal for chains that say the same, rule by rule: endpoints then share their policy map. */
    Key key() {
        return key;
    }

    private static Key key(
            final PolicyDirection direction,
            final Set<Pod.NamedPort> localPorts,
            final List<IndexedRule> rules,
            final List<Step> enforced,
            final Optional<List<Step>> audit) {
        final List<Object> content = List.of(direction, localPorts, rules, enforced, audit);
        return new Key(content, content.hashCode());
    }

    /**
     * What a chain says; hashed once.
     *
     * @param content all of it
     * @param hash of the content
     */
    record Key(List<Object> content, int hash) {
        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(final @Nullable Object object) {
            return object instanceof final Key other
                    && hash == other.hash
                    && content.equals(other.content);
        }
    }
}
