package io.sluice.control.policy.recommend;

import io.sluice.control.policy.Pod;
import java.util.Comparator;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;

/**
 * Pods of one namespace with the same labels, those aside that differ from pod to pod or from one
 * release to the next.
 *
 * @param namespace of the pods
 * @param labels that they have in common
 */
record Workload(String namespace, NavigableMap<String, String> labels)
        implements Comparable<Workload> {
    /**
     * Labels that controllers and tools put on pods, and that a policy must not depend on: of a
     * ReplicaSet, DaemonSet, StatefulSet or Job, of a release, of a place.
     */
    private static final Set<String> UNSTABLE =
            Set.of(
                    "pod-template-hash",
                    "pod-template-generation",
                    "controller-revision-hash",
                    "controller-uid",
                    "job-name",
                    "statefulset.kubernetes.io/pod-name",
                    "apps.kubernetes.io/pod-index",
                    "batch.kubernetes.io/controller-uid",
                    "batch.kubernetes.io/job-name",
                    "batch.kubernetes.io/job-completion-index",
                    "app.kubernetes.io/version",
                    "app.kubernetes.io/managed-by",
                    "helm.sh/chart",
                    "chart",
                    "heritage",
                    "release",
                    "version",
                    "rollouts-pod-template-hash");

    private static final Set<String> UNSTABLE_PREFIXES =
            Set.of("topology.kubernetes.io/", "security.istio.io/", "service.istio.io/");

    private static final Comparator<Workload> ORDER =
            Comparator.comparing(Workload::namespace)
                    .thenComparing(workload -> workload.labels.toString());

    static Workload of(final Pod pod) {
        final NavigableMap<String, String> stable = new TreeMap<>();
        pod.meta()
                .labels()
                .forEach(
                        (key, value) -> {
                            if (!UNSTABLE.contains(key)
                                    && UNSTABLE_PREFIXES.stream().noneMatch(key::startsWith)) {
                                stable.put(key, value);
                            }
                        });
        return new Workload(pod.meta().namespace(), stable);
    }

    boolean has(final Map.Entry<String, String> label) {
        return label.getValue().equals(labels.get(label.getKey()));
    }

    @Override
    public int compareTo(final Workload other) {
        return ORDER.compare(this, other);
    }
}
