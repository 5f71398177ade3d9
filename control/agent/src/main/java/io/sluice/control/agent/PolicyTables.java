package io.sluice.control.agent;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.IpcacheEntry;
import io.sluice.control.policy.L7Rules.Parser;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.PolicyDirection;
import io.sluice.control.policy.PolicyEntry.Reason;
import io.sluice.control.policy.PolicyEntry.Redirect;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.VerdictProgram;
import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.table.Endpoint;
import io.sluice.dataplane.table.Ipcache;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import io.sluice.dataplane.table.PolicyMap.Interval;
import io.sluice.dataplane.table.PolicyMap.Program;
import io.sluice.dataplane.table.PolicyMap.ProtocolPorts;
import io.sluice.dataplane.wire.IpProtocol;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Compiled policy to the data plane's tables: numbers instead of objects, native memory instead of
 * maps.
 *
 * <p>What the compiler shares stays shared: each policy map and each verdict program is laid out
 * once, however many endpoints use it; when nothing but addresses has changed, the maps in force
 * stay. The caller's thread.
 */
final class PolicyTables {
    /**
     * An endpoint as the tables know it, whether or not its device is there already.
     *
     * @param id index of its port
     * @param spec what it is
     */
    record PlannedEndpoint(int id, EndpointSpec spec) {}

    /**
     * Facts of the node that the tables hold.
     *
     * @param uplinkPort index of the uplink's port, or {@link Ipcache#NO_PORT} without one
     * @param uplinkMtuBytes MTU of its device
     * @param pools addresses that are this node's to give: one that no endpoint has leads nowhere,
     *     and not out of the uplink and back
     * @param nodeAddresses addresses of the node itself
     * @param resolver addresses of the switch's own resolver; empty if there is none
     */
    record NodeSide(
            int uplinkPort,
            int uplinkMtuBytes,
            List<AddressPool> pools,
            Set<IpAddress> nodeAddresses,
            List<IpAddress> resolver) {}

    /**
     * Endpoints with their policy maps, and what they were made from.
     *
     * @param byPort endpoints by port index
     * @param decisions by the rule numbers in the maps
     * @param parsers who of the L7 proxy reads flows; empty if nothing is redirected
     * @param knownIdentities identities that the maps have a program for
     * @param policies what they were compiled to
     * @param endpoints the endpoints
     * @param node the node
     */
    record Maps(
            List<Endpoint> byPort,
            List<Decision> decisions,
            Set<Parser> parsers,
            Set<Integer> knownIdentities,
            PolicySet policies,
            List<PlannedEndpoint> endpoints,
            NodeSide node) {
        /** What a switch without policy has. */
        static Maps none(final PolicySet policies) {
            return new Maps(
                    List.of(),
                    List.of(),
                    Set.of(),
                    Set.of(),
                    policies,
                    List.of(),
                    new NodeSide(Ipcache.NO_PORT, 0, List.of(), Set.of(), List.of()));
        }

        /** The distinct policy maps; their memory is to be freed when no lane has them. */
        Set<PolicyMap> policyMaps() {
            final Set<PolicyMap> distinct = Collections.newSetFromMap(new IdentityHashMap<>());
            for (final Endpoint endpoint : byPort) {
                if (endpoint.kind() != Endpoint.Kind.NONE) {
                    distinct.add(endpoint.egress());
                    distinct.add(endpoint.ingress());
                }
            }
            distinct.remove(Endpoint.DENY_ALL);
            return distinct;
        }
    }

    /**
     * @param maps for the lane; those before if they serve
     * @param routes what the ipcache has to hold
     * @param endpointIds ids of the endpoints, by address
     */
    record Built(Maps maps, List<LivePolicy.Route> routes, Map<IpAddress, Integer> endpointIds) {}

    /** A compiled map and the one before it, which says what identities that go may do. */
    private record MapKey(
            io.sluice.control.policy.PolicyMap now,
            Optional<io.sluice.control.policy.PolicyMap> before) {}

    /** An identity that the compiler did not know of is denied: a gap must fail closed. */
    private static final long UNKNOWN_IDENTITY =
            PolicyEntry.deny(DropReason.INVALID_IDENTITY.code(), 0);

    /** No protocol's number: entries for all that have none of their own. */
    private static final int OTHER_PROTOCOLS = -1;

    /**
     * Rule numbers are kept from one publication to the next, so that an event of the moment in
     * which maps are new and the revision is not names the right rule; when most are of rules gone
     * by, numbering begins again.
     */
    private static final int DECISIONS_SPARE = 1024;

    private final PolicySet policies;
    private final Maps before;
    private final PolicySet current;
    private final Map<Decision, Integer> decisions = new LinkedHashMap<>();
    private final Set<Integer> used = new HashSet<>();
    private final Set<Integer> leaving = new HashSet<>();
    private final Map<MapKey, PolicyMap> maps = new HashMap<>();
    private final IdentityHashMap<VerdictProgram, Program> programs = new IdentityHashMap<>();
    private final EnumSet<Parser> parsers = EnumSet.noneOf(Parser.class);

    private PolicyTables(final PolicySet policies, final Maps before, final PolicySet current) {
        this.policies = policies;
        this.before = before;
        this.current = current;
        // Rule 0 stands in entries that no policy gave; it must not name one.
        decisions.put(Decision.DEFAULT, 0);
    }

    /**
     * The tables for a policy.
     *
     * @param before maps in force: they stay if they say the same; identities that leave keep what
     *     they were allowed until the ipcache has let go of them
     * @param current policy whose identities the ipcache answers now
     */
    static Built build(
            final PolicySet policies,
            final List<PlannedEndpoint> endpoints,
            final NodeSide node,
            final Maps before,
            final PolicySet current) {
        return new PolicyTables(policies, before, current).build(endpoints, node);
    }

    private Built build(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        final Map<IpAddress, Integer> ids = new HashMap<>();
        for (final PlannedEndpoint planned : endpoints) {
            planned.spec().addresses().forEach(address -> ids.put(address, planned.id()));
        }
        node.resolver().forEach(address -> ids.put(address, Tables.RESOLVER_PORT));
        return new Built(
                serves(endpoints, node) ? before : layOut(endpoints, node),
                routes(ids, node),
                Map.copyOf(ids));
    }

    /** Whether the maps before say what this policy says: only the ipcache changes. */
    private boolean serves(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        if (!before.endpoints().equals(endpoints)
                || before.node().uplinkPort() != node.uplinkPort()
                || before.node().uplinkMtuBytes() != node.uplinkMtuBytes()
                || !before.node().resolver().equals(node.resolver())) {
            return false;
        }
        for (final Identity identity : policies.identities()) {
            if (!before.knownIdentities().contains(identity.number())) {
                return false;
            }
        }
        final Set<ObjectRef> pods = new HashSet<>();
        endpoints.forEach(planned -> pods.add(pod(planned.spec())));
        pods.add(ResolverPod.REF);
        for (final ObjectRef pod : pods) {
            for (final PolicyDirection direction : PolicyDirection.values()) {
                if (!policies.policyMap(pod, direction)
                        .equals(before.policies().policyMap(pod, direction))) {
                    return false;
                }
            }
        }
        return true;
    }

    private Maps layOut(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        final Set<Integer> known = new HashSet<>();
        policies.identities().forEach(identity -> known.add(identity.number()));
        for (final Identity identity : current.identities()) {
            if (known.add(identity.number())) {
                leaving.add(identity.number());
            }
        }
        for (final Decision decision : before.decisions()) {
            decisions.putIfAbsent(decision, decisions.size());
        }
        List<Endpoint> byPort = byPort(endpoints, node);
        if (decisions.size() > 2 * used.size() + DECISIONS_SPARE) {
            maps.values().forEach(PolicyMap::free);
            maps.clear();
            programs.clear();
            decisions.clear();
            decisions.put(Decision.DEFAULT, 0);
            byPort = byPort(endpoints, node);
        }
        return new Maps(
                byPort,
                List.copyOf(decisions.keySet()),
                Set.copyOf(parsers),
                known,
                policies,
                endpoints,
                node);
    }

    private List<Endpoint> byPort(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        final List<Endpoint> byPort = new ArrayList<>();
        if (node.uplinkPort() != Ipcache.NO_PORT) {
            put(
                    byPort,
                    node.uplinkPort(),
                    Endpoint.uplink(TapPorts.UPLINK_MAC, node.uplinkMtuBytes()));
        }
        for (final PlannedEndpoint planned : endpoints) {
            put(byPort, planned.id(), workload(planned.spec()));
        }
        if (!node.resolver().isEmpty()) {
            put(
                    byPort,
                    Tables.RESOLVER_PORT,
                    Endpoint.resolver(map(ResolverPod.REF, PolicyDirection.INGRESS)));
        }
        return byPort;
    }

    private static ObjectRef pod(final EndpointSpec spec) {
        return ObjectRef.pod(spec.namespace(), spec.name());
    }

    private static void put(final List<Endpoint> byPort, final int index, final Endpoint endpoint) {
        while (byPort.size() <= index) {
            byPort.add(Endpoint.NONE);
        }
        byPort.set(index, endpoint);
    }

    private Endpoint workload(final EndpointSpec spec) {
        final ObjectRef pod = pod(spec);
        return Endpoint.workload(
                spec.mac(),
                spec.mtuBytes(),
                spec.addresses().stream()
                        .map(
                                address ->
                                        new io.sluice.dataplane.wire.IpAddress(
                                                address.high(), address.low()))
                        .toList(),
                map(pod, PolicyDirection.EGRESS),
                map(pod, PolicyDirection.INGRESS));
    }

    private PolicyMap map(final ObjectRef pod, final PolicyDirection direction) {
        return policies.policyMap(pod, direction)
                .map(
                        now ->
                                new MapKey(
                                        now,
                                        leaving.isEmpty()
                                                ? Optional.empty()
                                                : current.policyMap(pod, direction)))
                .map(key -> maps.computeIfAbsent(key, this::layOut))
                .orElse(Endpoint.DENY_ALL);
    }

    private PolicyMap layOut(final MapKey key) {
        final PolicyMap.Builder builder = new PolicyMap.Builder(UNKNOWN_IDENTITY);
        for (final Identity identity : policies.identities()) {
            builder.program(
                    identity.number(),
                    programs.computeIfAbsent(
                            key.now().program(identity.number()), this::translate));
        }
        for (final int identity : leaving) {
            builder.program(
                    identity,
                    programs.computeIfAbsent(
                            key.before().orElse(key.now()).program(identity), this::translate));
        }
        return builder.build();
    }

    private Program translate(final VerdictProgram program) {
        return new Program(
                entry(OTHER_PROTOCOLS, program.otherProtocols()),
                program.protocols().stream()
                        .map(
                                protocol ->
                                        new ProtocolPorts(
                                                protocol.protocol(),
                                                protocol.intervals().stream()
                                                        .map(
                                                                interval ->
                                                                        new Interval(
                                                                                interval.from(),
                                                                                interval
                                                                                        .sourceFrom(),
                                                                                entry(
                                                                                        protocol
                                                                                                .protocol(),
                                                                                        interval
                                                                                                .entry())))
                                                        .toList()))
                        .toList());
    }

    private long entry(final int protocol, final io.sluice.control.policy.PolicyEntry entry) {
        final int known = decisions.size();
        final int rule = decisions.computeIfAbsent(Decision.of(entry), _ -> known);
        used.add(rule);
        final Optional<Parser> parser =
                protocol == IpProtocol.TCP ? L7Rulings.parser(entry) : Optional.empty();
        if (parser.isPresent()) {
            parsers.add(parser.get());
            return PolicyEntry.redirect(rule);
        }
        if (protocol == IpProtocol.UDP && DnsPolicy.isForAgent(entry)) {
            return PolicyEntry.punt(rule);
        }
        return switch (entry.verdict()) {
            case ALLOW -> PolicyEntry.allow(rule);
            // Nobody is there who could tell requests apart: what passes only in part is denied,
            // what passes whole is let through.
            case REDIRECT ->
                    entry.redirect().filter(Redirect::allowsAll).isPresent()
                            ? PolicyEntry.allow(rule)
                            : PolicyEntry.deny(DropReason.L7_NOT_ENFORCEABLE.code(), rule);
            case DENY -> PolicyEntry.deny(dropReason(entry.reason()).code(), rule);
        };
    }

    private static DropReason dropReason(final Reason reason) {
        return switch (reason) {
            case NONE, POLICY_DENIED -> DropReason.POLICY_DENIED;
            case POLICY_DENY -> DropReason.POLICY_DENY;
            case AUTH_REQUIRED -> DropReason.AUTH_REQUIRED;
            case L7_NOT_ENFORCEABLE -> DropReason.L7_NOT_ENFORCEABLE;
        };
    }

    /** Every prefix of the policy with the port that leads there, and the node's pools. */
    private List<LivePolicy.Route> routes(final Map<IpAddress, Integer> ids, final NodeSide node) {
        final List<LivePolicy.Route> routes = new ArrayList<>();
        final Set<Cidr> present = new HashSet<>();
        for (final IpcacheEntry entry : policies.ipcache()) {
            present.add(entry.prefix());
            routes.add(
                    new LivePolicy.Route(
                            entry.prefix(), entry.identity(), port(entry.prefix(), ids, node)));
        }
        for (final AddressPool pool : node.pools()) {
            if (!present.contains(pool.prefix())) {
                routes.add(
                        new LivePolicy.Route(
                                pool.prefix(), identityAround(pool.prefix()), Ipcache.NO_PORT));
            }
        }
        return List.copyOf(routes);
    }

    /**
     * The port that leads to a prefix.
     *
     * @param ids ports of the endpoints
     */
    static int port(final Cidr prefix, final Map<IpAddress, Integer> ids, final NodeSide node) {
        final boolean isAddress = prefix.lengthBits() == prefix.network().familyBits();
        if (isAddress) {
            final Integer id = ids.get(prefix.network());
            if (id != null) {
                return id;
            }
            if (node.nodeAddresses().contains(prefix.network())) {
                return node.uplinkPort();
            }
        }
        final boolean isOurs =
                node.pools().stream().anyMatch(pool -> pool.prefix().contains(prefix));
        return isOurs ? Ipcache.NO_PORT : node.uplinkPort();
    }

    /** Identity of the longest prefix around this one. */
    private int identityAround(final Cidr prefix) {
        int identity = Identity.UNKNOWN;
        int longest = -1;
        for (final IpcacheEntry entry : policies.ipcache()) {
            if (entry.prefix().contains(prefix) && entry.prefix().lengthBits() > longest) {
                longest = entry.prefix().lengthBits();
                identity = entry.identity();
            }
        }
        return identity;
    }
}
