package io.sluice.control.policy;

import io.sluice.dnsproxy.rule.NamePattern;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What policy can see of a peer at one address. Equal facts are one identity.
 *
 * <p>A value, as a record would be; but it is the key of many maps, and so it hashes its labels
 * only once. Immutable, any thread.
 */
final class PeerFacts {
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

    private final Kind kind;
    private final Map<String, String> labels;
    private final String nodeName;
    private final Set<Pod.NamedPort> ports;
    private final Set<Cidr> prefixes;
    private final Set<NamePattern> names;
    private final int hash;

    /**
     * @param kind what the peer is
     * @param labels labels with their source as in {@code k8s:app}, those of the namespace under
     *     {@code k8s:io.cilium.k8s.namespace.labels.}, those of the service account with {@link
     *     LabelMatch#SOURCE_ACCOUNT}
     * @param nodeName the node that a NODE is; empty for others
     * @param ports named ports of a POD, or of the host endpoints that expect the address
     * @param prefixes the policy prefixes which contain the address and which some policy can match
     *     against a peer of this kind
     * @param names patterns of policies that match a name which the address was learned from
     */
    PeerFacts(
            final Kind kind,
            final Map<String, String> labels,
            final String nodeName,
            final Set<Pod.NamedPort> ports,
            final Set<Cidr> prefixes,
            final Set<NamePattern> names) {
        this.kind = kind;
        // Immutable hash maps: selectors look labels up some million times per compile.
        this.labels = Map.copyOf(labels);
        this.nodeName = nodeName;
        this.ports = Set.copyOf(ports);
        this.prefixes = Set.copyOf(prefixes);
        this.names = Set.copyOf(names);
        this.hash =
                Objects.hash(
                        this.kind.name(),
                        this.labels,
                        this.nodeName,
                        this.ports,
                        this.prefixes,
                        this.names);
    }

    Kind kind() {
        return kind;
    }

    Map<String, String> labels() {
        return labels;
    }

    String nodeName() {
        return nodeName;
    }

    Set<Pod.NamedPort> ports() {
        return ports;
    }

    Set<Cidr> prefixes() {
        return prefixes;
    }

    Set<NamePattern> names() {
        return names;
    }

    @Override
    public int hashCode() {
        return hash;
    }

    @Override
    public boolean equals(final @Nullable Object object) {
        if (this == object) {
            return true;
        }
        return object instanceof final PeerFacts other
                && hash == other.hash
                && kind == other.kind
                && labels.equals(other.labels)
                && nodeName.equals(other.nodeName)
                && ports.equals(other.ports)
                && prefixes.equals(other.prefixes)
                && names.equals(other.names);
    }

    @Override
    public String toString() {
        return kind + " " + nodeName + labelTexts() + " in " + prefixes + " ports " + ports;
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

    /**
     * The facts as text: equal for equal facts and for no others, in every version of Sluice. The
     * numbers of identities are kept under it across restarts.
     *
     * <p>A line per fact, which begins with its sort ({@code label}, {@code node}, {@code port},
     * {@code in} for a prefix, {@code fqdn}), fields separated by tabs, sorted. The first line is
     * the kind. Line ends, tabs and backslashes within a field are escaped as in Java.
     */
    String canonicalText() {
        final TreeSet<String> lines = new TreeSet<>();
        labels.forEach((key, value) -> lines.add(line("label", key, value)));
        if (!nodeName.isEmpty()) {
            lines.add(line("node", nodeName));
        }
        ports.forEach(
                port ->
                        lines.add(
                                line(
                                        "port",
                                        port.name(),
                                        Integer.toString(port.protocol()),
                                        Integer.toString(port.port()))));
        prefixes.forEach(prefix -> lines.add("in\t" + prefix));
        names.forEach(name -> lines.add(line("fqdn", name.toString())));
        return kindText() + "\n" + String.join("\n", lines);
    }

    /** A word of its own, as the names of constants may change. */
    private String kindText() {
        return switch (kind) {
            case POD -> "pod";
            case NODE -> "node";
            case WORLD -> "world";
        };
    }

    private static String line(final String sort, final String... fields) {
        final StringBuilder line = new StringBuilder(sort);
        for (final String field : fields) {
            line.append('\t').append(escaped(field));
        }
        return line.toString();
    }

    private static String escaped(final String field) {
        return field.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t");
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
