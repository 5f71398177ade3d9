package io.sluice.control.policy;

import java.util.List;
import java.util.Set;

/**
 * Kind {@code NetworkPolicy} of {@code networking.k8s.io/v1}, with the API server's defaults
 * applied, and {@code StagedKubernetesNetworkPolicy} of {@code projectcalico.org/v3}.
 *
 * @param meta name and namespace
 * @param staging ENFORCED for the first kind
 * @param podSelector pods of the policy's namespace that it isolates
 * @param directions {@code policyTypes}, given or defaulted: Ingress, and Egress if there are
 *     egress rules
 * @param ingress rules; unused if directions lacks INGRESS
 * @param egress rules; unused if directions lacks EGRESS
 */
public record NetworkPolicy(
        ObjectMeta meta,
        Staging staging,
        LabelSelector podSelector,
        Set<PolicyDirection> directions,
        List<Rule> ingress,
        List<Rule> egress)
        implements KubeObject.Policy {
    /**
     * One allow rule: some peer and some port must match.
     *
     * @param where place of the rule
     * @param peers {@code from} or {@code to}; empty (or absent, which means the same) is everyone
     * @param ports empty (or absent) is every port of every protocol
     */
    public record Rule(SourceLocation where, List<Peer> peers, List<Port> ports) {}

    /** One item of {@code from} or {@code to}. */
    public sealed interface Peer {}

    /**
     * Pods by label.
     *
     * @param pods {@code podSelector}; everything if absent
     */
    public record PodsOfSameNamespace(LabelSelector pods) implements Peer {}

    /**
     * Pods by label of the namespaces by label.
     *
     * @param namespaces {@code namespaceSelector}
     * @param pods {@code podSelector}; everything if absent
     */
    public record PodsOfNamespaces(LabelSelector namespaces, LabelSelector pods) implements Peer {}

    /**
     * Addresses, pods' addresses included.
     *
     * @param cidr the prefix
     * @param except prefixes strictly inside it that are taken out
     */
    public record IpBlock(Cidr cidr, List<Cidr> except) implements Peer {}

    /** One item of {@code ports}. */
    public sealed interface Port {
        /** IP protocol number: TCP, UDP or SCTP. */
        int protocol();
    }

    /**
     * Ports by number.
     *
     * @param protocol IP protocol number
     * @param from 0 with to 65535 if no port was given
     * @param to inclusive
     */
    public record PortRange(int protocol, int from, int to) implements Port {}

    /**
     * A port by its name on the destination pod.
     *
     * @param protocol IP protocol number
     * @param name name of a container port
     */
    public record PortName(int protocol, String name) implements Port {}
}
