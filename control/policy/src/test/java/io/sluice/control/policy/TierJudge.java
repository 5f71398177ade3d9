package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.Tier.DefaultAction;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Tiers in their order, and in each the policies in theirs: allow and deny are final, pass goes to
 * the next tier, and so does the end of a tier, unless it denies.
 *
 * <p>What a policy of a kind says is told by {@link AdminJudge}, {@link CalicoJudge}, {@link
 * CiliumJudge} and {@link NetworkPolicyJudge}.
 */
final class TierJudge {
    private static final double ADDITIVE_GROUP_ORDER = 1_000;
    private static final double LAST = Double.POSITIVE_INFINITY;

    private final World world;
    private final Predicate<KubeObject.Policy> counts;
    private final TierEnd tierEnd;
    private final AdminJudge admin;
    private final CalicoJudge calico;
    private final CiliumJudge cilium;
    private final NetworkPolicyJudge networkPolicies;
    private final List<Tier> tiers;

    /** What the end of a tier does with a packet of an endpoint that the tier selects. */
    enum TierEnd {
        /** The tier's default action. */
        BY_DEFAULT_ACTION,
        /** Nothing. */
        GOES_ON
    }

    /**
     * The tiers of a world.
     *
     * @param counts which policies of the world are there
     */
    TierJudge(final World world, final Predicate<KubeObject.Policy> counts, final TierEnd tierEnd) {
        this.world = world;
        this.counts = counts;
        this.tierEnd = tierEnd;
        this.admin = new AdminJudge(world);
        this.calico = new CalicoJudge(world);
        this.cilium = new CiliumJudge(world, policies(CiliumPolicy.class));
        this.networkPolicies = new NetworkPolicyJudge(world, policies(NetworkPolicy.class));
        this.tiers = new ArrayList<>();
        addTiers(policies(AdminPolicy.class), policies(CalicoPolicy.class));
    }

    private <T extends KubeObject.Policy> List<T> policies(final Class<T> kind) {
        return world.all(kind).stream().filter(counts).toList();
    }

    /** The first final answer; pass if no tier has one. */
    Ruling judge(final Question question) {
        for (final Tier tier : tiers) {
            final Ruling ruling = tier.judge(question, tierEnd);
            if (ruling.kind() != Ruling.Kind.PASS) {
                return ruling;
            }
        }
        return Ruling.pass("end of tiers");
    }

    /**
     * A tier.
     *
     * @param order infinite if it has none
     * @param places its policies in their order
     */
    private record Tier(
            String name, double order, DefaultAction defaultAction, List<Place> places) {
        static final Comparator<Tier> ORDER =
                Comparator.comparingDouble(Tier::order).thenComparing(Tier::name);

        /** The first final answer of its policies; then what its end says. */
        Ruling judge(final Question question, final TierEnd tierEnd) {
            boolean selected = false;
            for (final Place place : places) {
                final Ruling ruling = place.judgement.of(question);
                switch (ruling.kind()) {
                    case ALLOW, DENY, PASS -> {
                        return ruling;
                    }
                    case NO_RULE -> selected = true;
                    case NOT_SELECTED -> {}
                }
            }
            return selected
                            && defaultAction == DefaultAction.DENY
                            && tierEnd == TierEnd.BY_DEFAULT_ACTION
                    ? Ruling.deny("end of tier " + name)
                    : Ruling.pass("end of tier " + name);
        }
    }

    /**
     * Where in its tier a policy stands.
     *
     * @param order infinite if it has none
     * @param text what decides among equal orders, bytewise
     */
    private record Place(double order, String text, Judgement judgement) {
        static final Comparator<Place> ORDER =
                Comparator.comparingDouble(Place::order).thenComparing(Place::text);
    }

    private interface Judgement {
        Ruling of(Question question);
    }

    private void addTiers(
            final List<AdminPolicy> adminPolicies, final List<CalicoPolicy> calicoPolicies) {
        final List<Place> inAdmin = adminPlaces(adminPolicies, AdminPolicy.Level.ADMIN);
        final List<Place> inBaseline = adminPlaces(adminPolicies, AdminPolicy.Level.BASELINE);
        tiers.add(tier("kube-admin", 1_000, DefaultAction.PASS, inAdmin, calicoPolicies));
        tiers.add(tier("default", 1_000_000, DefaultAction.DENY, additiveGroup(), calicoPolicies));
        tiers.add(
                tier("kube-baseline", 10_000_000, DefaultAction.PASS, inBaseline, calicoPolicies));
        final Set<String> builtIn = Set.of("kube-admin", "default", "kube-baseline");
        final Set<String> missing = new LinkedHashSet<>();
        calicoPolicies.forEach(policy -> missing.add(policy.tier()));
        missing.removeAll(builtIn);
        for (final CalicoPolicy.Tier tier : world.all(CalicoPolicy.Tier.class)) {
            final String name = tier.meta().name();
            missing.remove(name);
            if (!builtIn.contains(name)) {
                tiers.add(
                        tier(
                                name,
                                orLast(tier.order()),
                                tier.defaultAction(),
                                List.of(),
                                calicoPolicies));
            }
        }
        tiers.sort(Tier.ORDER);
        // What names a tier that does not exist comes after all that do.
        missing.stream()
                .sorted()
                .map(name -> tier(name, LAST, DefaultAction.DENY, List.of(), calicoPolicies))
                .forEach(tiers::add);
    }

    /** A tier of the built-in policies that stand in it, and of Calico's. */
    private Tier tier(
            final String name,
            final double order,
            final DefaultAction defaultAction,
            final List<Place> builtIn,
            final List<CalicoPolicy> calicoPolicies) {
        final List<Place> places = new ArrayList<>(builtIn);
        for (final CalicoPolicy policy : calicoPolicies) {
            if (policy.tier().equals(name)) {
                places.add(
                        new Place(
                                orLast(policy.order()),
                                placeText(policy, kindOf(policy)),
                                question -> calico.judge(policy, question)));
            }
        }
        // Stable: what the additive group puts before something of its own stays there.
        places.sort(Place.ORDER);
        return new Tier(name, order, defaultAction, places);
    }

    private static double orLast(final OptionalDouble order) {
        return order.orElse(LAST);
    }

    private List<Place> adminPlaces(
            final List<AdminPolicy> policies, final AdminPolicy.Level level) {
        return policies.stream()
                .filter(policy -> policy.level() == level)
                .map(
                        policy ->
                                new Place(
                                        policy.priority(),
                                        policy.meta().name(),
                                        question -> admin.judge(policy, question)))
                .toList();
    }

    private static String placeText(final KubeObject.Policy policy, final String kind) {
        return policy.meta().name() + "/" + policy.meta().namespace() + "/" + kind;
    }

    private static String kindOf(final KubeObject.Policy policy) {
        return policy.ref().kind().split("\\.", 2)[0];
    }

    /**
     * NetworkPolicy and Cilium's kinds at order 1000: an explicit deny beats every allow, then any
     * allow allows. They have no order among each other, so it is enough that denies come first.
     * Only a Calico policy of exactly this order can come between them.
     */
    private List<Place> additiveGroup() {
        final List<Place> places = new ArrayList<>();
        places.add(new Place(ADDITIVE_GROUP_ORDER, "", cilium::judgeDenies));
        places.add(new Place(ADDITIVE_GROUP_ORDER, "", cilium::judgeAllows));
        for (final NetworkPolicy policy : networkPolicies.all()) {
            places.add(
                    new Place(
                            ADDITIVE_GROUP_ORDER,
                            placeText(policy, "KubernetesNetworkPolicy"),
                            question -> networkPolicies.judge(policy, question)));
        }
        return places;
    }
}
