package io.sluice.control.policy.lint;

import io.sluice.control.policy.AdminPolicy;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.CalicoPolicy;
import io.sluice.control.policy.CalicoSelector;
import io.sluice.control.policy.CiliumPolicy;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.NetworkPolicy;
import io.sluice.control.policy.ObjectMeta;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyMap;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.SourceLocation;
import io.sluice.control.policy.Staging;
import io.sluice.control.policy.VerdictProgram;
import io.sluice.control.policy.World;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * What all checks look at: the world, the policies side by side, whom they select, and what the
 * compiled policy says.
 *
 * <p>A folder of policies often comes without pods. For a policy in a namespace (or, where it is
 * cluster-wide, a world) that has none, a <em>witness</em> takes part: a pod with just the labels
 * that the policy selects. Checks that ask what the world has never see witnesses: {@link #world}
 * is without them. Immutable.
 */
final class LintedWorld {
    /** A source port as systems choose it: where a rule names source ports, it means others. */
    static final int SOURCE_PORT = 40_000;

    private static final int NAMES_MAX = 3;

    private final World world;
    private final World judged;
    private final PolicyOptions options;
    private final PolicySet policies;
    private final SeenLabels labels;
    private final List<Pod> endpoints;
    private final Map<String, List<Pod>> endpointsByNamespace = new HashMap<>();
    private final List<PolicySide> sides;
    private final Map<PolicyDirection, List<SubjectGroup>> groups = new HashMap<>();

    /**
     * Pods that the same sides select and to which the same holds.
     *
     * @param sides by place
     * @param map what holds
     * @param pods by namespace and name
     */
    record SubjectGroup(List<PolicySide> sides, PolicyMap map, List<Pod> pods) {
        /** The side to name for what the group suffers: the first that isolates. */
        Optional<PolicySide> firstIsolating() {
            return sides.stream().filter(PolicySide::isolates).findFirst();
        }
    }

    LintedWorld(final World world, final PolicyOptions options) {
        this.world = world;
        this.options = options;
        this.judged = world.with(witnesses(world));
        this.labels = new SeenLabels(judged, options.clusterName());
        this.policies = PolicyCompiler.compile(judged, new IdentityAllocator(), options);
        this.endpoints =
                judged.pods().stream()
                        .filter(Pod::isEndpoint)
                        .sorted(Comparator.comparing(Pod::ref))
                        .toList();
        for (final Pod pod : endpoints) {
            endpointsByNamespace
                    .computeIfAbsent(pod.meta().namespace(), _ -> new ArrayList<>())
                    .add(pod);
        }
        this.sides = findSides();
        for (final PolicyDirection direction : PolicyDirection.values()) {
            groups.put(direction, findGroups(direction));
        }
    }

    /** The world as it was given. */
    World world() {
        return world;
    }

    PolicyOptions options() {
        return options;
    }

    /** The world with its witnesses, compiled. */
    PolicySet policies() {
        return policies;
    }

    SeenLabels labels() {
        return labels;
    }

    /** Enforced sides, by place of their policy. */
    List<PolicySide> sides() {
        return sides;
    }

    /** Endpoints that some side selects in a direction. */
    List<SubjectGroup> groups(final PolicyDirection direction) {
        return groups.getOrDefault(direction, List.of());
    }

    /** Endpoints, witnesses included, by namespace and name. */
    List<Pod> endpoints() {
        return endpoints;
    }

    boolean isWitness(final Pod pod) {
        return pod.where().equals(SourceLocation.NONE);
    }

    /** Policies of all kinds, staged ones included, by place. */
    List<KubeObject.Policy> allPolicies() {
        return byPlace(world);
    }

    private static List<KubeObject.Policy> byPlace(final World world) {
        return world.all(KubeObject.Policy.class).stream()
                .sorted(
                        Comparator.comparing((KubeObject.Policy policy) -> policy.where().file())
                                .thenComparingInt(policy -> policy.where().line())
                                .thenComparing(KubeObject::ref))
                .toList();
    }

    static boolean isEnforced(final KubeObject.Policy policy) {
        return switch (policy) {
            case final NetworkPolicy kubernetes -> kubernetes.staging() == Staging.ENFORCED;
            case final CalicoPolicy calico -> calico.staging() == Staging.ENFORCED;
            case CiliumPolicy _, AdminPolicy _ -> true;
        };
    }

    private List<PolicySide> findSides() {
        final List<PolicySide> found = new ArrayList<>();
        for (final KubeObject.Policy policy : byPlace(judged)) {
            if (isEnforced(policy)) {
                for (final PolicyDirection direction : PolicyDirection.values()) {
                    addSides(policy, direction, found);
                }
            }
        }
        return List.copyOf(found);
    }

    private void addSides(
            final KubeObject.Policy policy,
            final PolicyDirection direction,
            final List<PolicySide> found) {
        switch (policy) {
            case final NetworkPolicy kubernetes -> {
                if (kubernetes.directions().contains(direction)) {
                    found.add(
                            new PolicySide(
                                    found.size(),
                                    policy,
                                    direction,
                                    true,
                                    isEverything(kubernetes.podSelector()),
                                    RuleView.of(kubernetes, direction),
                                    select(
                                            policy,
                                            pod ->
                                                    kubernetes
                                                            .podSelector()
                                                            .matches(SeenLabels.ofPod(pod)))));
                }
            }
            case final CiliumPolicy cilium -> {
                for (final CiliumPolicy.Rule rule : cilium.rules()) {
                    final CiliumPolicy.Side side = rule.side(direction);
                    if (rule.subject() instanceof final CiliumPolicy.Endpoints subject
                            && (side.isPresent() || side.defaultDeny())) {
                        found.add(
                                new PolicySide(
                                        found.size(),
                                        policy,
                                        direction,
                                        side.defaultDeny(),
                                        isEverything(subject.selector()),
                                        RuleView.of(side),
                                        select(
                                                policy,
                                                pod ->
                                                        subject.selector()
                                                                .matches(labels.ofCilium(pod)))));
                    }
                }
            }
            case final AdminPolicy admin -> {
                if (!admin.rules(direction).isEmpty()) {
                    found.add(
                            new PolicySide(
                                    found.size(),
                                    policy,
                                    direction,
                                    false,
                                    isEverything(admin.subject().namespaces())
                                            && admin.subject()
                                                    .pods()
                                                    .map(LintedWorld::isEverything)
                                                    .orElse(true),
                                    RuleView.of(admin.rules(direction)),
                                    select(policy, pod -> selects(admin, pod))));
                }
            }
            case final CalicoPolicy calico -> {
                if (calico.types().contains(direction)) {
                    found.add(
                            new PolicySide(
                                    found.size(),
                                    policy,
                                    direction,
                                    !passesAtItsEnd(calico.tier()),
                                    calico.selector().equals(CalicoSelector.ALL)
                                            && calico.namespaceSelector().isEmpty()
                                            && calico.serviceAccountSelector().isEmpty(),
                                    RuleView.of(calico, direction),
                                    select(policy, pod -> selects(calico, pod))));
                }
            }
        }
    }

    private boolean passesAtItsEnd(final String tier) {
        return world.all(CalicoPolicy.Tier.class).stream()
                .filter(candidate -> candidate.meta().name().equals(tier))
                .anyMatch(
                        candidate ->
                                candidate.defaultAction() == CalicoPolicy.Tier.DefaultAction.PASS);
    }

    static boolean isEverything(final LabelSelector selector) {
        return selector.requirements().isEmpty();
    }

    /** Endpoints that a policy could select: those of its namespace, or all. */
    private List<Pod> select(final KubeObject.Policy policy, final Predicate<Pod> subject) {
        final String namespace = policy.meta().namespace();
        final List<Pod> candidates =
                namespace.isEmpty()
                        ? endpoints
                        : endpointsByNamespace.getOrDefault(namespace, List.of());
        return candidates.stream().filter(subject).toList();
    }

    private boolean selects(final AdminPolicy policy, final Pod pod) {
        return policy.subject()
                        .pods()
                        .map(selector -> selector.matches(SeenLabels.ofPod(pod)))
                        .orElse(true)
                && policy.subject()
                        .namespaces()
                        .matches(labels.ofNamespace(pod.meta().namespace()));
    }

    private boolean selects(final CalicoPolicy policy, final Pod pod) {
        final Map<String, String> namespace = labels.ofCalicoNamespace(pod.meta().namespace());
        return policy.selector().matches(labels.ofCalico(pod))
                && policy.namespaceSelector()
                        .map(selector -> selector.matches(namespace))
                        .orElse(true)
                && policy.serviceAccountSelector()
                        .map(selector -> selector.matches(accountLabels(pod)))
                        .orElse(true);
    }

    /** Labels of a pod's service account, its name included. */
    private Map<String, String> accountLabels(final Pod pod) {
        final Map<String, String> account = new TreeMap<>();
        world.lookup(
                        new ObjectRef(
                                "ServiceAccount", pod.meta().namespace(), pod.serviceAccountName()))
                .ifPresent(object -> account.putAll(object.meta().labels()));
        account.put("projectcalico.org/name", pod.serviceAccountName());
        return account;
    }

    private List<SubjectGroup> findGroups(final PolicyDirection direction) {
        final Map<ObjectRef, List<PolicySide>> selecting = new LinkedHashMap<>();
        for (final PolicySide side : sides) {
            if (side.direction() == direction) {
                for (final Pod pod : side.pods()) {
                    selecting.computeIfAbsent(pod.ref(), _ -> new ArrayList<>()).add(side);
                }
            }
        }
        record Key(List<PolicySide> sides, PolicyMap map) {}
        final Map<Key, List<Pod>> pods = new LinkedHashMap<>();
        for (final Pod pod : endpoints()) {
            final Optional<PolicyMap> map = policies.policyMap(pod.ref(), direction);
            final List<PolicySide> ofPod = selecting.getOrDefault(pod.ref(), List.of());
            if (map.isPresent() && !ofPod.isEmpty()) {
                pods.computeIfAbsent(new Key(ofPod, map.get()), _ -> new ArrayList<>()).add(pod);
            }
        }
        final List<SubjectGroup> found = new ArrayList<>();
        pods.forEach(
                (key, members) ->
                        found.add(
                                new SubjectGroup(
                                        List.copyOf(key.sides), key.map, List.copyOf(members))));
        return List.copyOf(found);
    }

    /** Whether a rule lets the packet pass, all of it or some requests. */
    static boolean opens(final PolicyEntry entry) {
        return entry.isAllowed() || entry.reason() == PolicyEntry.Reason.L7_NOT_ENFORCEABLE;
    }

    /** Whether some packet passes, what is let in from the own node aside. */
    static boolean opensAnything(final VerdictProgram program) {
        return opensByRule(program.otherProtocols())
                || program.protocols().stream()
                        .flatMap(protocol -> protocol.intervals().stream())
                        .anyMatch(interval -> opensByRule(interval.entry()));
    }

    private static boolean opensByRule(final PolicyEntry entry) {
        return opens(entry) && entry.by().origin() != Author.Origin.OWN_NODE;
    }

    static boolean opensAnything(final PolicyMap map) {
        return map.distinctPrograms().stream().anyMatch(LintedWorld::opensAnything);
    }

    /** What to call a pod in a message. */
    String name(final Pod pod) {
        return isWitness(pod) ? pod.meta().name() : pod.ref().path();
    }

    /** Up to three pods by name, then how many more. */
    String names(final List<Pod> pods) {
        return listed(pods.stream().map(this::name).distinct().toList());
    }

    /** Place of the rule that an author names, with its column; of the policy if it has none. */
    SourceLocation whereOf(final KubeObject policy, final Author by) {
        return sides.stream()
                .filter(side -> side.policy().equals(policy))
                .flatMap(side -> side.rules().stream())
                .map(RuleView::where)
                .filter(where -> where.line() == by.line())
                .findFirst()
                .orElse(policy.where());
    }

    static String listed(final List<String> names) {
        if (names.size() <= NAMES_MAX + 1) {
            return String.join(", ", names);
        }
        return String.join(", ", names.subList(0, NAMES_MAX))
                + " and "
                + (names.size() - NAMES_MAX)
                + " more";
    }

    private static List<Pod> witnesses(final World world) {
        final TreeSet<String> populated = new TreeSet<>();
        for (final Pod pod : world.pods()) {
            populated.add(pod.meta().namespace());
        }
        final Map<ObjectRef, Pod> witnesses = new LinkedHashMap<>();
        for (final KubeObject.Policy policy : byPlace(world)) {
            final String namespace = policy.meta().namespace();
            final boolean known =
                    namespace.isEmpty() ? !populated.isEmpty() : populated.contains(namespace);
            if (!known) {
                for (final Pod witness : witnesses(policy)) {
                    witnesses.putIfAbsent(witness.ref(), witness);
                }
            }
        }
        return List.copyOf(witnesses.values());
    }

    private static List<Pod> witnesses(final KubeObject.Policy policy) {
        final String own = policy.meta().namespace();
        return switch (policy) {
            case final NetworkPolicy kubernetes ->
                    List.of(witness(own, kubernetes.podSelector(), Function.identity()));
            case final CiliumPolicy cilium -> {
                final List<Pod> pods = new ArrayList<>();
                for (final CiliumPolicy.Rule rule : cilium.rules()) {
                    if (rule.subject() instanceof final CiliumPolicy.Endpoints endpoints) {
                        pods.add(witness(own, endpoints.selector(), SeenLabels::bareKey));
                    }
                }
                yield pods;
            }
            case final AdminPolicy admin ->
                    List.of(
                            witness(
                                    own,
                                    admin.subject().pods().orElse(LabelSelector.EVERYTHING),
                                    Function.identity()));
            case final CalicoPolicy calico ->
                    witness(own, calico.selector().root()).stream().toList();
        };
    }

    private static Pod witness(
            final String policyNamespace,
            final LabelSelector selector,
            final Function<String, String> keys) {
        final Map<String, String> labels = new TreeMap<>();
        String namespace = policyNamespace;
        for (final LabelSelector.Requirement requirement : selector.requirements()) {
            final String key = keys.apply(requirement.key());
            switch (requirement.operator()) {
                case IN -> labels.put(key, requirement.values().iterator().next());
                case EXISTS -> labels.put(key, "any");
                case NOT_IN, DOES_NOT_EXIST -> {}
            }
            if (key.equals(SeenLabels.CILIUM_NAMESPACE) && labels.containsKey(key)) {
                namespace = labels.getOrDefault(key, policyNamespace);
            }
        }
        return witness(namespace, labels, isEverything(selector) ? "" : selector.toString());
    }

    /** A pod for a conjunction of comparisons; the other forms have many, and none that speaks. */
    private static Optional<Pod> witness(
            final String namespace, final CalicoSelector.Expression expression) {
        final Map<String, String> labels = new TreeMap<>();
        final List<CalicoSelector.Expression> parts =
                expression instanceof final CalicoSelector.And and
                        ? and.operands()
                        : List.of(expression);
        for (final CalicoSelector.Expression part : parts) {
            switch (part) {
                case CalicoSelector.All _ -> {}
                case final CalicoSelector.Has has -> labels.put(has.label(), "any");
                case final CalicoSelector.Compare compare
                        when compare.comparison() == CalicoSelector.Comparison.EQUAL ->
                        labels.put(compare.label(), compare.value());
                default -> {
                    return Optional.empty();
                }
            }
        }
        final List<String> texts = new ArrayList<>();
        labels.forEach((key, value) -> texts.add(key + "=" + value));
        return Optional.of(witness(namespace, labels, String.join(",", texts)));
    }

    private static Pod witness(
            final String namespace, final Map<String, String> labels, final String selector) {
        final String home = namespace.isEmpty() ? "default" : namespace;
        final String name =
                (selector.isEmpty() ? "any pod" : "any pod with " + selector)
                        + (namespace.isEmpty() ? "" : " in namespace " + namespace);
        return new Pod(
                new ObjectMeta(
                        ObjectRef.pod(home, name),
                        "v1",
                        SourceLocation.NONE,
                        Map.copyOf(labels),
                        Map.of(),
                        Map.of()),
                "default",
                "",
                false,
                "",
                List.of(),
                List.of());
    }
}
