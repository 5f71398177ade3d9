package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Phrases for sets of pods, as short as they can be without leaving anything open: {@code *} for
 * all, and by namespace {@code shop/*} for all of it, {@code shop/[app=web]} where labels tell
 * exactly these from the others of the namespace, {@code shop/{a,b}} otherwise; {@code
 * {shop,ops}/*} where the same is true of several namespaces.
 *
 * <p>Of a pod that both worlds have, the labels are those of the later one.
 */
final class EndNames {
    private final SortedMap<String, SortedSet<ObjectRef>> podsByNamespace = new TreeMap<>();
    private final Map<ObjectRef, Map<String, String>> labels = new HashMap<>();

    EndNames(final World before, final World after) {
        for (final World world : List.of(before, after)) {
            for (final Pod pod : world.pods()) {
                if (pod.isEndpoint()) {
                    podsByNamespace
                            .computeIfAbsent(pod.meta().namespace(), _ -> new TreeSet<>())
                            .add(pod.ref());
                    labels.put(pod.ref(), pod.meta().labels());
                }
            }
        }
    }

    /** All pods of both worlds. */
    List<ObjectRef> pods() {
        return podsByNamespace.values().stream().flatMap(Collection::stream).toList();
    }

    String of(final Collection<ObjectRef> pods) {
        if (podsByNamespace.size() > 1 && pods.size() == labels.size()) {
            return "*" + count(pods.size());
        }
        final SortedMap<String, SortedSet<ObjectRef>> asked = new TreeMap<>();
        for (final ObjectRef pod : pods) {
            asked.computeIfAbsent(pod.namespace(), _ -> new TreeSet<>()).add(pod);
        }
        final Map<String, SortedSet<String>> namespacesByPattern = new LinkedHashMap<>();
        asked.forEach(
                (namespace, members) ->
                        namespacesByPattern
                                .computeIfAbsent(pattern(namespace, members), _ -> new TreeSet<>())
                                .add(namespace));
        final List<String> texts = new ArrayList<>();
        namespacesByPattern.forEach(
                (pattern, namespaces) -> {
                    final boolean names = !pattern.startsWith("*") && !pattern.startsWith("[");
                    final int members =
                            namespaces.stream()
                                    .mapToInt(namespace -> pods(asked, namespace).size())
                                    .sum();
                    texts.add(oneOf(namespaces) + "/" + pattern + (names ? "" : count(members)));
                });
        return String.join(" and ", texts);
    }

    private static SortedSet<ObjectRef> pods(
            final Map<String, SortedSet<ObjectRef>> byNamespace, final String namespace) {
        return byNamespace.getOrDefault(namespace, Collections.emptySortedSet());
    }

    private static String oneOf(final Collection<String> names) {
        final String joined = String.join(",", names);
        return names.size() == 1 ? joined : "{" + joined + "}";
    }

    private String pattern(final String namespace, final SortedSet<ObjectRef> members) {
        final SortedSet<ObjectRef> ofNamespace = pods(podsByNamespace, namespace);
        if (members.size() > 1) {
            if (members.size() == ofNamespace.size()) {
                return "*";
            }
            final SortedMap<String, String> common = new TreeMap<>(labelsOf(members.getFirst()));
            members.forEach(member -> common.entrySet().retainAll(labelsOf(member).entrySet()));
            for (final Map.Entry<String, String> label : common.entrySet()) {
                final Map<String, String> one = Map.of(label.getKey(), label.getValue());
                if (matching(one, ofNamespace) == members.size()) {
                    return "[" + label.getKey() + "=" + label.getValue() + "]";
                }
            }
            if (matching(common, ofNamespace) == members.size()) {
                final List<String> texts = new ArrayList<>();
                common.forEach((key, value) -> texts.add(key + "=" + value));
                return "[" + String.join(",", texts) + "]";
            }
        }
        return oneOf(members.stream().map(ObjectRef::name).toList());
    }

    private Map<String, String> labelsOf(final ObjectRef pod) {
        return labels.getOrDefault(pod, Map.of());
    }

    private long matching(final Map<String, String> wanted, final Collection<ObjectRef> pods) {
        return pods.stream()
                .filter(pod -> labelsOf(pod).entrySet().containsAll(wanted.entrySet()))
                .count();
    }

    private static String count(final int pods) {
        return " (" + pods + (pods == 1 ? " pod)" : " pods)");
    }
}
