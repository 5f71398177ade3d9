package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.Explanation.Chain;
import io.sluice.control.policy.Explanation.Policy;
import io.sluice.control.policy.Explanation.Rule;
import io.sluice.control.policy.Explanation.Side;
import io.sluice.control.policy.Explanation.Tier;
import io.sluice.control.policy.PolicyEvaluator.Question;
import io.sluice.control.policy.Traffic.Box;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * Explanations against the compiled chains, in random worlds of all kinds: a rule is said to lack
 * nothing exactly if it is one that the compiler lets match.
 *
 * <p>{@code -Dsluice.worlds=N} and {@code -Dsluice.seed=S} as in {@link
 * CompiledPolicyAgreesWithPacketJudgeTest}.
 */
final class ExplanationAgreesWithEngineTest {
    private static final int WORLD_COUNT = Integer.getInteger("sluice.worlds", 300);
    private static final long FIRST_SEED = Long.getLong("sluice.seed", 0);
    private static final int PROBES_PER_WORLD = 40;

    private static final List<String> PROTOCOLS = List.of("TCP", "UDP", "SCTP", "ICMP", "47");

    private final Map<UnmetCondition.Kind, Integer> seen = new EnumMap<>(UnmetCondition.Kind.class);
    private int rulesMatching;

    @Test
    void aRuleLacksNothingExactlyIfTheEngineLetsItMatch() {
        for (long seed = FIRST_SEED; seed < FIRST_SEED + WORLD_COUNT; seed++) {
            final String manifests = RandomWorld.manifests(seed);
            final World world = World.of(ManifestReader.read("world.yaml", manifests).objects());
            final PolicySet policies =
                    PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
            final PolicyEvaluator evaluator = new PolicyEvaluator(world, policies);
            final Dice dice = new Dice(seed);
            final List<String> ends = ends(world);
            for (int i = 0; i < PROBES_PER_WORLD; i++) {
                final Probe probe = probe(ends, dice);
                try {
                    check(evaluator, probe, "seed " + seed + ": " + probe);
                } catch (final ProbeException e) {
                    // Ends of two families, or two that no policy is about.
                    assertThat(e.getMessage()).isNotEmpty();
                }
            }
        }
        // Worlds in which a condition is always met would prove nothing about it.
        if (WORLD_COUNT >= 300) {
            assertThat(rulesMatching).isGreaterThan(WORLD_COUNT);
            assertThat(seen.keySet())
                    .contains(
                            UnmetCondition.Kind.LABEL,
                            UnmetCondition.Kind.NAMESPACE,
                            UnmetCondition.Kind.SERVICE_ACCOUNT,
                            UnmetCondition.Kind.PEER_KIND,
                            UnmetCondition.Kind.PREFIX,
                            UnmetCondition.Kind.EXCEPT,
                            UnmetCondition.Kind.NOBODY,
                            UnmetCondition.Kind.OWN_ADDRESS,
                            UnmetCondition.Kind.PROTOCOL,
                            UnmetCondition.Kind.PORT,
                            UnmetCondition.Kind.NAMED_PORT,
                            UnmetCondition.Kind.SOURCE_PORT,
                            UnmetCondition.Kind.ICMP_TYPE);
        }
    }

    private static List<String> ends(final World world) {
        final Set<String> ends = new TreeSet<>();
        world.pods().stream()
                .filter(Pod::isEndpoint)
                .flatMap(pod -> pod.addresses().stream())
                .forEach(address -> ends.add(address.toString()));
        ends.addAll(RandomWorld.OUTSIDE);
        ends.addAll(RandomWorld.NODES);
        ends.addAll(RandomWorld.SECOND_INTERFACES);
        return List.copyOf(ends);
    }

    private static Probe probe(final List<String> ends, final Dice dice) {
        final String protocol = dice.oneOf(PROTOCOLS);
        final boolean ports = IpProtocol.hasPorts(IpProtocol.parse(protocol));
        return new Probe(
                dice.oneOf(ends),
                dice.oneOf(ends),
                protocol,
                ports ? "" + dice.oneOf(List.of(79, 80, 81, 82, 22)) : "",
                ports && dice.percent(20) ? 1024 : Probe.NOT_GIVEN,
                protocol.equals("ICMP") && dice.percent(50) ? 3 : Probe.NOT_GIVEN,
                Probe.NOT_GIVEN,
                Map.of());
    }

    private void check(final PolicyEvaluator evaluator, final Probe probe, final String about)
            throws ProbeException {
        final Question question = evaluator.question(probe);
        final Explanation explanation = evaluator.explain(probe);
        for (final Side side : explanation.sides()) {
            final List<Set<Author>> engine = matchedByEngine(evaluator, question, side.direction());
            final List<Set<Author>> told = new ArrayList<>();
            for (final Chain chain : side.chains()) {
                told.add(matchedAsTold(chain));
            }
            assertThat(told).as(about + " " + side.direction()).isEqualTo(engine);
            engine.forEach(authors -> rulesMatching += authors.size());
            checkAnswer(side, about);
            checkNearMisses(side, about);
        }
    }

    /** Rules that the engine asks and that match, chain by chain. */
    private static List<Set<Author>> matchedByEngine(
            final PolicyEvaluator evaluator,
            final Question question,
            final PolicyDirection direction) {
        final List<Set<Author>> matched = new ArrayList<>();
        final Set<Pod.NamedPort> own = Set.copyOf(question.subject(direction).ports());
        final Optional<PolicySet.Subject> subject = question.subject(direction).subject();
        if (subject.isPresent()) {
            matched.add(
                    matchedBy(
                            subject.get().side(direction).chain(),
                            evaluator.peerFacts(question, direction).orElseThrow(),
                            question,
                            direction,
                            own));
        }
        for (final HostPolicies.Asked asked : evaluator.asked(question, direction)) {
            matched.add(
                    matchedBy(
                            asked.side().chain(),
                            asked.peer(),
                            question,
                            asked.direction(),
                            Set.copyOf(
                                    asked.direction() == direction
                                            ? question.subject(direction).ports()
                                            : question.subject(asked.direction()).ports())));
        }
        return matched;
    }

    private static Set<Author> matchedBy(
            final RuleChain chain,
            final PeerFacts peer,
            final Question question,
            final PolicyDirection direction,
            final Set<Pod.NamedPort> own) {
        final Set<Author> matched = new TreeSet<>((a, b) -> a.toString().compareTo(b.toString()));
        final BitSet matching = chain.matching(peer);
        for (int i = 0; i < chain.rules().size(); i++) {
            final RuleChain.IndexedRule rule = chain.rules().get(i);
            final List<Box> boxes =
                    direction == PolicyDirection.INGRESS
                            ? rule.boxes(peer.ports(), own)
                            : rule.boxes(own, peer.ports());
            if (matching.get(i)
                    && rule.rule().by().origin() == Author.Origin.RULE
                    && boxes.stream().anyMatch(box -> isIn(box, question))) {
                matched.add(rule.rule().by());
            }
        }
        return matched;
    }

    private static boolean isIn(final Box box, final Question question) {
        final boolean fits =
                box.protocol() == Traffic.EVERY_PROTOCOL
                        ? !box.notProtocols().contains(question.protocol())
                        : box.protocol() == question.protocol();
        return fits
                && box.source().from() <= question.sourcePort()
                && question.sourcePort() <= box.source().to()
                && box.destination().from() <= question.port()
                && question.port() <= box.destination().to();
    }

    private Set<Author> matchedAsTold(final Chain chain) {
        final Set<Author> matched = new TreeSet<>((a, b) -> a.toString().compareTo(b.toString()));
        for (final Tier tier : chain.tiers()) {
            for (final Policy policy : tier.policies()) {
                for (final Rule rule : policy.rules()) {
                    rule.unmet().forEach(unmet -> seen.merge(unmet.kind(), 1, Integer::sum));
                    if (rule.matches()
                            && !policy.remark().contains("staged")
                            && rule.author().origin() == Author.Origin.RULE) {
                        matched.add(rule.author());
                    }
                }
            }
        }
        return matched;
    }

    /** Who decided is among the rules that lack nothing; at the end of a tier, nobody of it is. */
    private static void checkAnswer(final Side side, final String about) {
        final Author by = side.answer().by();
        final List<Rule> matching = new ArrayList<>();
        for (final Chain chain : side.chains()) {
            for (final Tier tier : chain.tiers()) {
                for (final Policy policy : tier.policies()) {
                    if (policy.remark().contains("staged") || policy.remark().contains("audited")) {
                        continue;
                    }
                    policy.rules().stream().filter(Rule::matches).forEach(matching::add);
                }
            }
        }
        if (by.origin() == Author.Origin.RULE) {
            assertThat(matching).as(about).anyMatch(rule -> rule.author().equals(by));
        }
        if (by.origin() == Author.Origin.END_OF_TIER && side.chains().size() == 1) {
            assertThat(matching)
                    .as(about)
                    .noneMatch(
                            rule ->
                                    rule.author().tier().equals(by.tier())
                                            && rule.says() != Rule.Says.NOTHING);
        }
    }

    private static void checkNearMisses(final Side side, final String about) {
        assertThat(side.nearMisses()).as(about).hasSizeLessThanOrEqualTo(3);
        int unmet = 1;
        for (final Explanation.NearMiss miss : side.nearMisses()) {
            assertThat(miss.unmet().size()).as(about).isBetween(unmet, 2);
            unmet = miss.unmet().size();
            assertThat(miss.text()).as(about).doesNotContain("k8s:").isNotBlank();
        }
    }
}
