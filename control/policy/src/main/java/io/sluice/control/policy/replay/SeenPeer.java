package io.sluice.control.policy.replay;

import io.sluice.control.policy.ObjectRef;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/**
 * One side of a flow, as the record of it names it. Immutable.
 *
 * @param namespace of its pod, empty where it is none
 * @param pod name of the pod, empty where it is none or nobody wrote it down
 * @param labels of its identity, with their source: {@code k8s:app=web}, {@code reserved:world}
 * @param address IP address as text, empty where nobody wrote it down
 * @param node the node itself that it is ({@code reserved:host}); empty for others
 */
public record SeenPeer(
        String namespace, String pod, List<String> labels, String address, String node) {
    private static final String K8S = "k8s:";
    private static final String RESERVED = "reserved:";

    /** Keys that Cilium makes of other things than a pod's own labels. */
    private static final String DERIVED = "io.cilium.k8s.";

    private static final String NAMESPACE = "io.kubernetes.pod.namespace";
    private static final String NAMESPACE_LABEL = DERIVED + "namespace.labels.";
    private static final String SERVICE_ACCOUNT = DERIVED + "policy.serviceaccount";

    public SeenPeer {
        labels = List.copyOf(labels);
    }

    /** Whether it is a pod: somebody with labels of his own in a namespace. */
    public boolean isPod() {
        return !namespace.isEmpty()
                && (!pod.isEmpty() || labels.stream().anyMatch(label -> label.startsWith(K8S)));
    }

    /** Whether it has a reserved label: {@code host}, {@code remote-node}, {@code world}. */
    public boolean isReserved(final String name) {
        return labels.contains(RESERVED + name);
    }

    /** The pod's own labels. */
    public NavigableMap<String, String> podLabels() {
        final NavigableMap<String, String> own = new TreeMap<>();
        for (final String label : labels) {
            final String key = key(label);
            if (label.startsWith(K8S) && !key.startsWith(DERIVED) && !key.equals(NAMESPACE)) {
                own.put(key, value(label));
            }
        }
        return own;
    }

    /** Labels of its namespace. */
    public NavigableMap<String, String> namespaceLabels() {
        final NavigableMap<String, String> own = new TreeMap<>();
        for (final String label : labels) {
            final String key = key(label);
            if (key.startsWith(NAMESPACE_LABEL)) {
                own.put(key.substring(NAMESPACE_LABEL.length()), value(label));
            }
        }
        return own;
    }

    /** Name of its service account, {@code default} where nobody wrote it down. */
    public String serviceAccount() {
        return labels.stream()
                .filter(label -> key(label).equals(SERVICE_ACCOUNT))
                .map(SeenPeer::value)
                .findFirst()
                .orElse("default");
    }

    /** The pod by its name; empty where it is none or has no name. */
    public Optional<ObjectRef> ref() {
        return namespace.isEmpty() || pod.isEmpty()
                ? Optional.empty()
                : Optional.of(ObjectRef.pod(namespace, pod));
    }

    private static String key(final String label) {
        final int source = label.indexOf(':') + 1;
        final int equals = label.indexOf('=');
        return label.substring(source, equals < source ? label.length() : equals);
    }

    private static String value(final String label) {
        final int equals = label.indexOf('=');
        return equals < 0 ? "" : label.substring(equals + 1);
    }
}
