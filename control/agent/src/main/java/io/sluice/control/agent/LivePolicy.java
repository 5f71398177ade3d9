package io.sluice.control.agent;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.Identity;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.PersistentMap;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.World;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * A policy revision with everything that reports need to put names to its numbers. Immutable; any
 * thread.
 *
 * @param revision number of the snapshot in the data plane
 * @param publishedAt when it went there
 * @param compileNs how long compiling and laying out took, in nanoseconds
 * @param world objects it was compiled from
 * @param policies what the compiler made of them
 * @param evaluator answers probes as the data plane answers packets
 * @param decisions who decided, by the rule number of a data-plane policy entry
 * @param identities by number
 * @param routes prefixes as they are in the data plane
 * @param endpointIds ids of this node's endpoints, by address
 */
record LivePolicy(
        int revision,
        Instant publishedAt,
        long compileNs,
        World world,
        PolicySet policies,
        PolicyEvaluator evaluator,
        List<Decision> decisions,
        Map<Integer, Identity> identities,
        PersistentMap<Cidr, Route> routes,
        Map<IpAddress, Integer> endpointIds) {
    /**
     * One prefix of the data plane's ipcache.
     *
     * @param prefix the prefix
     * @param identity number of its identity
     * @param port index of the port that leads there, or {@link
     *     io.sluice.dataplane.table.Ipcache#NO_PORT}
     */
    record Route(Cidr prefix, int identity, int port) {}

    /** Labels of an identity; none for a number that this revision does not know. */
    List<String> labels(final int identity) {
        final Identity known = identities.get(identity);
        return known == null ? List.of() : known.labels();
    }

    /** Identity of an address by its longest prefix. */
    int identityOf(final IpAddress address) {
        return policies.numberAt(address);
    }

    /** The data plane's ipcache, by prefix. */
    List<Route> ipcache() {
        return routes.values().stream().sorted(Comparator.comparing(Route::prefix)).toList();
    }

    /** Who decided; empty for a number that this revision does not know. */
    List<Decision> decision(final int rule) {
        return rule >= 0 && rule < decisions.size() ? List.of(decisions.get(rule)) : List.of();
    }
}
