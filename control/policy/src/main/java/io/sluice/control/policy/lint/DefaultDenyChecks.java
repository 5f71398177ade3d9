package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.DEFAULT_DENY_ALONE;
import static io.sluice.control.policy.lint.LintCheck.FIRST_DEFAULT_DENY;
import static io.sluice.control.policy.lint.LintCheck.SYSTEM_NAMESPACE_LOCKED;

import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyMap;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** What default deny cuts off. */
final class DefaultDenyChecks {
    private static final Set<String> SYSTEM_NAMESPACES =
            Set.of(
                    "monitoring",
                    "observability",
                    "prometheus",
                    "logging",
                    "cert-manager",
                    "tigera-operator",
                    "cilium");

    private static final int LINES_MAX = 3;

    private final LintedWorld linted;
    private final List<Finding> found;

    private DefaultDenyChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final DefaultDenyChecks checks = new DefaultDenyChecks(linted, found);
        checks.firstDefaultDeny();
        checks.nothingAllowed();
    }

    static boolean isSystem(final String namespace) {
        return SYSTEM_NAMESPACES.contains(namespace)
                || namespace.startsWith("kube-")
                || namespace.endsWith("-system")
                || namespace.contains("ingress");
    }

    /** A policy in one direction. */
    private record Isolation(KubeObject.Policy policy, PolicyDirection direction) {}

    /**
     * Where one policy alone isolates, without it everything that no other tier decides would pass.
     * One compile without all such policies serves them all: in the direction of a pod that one
     * policy alone isolates, only that policy makes a difference; the other end of a connection is
     * judged with every policy in place.
     */
    private void firstDefaultDeny() {
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
        if (alone.isEmpty()) {
            return;
        }
        final List<ObjectRef> removed =
                alone.keySet().stream().map(isolation -> isolation.policy.ref()).toList();
        final PolicySet without =
                PolicyCompiler.compile(
                        linted.world().without(removed), new IdentityAllocator(), linted.options());
        alone.forEach((isolation, pods) -> reportCuts(isolation, pods, without));
    }

    private void reportCuts(
            final Isolation isolation, final List<Pod> pods, final PolicySet without) {
        final Map<List<String>, List<String>> podsByPeers = new LinkedHashMap<>();
        int pairs = 0;
        for (final Pod pod : pods) {
            final List<String> peers = cutPeers(pod, isolation.direction, without);
            pairs += peers.size();
            if (!peers.isEmpty()) {
                podsByPeers.computeIfAbsent(peers, _ -> new ArrayList<>()).add(pod.ref().path());
            }
        }
        if (pairs == 0) {
            return;
        }
        final List<String> lines = new ArrayList<>();
        podsByPeers.forEach(
                (peers, subjects) -> {
                    final String here = LintedWorld.listed(subjects);
                    final String there = LintedWorld.listed(peers);
                    lines.add(
                            switch (isolation.direction) {
                                case INGRESS -> there + " -> " + here;
                                case EGRESS -> here + " -> " + there;
                            });
                });
        found.add(
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
                                + String.join(
                                        "; ", lines.subList(0, Math.min(LINES_MAX, lines.size())))
                                + (lines.size() > LINES_MAX ? "; ..." : ""),
                        "allow what of this is needed before the policy is applied"));
    }

    /** Peers of which everything is denied that would pass without the policy. */
    private List<String> cutPeers(
            final Pod pod, final PolicyDirection direction, final PolicySet without) {
        final PolicySet with = linted.policies();
        final Optional<PolicyMap> now = with.policyMap(pod.ref(), direction);
        final Optional<PolicyMap> then = without.policyMap(pod.ref(), direction);
        final Optional<Identity> own = with.identityOf(pod.ref());
        if (now.isEmpty() || then.isEmpty() || own.isEmpty()) {
            return List.of();
        }
        final PolicyDirection opposite =
                switch (direction) {
                    case INGRESS -> PolicyDirection.EGRESS;
                    case EGRESS -> PolicyDirection.INGRESS;
                };
        final List<String> peers = new ArrayList<>();
        for (final Pod peer : linted.endpoints()) {
            final Optional<Identity> nowPeer = with.identityOf(peer.ref());
            final Optional<Identity> thenPeer = without.identityOf(peer.ref());
            if (peer.ref().equals(pod.ref()) || nowPeer.isEmpty() || thenPeer.isEmpty()) {
                continue;
            }
            final boolean otherEnd =
                    with.policyMap(peer.ref(), opposite)
                            .map(map -> map.program(own.get().number()))
                            .map(LintedWorld::opensAnything)
                            .orElse(true);
            if (otherEnd && isCut(now.get(), nowPeer.get(), then.get(), thenPeer.get())) {
                peers.add(peer.ref().path());
            }
        }
        if (isWorldCut(now.get(), then.get())) {
            peers.add("the world");
        }
        return peers;
    }

    private static boolean isCut(
            final PolicyMap now,
            final Identity nowPeer,
            final PolicyMap then,
            final Identity thenPeer) {
        return !LintedWorld.opensAnything(now.program(nowPeer.number()))
                && LintedWorld.opensAnything(then.program(thenPeer.number()));
    }

    private boolean isWorldCut(final PolicyMap now, final PolicyMap then) {
        final boolean openNow =
                linted.policies().identities().stream()
                        .filter(identity -> isWorld(identity.number()))
                        .anyMatch(
                                identity ->
                                        LintedWorld.opensAnything(now.program(identity.number())));
        return !openNow && LintedWorld.opensAnything(then.program(Identity.WORLD_IPV4));
    }

    private static boolean isWorld(final int identity) {
        return identity == Identity.WORLD_IPV4
                || identity == Identity.WORLD_IPV6
                || (identity >= Identity.CIDR_FIRST && identity < Identity.NODE_FIRST);
    }

    /** Pods for which nothing at all is allowed in a direction, by the policy to name. */
    private void nothingAllowed() {
        final Map<ObjectRef, PolicySide> sides = new LinkedHashMap<>();
        final Map<ObjectRef, TreeMap<PolicyDirection, List<Pod>>> locked = new LinkedHashMap<>();
        final Set<PolicySide> someAllowed = new LinkedHashSet<>();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            for (final SubjectGroup group : linted.groups(direction)) {
                if (!group.map().isIsolated() || LintedWorld.opensAnything(group.map())) {
                    group.sides().forEach(someAllowed::add);
                    continue;
                }
                group.sides().stream()
                        .filter(side -> side.isDefaultDeny() && side.everyone())
                        .findFirst()
                        .or(group::firstIsolating)
                        .ifPresent(
                                side -> {
                                    sides.putIfAbsent(side.policy().ref(), side);
                                    locked.computeIfAbsent(
                                                    side.policy().ref(), _ -> new TreeMap<>())
                                            .computeIfAbsent(direction, _ -> new ArrayList<>())
                                            .addAll(group.pods());
                                });
            }
        }
        locked.forEach(
                (ref, pods) -> {
                    final PolicySide side = sides.get(ref);
                    if (side != null) {
                        report(side, pods, someAllowed);
                    }
                });
    }

    private void report(
            final PolicySide named,
            final Map<PolicyDirection, List<Pod>> pods,
            final Set<PolicySide> someAllowed) {
        final KubeObject.Policy policy = named.policy();
        final List<String> directions = new ArrayList<>();
        final TreeMap<String, Pod> system = new TreeMap<>();
        final TreeMap<String, Pod> others = new TreeMap<>();
        pods.forEach(
                (direction, members) -> {
                    directions.add(direction.field());
                    for (final Pod pod : members) {
                        (isSystem(pod.meta().namespace()) ? system : others)
                                .put(pod.ref().path(), pod);
                    }
                });
        final String both = String.join(" and ", new TreeSet<>(directions).descendingSet());
        if (!system.isEmpty()) {
            found.add(
                    Finding.of(
                            policy,
                            SYSTEM_NAMESPACE_LOCKED,
                            policy.ref()
                                    + " denies all "
                                    + both
                                    + " of "
                                    + linted.names(List.copyOf(system.values()))
                                    + ", which the cluster itself needs, and no policy allows any",
                            "leave system namespaces out, or allow what they serve first"));
        }
        final boolean alone =
                linted.sides().stream()
                        .filter(side -> side.policy().equals(policy))
                        .filter(side -> pods.containsKey(side.direction()))
                        .allMatch(
                                side ->
                                        side.isDefaultDeny()
                                                && side.everyone()
                                                && !someAllowed.contains(side));
        if (alone && !others.isEmpty() && system.isEmpty()) {
            found.add(
                    Finding.of(
                            policy,
                            DEFAULT_DENY_ALONE,
                            policy.ref()
                                    + " denies all "
                                    + both
                                    + " of "
                                    + linted.names(List.copyOf(others.values()))
                                    + ", and no policy allows any yet",
                            "apply the policies that allow first, the default deny last"));
        }
    }
}
