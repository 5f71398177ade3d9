package io.sluice.control.policy;

import io.sluice.control.policy.Question.Packet;
import io.sluice.control.policy.Question.PacketEnd;
import io.sluice.control.policy.Question.Workload;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * The rules of policy told a second time, packet by packet, straight from the objects: no
 * identities, no programs, no code of the compiler or the translators. What the compiler is
 * compared with. Read {@link #judge} first.
 *
 * <pre>
 *   both ends of the packet that are endpoints: {@link TierJudge}
 *     no tier answered: allow
 *   the nodes that the packet comes from, goes to or is forwarded by: {@link HostJudge}
 * </pre>
 *
 * <p>Not told: L7, learned names; worlds with these are not judged.
 */
final class PacketJudge {
    private final World world;
    private final AuditedEndpoints auditedEndpoints;
    private final TierJudge tiers;
    private final HostJudge hosts;

    private PacketJudge(
            final World world,
            final Predicate<KubeObject.Policy> counts,
            final AuditedEndpoints auditedEndpoints) {
        this.world = world;
        this.auditedEndpoints = auditedEndpoints;
        this.tiers =
                new TierJudge(
                        world,
                        counts.and(HostJudge::isNormal),
                        TierJudge.TierEnd.BY_DEFAULT_ACTION);
        this.hosts =
                new HostJudge(
                        world,
                        counts,
                        node ->
                                auditedEndpoints == AuditedEndpoints.SPARED
                                        && isAudited(node.meta()));
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

    /**
     * What becomes of a packet.
     *
     * @param egress what the source's policy says
     * @param ingress what the destination's policy says
     * @param nodes what the nodes on the way say
     */
    record Answer(Ruling egress, Ruling ingress, List<Ruling> nodes) {
        boolean allowed() {
            return rulings().allMatch(Ruling::allows);
        }

        Stream<Ruling> rulings() {
            return Stream.concat(Stream.of(egress, ingress), nodes.stream());
        }
    }

    /** A packet passes if both of its ends and all nodes on the way let it pass. */
    Answer judge(final Packet packet) {
        final PacketEnd from = PacketEnd.at(packet.from(), world);
        final PacketEnd to = PacketEnd.at(packet.to(), world);
        if (from.pod().isPresent() && from.pod().equals(to.pod())) {
            final Ruling self = Ruling.allow("a pod to itself");
            return new Answer(self, self, List.of());
        }
        return new Answer(
                judge(packet, PolicyDirection.EGRESS, from, to),
                judge(packet, PolicyDirection.INGRESS, to, from),
                hosts.judge(packet, from, to));
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
        final Ruling ruling =
                tiers.judge(
                        new Question(packet, direction, new Workload(own.pod().get()), own, peer));
        return ruling.kind() == Ruling.Kind.PASS ? Ruling.allow("default") : ruling;
    }

    private boolean isAudited(final Pod pod) {
        return isAudited(pod.meta())
                || world.lookup(new ObjectRef("Namespace", "", pod.meta().namespace()))
                        .filter(namespace -> isAudited(namespace.meta()))
                        .isPresent();
    }
}
