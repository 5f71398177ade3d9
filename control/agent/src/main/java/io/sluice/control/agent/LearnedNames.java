package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import io.sluice.dnsproxy.NameObserver;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Names on their way from answers to the tables of the lane.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>The DNS agent tells what was learned and forgotten, in order; control takes all that waits in
 * one go, works out which addresses have other names now, has them published, and only then
 * confirms the batches, whose answers the agent then releases. Under load a publication thus serves
 * many answers; alone it serves one.
 *
 * <p>An address has a name as long as some endpoint has learned it. Which endpoint may go there is
 * for its policy to say: one that does not name the name is not let through, whoever resolved it.
 *
 * <p>Live at once are names that no policy names, and addresses that the live policy knows under
 * that name already, if nothing waits that could change that. Names that no policy names are kept
 * all the same: a policy may come.
 *
 * <p>Failures. What could not be published stays to be confirmed, and is confirmed with the next
 * publication that succeeds, at the latest a tick later; the exchange gives the client SERVFAIL in
 * the meantime. A full mailbox of control is such a failure.
 *
 * <p>Limits: those of the FQDN cache, which forgets before it learns more.
 *
 * <p>Thread: {@link #learned}, {@link #forgotten}, {@link #forgotEndpoint} the DNS agent; {@link
 * #restore}, {@link #publish}, {@link #tick} control.
 */
final class LearnedNames implements NameObserver {
    private static final Logger LOG = LoggerFactory.getLogger(LearnedNames.class);

    /** What nobody waits for; batches of the exchange begin at 1. */
    static final long NO_BATCH = 0;

    /** Who learned what: the unit that comes and goes. */
    private record Fact(String endpoint, String name, IpAddress address) {}

    private sealed interface Change {}

    private record Learned(long batch, List<Fact> facts) implements Change {}

    private record Forgotten(Fact fact) implements Change {}

    private record EndpointGone(String endpoint) implements Change {}

    private final Supplier<LivePolicy> live;
    private final Predicate<Runnable> control;
    private final Reconciler reconciler;
    private final LongConsumer confirm;

    // From the DNS agent to control. The counter is raised before the queue grows and lowered after
    // the publication: 0 means that the live policy has everything.
    private final ConcurrentLinkedQueue<Change> changes = new ConcurrentLinkedQueue<>();
    private final AtomicLong waiting = new AtomicLong();
    private final AtomicBoolean posted = new AtomicBoolean();

    // Control only.
    private final Map<String, Set<Fact>> byEndpoint = new HashMap<>();
    private final Map<IpAddress, Map<String, Integer>> uses = new HashMap<>();
    private final Set<IpAddress> unpublished = new HashSet<>();
    private final List<Long> unconfirmed = new ArrayList<>();
    private long taken;

    /**
     * @param live the policy in force
     * @param control runs a task on the control thread, or says that it cannot now
     * @param confirm told the number of each batch that is live; must not block
     */
    LearnedNames(
            final Supplier<LivePolicy> live,
            final Predicate<Runnable> control,
            final Reconciler reconciler,
            final LongConsumer confirm) {
        this.live = live;
        this.control = control;
        this.reconciler = reconciler;
        this.confirm = confirm;
    }

    /** What a former process learned; before the first policy is published. */
    void restore(final List<FqdnRecord> records) {
        records.forEach(record -> add(fact(record)));
        reconciler.remember(takeUnpublished());
    }

    @Override
    public boolean learned(
            final long batch,
            final String endpoint,
            final String name,
            final List<Address> addresses) {
        final boolean isLive = isLive(name, addresses);
        tell(
                new Learned(
                        isLive ? NO_BATCH : batch,
                        addresses.stream()
                                .map(address -> new Fact(endpoint, name, toPolicy(address)))
                                .toList()));
        return isLive;
    }

    private boolean isLive(final String name, final List<Address> addresses) {
        final LivePolicy policy = live.get();
        if (!policy.policies().asksForName(name)) {
            return true;
        }
        if (waiting.get() > 0) {
            return false;
        }
        final Map<IpAddress, Set<String>> known = policy.world().names();
        for (final Address address : addresses) {
            if (!known.getOrDefault(toPolicy(address), Set.of()).contains(name)) {
                return false;
            }
        }
        return true;
    }

    /** An address of a name is not open to its endpoint any more. */
    void forgotten(final FqdnRecord record) {
        tell(new Forgotten(fact(record)));
    }

    /** An endpoint is gone, with all it learned. */
    void forgotEndpoint(final String endpoint) {
        tell(new EndpointGone(endpoint));
    }

    private void tell(final Change change) {
        waiting.incrementAndGet();
        changes.add(change);
        if (posted.compareAndSet(false, true) && !control.test(this::publish)) {
            posted.set(false);
            LOG.debug("control is busy: names wait for the next tick");
        }
    }

    /** Puts what waits in force. */
    void publish() {
        posted.set(false);
        for (Change change = changes.poll(); change != null; change = changes.poll()) {
            taken++;
            switch (change) {
                case final Learned learned -> {
                    learned.facts.forEach(this::add);
                    if (learned.batch != NO_BATCH) {
                        unconfirmed.add(learned.batch);
                    }
                }
                case final Forgotten forgotten -> remove(forgotten.fact);
                case final EndpointGone gone ->
                        List.copyOf(byEndpoint.getOrDefault(gone.endpoint, Set.of()))
                                .forEach(this::remove);
            }
        }
        if (taken == 0) {
            return;
        }
        try {
            final Map<IpAddress, Set<String>> changed = takeUnpublished();
            if (!changed.isEmpty()) {
                reconciler.learn(changed);
            }
        } catch (final RequestException e) {
            // The reconciler has them, and puts them in force with whatever comes next.
            LOG.debug("names are not in force yet: {}", e.getMessage());
            return;
        }
        waiting.addAndGet(-taken);
        taken = 0;
        unconfirmed.forEach(confirm::accept);
        unconfirmed.clear();
    }

    /** Once a second: what could not be put in force before. */
    void tick() {
        if (reconciler.isInForce()) {
            publish();
        }
    }

    private void add(final Fact fact) {
        if (byEndpoint.computeIfAbsent(fact.endpoint, _ -> new HashSet<>()).add(fact)) {
            final Map<String, Integer> names =
                    uses.computeIfAbsent(fact.address, _ -> new HashMap<>(2));
            if (names.merge(fact.name, 1, Integer::sum) == 1) {
                unpublished.add(fact.address);
            }
        }
    }

    private void remove(final Fact fact) {
        final Set<Fact> facts = byEndpoint.getOrDefault(fact.endpoint, Set.of());
        if (!facts.contains(fact)) {
            return;
        }
        facts.remove(fact);
        if (facts.isEmpty()) {
            byEndpoint.remove(fact.endpoint);
        }
        final Map<String, Integer> names = uses.getOrDefault(fact.address, Map.of());
        if (names.merge(fact.name, -1, Integer::sum) == 0) {
            names.remove(fact.name);
            unpublished.add(fact.address);
            if (names.isEmpty()) {
                uses.remove(fact.address);
            }
        }
    }

    private Map<IpAddress, Set<String>> takeUnpublished() {
        final Map<IpAddress, Set<String>> changed = new HashMap<>();
        for (final IpAddress address : unpublished) {
            changed.put(address, Set.copyOf(uses.getOrDefault(address, Map.of()).keySet()));
        }
        unpublished.clear();
        return changed;
    }

    private static Fact fact(final FqdnRecord record) {
        return new Fact(record.endpoint(), record.name(), toPolicy(record.address()));
    }

    private static IpAddress toPolicy(final Address address) {
        return new IpAddress(address.high(), address.low());
    }
}
