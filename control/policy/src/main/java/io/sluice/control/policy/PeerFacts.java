package io.sluice.control.policy;

import io.sluice.dnsproxy.rule.NamePattern;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * What policy can see of a peer at one address. Equal facts are one identity.
 *
 * @param kind what the peer is
 * @param labels labels with their source as in {@code k8s:app}, those of the namespace under {@code
 *     k8s:io.cilium.k8s.namespace.labels.}, those of the service account with {@link
 *     LabelMatch#SOURCE_ACCOUNT}
 * @param nodeName the node that a NODE is; empty for others
 * @param ports named ports of a POD
 * @param prefixes the policy prefixes which contain the address and which some policy can match
 *     against a peer of this kind
 * @param names patterns of policies that match a name which the address was learned from
 */
record PeerFacts(
        Kind kind,
        Map<String, String> labels,
        String nodeName,
        Set<Pod.NamedPort> ports,
        Set<Cidr> prefixes,
        Set<NamePattern> names) {
    static final String NAMESPACE_KEY = "io.kubernetes.pod.namespace";
    static final String NAMESPACE_LABEL_PREFIX = "io.cilium.k8s.namespace.labels.";
    static final String CLUSTER_KEY = "io.cilium.k8s.policy.cluster";
    static final String SERVICE_ACCOUNT_KEY = "io.cilium.k8s.policy.serviceaccount";
    private static final String DERIVED_KEY_PREFIX = "io.cilium.k8s.";

    /** What a peer is, as far as prefixes are allowed to match it. */
    enum Kind {
        /** An endpoint. */
        POD,
        /** This node or another one. */
        NODE,
        /** Everything else. */
        WORLD
    }

    PeerFacts {
        // Immutable hash maps: selectors look labels up some million times per compile.
        labels = Map.copyOf(labels);
        ports = Set.copyOf(ports);
        prefixes = Set.copyOf(prefixes);
        names = Set.copyOf(names);
    }

    /**
     * Whether a label key speaks of what surrounds a pod: its namespace, cluster, service account.
     * Who may label a pod must not speak for these, so a pod's own label with such a key is not
     * seen (Cilium: {@code filterPodLabels}).
     */
    static boolean isDerivedKey(final String bareKey) {
        return bareKey.startsWith(DERIVED_KEY_PREFIX) || bareKey.equals(NAMESPACE_KEY);
    }

    /** The same peer, when its address was also learned from names that these patterns match. */
    PeerFacts withNames(final Set<NamePattern> matched) {
        return new PeerFacts(kind, labels, nodeName, ports, prefixes, matched);
    }

    /** Labels as {@code source:key=value}, sorted; the value is left out if empty. */
    List<String> labelTexts() {
        final TreeSet<String> texts = new TreeSet<>();
        labels.forEach(
                (key, value) -> {
                    if (!key.startsWith(LabelMatch.SOURCE_ACCOUNT)) {
                        texts.add(value.isEmpty() ? key : key + "=" + value);
                    }
                });
        names.forEach(name -> texts.add("fqdn:" + name));
        return List.copyOf(texts);
    }
}
