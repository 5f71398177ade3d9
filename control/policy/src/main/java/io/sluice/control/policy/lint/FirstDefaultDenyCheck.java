package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.FIRST_DEFAULT_DENY;

import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyMap;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.VerdictProgram;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the first policy that isolates a pod cuts off.
 *
 * <p>Where one policy alone isolates a direction, everything that no other tier decides would pass
 * without it. One compile without all such policies serves them all: in that direction of such a
 * pod no other policy makes a difference, and the other end of a connection is judged with every
 * policy in place. Pods of one identity and equal maps are compared once, so the cost is that of
 * the distinct peers, not of all pairs of pods.
 */
final class FirstDefaultDenyCheck {
    private static final int GROUPS_MAX = 3;
    private static final String WORLD = "the world";

    private final LintedWorld linted;
    private final PolicySet with;
    private final PolicySet without;
    private final List<Integer> worlds;
    private final Map<PolicyDirection, List<Peers>> peers = new HashMap<>();
    private final Map<Subject, List<Peers>> cuts = new HashMap<>();
    private final IdentityHashMap<VerdictProgram, Boolean> opens = new IdentityHashMap<>();

    /** A policy in one direction. */
    private record Isolation(KubeObject.Policy policy, PolicyDirection direction) {}

    /**
     * Pods that cannot be told apart as peers.
     *
     * @param identity their identity
     * @param identityWithout the same, in the policy without those that isolate alone
     * @param otherEnd what they say about the connection themselves
     * @param pods which they are
     */
    private record Peers(
            int identity, int identityWithout, Optional<PolicyMap> otherEnd, List<Pod> pods) {}

    /** What decides for a pod whom it is cut off from. */
    private record Subject(
            PolicyDirection direction, int identity, PolicyMap map, PolicyMap mapWithout) {}

    private FirstDefaultDenyCheck(final LintedWorld linted, final PolicySet without) {
        this.linted = linted;
        this.with = linted.policies();
        this.without = without;
        this.worlds =
                with.identities().stream()
                        .map(Identity::number)
                        .filter(FirstDefaultDenyCheck::isWorld)
                        .toList();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            peers.put(direction, findPeers(direction));
        }
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final Map<Isolation, List<Pod>> alone = isolatedByOne(linted);
        if (alone.isEmpty()) {
            return;
        }
        final List<ObjectRef> removed =
                alone.keySet().stream().map(isolation -> isolation.policy.ref()).toList();
        final FirstDefaultDenyCheck check =
                new FirstDefaultDenyCheck(
                        linted,
                        PolicyCompiler.compile(
                                linted.world().without(removed),
                                new IdentityAllocator(),
                                linted.options()));
        alone.forEach((isolation, pods) -> check.report(isolation, pods).ifPresent(found::add));
    }

    private static Map<Isolation, List<Pod>> isolatedByOne(final LintedWorld linted) {
        final Map<Isolation, List<Pod>> alone = new LinkedHashMap<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            for (final SubjectGroup group : linted.groups(direction)) {
                final Set<KubeObject.Policy> isolating = new LinkedHashSet<>();
                group.sides().stream()
                        .filter(PolicySide::isolates)
                        .forEach(side -> isolating.add(side.policy()));
                final List<Pod> real =
                        group.pods().stream().filter(pod -> !linted.isWitness(pod)).toList();
                if (isolating.size() == 1 && group.map().isIsolated() && !real.isEmpty()) {
                    alone.computeIfAbsent(
                                    new Isolation(isolating.iterator().next(), direction),
                                    _ -> new ArrayList<>())
                            .addAll(real);
                }
            }
        }
        return alone;
    }

    private static boolean isWorld(final int identity) {
        return identity == Identity.WORLD_IPV4
                || identity == Identity.WORLD_IPV6
                || (identity >= Identity.CIDR_FIRST && identity < Identity.NODE_FIRST);
    }

    private List<Peers> findPeers(final PolicyDirection direction) {
        final PolicyDirection opposite =
                switch (direction) {
                    case INGRESS -> PolicyDirection.EGRESS;
                    case EGRESS -> PolicyDirection.INGRESS;
                };
        record Key(int identity, int identityWithout, Optional<PolicyMap> otherEnd) {}
        final Map<Key, List<Pod>> pods = new LinkedHashMap<>();
        for (final Pod pod : linted.endpoints()) {
            final Optional<Identity> now = with.identityOf(pod.ref());
            final Optional<Identity> then = without.identityOf(pod.ref());
            if (now.isPresent() && then.isPresent()) {
                final Key key =
                        new Key(
                                now.get().number(),
                                then.get().number(),
                                with.policyMap(pod.ref(), opposite));
                pods.computeIfAbsent(key, _ -> new ArrayList<>()).add(pod);
            }
        }
        final List<Peers> all = new ArrayList<>();
        pods.forEach(
                (key, members) ->
                        all.add(
                                new Peers(
                                        key.identity,
                                        key.identityWithout,
                                        key.otherEnd,
                                        List.copyOf(members))));
        return all;
    }

    /** Peers of which everything is denied that would pass; without pods: the world. */
    private List<Peers> cut(final Subject subject) {
        final List<Peers> found = new ArrayList<>();
        for (final Peers candidate : peers.getOrDefault(subject.direction, List.of())) {
            final boolean otherEnd =
                    candidate
                            .otherEnd
                            .map(map -> opensAnything(map.program(subject.identity)))
                            .orElse(true);
            if (otherEnd
                    && !opensAnything(subject.map.program(candidate.identity))
                    && opensAnything(subject.mapWithout.program(candidate.identityWithout))) {
                found.add(candidate);
            }
        }
        final boolean worldIsOpen =
                worlds.stream().anyMatch(number -> opensAnything(subject.map.program(number)));
        if (!worldIsOpen && opensAnything(subject.mapWithout.program(Identity.WORLD_IPV4))) {
            found.add(
                    new Peers(
                            Identity.WORLD_IPV4, Identity.WORLD_IPV4, Optional.empty(), List.of()));
        }
        return found;
    }

    private boolean opensAnything(final VerdictProgram program) {
        return opens.computeIfAbsent(program, LintedWorld::opensAnything);
    }

    private List<Peers> cutOf(final Pod pod, final PolicyDirection direction) {
        final Optional<PolicyMap> map = with.policyMap(pod.ref(), direction);
        final Optional<PolicyMap> mapWithout = without.policyMap(pod.ref(), direction);
        final Optional<Identity> identity = with.identityOf(pod.ref());
        if (map.isEmpty() || mapWithout.isEmpty() || identity.isEmpty()) {
            return List.of();
        }
        return cuts.computeIfAbsent(
                new Subject(direction, identity.get().number(), map.get(), mapWithout.get()),
                this::cut);
    }

    private Optional<Finding> report(final Isolation isolation, final List<Pod> pods) {
        final IdentityHashMap<List<Peers>, List<Pod>> subjects = new IdentityHashMap<>();
        final List<List<Peers>> inOrder = new ArrayList<>();
        long pairs = 0;
        for (final Pod pod : pods) {
            final List<Peers> cut = cutOf(pod, isolation.direction);
            final long count = pairs(pod, cut);
            pairs += count;
            if (count > 0) {
                if (!subjects.containsKey(cut)) {
                    inOrder.add(cut);
                }
                subjects.computeIfAbsent(cut, _ -> new ArrayList<>()).add(pod);
            }
        }
        if (pairs == 0) {
            return Optional.empty();
        }
        final List<String> lines = new ArrayList<>();
        for (final List<Peers> cut : inOrder.subList(0, Math.min(GROUPS_MAX, inOrder.size()))) {
            final List<Pod> here = subjects.getOrDefault(cut, List.of());
            lines.add(
                    switch (isolation.direction) {
                        case INGRESS -> there(cut, here) + " -> " + linted.names(here);
                        case EGRESS -> linted.names(here) + " -> " + there(cut, here);
                    });
        }
        return Optional.of(
                Finding.of(
                        isolation.policy,
                        FIRST_DEFAULT_DENY,
                        isolation.policy.ref()
                                + " alone turns "
                                + isolation.direction.field()
                                + " of "
                                + linted.names(pods)
                                + " to default deny and cuts "
                                + pairs
                                + (pairs == 1 ? " pair" : " pairs")
                                + " that could connect: "
                                + String.join("; ", lines)
                                + (inOrder.size() > GROUPS_MAX ? "; ..." : ""),
                        "allow what of this is needed before the policy is applied"));
    }

    /** How many peers a pod loses; the world is one, the pod itself none. */
    private static long pairs(final Pod pod, final List<Peers> cut) {
        long count = 0;
        for (final Peers group : cut) {
            count +=
                    group.pods.isEmpty()
                            ? 1
                            : group.pods.size() - (group.pods.contains(pod) ? 1 : 0);
        }
        return count;
    }

    private String there(final List<Peers> cut, final List<Pod> here) {
        final List<String> names = new ArrayList<>();
        for (final Peers group : cut) {
            for (final Pod pod : group.pods) {
                if (here.size() > 1 || !here.contains(pod)) {
                    names.add(linted.name(pod));
                }
            }
            if (group.pods.isEmpty()) {
                names.add(WORLD);
            }
        }
        return LintedWorld.listed(names);
    }
}
