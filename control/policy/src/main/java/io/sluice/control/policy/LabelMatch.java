package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.LabelSelector.Requirement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One requirement on the labels of a peer, in the form every kind of policy is translated to: label
 * keys carry their source, as in {@code k8s:app} or {@code reserved:host}.
 *
 * @param keys keys of which the first that is there counts; several where the policy names no
 *     source
 * @param operator the condition
 * @param values listed values
 */
record LabelMatch(List<String> keys, Operator operator, Set<String> values) {
    static final String SOURCE_K8S = "k8s:";
    static final String SOURCE_RESERVED = "reserved:";
    static final String SOURCE_NODE = "node:";

    /** Labels of a pod's service account: no key that a policy writes can say this. */
    static final String SOURCE_ACCOUNT = "sa ";

    private static final String SOURCE_ANY = "any:";

    /** Sources of the labels that peers have, in the order a key without a source tries them. */
    private static final List<String> SOURCES = List.of(SOURCE_K8S, SOURCE_RESERVED, SOURCE_NODE);

    /** A label of a pod, as NetworkPolicy names it. */
    static LabelMatch ofPodLabel(final Requirement requirement) {
        return new LabelMatch(
                List.of(SOURCE_K8S + requirement.key()),
                requirement.operator(),
                requirement.values());
    }

    /** A label of a pod's namespace, as NetworkPolicy names it. */
    static LabelMatch ofNamespaceLabel(final Requirement requirement) {
        return new LabelMatch(
                List.of(SOURCE_K8S + PeerFacts.NAMESPACE_LABEL_PREFIX + requirement.key()),
                requirement.operator(),
                requirement.values());
    }

    /** A label of a node. */
    static LabelMatch ofNodeLabel(final Requirement requirement) {
        return new LabelMatch(
                List.of(SOURCE_NODE + requirement.key()),
                requirement.operator(),
                requirement.values());
    }

    /** Pods of one namespace by their labels. */
    static PeerMatch pods(final String namespace, final LabelSelector pods) {
        final List<LabelMatch> labels = new ArrayList<>();
        labels.add(equal(SOURCE_K8S + PeerFacts.NAMESPACE_KEY, namespace));
        pods.requirements().forEach(requirement -> labels.add(ofPodLabel(requirement)));
        return new PeerMatch.Labelled(List.copyOf(labels));
    }

    /** Pods by the labels of their namespace and their own. */
    static PeerMatch pods(final LabelSelector namespaces, final LabelSelector pods) {
        final List<LabelMatch> labels = new ArrayList<>();
        labels.add(exists(SOURCE_K8S + PeerFacts.NAMESPACE_KEY));
        namespaces.requirements().forEach(r -> labels.add(ofNamespaceLabel(r)));
        pods.requirements().forEach(r -> labels.add(ofPodLabel(r)));
        return new PeerMatch.Labelled(List.copyOf(labels));
    }

    /** A label as Cilium policies name it, with or without a source. */
    static LabelMatch ofSourcedLabel(final Requirement requirement) {
        return new LabelMatch(
                sourcedKeys(requirement.key()), requirement.operator(), requirement.values());
    }

    static LabelMatch equal(final String sourcedKey, final String value) {
        return new LabelMatch(List.of(sourcedKey), Operator.IN, Set.of(value));
    }

    static LabelMatch exists(final String sourcedKey) {
        return new LabelMatch(List.of(sourcedKey), Operator.EXISTS, Set.of());
    }

    private static List<String> sourcedKeys(final String key) {
        for (final String source : SOURCES) {
            if (key.startsWith(source)) {
                return List.of(key);
            }
        }
        final String bare = key.startsWith(SOURCE_ANY) ? key.substring(SOURCE_ANY.length()) : key;
        if (bare.indexOf(':') >= 0) {
            // A source whose labels no peer has here (container:, unspec:, ...).
            return List.of(key);
        }
        final List<String> keys = new ArrayList<>();
        for (final String source : SOURCES) {
            keys.add(source + bare);
        }
        return List.copyOf(keys);
    }

    boolean matches(final Map<String, String> labels) {
        for (final String key : keys) {
            final String value = labels.get(key);
            if (value != null) {
                return operator.holds(value, values);
            }
        }
        return operator.holdsWithoutKey();
    }

    /** Whether the key, whatever its source, is this label. */
    boolean isAbout(final String bareKey) {
        return keys.contains(SOURCE_K8S + bareKey);
    }

    @Override
    public String toString() {
        final String key = keys.get(0);
        final String shown = keys.size() > 1 ? key.substring(SOURCE_K8S.length()) : key;
        return new Requirement(shown, operator, values).toString();
    }
}
