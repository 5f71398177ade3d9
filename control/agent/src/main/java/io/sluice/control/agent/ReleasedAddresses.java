package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.wire.Address;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The promise that is never to be broken, counted: connections that were dropped although their
 * address had gone out in an answer before, and policy names its name.
 *
 * <p>It remembers when an address first went out to an endpoint, and looks at every drop by policy
 * with that in hand. What the count says is what clients see: it does not ask the code that ought
 * to have prevented it.
 *
 * <p>Limits: one entry for each address of the FQDN cache.
 *
 * <p>Thread: {@link #released} and {@link #forgotten} the DNS agent; {@link #dropped} that of flow
 * events; {@link #wrongDrops} any.
 */
final class ReleasedAddresses {
    private static final Logger LOG = LoggerFactory.getLogger(ReleasedAddresses.class);

    private record Key(String endpoint, IpAddress address) {}

    private final Supplier<LivePolicy> live;
    private final LongSupplier clockNs;
    private final Map<Key, Long> releasedNs = new ConcurrentHashMap<>();
    private final AtomicLong wrongDrops = new AtomicLong();

    /**
     * @param clockNs the lane's clock
     */
    ReleasedAddresses(final Supplier<LivePolicy> live, final LongSupplier clockNs) {
        this.live = live;
        this.clockNs = clockNs;
    }

    /** An answer with these addresses goes out now. */
    void released(final String endpoint, final Collection<Address> addresses) {
        for (final Address address : addresses) {
            releasedNs.putIfAbsent(key(endpoint, address), clockNs.getAsLong());
        }
    }

    /** The address is not open to the endpoint any more. */
    void forgotten(final FqdnRecord record) {
        releasedNs.remove(key(record.endpoint(), record.address()));
    }

    /** A packet of an endpoint was dropped, because no rule of its own policy allows it. */
    void dropped(
            final IpAddress source,
            final IpAddress destination,
            final int protocol,
            final int destinationPort,
            final long atNs) {
        final LivePolicy policy = live.get();
        final Optional<String> endpoint =
                policy.world()
                        .podAt(source)
                        .map(pod -> pod.ref().namespace() + "/" + pod.ref().name());
        if (endpoint.isEmpty()) {
            return;
        }
        final Long since = releasedNs.get(new Key(endpoint.get(), destination));
        if (since == null || atNs - since <= 0) {
            return;
        }
        final boolean isAllowed =
                DnsPolicy.entry(
                                policy,
                                endpoint.get(),
                                new Address(destination.high(), destination.low()),
                                protocol,
                                destinationPort)
                        .map(entry -> entry.isAllowed())
                        .orElse(false);
        if (isAllowed) {
            wrongDrops.incrementAndGet();
            LOG.error(
                    "a packet of {} to {} port {} was dropped after the answer with its address"
                            + " had gone out",
                    endpoint.get(),
                    destination,
                    destinationPort);
        }
    }

    /** Such drops since the start. */
    long wrongDrops() {
        return wrongDrops.get();
    }

    private static Key key(final String endpoint, final Address address) {
        return new Key(endpoint, new IpAddress(address.high(), address.low()));
    }
}
