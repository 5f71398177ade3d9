package io.sluice.control.agent;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.IpcacheEntry;
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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Compiled policy to the data plane's tables: numbers instead of objects, native memory instead of
 * maps.
 *
 * <p>What the compiler shares stays shared: each policy map and each verdict program is laid out
 * once, however many endpoints use it. Pure; the caller's thread.
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
     */
    record NodeSide(
            int uplinkPort,
            int uplinkMtuBytes,
            List<AddressPool> pools,
            Set<IpAddress> nodeAddresses) {}

    /**
     * @param tables for the lane
     * @param authors by the rule numbers in the tables
     * @param routes what the ipcache holds
     * @param endpointIds ids of the endpoints, by address
     */
    record Built(
            Tables tables,
            List<Author> authors,
            List<LivePolicy.Route> routes,
            Map<IpAddress, Integer> endpointIds) {}

    /** An identity that the compiler did not know of is denied: a gap must fail closed. */
    private static final long UNKNOWN_IDENTITY =
            PolicyEntry.deny(DropReason.INVALID_IDENTITY.code(), 0);

    private static final PolicyMap DENY_ALL =
            PolicyMap.always(PolicyEntry.deny(DropReason.EP_NOT_READY.code(), 0));

    private final PolicySet policies;
    private final Map<Author, Integer> authors = new LinkedHashMap<>();
    private final IdentityHashMap<io.sluice.control.policy.PolicyMap, PolicyMap> maps =
            new IdentityHashMap<>();
    private final IdentityHashMap<VerdictProgram, Program> programs = new IdentityHashMap<>();

    private PolicyTables(final PolicySet policies) {
        this.policies = policies;
        // Rule 0 stands in entries that no policy gave; it must not name one.
        authors.put(Author.DEFAULT, 0);
    }

    static Built build(
            final int revision,
            final PolicySet policies,
            final List<PlannedEndpoint> endpoints,
            final NodeSide node) {
        return new PolicyTables(policies).build(revision, endpoints, node);
    }

    private Built build(
            final int revision, final List<PlannedEndpoint> endpoints, final NodeSide node) {
        final Map<IpAddress, Integer> ids = new HashMap<>();
        final List<Endpoint> byPort = new ArrayList<>();
        if (node.uplinkPort() != Ipcache.NO_PORT) {
            put(
                    byPort,
                    node.uplinkPort(),
                    Endpoint.uplink(TapPorts.UPLINK_MAC, node.uplinkMtuBytes()));
        }
        for (final PlannedEndpoint planned : endpoints) {
            put(byPort, planned.id(), workload(planned.spec()));
            planned.spec().addresses().forEach(address -> ids.put(address, planned.id()));
        }
        final List<LivePolicy.Route> routes = routes(ids, node);
        final Ipcache.Builder ipcache = new Ipcache.Builder();
        for (final LivePolicy.Route route : routes) {
            final Cidr prefix = route.prefix();
            ipcache.add(
                    prefix.network().high(),
                    prefix.network().low(),
                    prefix.lengthBits() + 128 - prefix.network().familyBits(),
                    route.identity(),
                    route.port());
        }
        return new Built(
                new Tables(revision, byPort, ipcache.build()),
                List.copyOf(authors.keySet()),
                routes,
                Map.copyOf(ids));
    }

    private static void put(final List<Endpoint> byPort, final int index, final Endpoint endpoint) {
        while (byPort.size() <= index) {
            byPort.add(Endpoint.NONE);
        }
        byPort.set(index, endpoint);
    }

    private Endpoint workload(final EndpointSpec spec) {
        final ObjectRef pod = ObjectRef.pod(spec.namespace(), spec.name());
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
                .map(compiled -> maps.computeIfAbsent(compiled, this::layOut))
                .orElse(DENY_ALL);
    }

    private PolicyMap layOut(final io.sluice.control.policy.PolicyMap compiled) {
        final PolicyMap.Builder builder = new PolicyMap.Builder(UNKNOWN_IDENTITY);
        for (final Identity identity : policies.identities()) {
            builder.program(
                    identity.number(),
                    programs.computeIfAbsent(compiled.program(identity.number()), this::translate));
        }
        return builder.build();
    }

    private Program translate(final VerdictProgram program) {
        return new Program(
                entry(program.otherProtocols()),
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
                                                                                        interval
                                                                                                .entry())))
                                                        .toList()))
                        .toList());
    }

    private long entry(final io.sluice.control.policy.PolicyEntry entry) {
        final int known = authors.size();
        final int rule = authors.computeIfAbsent(entry.by(), author -> known);
        return switch (entry.verdict()) {
            case ALLOW -> PolicyEntry.allow(rule);
            // No proxy is there yet that could tell requests apart: what passes only in part is
            // denied, what passes whole is let through.
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

    private int port(final Cidr prefix, final Map<IpAddress, Integer> ids, final NodeSide node) {
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
