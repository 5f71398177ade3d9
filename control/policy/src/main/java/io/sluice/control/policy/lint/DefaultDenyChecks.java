package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.DEFAULT_DENY_ALONE;
import static io.sluice.control.policy.lint.LintCheck.SYSTEM_NAMESPACE_LOCKED;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.lint.LintedWorld.SubjectGroup;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** Default deny where nothing is allowed at all. */
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

    private final LintedWorld linted;
    private final List<Finding> found;

    private DefaultDenyChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final DefaultDenyChecks checks = new DefaultDenyChecks(linted, found);
        checks.nothingAllowed();
    }

    static boolean isSystem(final String namespace) {
        return SYSTEM_NAMESPACES.contains(namespace)
                || namespace.startsWith("kube-")
                || namespace.endsWith("-system")
                || namespace.contains("ingress");
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
