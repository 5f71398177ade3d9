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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Compiled policy to the data plane's tables: numbers instead of objects, native memory instead of
 * maps.
 *
 * <p>What the compiler shares stays shared: each policy map and each verdict program is laid out
 * once, however many endpoints use it. Of the maps in force as much stays as serves:
 *
 * <pre>
 *   nothing but addresses has changed     all of them
 *   the identities are the same           those that say the same; of large others a copy is made, in which
 *                                         the programs that changed are put in the place of the former ones
 *   identities came or went               none: every map has a program for every identity
 * </pre>
 *
 * <p>A map that was copied often, and rule numbers most of which are of rules gone by, are made
 * anew. The caller's thread.
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
     * @param numbers rule numbers in the maps; more are given with the next
     * @param decisions by the rule numbers in the maps
     * @param rulesUsed rule numbers that were in the maps when all were laid out last
     * @param parsers who of the L7 proxy reads flows; empty if nothing is redirected
     * @param knownIdentities identities that the maps have a program for
     * @param policies what they were compiled to
     * @param endpoints the endpoints
     * @param node the node
     */
    record Maps(
            List<Endpoint> byPort,
            RuleNumbers numbers,
            List<Decision> decisions,
            int rulesUsed,
            Set<Parser> parsers,
            Set<Integer> knownIdentities,
            PolicySet policies,
            List<PlannedEndpoint> endpoints,
            NodeSide node) {
        /** What a switch without policy has. */
        static Maps none(final PolicySet policies) {
            return new Maps(
                    List.of(),
                    new RuleNumbers(),
                    List.of(),
                    0,
                    Set.of(),
                    Set.of(),
                    policies,
                    List.of(),
                    new NodeSide(Ipcache.NO_PORT, 0, List.of(), Set.of(), List.of()));
        }

        /** Whether most rule numbers are of rules gone by. */
        private boolean hasWornNumbers() {
            return isWorn(numbers, rulesUsed);
        }

        private boolean areOf(final List<PlannedEndpoint> others, final NodeSide otherNode) {
            return endpoints.equals(others)
                    && node.uplinkPort() == otherNode.uplinkPort()
                    && node.uplinkMtuBytes() == otherNode.uplinkMtuBytes()
                    && node.resolver().equals(otherNode.resolver());
        }

        private Optional<io.sluice.control.policy.PolicyMap> compiled(
                final ObjectRef pod, final PolicyDirection direction) {
            return policies.policyMap(pod, direction);
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

    /** A compiled map and the one before it, which says what identities that go may do. */
    private record MapKey(
            io.sluice.control.policy.PolicyMap now,
            Optional<io.sluice.control.policy.PolicyMap> before) {}

    /** A map that is in force, and what is to be in its place. */
    private record Exchange(PolicyMap before, io.sluice.control.policy.PolicyMap now) {}

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

    /**
     * A map of fewer identities is laid out anew: that takes some 100 us at most, and nothing of
     * the former one stays in it.
     */
    private static final int COPIED_FROM_IDENTITIES = 256;

    private final PolicySet policies;
    private final Maps before;
    private final PolicySet current;
    private RuleNumbers numbers;
    private final Set<Integer> used = new HashSet<>();
    private final Set<Integer> leaving = new HashSet<>();
    private final Map<MapKey, PolicyMap> maps = new HashMap<>();
    private final Map<Exchange, PolicyMap> exchanged = new HashMap<>();
    private final IdentityHashMap<VerdictProgram, Program> programs = new IdentityHashMap<>();
    private final EnumSet<Parser> parsers = EnumSet.noneOf(Parser.class);

    private PolicyTables(final PolicySet policies, final Maps before, final PolicySet current) {
        this.policies = policies;
        this.before = before;
        this.current = current;
        this.numbers = before.numbers();
    }

    /**
     * The maps for a policy.
     *
     * @param before maps in force: they stay if they say the same; identities that leave keep what
     *     they were allowed until the ipcache has let go of them
     * @param current policy whose identities the ipcache answers now
     */
    static Maps build(
            final PolicySet policies,
            final List<PlannedEndpoint> endpoints,
            final NodeSide node,
            final Maps before,
            final PolicySet current) {
        return new PolicyTables(policies, before, current).build(endpoints, node);
    }

    private Maps build(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        if (serves(endpoints, node)) {
            return before;
        }
        final boolean sameIdentities =
                before.areOf(endpoints, node)
                        && policies.hasIdentitiesOf(before.policies())
                        && policies.hasIdentitiesOf(current);
        return sameIdentities && !before.hasWornNumbers()
                ? exchange(endpoints, node)
                : layOut(endpoints, node);
    }

    /** Ids of endpoints by their addresses, the resolver's included. */
    static Map<IpAddress, Integer> endpointIds(
            final List<PlannedEndpoint> endpoints, final NodeSide node) {
        final Map<IpAddress, Integer> ids = new HashMap<>();
        for (final PlannedEndpoint planned : endpoints) {
            planned.spec().addresses().forEach(address -> ids.put(address, planned.id()));
        }
        node.resolver().forEach(address -> ids.put(address, Tables.RESOLVER_PORT));
        return Map.copyOf(ids);
    }

    /** Whether the maps before say what this policy says: only the ipcache changes. */
    private boolean serves(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        if (!before.areOf(endpoints, node)) {
            return false;
        }
        if (!policies.hasIdentitiesOf(before.policies())) {
            for (final Identity identity : policies.identities()) {
                if (!before.knownIdentities().contains(identity.number())) {
                    return false;
                }
            }
        }
        final Set<ObjectRef> pods = new HashSet<>();
        endpoints.forEach(planned -> pods.add(pod(planned.spec())));
        pods.add(ResolverPod.REF);
        for (final ObjectRef pod : pods) {
            for (final PolicyDirection direction : PolicyDirection.values()) {
                if (!policies.policyMap(pod, direction).equals(before.compiled(pod, direction))) {
                    return false;
                }
            }
        }
        return true;
    }

    /** The maps before, with others in the place of those that say something else now. */
    private Maps exchange(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        final List<Endpoint> byPort = new ArrayList<>(before.byPort());
        for (final PlannedEndpoint planned : endpoints) {
            final ObjectRef pod = pod(planned.spec());
            final Endpoint endpoint = byPort.get(planned.id());
            if (differs(pod, PolicyDirection.EGRESS) || differs(pod, PolicyDirection.INGRESS)) {
                byPort.set(
                        planned.id(),
                        workload(
                                planned.spec(),
                                exchange(pod, PolicyDirection.EGRESS, endpoint.egress()),
                                exchange(pod, PolicyDirection.INGRESS, endpoint.ingress())));
            }
        }
        if (!node.resolver().isEmpty() && differs(ResolverPod.REF, PolicyDirection.INGRESS)) {
            byPort.set(
                    Tables.RESOLVER_PORT,
                    Endpoint.resolver(
                            exchange(
                                    ResolverPod.REF,
                                    PolicyDirection.INGRESS,
                                    byPort.get(Tables.RESOLVER_PORT).ingress())));
        }
        parsers.addAll(before.parsers());
        return new Maps(
                byPort,
                numbers,
                numbers.decisions(),
                before.rulesUsed(),
                Set.copyOf(parsers),
                before.knownIdentities(),
                policies,
                endpoints,
                node);
    }

    private boolean differs(final ObjectRef pod, final PolicyDirection direction) {
        return !policies.policyMap(pod, direction).equals(before.compiled(pod, direction));
    }

    private PolicyMap exchange(
            final ObjectRef pod, final PolicyDirection direction, final PolicyMap inForce) {
        final Optional<io.sluice.control.policy.PolicyMap> was = before.compiled(pod, direction);
        final Optional<io.sluice.control.policy.PolicyMap> is = policies.policyMap(pod, direction);
        if (was.equals(is)) {
            return inForce;
        }
        if (was.isEmpty()
                || is.isEmpty()
                || inForce.identityCount() < COPIED_FROM_IDENTITIES
                || inForce.isWorn()) {
            return map(pod, direction);
        }
        return is.get()
                .programsChangedSince(was.get())
                .map(
                        changed ->
                                exchanged.computeIfAbsent(
                                        new Exchange(inForce, is.get()),
                                        _ -> with(inForce, changed)))
                .orElseGet(() -> map(pod, direction));
    }

    private PolicyMap with(final PolicyMap inForce, final Map<Integer, VerdictProgram> changed) {
        final Map<Integer, Program> translated = new HashMap<>();
        changed.forEach(
                (identity, program) ->
                        translated.put(
                                identity, programs.computeIfAbsent(program, this::translate)));
        return inForce.with(translated);
    }

    private static boolean isWorn(final RuleNumbers numbers, final int used) {
        return numbers.size() > 2 * used + DECISIONS_SPARE;
    }

    private Maps layOut(final List<PlannedEndpoint> endpoints, final NodeSide node) {
        final Set<Integer> known = new HashSet<>();
        policies.identities().forEach(identity -> known.add(identity.number()));
        for (final Identity identity : current.identities()) {
            if (known.add(identity.number())) {
                leaving.add(identity.number());
            }
        }
        List<Endpoint> byPort = byPort(endpoints, node);
        if (isWorn(numbers, used.size())) {
            maps.values().forEach(PolicyMap::free);
            maps.clear();
            programs.clear();
            used.clear();
            numbers = new RuleNumbers();
            byPort = byPort(endpoints, node);
        }
        return new Maps(
                byPort,
                numbers,
                numbers.decisions(),
                used.size(),
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
            final ObjectRef pod = pod(planned.spec());
            put(
                    byPort,
                    planned.id(),
                    workload(
                            planned.spec(),
                            map(pod, PolicyDirection.EGRESS),
                            map(pod, PolicyDirection.INGRESS)));
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

    private static Endpoint workload(
            final EndpointSpec spec, final PolicyMap egress, final PolicyMap ingress) {
        return Endpoint.workload(
                spec.mac(),
                spec.mtuBytes(),
                spec.addresses().stream()
                        .map(
                                address ->
                                        new io.sluice.dataplane.wire.IpAddress(
                                                address.high(), address.low()))
                        .toList(),
                egress,
                ingress);
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
        final int rule = numbers.of(Decision.of(entry));
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

    /**
     * What the ipcache has to hold: every prefix of a policy with the port that leads there, and
     * the node's pools.
     *
     * @param ids see {@link #endpointIds}
     */
    static List<LivePolicy.Route> routes(
            final PolicySet policies, final Map<IpAddress, Integer> ids, final NodeSide node) {
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
                                pool.prefix(),
                                identityAround(pool.prefix(), policies),
                                Ipcache.NO_PORT));
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
    private static int identityAround(final Cidr prefix, final PolicySet policies) {
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
