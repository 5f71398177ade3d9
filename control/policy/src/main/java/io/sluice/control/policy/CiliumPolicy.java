package io.sluice.control.policy;

import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.l7proxy.rule.SecretName;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Kinds {@code CiliumNetworkPolicy} and {@code CiliumClusterwideNetworkPolicy} of {@code
 * cilium.io/v2}.
 *
 * @param meta name; the namespace is empty for the clusterwide kind
 * @param rules {@code spec}, then {@code specs}
 */
public record CiliumPolicy(ObjectMeta meta, List<Rule> rules) implements KubeObject.Policy {
    public boolean isClusterwide() {
        return meta.namespace().isEmpty();
    }

    /**
     * One {@code spec}.
     *
     * @param subject what it selects
     * @param ingress its ingress side
     * @param egress its egress side
     */
    public record Rule(Subject subject, Side ingress, Side egress) {
        public Side side(final PolicyDirection direction) {
            return switch (direction) {
                case INGRESS -> ingress;
                case EGRESS -> egress;
            };
        }
    }

    /** What a rule applies to. */
    public sealed interface Subject {}

    /** {@code endpointSelector}. */
    public record Endpoints(LabelSelector selector) implements Subject {}

    /** {@code nodeSelector}: a host policy. */
    public record Nodes(LabelSelector selector) implements Subject {}

    /**
     * One direction of a rule.
     *
     * @param defaultDeny whether selected endpoints are isolated: {@code enableDefaultDeny}, or
     *     whether there are entries
     * @param allow {@code ingress} or {@code egress}
     * @param deny {@code ingressDeny} or {@code egressDeny}
     */
    public record Side(boolean defaultDeny, List<Entry> allow, List<Entry> deny) {
        /** Whether the rule says anything at all about this direction. */
        public boolean isPresent() {
            return !allow.isEmpty() || !deny.isEmpty();
        }
    }

    /**
     * One item of the four lists.
     *
     * @param where its place
     * @param peers whom it is about
     * @param ports what of theirs; empty means every protocol
     * @param authentication {@code authentication.mode}
     * @param empty {@code {}}: neither peers nor ports were written, which allows nothing
     */
    public record Entry(
            SourceLocation where,
            Peers peers,
            List<PortRule> ports,
            Authentication authentication,
            boolean empty) {}

    /** {@code authentication.mode}. */
    public enum Authentication {
        NOT_ASKED,
        DISABLED,
        REQUIRED,
        TEST_ALWAYS_FAIL
    }

    /** Whom an entry is about: the one peer field that was written. */
    public sealed interface Peers {}

    /** No peer field: everyone, the world included. */
    public record Anyone() implements Peers {}

    /** {@code fromEndpoints}, {@code toEndpoints}; an empty list matches nothing. */
    public record PeerEndpoints(List<LabelSelector> selectors) implements Peers {}

    /** {@code fromNodes}, {@code toNodes}. */
    public record PeerNodes(List<LabelSelector> selectors) implements Peers {}

    /** {@code fromEntities}, {@code toEntities}. */
    public record PeerEntities(Set<Entity> entities) implements Peers {}

    /** {@code fromCIDR}, {@code toCIDR}, {@code fromCIDRSet}, {@code toCIDRSet}. */
    public record PeerCidrs(List<CidrRule> cidrs) implements Peers {}

    /** {@code toServices}. */
    public record PeerServices(List<ServiceRule> services) implements Peers {}

    /** {@code toFQDNs}: matches nothing as long as no answers of name servers are learned. */
    public record PeerNames(List<FqdnSelector> names) implements Peers {}

    /** {@code fromGroups}, {@code toGroups}: matches nothing, there is no cloud to ask. */
    public record PeerGroups() implements Peers {}

    /** Entities by their name in manifests. */
    public enum Entity {
        ALL("all"),
        WORLD("world"),
        WORLD_IPV4("world-ipv4"),
        WORLD_IPV6("world-ipv6"),
        CLUSTER("cluster"),
        CLUSTER_MESH("cluster-mesh"),
        HOST("host"),
        REMOTE_NODE("remote-node"),
        KUBE_APISERVER("kube-apiserver"),
        INGRESS("ingress"),
        INIT("init"),
        HEALTH("health"),
        UNMANAGED("unmanaged"),
        NONE("none");

        private final String text;

        Entity(final String text) {
            this.text = text;
        }

        public String text() {
            return text;
        }
    }

    /** One item of a CIDR list. */
    public sealed interface CidrRule {
        /** Prefixes taken out. */
        List<Cidr> except();
    }

    /** {@code cidr}. */
    public record CidrPrefix(Cidr cidr, List<Cidr> except) implements CidrRule {}

    /** {@code cidrGroupRef}: the name of a CiliumCIDRGroup. */
    public record CidrGroupName(String name, List<Cidr> except, SourceLocation where)
            implements CidrRule {}

    /** {@code cidrGroupSelector}: CiliumCIDRGroups by label. */
    public record CidrGroupLabels(LabelSelector selector, List<Cidr> except) implements CidrRule {}

    /** One item of {@code toServices}. */
    public sealed interface ServiceRule {
        /** Namespace of the services; empty means every namespace. */
        String namespace();
    }

    /** {@code k8sService}. */
    public record ServiceName(String namespace, String name, SourceLocation where)
            implements ServiceRule {}

    /** {@code k8sServiceSelector}. */
    public record ServiceLabels(String namespace, LabelSelector selector) implements ServiceRule {}

    /**
     * One item of {@code toFQDNs}: a name or a pattern, the other is empty.
     *
     * @param matchName exact name
     * @param matchPattern pattern with {@code *}
     * @param pattern whichever was given, compiled
     */
    public record FqdnSelector(String matchName, String matchPattern, NamePattern pattern) {}

    /**
     * One item of {@code toPorts} or {@code icmps}.
     *
     * @param ports the ports; empty means every port of every protocol
     * @param restriction what, beyond the port, the item asks for
     * @param rules the same, compiled; empty without a restriction
     * @param terminatingTls the TLS that clients meet
     * @param originatingTls the TLS that servers meet
     * @param where its place
     */
    public record PortRule(
            List<Port> ports,
            Restriction restriction,
            Optional<L7Rules> rules,
            Optional<TlsContext> terminatingTls,
            Optional<TlsContext> originatingTls,
            SourceLocation where) {
        /** Ports alone. */
        static PortRule of(final List<Port> ports, final SourceLocation where) {
            return new PortRule(
                    ports,
                    Restriction.NONE,
                    Optional.empty(),
                    Optional.empty(),
                    Optional.empty(),
                    where);
        }
    }

    /**
     * Where the keys of one side of a TLS connection are kept. Names of keys in the Secret are
     * empty if not written: {@code ca.crt}, {@code tls.crt}, {@code tls.key} then.
     *
     * @param secret the Secret; its namespace is empty where the policy's own is meant
     * @param trustedCa key of the CA certificates
     * @param certificate key of the own certificate
     * @param privateKey key of its private key
     */
    public record TlsContext(
            SecretName secret, String trustedCa, String certificate, String privateKey) {}

    /**
     * What an item of {@code toPorts} asks for that needs a proxy. Until a proxy is there, such an
     * item allows nothing: passing at L4 what was allowed for some requests only would be wider
     * than written.
     */
    public enum Restriction {
        NONE(""),
        HTTP("rules.http"),
        KAFKA("rules.kafka"),
        DNS("rules.dns"),
        L7PROTO("rules.l7proto"),
        SERVER_NAMES("serverNames"),
        TLS("terminatingTLS or originatingTLS"),
        LISTENER("listener");

        private final String field;

        Restriction(final String field) {
            this.field = field;
        }

        public String field() {
            return field;
        }

        /** Whether it is L7 rules: a port has one parser for them. */
        public boolean isL7() {
            return this == HTTP || this == KAFKA || this == DNS || this == L7PROTO;
        }

        /**
         * Whether the item allows all of its ports nevertheless. In a direction that does not
         * isolate, Cilium adds "and all the rest" to HTTP, Kafka and DNS rules, so that they only
         * observe; server names, TLS contexts and listeners it enforces there as well.
         */
        public boolean isWidened(final boolean defaultDeny) {
            return !defaultDeny && (this == HTTP || this == KAFKA || this == DNS);
        }
    }

    /** One port of a {@link PortRule}. */
    public sealed interface Port {}

    /**
     * Ports by number; for ICMP type * 256 + code.
     *
     * @param protocol IP protocol number
     * @param from first
     * @param to last, inclusive
     */
    public record PortRange(int protocol, int from, int to) implements Port {}

    /**
     * A port by its name on the destination.
     *
     * @param protocol IP protocol number
     * @param name lower-case
     */
    public record PortName(int protocol, String name) implements Port {}

    /** A protocol without ports, by number. */
    public record WholeProtocol(int protocol) implements Port {}
}
