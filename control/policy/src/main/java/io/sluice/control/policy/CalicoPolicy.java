package io.sluice.control.policy;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Kinds {@code NetworkPolicy}, {@code GlobalNetworkPolicy}, {@code StagedNetworkPolicy} and {@code
 * StagedGlobalNetworkPolicy} of {@code projectcalico.org/v3}, with the API's defaults applied.
 *
 * @param meta name; the namespace is empty for the global kinds
 * @param staging ENFORCED for the first two kinds
 * @param tier {@code spec.tier}
 * @param order {@code spec.order}, lower first; empty is last
 * @param selector {@code spec.selector}; everything if absent
 * @param namespaceSelector {@code spec.namespaceSelector}, of the global kinds
 * @param serviceAccountSelector {@code spec.serviceAccountSelector}
 * @param types {@code spec.types}, given or defaulted
 * @param ingress rules in the order they are tried
 * @param egress rules in the order they are tried
 * @param applyOnForward {@code spec.applyOnForward}; matters to host endpoints only
 * @param doNotTrack {@code spec.doNotTrack}; matters to host endpoints only
 * @param preDnat {@code spec.preDNAT}; matters to host endpoints only
 */
public record CalicoPolicy(
        ObjectMeta meta,
        Staging staging,
        String tier,
        OptionalDouble order,
        CalicoSelector selector,
        Optional<CalicoSelector> namespaceSelector,
        Optional<CalicoSelector> serviceAccountSelector,
        Set<PolicyDirection> types,
        List<Rule> ingress,
        List<Rule> egress,
        boolean applyOnForward,
        boolean doNotTrack,
        boolean preDnat)
        implements KubeObject.Policy {
    public boolean isGlobal() {
        return meta.namespace().isEmpty();
    }

    /** Rules of a direction. */
    public List<Rule> rules(final PolicyDirection direction) {
        return switch (direction) {
            case INGRESS -> ingress;
            case EGRESS -> egress;
        };
    }

    /** What a rule does with what it matches. */
    public enum Action {
        ALLOW,
        DENY,
        /** The rest of the tier is skipped. */
        PASS,
        /** Recorded; the next rule is tried. */
        LOG
    }

    /**
     * One rule: everything that is given must hold.
     *
     * @param where its place
     * @param action what it does
     * @param ipVersion 4 or 6
     * @param protocol {@code protocol}
     * @param notProtocol {@code notProtocol}
     * @param icmp {@code icmp}
     * @param notIcmp {@code notICMP}
     * @param http {@code http}; on Allow rules only
     * @param source {@code source}
     * @param destination {@code destination}
     */
    public record Rule(
            SourceLocation where,
            Action action,
            OptionalInt ipVersion,
            Optional<Protocol> protocol,
            Optional<Protocol> notProtocol,
            Optional<Icmp> icmp,
            Optional<Icmp> notIcmp,
            Optional<Http> http,
            Entity source,
            Entity destination) {}

    /**
     * A protocol.
     *
     * @param number IP protocol number; TCP for TLS
     * @param tls {@code TLS}: TCP whose server name {@code destination.domains} is about
     */
    public record Protocol(int number, boolean tls) {}

    /**
     * ICMP type and code.
     *
     * @param type 0 to 254; empty is all
     * @param code 0 to 255; empty is all
     */
    public record Icmp(OptionalInt type, OptionalInt code) {}

    /**
     * What an HTTP request must be.
     *
     * @param methods exact, {@code *} is any; empty is any
     * @param paths empty is any
     */
    public record Http(List<String> methods, List<HttpPath> paths) {}

    /**
     * A path of a request, after normalisation.
     *
     * @param path as written
     * @param prefix whether whole leading segments are enough
     */
    public record HttpPath(String path, boolean prefix) {}

    /**
     * One end of the packet: everything that is given must hold.
     *
     * @param nets address in one of these
     * @param notNets address in none of these
     * @param selector known endpoint with these labels
     * @param notSelector no known endpoint with these labels
     * @param namespaceSelector endpoint of a namespace with these labels
     * @param serviceAccounts endpoint of one of these accounts
     * @param ports ports of this end; empty is all
     * @param notPorts none of these ports of this end
     * @param service endpoints, and as a destination ports, of the one Service that is named
     * @param domains names that the address was learned from, or of the TLS server name
     */
    public record Entity(
            List<Cidr> nets,
            List<Cidr> notNets,
            Optional<CalicoSelector> selector,
            Optional<CalicoSelector> notSelector,
            Optional<CalicoSelector> namespaceSelector,
            Optional<ServiceAccounts> serviceAccounts,
            List<Port> ports,
            List<Port> notPorts,
            Optional<ServiceName> service,
            List<String> domains) {
        public static final Entity ANY =
                new Entity(
                        List.of(),
                        List.of(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        List.of(),
                        List.of(),
                        Optional.empty(),
                        List.of());
    }

    /**
     * Service accounts: both must hold.
     *
     * @param names one of these names; empty is any
     * @param selector labels of the account
     */
    public record ServiceAccounts(List<String> names, Optional<CalicoSelector> selector) {}

    /** A service by name; the namespace is the policy's where it is not given. */
    public record ServiceName(String namespace, String name, SourceLocation where) {}

    /** One item of {@code ports} or {@code notPorts}. */
    public sealed interface Port {}

    /** Ports by number, both ends included. */
    public record PortRange(int from, int to) implements Port {}

    /** A port by its name on the endpoint of this end. */
    public record PortName(String name) implements Port {}

    /** Kind {@code Tier}. */
    public record Tier(ObjectMeta meta, OptionalDouble order, DefaultAction defaultAction)
            implements KubeObject {
        /** What happens to what a tier that selects the endpoint does not decide. */
        public enum DefaultAction {
            DENY,
            PASS
        }
    }

    /**
     * Kinds {@code NetworkSet} and {@code GlobalNetworkSet}: addresses with labels.
     *
     * @param meta the namespace is empty for the global kind
     * @param nets {@code spec.nets}
     * @param domains {@code spec.allowedEgressDomains}
     */
    public record NetworkSet(ObjectMeta meta, List<Cidr> nets, List<String> domains)
            implements KubeObject {}

    /**
     * Kind {@code HostEndpoint}.
     *
     * @param meta name, and the labels that selectors see
     * @param node {@code spec.node}
     * @param interfaceName {@code spec.interfaceName}; {@code *} is all; empty if absent
     * @param expectedIps {@code spec.expectedIPs}
     * @param profiles {@code spec.profiles}
     * @param ports {@code spec.ports}
     */
    public record HostEndpoint(
            ObjectMeta meta,
            String node,
            String interfaceName,
            List<IpAddress> expectedIps,
            List<String> profiles,
            List<Pod.NamedPort> ports)
            implements KubeObject {}

    /**
     * Kind {@code Profile}.
     *
     * @param meta name
     * @param ingress rules after all tiers
     * @param egress rules after all tiers
     * @param labelsToApply labels that the endpoints of the profile inherit
     */
    public record Profile(
            ObjectMeta meta,
            List<Rule> ingress,
            List<Rule> egress,
            Map<String, String> labelsToApply)
            implements KubeObject {}
}
