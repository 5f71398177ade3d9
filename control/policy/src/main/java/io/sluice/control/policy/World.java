package io.sluice.control.policy;

import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Every object that policy sees, at one moment. Immutable: a change makes a new world.
 *
 * <p>Of two objects with the same name the first is kept, and of two pods with the same address the
 * first keeps it; {@link #problems} names both places.
 */
public final class World {
    /** Label that every namespace has (Kubernetes KEP-2161). */
    static final String NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";

    /**
     * What makes one world out of another, so that a compiler which knows the other need not
     * compare all objects.
     *
     * @param parent the other world's mark
     * @param changed objects that were added, replaced or removed
     */
    private record Lineage(Object parent, Set<ObjectRef> changed) {}

    private static final Lineage NONE = new Lineage(new Object(), Set.of());

    // After NONE, which it is made with.
    public static final World EMPTY = of(List.of());

    private final Object mark = new Object();
    private final Lineage lineage;
    private final Map<ObjectRef, KubeObject> objects;
    private final Map<IpAddress, Set<String>> names;
    private final Map<Class<?>, List<KubeObject>> byKind = new HashMap<>();
    private final List<Problem> problems;
    private final List<Pod> pods;
    private final Map<IpAddress, Pod> podByAddress;

    private World(
            final Map<ObjectRef, KubeObject> objects,
            final Map<IpAddress, Set<String>> names,
            final Lineage lineage,
            final List<Problem> duplicates) {
        this.objects = Collections.unmodifiableMap(objects);
        this.names = Map.copyOf(names);
        this.lineage = lineage;
        final List<Problem> found = new ArrayList<>(duplicates);
        final List<Pod> allPods = new ArrayList<>();
        final Map<IpAddress, Pod> byAddress = new LinkedHashMap<>();
        for (final KubeObject object : objects.values()) {
            byKind.computeIfAbsent(object.getClass(), _ -> new ArrayList<>()).add(object);
            if (object instanceof final Pod pod) {
                allPods.add(pod);
                indexAddresses(pod, byAddress, found);
            }
        }
        this.pods = List.copyOf(allPods);
        this.podByAddress = Collections.unmodifiableMap(byAddress);
        this.problems = List.copyOf(found);
    }

    private static void indexAddresses(
            final Pod pod, final Map<IpAddress, Pod> byAddress, final List<Problem> problems) {
        if (!pod.isEndpoint()) {
            return;
        }
        for (final IpAddress address : pod.addresses()) {
            final Pod owner = byAddress.putIfAbsent(address, pod);
            if (owner != null) {
                problems.add(
                        Problem.error(
                                pod.where(),
                                "status.podIPs",
                                pod.ref()
                                        + ": address "
                                        + address
                                        + " already belongs to "
                                        + owner.ref()
                                        + " at "
                                        + owner.where()
                                        + ": every pod needs an address of its own"));
            }
        }
    }

    public static World of(final Collection<? extends KubeObject> objects) {
        final Map<ObjectRef, KubeObject> byRef = new LinkedHashMap<>();
        final List<Problem> duplicates = new ArrayList<>();
        for (final KubeObject object : objects) {
            final KubeObject first = byRef.putIfAbsent(object.ref(), object);
            if (first != null) {
                duplicates.add(
                        Problem.error(
                                object.where(),
                                "metadata.name",
                                object.ref() + " is already defined at " + first.where()));
            }
        }
        return new World(byRef, Map.of(), NONE, duplicates);
    }

    /** This world with objects added, or replaced where one of that name exists. */
    public World with(final Collection<? extends KubeObject> changed) {
        final Map<ObjectRef, KubeObject> next = new LinkedHashMap<>(objects);
        final Set<ObjectRef> refs = new HashSet<>();
        for (final KubeObject object : changed) {
            next.put(object.ref(), object);
            refs.add(object.ref());
        }
        return new World(next, names, new Lineage(mark, refs), List.of());
    }

    /** This world without the objects of these names. */
    public World without(final Collection<ObjectRef> removed) {
        final Map<ObjectRef, KubeObject> next = new LinkedHashMap<>(objects);
        removed.forEach(next::remove);
        return new World(next, names, new Lineage(mark, Set.copyOf(removed)), List.of());
    }

    /**
     * This world when the addresses were learned from these names.
     *
     * @param learned names by address, lower-case, with or without the final dot
     */
    public World withNames(final Map<IpAddress, Set<String>> learned) {
        return new World(objects, learned, NONE, problems);
    }

    /** Names that addresses were learned from. */
    public Map<IpAddress, Set<String>> names() {
        return names;
    }

    /** Objects that differ between an earlier world and this one; of either, of both. */
    Set<ObjectRef> changedSince(final World earlier) {
        if (isMark(lineage.parent, earlier.mark)) {
            return lineage.changed;
        }
        final Set<ObjectRef> changed = new LinkedHashSet<>();
        objects.forEach(
                (ref, object) -> {
                    final KubeObject before = earlier.objects.get(ref);
                    if (!isSame(object, before) && !object.equals(before)) {
                        changed.add(ref);
                    }
                });
        for (final ObjectRef ref : earlier.objects.keySet()) {
            if (!objects.containsKey(ref)) {
                changed.add(ref);
            }
        }
        return changed;
    }

    // The mark is nothing but its identity.
    @SuppressWarnings("ReferenceEquality")
    private static boolean isMark(final Object one, final Object other) {
        return one == other;
    }

    // Only spares the comparison by content.
    @SuppressWarnings("ReferenceEquality")
    private static boolean isSame(final KubeObject one, final @Nullable KubeObject other) {
        return one == other;
    }

    /** Duplicate objects and duplicate pod addresses, both places named. */
    public List<Problem> problems() {
        return problems;
    }

    public Collection<KubeObject> objects() {
        return objects.values();
    }

    public Optional<KubeObject> lookup(final ObjectRef ref) {
        return Optional.ofNullable(objects.get(ref));
    }

    public Optional<Pod> lookupPod(final String namespace, final String name) {
        return lookup(ObjectRef.pod(namespace, name)).map(Pod.class::cast);
    }

    /** The endpoint that has this address: a pod that is not terminated and not on the host. */
    public Optional<Pod> podAt(final IpAddress address) {
        return Optional.ofNullable(podByAddress.get(address));
    }

    public List<Pod> pods() {
        return pods;
    }

    /** All objects of one kind, in the order they were given. */
    public <T extends KubeObject> List<T> all(final Class<T> kind) {
        final List<KubeObject> exactly = byKind.getOrDefault(kind, List.of());
        return Modifier.isFinal(kind.getModifiers())
                ? exactly.stream().map(kind::cast).toList()
                : objects.values().stream().filter(kind::isInstance).map(kind::cast).toList();
    }

    /**
     * Labels of a namespace, its name label included. A namespace that no object defines exists all
     * the same, with that label only.
     */
    public Map<String, String> namespaceLabels(final String namespace) {
        final Map<String, String> labels = new TreeMap<>();
        lookup(new ObjectRef("Namespace", "", namespace))
                .ifPresent(object -> labels.putAll(object.meta().labels()));
        labels.put(NAMESPACE_NAME_LABEL, namespace);
        return labels;
    }
}
