package io.sluice.control.policy;

import java.util.List;
import java.util.Optional;

/**
 * The cluster-wide kinds of {@code policy.networking.k8s.io}: {@code AdminNetworkPolicy} and {@code
 * BaselineAdminNetworkPolicy} (v1alpha1), {@code ClusterNetworkPolicy} (v1alpha2, v1beta1).
 *
 * @param meta name; cluster-scoped
 * @param level {@code spec.tier}, or what the kind of v1alpha1 says
 * @param priority {@code spec.priority}, lower first; 0 for the baseline singleton
 * @param subject the pods that it is about; never those on their host's network
 * @param ingress rules in the order they are tried
 * @param egress rules in the order they are tried
 */
public record AdminPolicy(
        ObjectMeta meta,
        Level level,
        int priority,
        Subject subject,
        List<Rule> ingress,
        List<Rule> egress)
        implements KubeObject.Policy {
    /** Before or after the policies of namespaces. */
    public enum Level {
        ADMIN,
        BASELINE
    }

    /** What a rule does with what it matches. */
    public enum Action {
        /** {@code Accept}, in v1alpha1 {@code Allow}: final for this direction. */
        ACCEPT,
        /** {@code Deny}: final. */
        DENY,
        /** {@code Pass}: the rest of the tier is skipped. */
        PASS
    }

    /** Rules of a direction. */
    public List<Rule> rules(final PolicyDirection direction) {
        return switch (direction) {
            case INGRESS -> ingress;
            case EGRESS -> egress;
        };
    }

    /**
     * Pods by the labels of their namespace and their own.
     *
     * @param namespaces selector of namespaces
     * @param pods selector of pods; empty for {@code subject.namespaces}, which means all
     */
    public record Subject(LabelSelector namespaces, Optional<LabelSelector> pods) {}

    /**
     * One rule.
     *
     * @param where its place
     * @param name {@code name}; empty if it has none
     * @param action what it does
     * @param peers {@code from} or {@code to}: one must match
     * @param ports {@code ports} or {@code protocols}: one must match; empty is every protocol
     */
    public record Rule(
            SourceLocation where, String name, Action action, List<Peer> peers, List<Port> ports) {}

    /** One item of {@code from} or {@code to}. */
    public sealed interface Peer {}

    /** {@code namespaces}: every pod of these namespaces. */
    public record Namespaces(LabelSelector namespaces) implements Peer {}

    /** {@code pods}. */
    public record Pods(LabelSelector namespaces, LabelSelector pods) implements Peer {}

    /** {@code networks}: addresses, those of pods included. */
    public record Networks(List<Cidr> cidrs) implements Peer {}

    /** {@code nodes}: addresses of the nodes with these labels. */
    public record Nodes(LabelSelector nodes) implements Peer {}

    /**
     * {@code domainNames}: addresses that were learned from these names; only in Accept rules.
     *
     * @param names {@code example.com}, or {@code *.example.com} for one or more labels below it;
     *     lower case, without the dot of the root
     */
    public record DomainNames(List<String> names) implements Peer {}

    /**
     * A field that this version does not know. Accept matches nothing then, Deny matches everyone:
     * what is not understood must not open anything. For the same reason there is no Pass rule of
     * such a peer: it is read as Deny.
     */
    public record UnknownPeer() implements Peer {}

    /** One item of {@code ports} or {@code protocols}. */
    public sealed interface Port {}

    /**
     * Destination ports by number.
     *
     * @param protocol IP protocol number
     * @param from 1 to 65535
     * @param to inclusive, not below from
     */
    public record PortRange(int protocol, int from, int to) implements Port {}

    /**
     * A destination port by its name on the destination pod, whatever its protocol.
     *
     * @param name name of a container port
     */
    public record PortName(String name) implements Port {}
}
