package io.sluice.control.policy.recommend;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What selects one workload of its namespace and none of the others that are known.
 *
 * <p>The label by which people name the workload, and as many more as it takes to leave out the
 * others: a policy with all labels would lose its pods with the first label that somebody adds.
 * What has all labels of the workload and some besides is left out by the absence of one of these.
 *
 * @param labels that it must have
 * @param absent keys of labels that it must not have
 */
record WorkloadSelector(NavigableMap<String, String> labels, NavigableSet<String> absent) {
    /** Labels that say what a workload is, the best first. */
    private static final List<String> NAMING =
            List.of(
                    "app.kubernetes.io/name",
                    "k8s-app",
                    "app",
                    "name",
                    "run",
                    "app.kubernetes.io/component",
                    "component",
                    "app.kubernetes.io/instance",
                    "tier",
                    "role");

    private static final Comparator<String> BEST_FIRST =
            Comparator.comparingInt(WorkloadSelector::rank)
                    .thenComparing(Comparator.naturalOrder());

    private static int rank(final String key) {
        final int rank = NAMING.indexOf(key);
        return rank < 0 ? NAMING.size() : rank;
    }

    /**
     * @param workload to be selected
     * @param all workloads that are known
     */
    static WorkloadSelector of(final Workload workload, final Collection<Workload> all) {
        List<Workload> others =
                all.stream()
                        .filter(other -> other.namespace().equals(workload.namespace()))
                        .filter(other -> !other.equals(workload))
                        .toList();
        final NavigableMap<String, String> labels = new TreeMap<>();
        final List<String> keys = new ArrayList<>(workload.labels().keySet());
        keys.sort(BEST_FIRST);
        for (final String key : keys) {
            final Map.Entry<String, String> label =
                    Map.entry(key, workload.labels().getOrDefault(key, ""));
            final List<Workload> left = others.stream().filter(other -> other.has(label)).toList();
            if (labels.isEmpty() || left.size() < others.size()) {
                labels.put(label.getKey(), label.getValue());
                others = left;
            }
        }
        final NavigableSet<String> absent = new TreeSet<>();
        for (final Workload other : others) {
            if (other.labels().keySet().stream().noneMatch(absent::contains)) {
                // It has all labels of the workload, so it has others: they are not the same.
                other.labels().keySet().stream()
                        .filter(key -> !workload.labels().containsKey(key))
                        .min(BEST_FIRST)
                        .ifPresent(absent::add);
            }
        }
        return new WorkloadSelector(labels, absent);
    }

    /** Whether it selects every pod of the namespace. */
    boolean isEmpty() {
        return labels.isEmpty() && absent.isEmpty();
    }

    /** The value of the label that names the workload, empty without labels. */
    String name() {
        return labels.keySet().stream()
                .min(BEST_FIRST)
                .map(key -> labels.getOrDefault(key, ""))
                .orElse("");
    }

    /** {@code app=web,!canary}. */
    @Override
    public String toString() {
        final List<String> texts = new ArrayList<>();
        labels.forEach((key, value) -> texts.add(key + "=" + value));
        absent.forEach(key -> texts.add("!" + key));
        return texts.isEmpty() ? "all pods" : String.join(",", texts);
    }
}
