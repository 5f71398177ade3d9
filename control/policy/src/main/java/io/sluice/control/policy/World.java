package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Every object that policy sees, at one moment. Immutable: a change makes a new world, which shares
 * with the one before all that did not change, and costs no more than the change does.
 *
 * <p>Of two objects with the same name the first is kept, and of two pods with the same address the
 * first keeps it; {@link #problems} names both places.
 */
public final class World {
    /** Label that every namespace has (Kubernetes KEP-2161). */
    static final String NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";

    public static final World EMPTY =
            new World(Map.of(), PersistentMap.empty(), PersistentMap.empty(), 0, List.of());

    /**
     * An object and its place in the order that objects were given in.
     *
     * @param sequence greater than that of all objects given before
     */
    private record Placed(long sequence, KubeObject object) {}

    /** All objects of one kind; of many worlds, as long as none of them changes. */
    private static final class OfKind {
        private static final OfKind NONE = new OfKind(null, PersistentMap.empty());

        /** An object of the kind, for its type; null where there never was one. */
        private final @Nullable KubeObject sample;

        private final PersistentMap<ObjectRef, Placed> objects;
        private volatile @Nullable List<KubeObject> inOrder;

        OfKind(final @Nullable KubeObject sample, final PersistentMap<ObjectRef, Placed> objects) {
            this.sample = sample;
            this.objects = objects;
        }

        /** Made when first asked for; two threads may make it twice, to the same effect. */
        List<KubeObject> inOrder() {
            List<KubeObject> listed = inOrder;
            if (listed == null) {
                listed = World.inOrder(objects.values());
                inOrder = listed;
            }
            return listed;
        }
    }

    /** An object whose name another had before. */
    private record Duplicate(ObjectRef ref, Problem problem) {}

    private final Map<String, OfKind> kinds;

    /** Pods by address; several where only the first has it. */
    private final PersistentMap<IpAddress, List<Placed>> podsByAddress;

    private final PersistentMap<IpAddress, Set<String>> names;
    private final long nextSequence;
    private final List<Duplicate> duplicates;
    private volatile @Nullable List<KubeObject> inOrder;

    private World(
            final Map<String, OfKind> kinds,
            final PersistentMap<IpAddress, List<Placed>> podsByAddress,
            final PersistentMap<IpAddress, Set<String>> names,
            final long nextSequence,
            final List<Duplicate> duplicates) {
        this.kinds = kinds;
        this.podsByAddress = podsByAddress;
        this.names = names;
        this.nextSequence = nextSequence;
        this.duplicates = duplicates;
    }

    private static List<KubeObject> inOrder(final Collection<Placed> objects) {
        return objects.stream()
                .sorted(Comparator.comparingLong(Placed::sequence))
                .map(Placed::object)
                .toList();
    }

    public static World of(final Collection<? extends KubeObject> objects) {
        final Change change = new Change(EMPTY);
        final Map<ObjectRef, KubeObject> byRef = new HashMap<>();
        for (final KubeObject object : objects) {
            final KubeObject first = byRef.putIfAbsent(object.ref(), object);
            if (first == null) {
                change.put(object);
            } else {
                change.duplicates.add(
                        new Duplicate(
                                object.ref(),
                                Problem.error(
                                        object.where(),
                                        "metadata.name",
                                        object.ref() + " is already defined at " + first.where())));
            }
        }
        return change.world();
    }

    /** This world with objects added, or replaced where one of that name exists. */
    public World with(final Collection<? extends KubeObject> changed) {
        final Change change = new Change(this);
        changed.forEach(change::put);
        return change.world();
    }

    /** This world without the objects of these names. */
    public World without(final Collection<ObjectRef> removed) {
        final Change change = new Change(this);
        removed.forEach(change::remove);
        return change.world();
    }

    /**
     * This world when the addresses were learned from these names.
     *
     * @param learned names by address, lower-case, with or without the final dot
     */
    public World withNames(final Map<IpAddress, Set<String>> learned) {
        PersistentMap<IpAddress, Set<String>> next = names;
        for (final IpAddress address : names.keySet()) {
            if (!learned.containsKey(address)) {
                next = next.without(address);
            }
        }
        for (final Map.Entry<IpAddress, Set<String>> entry : learned.entrySet()) {
            next = next.with(entry.getKey(), Set.copyOf(entry.getValue()));
        }
        return new World(kinds, podsByAddress, next, nextSequence, duplicates);
    }

    /**
     * This world when some addresses were learned from other names. Costs what changes.
     *
     * @param changed names by address, as for {@link #withNames}; none where no name means the
     *     address any more
     */
    public World withChangedNames(final Map<IpAddress, Set<String>> changed) {
        PersistentMap<IpAddress, Set<String>> next = names;
        for (final Map.Entry<IpAddress, Set<String>> entry : changed.entrySet()) {
            next =
                    entry.getValue().isEmpty()
                            ? next.without(entry.getKey())
                            : next.with(entry.getKey(), Set.copyOf(entry.getValue()));
        }
        return new World(kinds, podsByAddress, next, nextSequence, duplicates);
    }

    /** A world in the making: shares with the one before all that does not change. */
    private static final class Change {
        private final World before;
        private final Map<String, OfKind> kinds;
        private PersistentMap<IpAddress, List<Placed>> podsByAddress;
        private long nextSequence;
        private final List<Duplicate> duplicates;

        Change(final World before) {
            this.before = before;
            this.kinds = new HashMap<>(before.kinds);
            this.podsByAddress = before.podsByAddress;
            this.nextSequence = before.nextSequence;
            this.duplicates = new ArrayList<>(before.duplicates);
        }

        /** An object that takes another's name takes its place as well. */
        void put(final KubeObject object) {
            final ObjectRef ref = object.ref();
            final Optional<Placed> former = find(ref);
            former.ifPresent(this::leaveAddresses);
            final Placed placed =
                    new Placed(former.map(Placed::sequence).orElse(nextSequence), object);
            nextSequence = Math.max(nextSequence, placed.sequence + 1);
            kinds.put(ref.kind(), new OfKind(object, ofKind(ref).objects.with(ref, placed)));
            takeAddresses(placed);
            duplicates.removeIf(duplicate -> duplicate.ref.equals(ref));
        }

        void remove(final ObjectRef ref) {
            final Optional<Placed> former = find(ref);
            if (former.isPresent()) {
                leaveAddresses(former.get());
                kinds.put(
                        ref.kind(),
                        new OfKind(former.get().object, ofKind(ref).objects.without(ref)));
                duplicates.removeIf(duplicate -> duplicate.ref.equals(ref));
            }
        }

        private OfKind ofKind(final ObjectRef ref) {
            return kinds.getOrDefault(ref.kind(), OfKind.NONE);
        }

        private Optional<Placed> find(final ObjectRef ref) {
            return Optional.ofNullable(ofKind(ref).objects.get(ref));
        }

        private void takeAddresses(final Placed placed) {
            if (placed.object instanceof final Pod pod && pod.isEndpoint()) {
                for (final IpAddress address : pod.addresses()) {
                    final List<Placed> sharing =
                            new ArrayList<>(podsByAddress.getOrDefault(address, List.of()));
                    sharing.add(placed);
                    sharing.sort(Comparator.comparingLong(Placed::sequence));
                    podsByAddress = podsByAddress.with(address, List.copyOf(sharing));
                }
            }
        }

        private void leaveAddresses(final Placed placed) {
            if (placed.object instanceof final Pod pod && pod.isEndpoint()) {
                for (final IpAddress address : pod.addresses()) {
                    final List<Placed> left =
                            podsByAddress.getOrDefault(address, List.of()).stream()
                                    .filter(other -> other.sequence != placed.sequence)
                                    .toList();
                    podsByAddress =
                            left.isEmpty()
                                    ? podsByAddress.without(address)
                                    : podsByAddress.with(address, left);
                }
            }
        }

        World world() {
            return new World(
                    kinds, podsByAddress, before.names, nextSequence, List.copyOf(duplicates));
        }
    }

    /** Names that addresses were learned from. */
    public Map<IpAddress, Set<String>> names() {
        return names;
    }

    /** Addresses whose names differ between an earlier world and this one. */
    Set<IpAddress> renamedSince(final World earlier) {
        final Set<IpAddress> renamed = new LinkedHashSet<>();
        names.forEachChange(earlier.names, (address, _, _) -> renamed.add(address));
        return renamed;
    }

    /**
     * Objects that differ between an earlier world and this one; of either, of both. Between worlds
     * that were made from each other it costs what differs.
     */
    public Set<ObjectRef> changedSince(final World earlier) {
        final Set<String> either = new LinkedHashSet<>(earlier.kinds.keySet());
        either.addAll(kinds.keySet());
        final Set<ObjectRef> changed = new LinkedHashSet<>();
        for (final String kind : either) {
            final OfKind before = earlier.kinds.getOrDefault(kind, OfKind.NONE);
            final OfKind after = kinds.getOrDefault(kind, OfKind.NONE);
            after.objects.forEachChange(
                    before.objects,
                    (ref, was, is) -> {
                        if (was == null || is == null || !was.object.equals(is.object)) {
                            changed.add(ref);
                        }
                    });
        }
        return changed;
    }

    /** Duplicate objects and duplicate pod addresses, both places named. Made when asked for. */
    public List<Problem> problems() {
        final List<Problem> problems = new ArrayList<>();
        duplicates.forEach(duplicate -> problems.add(duplicate.problem));
        final List<Placed> shared =
                podsByAddress.values().stream()
                        .filter(sharing -> sharing.size() > 1)
                        .flatMap(sharing -> sharing.stream().skip(1))
                        .sorted(Comparator.comparingLong(Placed::sequence))
                        .distinct()
                        .toList();
        for (final Placed placed : shared) {
            final Pod pod = (Pod) placed.object;
            for (final IpAddress address : pod.addresses()) {
                final Pod owner = podAt(address).orElseThrow();
                if (!owner.ref().equals(pod.ref())) {
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
        return List.copyOf(problems);
    }

    /** Every object, in the order they were given. */
    public List<KubeObject> objects() {
        List<KubeObject> listed = inOrder;
        if (listed == null) {
            final List<Placed> all = new ArrayList<>();
            kinds.values().forEach(kind -> all.addAll(kind.objects.values()));
            listed = inOrder(all);
            inOrder = listed;
        }
        return listed;
    }

    /** How many objects there are. */
    public int size() {
        return kinds.values().stream().mapToInt(kind -> kind.objects.size()).sum();
    }

    public Optional<KubeObject> lookup(final ObjectRef ref) {
        return Optional.ofNullable(kinds.getOrDefault(ref.kind(), OfKind.NONE).objects.get(ref))
                .map(Placed::object);
    }

    public Optional<Pod> lookupPod(final String namespace, final String name) {
        return lookup(ObjectRef.pod(namespace, name)).map(Pod.class::cast);
    }

    /** The endpoint that has this address: a pod that is not terminated and not on the host. */
    public Optional<Pod> podAt(final IpAddress address) {
        final List<Placed> sharing = podsByAddress.getOrDefault(address, List.of());
        return sharing.isEmpty() ? Optional.empty() : Optional.of((Pod) sharing.getFirst().object);
    }

    public List<Pod> pods() {
        return all(Pod.class);
    }

    /** All objects of one type, in the order they were given. */
    @SuppressWarnings("unchecked")
    public <T extends KubeObject> List<T> all(final Class<T> type) {
        final List<OfKind> fitting = new ArrayList<>();
        for (final OfKind kind : kinds.values()) {
            if (type.isInstance(kind.sample) && !kind.objects.isEmpty()) {
                fitting.add(kind);
            }
        }
        if (fitting.size() == 1) {
            // All objects of a kind are of its type.
            return (List<T>) fitting.getFirst().inOrder();
        }
        final List<Placed> all = new ArrayList<>();
        fitting.forEach(kind -> all.addAll(kind.objects.values()));
        return (List<T>) inOrder(all);
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
