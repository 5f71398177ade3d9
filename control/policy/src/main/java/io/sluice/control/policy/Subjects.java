package io.sluice.control.policy;

import io.sluice.control.policy.PeerTable.PodFacts;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The endpoints that policies select, those that are alike taken together.
 *
 * <p>Thread: that of the compiler; {@link #answers} and {@link #indexByPod} are immutable.
 */
final class Subjects {
    /**
     * Endpoints with equal keys have the same policy.
     *
     * @param facts what policy can see of them, address by address
     * @param node the node they are on
     * @param audited whether they are audited as a whole
     */
    record Key(PodFacts facts, String node, boolean audited) {}

    /** Endpoints that are alike. Identity is what counts. */
    static final class Subject {
        private final Key key;
        private final int index;
        private final String namespace;
        private final int identity;
        private final SubjectSide ingress;
        private final SubjectSide egress;
        private final List<SubjectSide> sides;
        private int pods;

        private Subject(final Key key, final int index, final int identity) {
            this.key = key;
            this.index = index;
            this.identity = identity;
            this.ingress = new SubjectSide(this, PolicyDirection.INGRESS);
            this.egress = new SubjectSide(this, PolicyDirection.EGRESS);
            this.sides = List.of(ingress, egress);
            this.namespace =
                    key.facts
                            .primary()
                            .labels()
                            .getOrDefault(LabelMatch.SOURCE_K8S + PeerFacts.NAMESPACE_KEY, "");
        }

        Key key() {
            return key;
        }

        /** Whether its last endpoint has gone, or become another. */
        boolean isGone() {
            return pods == 0;
        }

        PeerFacts primary() {
            return key.facts.primary();
        }

        String namespace() {
            return namespace;
        }

        List<SubjectSide> sides() {
            return sides;
        }
    }

    private final Map<Key, Subject> byKey = new LinkedHashMap<>();
    private final Map<String, Set<Subject>> byNamespace = new HashMap<>();
    private final Map<ObjectRef, Subject> byPod = new HashMap<>();

    /** The same for the snapshots, which outlive the subjects: an index into the answers. */
    private PersistentMap<ObjectRef, Integer> indexByPod = PersistentMap.empty();

    private final Set<Subject> added = new LinkedHashSet<>();
    private final ArrayList<Optional<PolicySet.Subject>> answers = new ArrayList<>();
    private final List<Integer> freeIndexes = new ArrayList<>();

    Collection<Subject> all() {
        return byKey.values();
    }

    int size() {
        return byKey.size();
    }

    /** Subjects that policies of a namespace can select; of the empty one, all. */
    Collection<Subject> inNamespace(final String namespace) {
        return namespace.isEmpty() ? all() : byNamespace.getOrDefault(namespace, Set.of());
    }

    Set<ObjectRef> pods() {
        return byPod.keySet();
    }

    /**
     * A pod is of this kind now; a subject without pods goes.
     *
     * @param identity number of its primary address
     */
    void assign(final ObjectRef pod, final Key key, final int identity) {
        final Subject subject = byKey.computeIfAbsent(key, made -> add(made, identity));
        subject.pods++;
        indexByPod = indexByPod.with(pod, subject.index);
        Optional.ofNullable(byPod.put(pod, subject)).ifPresent(this::leave);
    }

    /** A pod is no endpoint any more. */
    void remove(final ObjectRef pod) {
        indexByPod = indexByPod.without(pod);
        Optional.ofNullable(byPod.remove(pod)).ifPresent(this::leave);
    }

    private Subject add(final Key key, final int identity) {
        final int index = freeIndexes.isEmpty() ? answers.size() : freeIndexes.removeLast();
        if (index == answers.size()) {
            answers.add(Optional.empty());
        }
        final Subject subject = new Subject(key, index, identity);
        added.add(subject);
        byNamespace.computeIfAbsent(subject.namespace, _ -> new LinkedHashSet<>()).add(subject);
        return subject;
    }

    private void leave(final Subject subject) {
        subject.pods--;
        if (subject.pods == 0) {
            byKey.remove(subject.key);
            final Set<Subject> neighbours =
                    byNamespace.getOrDefault(subject.namespace, new LinkedHashSet<>());
            neighbours.remove(subject);
            if (neighbours.isEmpty()) {
                byNamespace.remove(subject.namespace);
            }
            added.remove(subject);
            subject.sides.forEach(SubjectSide::release);
            answers.set(subject.index, Optional.empty());
            freeIndexes.add(subject.index);
        }
    }

    void clear() {
        for (final Subject subject : byKey.values()) {
            subject.pods = 0;
            subject.sides.forEach(SubjectSide::release);
        }
        byKey.clear();
        byNamespace.clear();
        byPod.clear();
        added.clear();
        indexByPod = PersistentMap.empty();
        answers.clear();
        freeIndexes.clear();
    }

    /** Subjects that are new since this was last asked. */
    Set<Subject> takeAdded() {
        final Set<Subject> taken = new LinkedHashSet<>(added);
        added.clear();
        return taken;
    }

    /** Takes over what was compiled for a subject. */
    void answer(final Subject subject) {
        answers.set(
                subject.index,
                Optional.of(
                        new PolicySet.Subject(
                                subject.identity,
                                subject.ingress.result().orElseThrow(),
                                subject.egress.result().orElseThrow())));
    }

    /** What was compiled, by index; nothing at indexes that are free. */
    List<Optional<PolicySet.Subject>> answers() {
        return List.copyOf(answers);
    }

    PersistentMap<ObjectRef, Integer> indexByPod() {
        return indexByPod;
    }
}
