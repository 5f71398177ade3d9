package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Phrases for sets of pods, as short as they can be without leaving anything open: {@code *} for
 * all, and by namespace {@code shop/*} for all of it, {@code shop/[app=web]} where labels tell
 * exactly these from the others of the namespace, {@code shop/{a,b}} otherwise.
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
            return "*" + count(pods);
        }
        final SortedMap<String, SortedSet<ObjectRef>> asked = new TreeMap<>();
        for (final ObjectRef pod : pods) {
            asked.computeIfAbsent(pod.namespace(), _ -> new TreeSet<>()).add(pod);
        }
        final List<String> texts = new ArrayList<>();
        asked.forEach(
                (namespace, members) ->
                        texts.add(
                                namespace
                                        + "/"
                                        + within(
                                                members,
                                                podsByNamespace.getOrDefault(namespace, members))));
        return String.join(" and ", texts);
    }

    private String within(
            final SortedSet<ObjectRef> members, final SortedSet<ObjectRef> ofNamespace) {
        if (members.size() == 1) {
            return members.getFirst().name();
        }
        if (members.size() == ofNamespace.size()) {
            return "*" + count(members);
        }
        final SortedMap<String, String> common = new TreeMap<>(labelsOf(members.getFirst()));
        members.forEach(member -> common.entrySet().retainAll(labelsOf(member).entrySet()));
        for (final Map.Entry<String, String> label : common.entrySet()) {
            if (matching(Map.of(label.getKey(), label.getValue()), ofNamespace) == members.size()) {
                return "[" + label.getKey() + "=" + label.getValue() + "]" + count(members);
            }
        }
        if (matching(common, ofNamespace) == members.size()) {
            final List<String> texts = new ArrayList<>();
            common.forEach((key, value) -> texts.add(key + "=" + value));
            return "[" + String.join(",", texts) + "]" + count(members);
        }
        return "{" + String.join(",", members.stream().map(ObjectRef::name).toList()) + "}";
    }

    private Map<String, String> labelsOf(final ObjectRef pod) {
        return labels.getOrDefault(pod, Map.of());
    }

    private long matching(final Map<String, String> wanted, final Collection<ObjectRef> pods) {
        return pods.stream()
                .filter(pod -> labelsOf(pod).entrySet().containsAll(wanted.entrySet()))
                .count();
    }

    private static String count(final Collection<ObjectRef> pods) {
        return " (" + pods.size() + (pods.size() == 1 ? " pod)" : " pods)");
    }
}
