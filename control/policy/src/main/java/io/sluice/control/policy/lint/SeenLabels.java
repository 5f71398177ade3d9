package io.sluice.control.policy.lint;

import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.LabelSelector.Requirement;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.World;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * The labels of pods and namespaces, by the keys that each kind of policy calls them. A key is
 * asked for rather than listed: Cilium knows one label by several keys.
 */
final class SeenLabels {
    static final String CILIUM_NAMESPACE = "io.kubernetes.pod.namespace";
    static final String CILIUM_NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels.";
    static final String NAMESPACE_NAME = "kubernetes.io/metadata.name";
    private static final String CILIUM_DERIVED = "io.cilium.k8s.";
    private static final String CALICO_PREFIX = "projectcalico.org/";

    private final World world;
    private final String clusterName;
    private final Map<String, Map<String, String>> namespaceLabels = new HashMap<>();

    SeenLabels(final World world, final String clusterName) {
        this.world = world;
        this.clusterName = clusterName;
    }

    static boolean matches(
            final LabelSelector selector, final Function<String, Optional<String>> labels) {
        for (final Requirement requirement : selector.requirements()) {
            if (!matches(requirement, labels.apply(requirement.key()))) {
                return false;
            }
        }
        return true;
    }

    private static boolean matches(final Requirement requirement, final Optional<String> value) {
        final boolean listed = value.filter(requirement.values()::contains).isPresent();
        return switch (requirement.operator()) {
            case IN -> listed;
            case NOT_IN -> !listed;
            case EXISTS -> value.isPresent();
            case DOES_NOT_EXIST -> value.isEmpty();
        };
    }

    /** A pod's own labels, as NetworkPolicy and AdminNetworkPolicy see them. */
    static Function<String, Optional<String>> ofPod(final Pod pod) {
        return key -> Optional.ofNullable(pod.meta().labels().get(key));
    }

    Function<String, Optional<String>> ofNamespace(final String namespace) {
        final Map<String, String> labels = labelsOf(namespace);
        return key -> Optional.ofNullable(labels.get(key));
    }

    private Map<String, String> labelsOf(final String namespace) {
        return namespaceLabels.computeIfAbsent(namespace, world::namespaceLabels);
    }

    /**
     * As Cilium sees a pod: keys with or without source, and those derived from its surroundings.
     */
    Function<String, Optional<String>> ofCilium(final Pod pod) {
        return key -> {
            final String bare = bareKey(key);
            if (bare.indexOf(':') >= 0) {
                return Optional.empty();
            }
            if (bare.equals(CILIUM_NAMESPACE)) {
                return Optional.of(pod.meta().namespace());
            }
            if (bare.startsWith(CILIUM_NAMESPACE_LABELS)) {
                return ofNamespace(pod.meta().namespace())
                        .apply(bare.substring(CILIUM_NAMESPACE_LABELS.length()));
            }
            return switch (bare) {
                case CILIUM_DERIVED + "policy.cluster" -> Optional.of(clusterName);
                case CILIUM_DERIVED + "policy.serviceaccount" ->
                        Optional.of(pod.serviceAccountName());
                default ->
                        bare.startsWith(CILIUM_DERIVED)
                                ? Optional.empty()
                                : Optional.ofNullable(pod.meta().labels().get(bare));
            };
        };
    }

    /** A key without the sources that pods' labels have; other sources stay. */
    static String bareKey(final String key) {
        for (final String source : new String[] {"k8s:", "any:"}) {
            if (key.startsWith(source)) {
                return key.substring(source.length());
            }
        }
        return key;
    }

    /** As Calico sees a pod, its namespace and account included. */
    Map<String, String> ofCalico(final Pod pod) {
        final Map<String, String> labels = new TreeMap<>(pod.meta().labels());
        labelsOf(pod.meta().namespace()).forEach((key, value) -> labels.put("pcns." + key, value));
        labels.put(CALICO_PREFIX + "namespace", pod.meta().namespace());
        labels.put(CALICO_PREFIX + "orchestrator", "k8s");
        labels.put(CALICO_PREFIX + "serviceaccount", pod.serviceAccountName());
        return labels;
    }

    /** As Calico's namespace selectors see a namespace. */
    Map<String, String> ofCalicoNamespace(final String namespace) {
        final Map<String, String> labels = new TreeMap<>(labelsOf(namespace));
        labels.put(CALICO_PREFIX + "name", namespace);
        return labels;
    }
}
