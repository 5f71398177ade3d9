package io.sluice.control.agent;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import java.util.Optional;
import java.util.Set;

/**
 * The addresses of one family that this node gives to its pods. Immutable; any thread.
 *
 * <p>The first address after the network's is the node's own, on the uplink; the next are for pods.
 * In IPv4 the last address of the network is left out, as hosts take it for a broadcast address.
 *
 * @param prefix the pool's network
 */
public record AddressPool(Cidr prefix) {
    /**
     * Addresses looked at per pool. A node has 110 pods by default; a /64 has more addresses than
     * anyone wants to search.
     */
    private static final int ADDRESSES_MAX = 65_536;

    public AddressPool {
        final int hostBits = prefix.network().familyBits() - prefix.lengthBits();
        if (hostBits < 2) {
            throw new IllegalArgumentException(
                    "%s: a pool needs at least 4 addresses: a prefix of at most /%d"
                            .formatted(prefix, prefix.network().familyBits() - 2));
        }
    }

    /** The node's own address. */
    IpAddress nodeAddress() {
        return at(1);
    }

    /** The lowest address for a pod that is not taken; empty when all are. */
    Optional<IpAddress> lowestFree(final Set<IpAddress> taken) {
        final int last = lastIndex();
        for (int index = 2; index <= last; index++) {
            final IpAddress address = at(index);
            if (!taken.contains(address)) {
                return Optional.of(address);
            }
        }
        return Optional.empty();
    }

    /** Whether the address may be given to a pod. */
    boolean hasForPods(final IpAddress address) {
        if (!prefix.contains(address)) {
            return false;
        }
        final long index = address.low() - prefix.network().low();
        return address.high() == prefix.network().high() && index >= 2 && index <= lastIndex();
    }

    private int lastIndex() {
        final int hostBits = prefix.network().familyBits() - prefix.lengthBits();
        final long addresses = hostBits >= 32 ? Long.MAX_VALUE : 1L << hostBits;
        final long last = prefix.isIpv4() ? addresses - 2 : addresses - 1;
        return (int) Math.min(last, ADDRESSES_MAX);
    }

    private IpAddress at(final int index) {
        return new IpAddress(prefix.network().high(), prefix.network().low() + index);
    }
}
