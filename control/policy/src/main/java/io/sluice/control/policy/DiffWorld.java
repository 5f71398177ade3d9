package io.sluice.control.policy;

import io.sluice.control.policy.DiffTraffic.Reach;
import java.util.Optional;

/**
 * One of the two worlds of a comparison: what it knows of an end, and what passes between two.
 *
 * <p>Thread: that of the comparison.
 */
final class DiffWorld {
    private static final int NO_ADDRESS = -1;

    /**
     * What the world knows of an end. Equal ends have equal connections.
     *
     * @param egress empty where the end is no endpoint
     * @param ingress empty where the end is no endpoint
     * @param ipv4 identity of its IPv4 address, -1 if it has none
     * @param ipv6 identity of its IPv6 address, -1 if it has none
     * @param primary identity where the family does not matter: that of an end without an address,
     *     or the end's towards one
     */
    record End(
            Optional<PolicyMap> egress,
            Optional<PolicyMap> ingress,
            int ipv4,
            int ipv6,
            int primary) {
        /** An end that does not exist in the world. */
        static final End ABSENT =
                new End(Optional.empty(), Optional.empty(), NO_ADDRESS, NO_ADDRESS, NO_ADDRESS);

        boolean isAbsent() {
            return primary == NO_ADDRESS;
        }

        private boolean hasNoAddress() {
            return ipv4 == NO_ADDRESS && ipv6 == NO_ADDRESS;
        }
    }

    private final World world;
    private final PolicySet policies;
    private final DiffTraffic traffic;

    DiffWorld(final World world, final PolicySet policies, final DiffTraffic traffic) {
        this.world = world;
        this.policies = policies;
        this.traffic = traffic;
    }

    World world() {
        return world;
    }

    PolicySet policies() {
        return policies;
    }

    /** A pod; absent if it is no endpoint here. */
    End pod(final ObjectRef ref) {
        final Optional<Pod> pod = world.lookup(ref).map(Pod.class::cast).filter(Pod::isEndpoint);
        final Optional<Identity> primary = policies.identityOf(ref);
        if (pod.isEmpty() || primary.isEmpty()) {
            return End.ABSENT;
        }
        int ipv4 = NO_ADDRESS;
        int ipv6 = NO_ADDRESS;
        for (final IpAddress address : pod.get().addresses()) {
            final int identity = policies.identityAt(address).number();
            if (address.isIpv4()) {
                ipv4 = identity;
            } else {
                ipv6 = identity;
            }
        }
        return new End(
                policies.policyMap(ref, PolicyDirection.EGRESS),
                policies.policyMap(ref, PolicyDirection.INGRESS),
                ipv4,
                ipv6,
                primary.get().number());
    }

    /** An address that is no endpoint's. */
    End address(final IpAddress address) {
        final int identity = policies.identityAt(address).number();
        return new End(
                Optional.empty(),
                Optional.empty(),
                address.isIpv4() ? identity : NO_ADDRESS,
                address.isIpv4() ? NO_ADDRESS : identity,
                identity);
    }

    /** The endpoints' own node, where nothing says at what address it is. */
    End hostWithoutAddress() {
        return new End(Optional.empty(), Optional.empty(), NO_ADDRESS, NO_ADDRESS, Identity.HOST);
    }

    boolean hostHasAddress() {
        return policies.ipcache().stream().anyMatch(entry -> entry.identity() == Identity.HOST);
    }

    /** What passes from one end to another, which is not the same pod. */
    Reach reach(final End from, final End to) {
        if (from.isAbsent() || to.isAbsent()) {
            return traffic.nothing();
        }
        if (from.hasNoAddress() || to.hasNoAddress()) {
            final int either = passing(from, to, from.primary, to.primary);
            return new Reach(either, either);
        }
        return traffic.reach(
                passing(from, to, from.ipv4, to.ipv4), passing(from, to, from.ipv6, to.ipv6));
    }

    private int passing(
            final End from, final End to, final int fromIdentity, final int toIdentity) {
        if (fromIdentity == NO_ADDRESS || toIdentity == NO_ADDRESS) {
            return DiffTraffic.NO_FAMILY;
        }
        return traffic.both(allowed(from.egress, toIdentity), allowed(to.ingress, fromIdentity));
    }

    private int allowed(final Optional<PolicyMap> policy, final int peer) {
        return policy.isEmpty() ? traffic.notAnEndpoint() : traffic.of(policy.get().program(peer));
    }
}
