package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
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
 * <p>A drop that the live policy agrees with is not right for that: if the answer was let out too
 * early, the policy does not know the address yet, and that is the very mistake. So such a drop is
 * kept, with the names that the policy had for the address, and judged again by the first policy
 * that has others.
 *
 * <p>Limits: one entry for each address of the FQDN cache; {@link #SUSPECTS_MAX} drops to be judged
 * again, of which the oldest goes, {@link #SUSPECT_NS} each.
 *
 * <p>Thread: {@link #released} and {@link #forgotten} the DNS agent; {@link #dropped} that of flow
 * events; {@link #judgeAgain} and {@link #wrongDrops} any.
 */
final class ReleasedAddresses {
    private static final Logger LOG = LoggerFactory.getLogger(ReleasedAddresses.class);

    /** Two for each microsecond that a publication may take. */
    private static final int SUSPECTS_MAX = 2_048;

    /** Ten times as long as an answer is ever held: what is not known by then was never to be. */
    private static final long SUSPECT_NS = TimeUnit.SECONDS.toNanos(10);

    private record Key(String endpoint, IpAddress address) {}

    /** A drop, and the names that the live policy had for its address. */
    private record Suspect(
            Key key, int protocol, int destinationPort, long atNs, Set<String> names) {}

    private final Supplier<LivePolicy> live;
    private final LongSupplier clockNs;
    private final Map<Key, Long> releasedNs = new ConcurrentHashMap<>();
    private final AtomicLong wrongDrops = new AtomicLong();

    // Guarded by itself.
    private final Deque<Suspect> suspects = new ArrayDeque<>();

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
        final Key key = new Key(endpoint.get(), destination);
        final Long since = releasedNs.get(key);
        if (since == null || atNs - since <= 0) {
            return;
        }
        final Suspect drop =
                new Suspect(key, protocol, destinationPort, atNs, names(policy, destination));
        if (isAllowed(policy, drop)) {
            count(drop);
        } else {
            synchronized (suspects) {
                if (suspects.size() == SUSPECTS_MAX) {
                    suspects.removeFirst();
                }
                suspects.addLast(drop);
            }
        }
    }

    private static Set<String> names(final LivePolicy policy, final IpAddress address) {
        return policy.world().names().getOrDefault(address, Set.of());
    }

    private static boolean isAllowed(final LivePolicy policy, final Suspect drop) {
        final IpAddress address = drop.key.address;
        return DnsPolicy.entry(
                        policy,
                        drop.key.endpoint,
                        new Address(address.high(), address.low()),
                        drop.protocol,
                        drop.destinationPort)
                .map(entry -> entry.isAllowed())
                .orElse(false);
    }

    private void count(final Suspect drop) {
        wrongDrops.incrementAndGet();
        LOG.error(
                "a packet of {} to {} port {} was dropped after the answer with its address had"
                        + " gone out",
                drop.key.endpoint,
                drop.key.address,
                drop.destinationPort);
    }

    /** To be called once a second: drops that the policy of their time agreed with. Thread: any. */
    void judgeAgain() {
        final LivePolicy policy = live.get();
        final long nowNs = clockNs.getAsLong();
        synchronized (suspects) {
            suspects.removeIf(
                    drop -> {
                        final boolean isJudged =
                                !names(policy, drop.key.address).equals(drop.names);
                        if (isJudged && isAllowed(policy, drop)) {
                            count(drop);
                        }
                        return isJudged || nowNs - drop.atNs > SUSPECT_NS;
                    });
        }
    }

    /** Such drops since the start. Thread: any. */
    long wrongDrops() {
        judgeAgain();
        return wrongDrops.get();
    }

    private static Key key(final String endpoint, final Address address) {
        return new Key(endpoint, new IpAddress(address.high(), address.low()));
    }
}
