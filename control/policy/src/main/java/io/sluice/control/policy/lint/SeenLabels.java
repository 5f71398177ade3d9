package io.sluice.control.policy.lint;

import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.Pod;
import io.sluice.control.policy.World;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The labels of pods and namespaces, by the keys that each kind of policy calls them. */
final class SeenLabels {
    static final String CILIUM_NAMESPACE = "io.kubernetes.pod.namespace";
    static final String CILIUM_NAMESPACE_LABELS = "io.cilium.k8s.namespace.labels.";
    static final String NAMESPACE_NAME = "kubernetes.io/metadata.name";
    private static final String CILIUM_DERIVED = "io.cilium.k8s.";
    private static final String CALICO_PREFIX = "projectcalico.org/";

    /** Sources under which Cilium policies find the labels of pods. */
    private static final List<String> POD_SOURCES = List.of("k8s:", "any:");

    private final World world;
    private final String clusterName;
    private final Map<String, Map<String, String>> namespaceLabels = new HashMap<>();
    private final Map<ObjectRef, Map<String, String>> ciliumLabels = new HashMap<>();

    SeenLabels(final World world, final String clusterName) {
        this.world = world;
        this.clusterName = clusterName;
    }

    /** A pod's own labels, as NetworkPolicy and AdminNetworkPolicy see them. */
    static Map<String, String> ofPod(final Pod pod) {
        return pod.meta().labels();
    }

    Map<String, String> ofNamespace(final String namespace) {
        return namespaceLabels.computeIfAbsent(namespace, world::namespaceLabels);
    }

    /**
     * As Cilium sees a pod: each label with its sources and without, what surrounds it included.
     */
    Map<String, String> ofCilium(final Pod pod) {
        return ciliumLabels.computeIfAbsent(pod.ref(), _ -> ciliumLabels(pod));
    }

    private Map<String, String> ciliumLabels(final Pod pod) {
        final String namespace = pod.meta().namespace();
        final Map<String, String> bare = new HashMap<>();
        pod.meta()
                .labels()
                .forEach(
                        (key, value) -> {
                            if (!key.startsWith(CILIUM_DERIVED)) {
                                bare.put(key, value);
                            }
                        });
        ofNamespace(namespace)
                .forEach((key, value) -> bare.put(CILIUM_NAMESPACE_LABELS + key, value));
        bare.put(CILIUM_NAMESPACE, namespace);
        bare.put(CILIUM_DERIVED + "policy.cluster", clusterName);
        bare.put(CILIUM_DERIVED + "policy.serviceaccount", pod.serviceAccountName());
        final Map<String, String> labels = new HashMap<>(bare);
        for (final String source : POD_SOURCES) {
            bare.forEach((key, value) -> labels.put(source + key, value));
        }
        return labels;
    }

    /** A key without the sources that pods' labels have; other sources stay. */
    static String bareKey(final String key) {
        for (final String source : POD_SOURCES) {
            if (key.startsWith(source)) {
                return key.substring(source.length());
            }
        }
        return key;
    }

    /** As Calico sees a pod, its namespace and account included. */
    Map<String, String> ofCalico(final Pod pod) {
        final String namespace = pod.meta().namespace();
        final Map<String, String> labels = new TreeMap<>(pod.meta().labels());
        ofNamespace(namespace).forEach((key, value) -> labels.put("pcns." + key, value));
        labels.put(CALICO_PREFIX + "namespace", namespace);
        labels.put(CALICO_PREFIX + "orchestrator", "k8s");
        labels.put(CALICO_PREFIX + "serviceaccount", pod.serviceAccountName());
        return labels;
    }

    /** As Calico's namespace selectors see a namespace. */
    Map<String, String> ofCalicoNamespace(final String namespace) {
        final Map<String, String> labels = new TreeMap<>(ofNamespace(namespace));
        labels.put(CALICO_PREFIX + "name", namespace);
        return labels;
    }
}
