package io.sluice.control.policy;

import io.sluice.control.policy.CalicoPolicy.Tier.DefaultAction;
import io.sluice.control.policy.Question.Packet;
import io.sluice.control.policy.Question.PacketEnd;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * The rules of policy told a second time, packet by packet, straight from the objects: no
 * identities, no programs, no code of the compiler or the translators. What the compiler is
 * compared with. Read {@link #judge} first.
 *
 * <pre>
 *   both ends of the packet
 *     tiers, in their order
 *       policies of the tier, in their order: allow and deny are final, pass goes to the next tier
 *       the tier's end: deny, if a policy of the tier selected the endpoint and the tier denies
 *     no tier answered: allow
 * </pre>
 *
 * <p>What a policy of a kind says is told by {@link AdminJudge}, {@link CalicoJudge}, {@link
 * CiliumJudge} and {@link NetworkPolicyJudge}. Not told: L7, learned names, host policies, host
 * endpoints, profiles; worlds with these are not judged.
 */
final class PacketJudge {
    private static final double ADDITIVE_GROUP_ORDER = 1_000;
    private static final double LAST = Double.POSITIVE_INFINITY;

    private final World world;
    private final AuditedEndpoints auditedEndpoints;
    private final AdminJudge admin;
    private final CalicoJudge calico;
    private final CiliumJudge cilium;
    private final NetworkPolicyJudge networkPolicies;
    private final List<Tier> tiers;

    private PacketJudge(
            final World world,
            final Predicate<KubeObject.Policy> counts,
            final AuditedEndpoints auditedEndpoints) {
        this.world = world;
        this.auditedEndpoints = auditedEndpoints;
        this.admin = new AdminJudge(world);
        this.calico = new CalicoJudge(world);
        this.cilium = new CiliumJudge(world, policies(CiliumPolicy.class, counts));
        this.networkPolicies = new NetworkPolicyJudge(world, policies(NetworkPolicy.class, counts));
        this.tiers = new ArrayList<>();
        addTiers(policies(AdminPolicy.class, counts), policies(CalicoPolicy.class, counts));
    }

    /** What holds for endpoints that are audited as a whole. */
    private enum AuditedEndpoints {
        /** Nothing is enforced. */
        SPARED,
        /** The same as for others. */
        JUDGED
    }

    /** A judge by what is enforced: policies that are neither staged nor audited. */
    static PacketJudge ofEnforced(final World world) {
        return new PacketJudge(
                world,
                policy -> staging(policy) == Staging.ENFORCED && !isAudited(policy.meta()),
                AuditedEndpoints.SPARED);
    }

    /** A judge by what would be enforced if nothing were audited. */
    static PacketJudge ofEnforcedAndAudited(final World world) {
        return new PacketJudge(
                world, policy -> staging(policy) == Staging.ENFORCED, AuditedEndpoints.JUDGED);
    }

    /** A judge by what would be enforced if what is staged were done. */
    static PacketJudge ofEnforcedAndStaged(final World world) {
        return new PacketJudge(
                world,
                policy ->
                        switch (staging(policy)) {
                            case ENFORCED ->
                                    !isAudited(policy.meta()) && !isReplaced(policy, world);
                            case SET, LEARN -> !isAudited(policy.meta());
                            case DELETE, IGNORE -> false;
                        },
                AuditedEndpoints.SPARED);
    }

    /** Whether a staged policy stands for this one. */
    private static boolean isReplaced(final KubeObject.Policy policy, final World world) {
        return world.all(KubeObject.Policy.class).stream()
                .filter(staged -> staging(staged) != Staging.ENFORCED)
                .filter(staged -> staging(staged) != Staging.IGNORE)
                .filter(staged -> staged.getClass() == policy.getClass())
                .filter(staged -> staged.meta().name().equals(policy.meta().name()))
                .anyMatch(staged -> staged.meta().namespace().equals(policy.meta().namespace()));
    }

    private static Staging staging(final KubeObject.Policy policy) {
        return switch (policy) {
            case final NetworkPolicy networkPolicy -> networkPolicy.staging();
            case final CalicoPolicy calicoPolicy -> calicoPolicy.staging();
            case AdminPolicy _, CiliumPolicy _ -> Staging.ENFORCED;
        };
    }

    private static boolean isAudited(final ObjectMeta meta) {
        return Stream.of(
                        "policy.cilium.io/audit-mode",
                        "projectcalico.org/policy-audit-mode",
                        "sluice.io/audit")
                .map(annotation -> meta.annotations().getOrDefault(annotation, "no"))
                .anyMatch(value -> value.equals("true") || value.equals("Enabled"));
    }

    private <T extends KubeObject.Policy> List<T> policies(
            final Class<T> kind, final Predicate<KubeObject.Policy> counts) {
        return world.all(kind).stream().filter(counts).toList();
    }

    /**
     * What becomes of a packet.
     *
     * @param egress what the source's policy says
     * @param ingress what the destination's policy says
     */
    record Answer(Ruling egress, Ruling ingress) {
        boolean allowed() {
            return egress.allows() && ingress.allows();
        }
    }

    /** A packet passes if both of its ends let it pass. */
    Answer judge(final Packet packet) {
        final PacketEnd from = PacketEnd.at(packet.from(), world);
        final PacketEnd to = PacketEnd.at(packet.to(), world);
        if (from.pod().isPresent() && from.pod().equals(to.pod())) {
            final Ruling self = Ruling.allow("a pod to itself");
            return new Answer(self, self);
        }
        return new Answer(
                judge(packet, PolicyDirection.EGRESS, from, to),
                judge(packet, PolicyDirection.INGRESS, to, from));
    }

    private Ruling judge(
            final Packet packet,
            final PolicyDirection direction,
            final PacketEnd own,
            final PacketEnd peer) {
        if (own.pod().isEmpty()) {
            return Ruling.allow("not an endpoint");
        }
        if (auditedEndpoints == AuditedEndpoints.SPARED && isAudited(own.pod().get())) {
            return Ruling.allow("audited endpoint");
        }
        final Question question = new Question(packet, direction, own.pod().get(), own, peer);
        for (final Tier tier : tiers) {
            final Ruling ruling = tier.judge(question);
            if (ruling.kind() != Ruling.Kind.PASS) {
                return ruling;
            }
        }
        return Ruling.allow("default");
    }

    private boolean isAudited(final Pod pod) {
        return isAudited(pod.meta())
                || world.lookup(new ObjectRef("Namespace", "", pod.meta().namespace()))
                        .filter(namespace -> isAudited(namespace.meta()))
                        .isPresent();
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
        Ruling judge(final Question question) {
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
            return selected && defaultAction == DefaultAction.DENY
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
