package io.sluice.control.policy.lint;

import static io.sluice.control.policy.lint.LintCheck.NAMESPACE_MISSING;
import static io.sluice.control.policy.lint.LintCheck.NAMESPACE_NAME_LABEL;
import static io.sluice.control.policy.lint.LintCheck.SELECTOR_MATCHES_NOTHING;

import io.sluice.control.policy.AdminPolicy;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CalicoSelector;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.Fields;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.LabelSelector.Requirement;
import io.sluice.control.policy.NetworkPolicy;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.SourceLocation;
import io.sluice.control.policy.World;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Selectors that match nothing in the world, and policies in namespaces that it lacks.
 *
 * <p>A world is often a part of a cluster. So a selector is judged only against namespaces of which
 * pods are known; namespaces by label only where Namespace objects tell the labels; and a namespace
 * that nothing tells of is taken to exist unless its name looks like a typo.
 */
final class SelectorChecks {
    /** Namespaces that every cluster has, and that few folders of manifests define. */
    private static final Set<String> WELL_KNOWN =
            Set.of("default", "kube-system", "kube-public", "kube-node-lease");

    private final LintedWorld linted;
    private final List<Finding> found;

    /** Endpoints by namespace, witnesses left out. */
    private final Map<String, List<Pod>> pods = new HashMap<>();

    private final List<Pod> allPods;
    private final TreeSet<String> defined = new TreeSet<>();
    private final TreeSet<String> existing = new TreeSet<>();

    private SelectorChecks(final LintedWorld linted, final List<Finding> found) {
        this.linted = linted;
        this.found = found;
        final World world = linted.world();
        this.allPods = world.pods().stream().filter(Pod::isEndpoint).toList();
        for (final Pod pod : allPods) {
            pods.computeIfAbsent(pod.meta().namespace(), _ -> new ArrayList<>()).add(pod);
        }
        world.all(KubeObject.Namespace.class).forEach(ns -> defined.add(ns.meta().name()));
        existing.addAll(defined);
        world.pods().forEach(pod -> existing.add(pod.meta().namespace()));
    }

    static void run(final LintedWorld linted, final List<Finding> found) {
        final SelectorChecks checks = new SelectorChecks(linted, found);
        for (final KubeObject.Policy policy : linted.allPolicies()) {
            if (!checks.namespaceMissing(policy)) {
                switch (policy) {
                    case final NetworkPolicy kubernetes -> checks.kubernetes(kubernetes);
                    case final CiliumPolicy cilium -> checks.cilium(cilium);
                    case final AdminPolicy admin -> checks.admin(admin);
                    case final CalicoPolicy calico -> checks.calico(calico);
                }
            }
        }
    }

    private boolean namespaceMissing(final KubeObject.Policy policy) {
        final String namespace = policy.meta().namespace();
        if (namespace.isEmpty() || exists(namespace)) {
            return false;
        }
        final Optional<String> near = Fields.nearest(namespace, existing);
        if (defined.isEmpty() && near.isEmpty()) {
            return false;
        }
        found.add(
                Finding.of(
                        policy,
                        NAMESPACE_MISSING,
                        policy.ref()
                                + " is in namespace "
                                + namespace
                                + ", which has neither a Namespace object nor a pod: it selects"
                                + " nothing",
                        near.map(name -> "did you mean " + name + "?")
                                .orElse("correct metadata.namespace, or add the Namespace")));
        return true;
    }

    private boolean exists(final String namespace) {
        return existing.contains(namespace) || WELL_KNOWN.contains(namespace);
    }

    /** Labels of a pod as a kind of policy sees them. */
    private interface LabelsOf {
        Map<String, String> of(Pod pod);
    }

    /**
     * Where a selector stands.
     *
     * @param what what to call it in a message
     */
    private record Place(KubeObject policy, SourceLocation where, String what) {}

    private void kubernetes(final NetworkPolicy policy) {
        final String own = policy.meta().namespace();
        judge(
                new Place(policy, policy.where(), "podSelector"),
                policy.podSelector(),
                podsOf(own),
                "namespace " + own,
                SeenLabels::ofPod);
        for (final List<NetworkPolicy.Rule> rules : List.of(policy.ingress(), policy.egress())) {
            for (final NetworkPolicy.Rule rule : rules) {
                for (final NetworkPolicy.Peer peer : rule.peers()) {
                    final Place place = new Place(policy, rule.where(), "peer");
                    switch (peer) {
                        case final NetworkPolicy.PodsOfSameNamespace same ->
                                judge(
                                        place,
                                        same.pods(),
                                        podsOf(own),
                                        "namespace " + own,
                                        SeenLabels::ofPod);
                        case final NetworkPolicy.PodsOfNamespaces other ->
                                judge(place, other.namespaces(), other.pods());
                        case NetworkPolicy.IpBlock _ -> {}
                    }
                }
            }
        }
    }

    private void admin(final AdminPolicy policy) {
        judge(
                new Place(policy, policy.where(), "subject"),
                policy.subject().namespaces(),
                policy.subject().pods().orElse(LabelSelector.EVERYTHING));
        for (final List<AdminPolicy.Rule> rules : List.of(policy.ingress(), policy.egress())) {
            for (final AdminPolicy.Rule rule : rules) {
                final Place place = new Place(policy, rule.where(), "peer");
                for (final AdminPolicy.Peer peer : rule.peers()) {
                    switch (peer) {
                        case final AdminPolicy.Namespaces namespaces ->
                                judge(place, namespaces.namespaces(), LabelSelector.EVERYTHING);
                        case final AdminPolicy.Pods selected ->
                                judge(place, selected.namespaces(), selected.pods());
                        default -> {}
                    }
                }
            }
        }
    }

    private List<Pod> podsOf(final String namespace) {
        return pods.getOrDefault(namespace, List.of());
    }

    /** Pods by label, of namespaces by label. */
    private void judge(
            final Place place, final LabelSelector namespaces, final LabelSelector podSelector) {
        final List<String> matching =
                existing.stream()
                        .filter(
                                namespace ->
                                        namespaces.matches(linted.labels().ofNamespace(namespace)))
                        .toList();
        if (matching.isEmpty()) {
            judgeNamespaces(place, namespaces);
            return;
        }
        final List<Pod> candidates =
                matching.stream().flatMap(namespace -> podsOf(namespace).stream()).toList();
        judge(
                place,
                podSelector,
                candidates,
                matching.size() == 1
                        ? "namespace " + matching.get(0)
                        : "the namespaces " + LintedWorld.listed(matching),
                SeenLabels::ofPod);
    }

    /** A selector that none of the known namespaces matches. */
    private void judgeNamespaces(final Place place, final LabelSelector selector) {
        for (final Requirement requirement : selector.requirements()) {
            if (requirement.key().equals(SeenLabels.NAMESPACE_NAME)) {
                if (requirement.operator() == Operator.IN) {
                    judgeNamespaceNames(place, requirement.values());
                }
                return;
            }
        }
        // Labels of a namespace without an object are not known.
        if (defined.isEmpty() || !defined.containsAll(existing)) {
            return;
        }
        for (final Requirement requirement : selector.requirements()) {
            final TreeSet<String> values = new TreeSet<>();
            final TreeSet<String> keys = new TreeSet<>();
            for (final String namespace : existing) {
                Optional.ofNullable(linted.labels().ofNamespace(namespace).get(requirement.key()))
                        .ifPresent(values::add);
                keys.addAll(linted.world().namespaceLabels(namespace).keySet());
            }
            final Optional<String> named =
                    requirement.values().stream().filter(this::exists).findFirst();
            if (requirement.operator() == Operator.IN && values.isEmpty() && named.isPresent()) {
                found.add(
                        Finding.at(
                                place.where,
                                place.policy,
                                NAMESPACE_NAME_LABEL,
                                place.policy.ref()
                                        + ": "
                                        + place.what
                                        + ": no namespace has a label "
                                        + requirement.key()
                                        + ", though one is called "
                                        + named.get(),
                                "ask for "
                                        + SeenLabels.NAMESPACE_NAME
                                        + "="
                                        + named.get()
                                        + ", which every namespace has"));
                return;
            }
            if (report(place, requirement, "namespace", values, keys)) {
                return;
            }
        }
        reportAll(place, selector, "namespace");
    }

    private void judgeNamespaceNames(final Place place, final Set<String> names) {
        if (names.stream().anyMatch(this::exists)) {
            return;
        }
        final String name = names.iterator().next();
        final Optional<String> near = Fields.nearest(name, existing);
        if (defined.isEmpty() && near.isEmpty()) {
            return;
        }
        found.add(
                Finding.at(
                        place.where,
                        place.policy,
                        SELECTOR_MATCHES_NOTHING,
                        place.policy.ref() + ": " + place.what + ": there is no namespace " + name,
                        near.map(n -> "did you mean " + n + "?")
                                .orElse("correct the name, or add the Namespace")));
    }

    private void judge(
            final Place place,
            final LabelSelector selector,
            final List<Pod> candidates,
            final String where,
            final LabelsOf labelsOf) {
        if (candidates.isEmpty()
                || candidates.stream().anyMatch(pod -> selector.matches(labelsOf.of(pod)))) {
            return;
        }
        final String noun = "pod of " + where;
        final Optional<Pod> elsewhere =
                place.what.equals("peer")
                        ? allPods.stream()
                                .filter(pod -> selector.matches(labelsOf.of(pod)))
                                .findFirst()
                        : Optional.empty();
        if (elsewhere.isPresent()) {
            found.add(
                    Finding.at(
                            place.where,
                            place.policy,
                            SELECTOR_MATCHES_NOTHING,
                            place.policy.ref() + ": peer: no " + noun + " has " + selector,
                            "such a pod is in namespace "
                                    + elsewhere.get().meta().namespace()
                                    + ": name the namespace beside the labels"));
            return;
        }
        for (final Requirement requirement : selector.requirements()) {
            final TreeSet<String> values = new TreeSet<>();
            final TreeSet<String> keys = new TreeSet<>();
            for (final Pod pod : candidates) {
                Optional.ofNullable(labelsOf.of(pod).get(requirement.key())).ifPresent(values::add);
                keys.addAll(pod.meta().labels().keySet());
            }
            if (report(place, requirement, noun, values, keys)) {
                return;
            }
        }
        reportAll(place, selector, noun);
    }

    /** Reports a requirement that nothing meets, if it is one. */
    private boolean report(
            final Place place,
            final Requirement requirement,
            final String noun,
            final Set<String> values,
            final Set<String> keys) {
        final boolean positive =
                requirement.operator() == Operator.IN || requirement.operator() == Operator.EXISTS;
        if (!positive || requirement.values().stream().anyMatch(values::contains)) {
            return false;
        }
        if (requirement.operator() == Operator.EXISTS && !values.isEmpty()) {
            return false;
        }
        final String key = SeenLabels.bareKey(requirement.key());
        final Optional<String> near;
        final String lacking;
        if (values.isEmpty()) {
            near = Fields.nearest(key, keys);
            lacking = "a label " + key;
        } else {
            near =
                    requirement.values().stream()
                            .flatMap(value -> Fields.nearest(value, values).stream())
                            .findFirst()
                            .map(value -> key + "=" + value);
            lacking = new Requirement(key, requirement.operator(), requirement.values()).toString();
        }
        found.add(
                Finding.at(
                        place.where,
                        place.policy,
                        SELECTOR_MATCHES_NOTHING,
                        place.policy.ref() + ": " + place.what + ": no " + noun + " has " + lacking,
                        near.map(name -> "did you mean " + name + "?")
                                .orElse("correct the selector, or take it out")));
        return true;
    }

    private void reportAll(final Place place, final LabelSelector selector, final String noun) {
        found.add(
                Finding.at(
                        place.where,
                        place.policy,
                        SELECTOR_MATCHES_NOTHING,
                        place.policy.ref()
                                + ": "
                                + place.what
                                + ": no "
                                + noun
                                + " has "
                                + selector,
                        "correct the selector, or take it out"));
    }

    private void cilium(final CiliumPolicy policy) {
        for (final CiliumPolicy.Rule rule : policy.rules()) {
            if (rule.subject() instanceof final CiliumPolicy.Endpoints endpoints) {
                ciliumSelector(
                        new Place(policy, policy.where(), "endpointSelector"),
                        policy,
                        endpoints.selector());
            }
            for (final CiliumPolicy.Side side : List.of(rule.ingress(), rule.egress())) {
                for (final List<CiliumPolicy.Entry> entries : List.of(side.allow(), side.deny())) {
                    for (final CiliumPolicy.Entry entry : entries) {
                        if (entry.peers() instanceof final CiliumPolicy.PeerEndpoints peers) {
                            for (final LabelSelector selector : peers.selectors()) {
                                ciliumSelector(
                                        new Place(policy, entry.where(), "peer"), policy, selector);
                            }
                        }
                    }
                }
            }
        }
    }

    private void ciliumSelector(
            final Place place, final CiliumPolicy policy, final LabelSelector selector) {
        boolean anyNamespace = policy.isClusterwide();
        for (final Requirement requirement : selector.requirements()) {
            final String key = SeenLabels.bareKey(requirement.key());
            if (key.indexOf(':') >= 0 || key.endsWith("policy.cluster")) {
                return;
            }
            if (key.startsWith(SeenLabels.CILIUM_NAMESPACE_LABELS)) {
                if (defined.isEmpty() || !defined.containsAll(existing)) {
                    return;
                }
                anyNamespace |= place.what.equals("peer");
            }
            if (key.equals(SeenLabels.CILIUM_NAMESPACE)
                    && (policy.isClusterwide() || place.what.equals("peer"))) {
                anyNamespace = true;
                if (requirement.operator() == Operator.IN
                        && requirement.values().stream()
                                .noneMatch(name -> !podsOf(name).isEmpty())) {
                    judgeNamespaceNames(place, requirement.values());
                    return;
                }
            }
        }
        final String own = policy.meta().namespace();
        judge(
                place,
                selector,
                anyNamespace ? candidates(selector) : podsOf(own),
                anyNamespace ? "any namespace asked for" : "namespace " + own,
                linted.labels()::ofCilium);
    }

    /** Pods of the namespaces that a selector names, or all. */
    private List<Pod> candidates(final LabelSelector selector) {
        for (final Requirement requirement : selector.requirements()) {
            if (SeenLabels.bareKey(requirement.key()).equals(SeenLabels.CILIUM_NAMESPACE)
                    && requirement.operator() == Operator.IN) {
                return requirement.values().stream()
                        .flatMap(namespace -> podsOf(namespace).stream())
                        .toList();
            }
        }
        return allPods;
    }

    private void calico(final CalicoPolicy policy) {
        final String own = policy.meta().namespace();
        final List<Pod> candidates = policy.isGlobal() ? allPods : podsOf(own);
        final boolean hosts =
                policy.isGlobal()
                        && linted.world().all(CalicoPolicy.HostEndpoint.class).stream()
                                .anyMatch(host -> policy.selector().matches(host.meta().labels()));
        if (!candidates.isEmpty()
                && !hosts
                && candidates.stream()
                        .noneMatch(
                                pod -> policy.selector().matches(linted.labels().ofCalico(pod)))) {
            reportCalico(
                    new Place(policy, policy.where(), "selector"),
                    policy.selector(),
                    candidates,
                    policy.isGlobal() ? "pod" : "pod of namespace " + own);
        }
        for (final List<CalicoPolicy.Rule> rules : List.of(policy.ingress(), policy.egress())) {
            for (final CalicoPolicy.Rule rule : rules) {
                final Place place = new Place(policy, rule.where(), "peer");
                calicoEntity(place, policy, rule.source());
                calicoEntity(place, policy, rule.destination());
            }
        }
    }

    private void calicoEntity(
            final Place place, final CalicoPolicy policy, final CalicoPolicy.Entity entity) {
        if (entity.selector().isEmpty() || allPods.isEmpty()) {
            return;
        }
        final CalicoSelector selector = entity.selector().get();
        final boolean own = !policy.isGlobal() && entity.namespaceSelector().isEmpty();
        final String namespace = policy.meta().namespace();
        final List<Pod> candidates =
                own
                        ? podsOf(namespace)
                        : allPods.stream()
                                .filter(
                                        pod ->
                                                entity.namespaceSelector()
                                                        .map(s -> inNamespace(s, pod))
                                                        .orElse(true))
                                .toList();
        final boolean sets =
                linted.world().all(CalicoPolicy.NetworkSet.class).stream()
                                .anyMatch(set -> selector.matches(set.meta().labels()))
                        || linted.world().all(CalicoPolicy.HostEndpoint.class).stream()
                                .anyMatch(host -> selector.matches(host.meta().labels()));
        if (!candidates.isEmpty()
                && !sets
                && candidates.stream()
                        .noneMatch(pod -> selector.matches(linted.labels().ofCalico(pod)))) {
            reportCalico(
                    place, selector, candidates, own ? "pod of namespace " + namespace : "pod");
        }
    }

    private boolean inNamespace(final CalicoSelector selector, final Pod pod) {
        return selector.matches(linted.labels().ofCalicoNamespace(pod.meta().namespace()));
    }

    /**
     * Names the comparison that fails where the selector is a conjunction, else no more than it.
     */
    private void reportCalico(
            final Place place,
            final CalicoSelector selector,
            final List<Pod> candidates,
            final String noun) {
        final List<CalicoSelector.Expression> parts =
                selector.root() instanceof final CalicoSelector.And and
                        ? and.operands()
                        : List.of(selector.root());
        final List<Requirement> requirements = new ArrayList<>();
        for (final CalicoSelector.Expression part : parts) {
            switch (part) {
                case final CalicoSelector.Has has ->
                        requirements.add(new Requirement(has.label(), Operator.EXISTS, Set.of()));
                case final CalicoSelector.In in ->
                        requirements.add(
                                new Requirement(
                                        in.label(), Operator.IN, new TreeSet<>(in.values())));
                case final CalicoSelector.Compare compare
                        when compare.comparison() == CalicoSelector.Comparison.EQUAL ->
                        requirements.add(
                                new Requirement(
                                        compare.label(), Operator.IN, Set.of(compare.value())));
                default -> {}
            }
        }
        for (final Requirement requirement : requirements) {
            final TreeSet<String> values = new TreeSet<>();
            final TreeSet<String> keys = new TreeSet<>();
            for (final Pod pod : candidates) {
                final Map<String, String> labels = linted.labels().ofCalico(pod);
                Optional.ofNullable(labels.get(requirement.key())).ifPresent(values::add);
                keys.addAll(pod.meta().labels().keySet());
            }
            if (report(place, requirement, noun, values, keys)) {
                return;
            }
        }
        found.add(
                Finding.at(
                        place.where,
                        place.policy,
                        SELECTOR_MATCHES_NOTHING,
                        place.policy.ref()
                                + ": "
                                + place.what
                                + ": no "
                                + noun
                                + " matches the selector",
                        "correct the selector, or take it out"));
    }
}
