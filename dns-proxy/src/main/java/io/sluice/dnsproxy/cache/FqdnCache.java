package io.sluice.dnsproxy.cache;

import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What each endpoint learned from answers: name to addresses.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Per endpoint, because an answer is a statement to the one who asked: what one pod resolved
 * opens nothing to another. Which addresses a policy's names stand for is asked with {@link
 * #addresses}, for one endpoint.
 *
 * <p>An address of a name is in one of two states:
 *
 * <ul>
 *   <li><b>live</b>: an answer named it, and its time to live, at least {@link
 *       FqdnLimits#ttlMinMs}, is not over (a longer one than {@link FqdnLimits#TTL_MAX_MS} counts
 *       as that). An answer prolongs and never shortens, nor does it take away the addresses that
 *       it leaves out: the client may hold an older answer.
 *   <li><b>zombie</b> (Cilium's word): its time is over, or newer ones crowded it out, but a
 *       tracked flow uses it. It is looked at every {@link FqdnLimits#zombieCheckMs} and leaves
 *       with its last flow. Learned again, it is live again.
 * </ul>
 *
 * <p>Both open the address: {@link #addresses} gives both.
 *
 * <p>Limits, each oldest first by the last answer: live addresses of a name, live names of an
 * endpoint, zombies of an endpoint. What is crowded out becomes a zombie if a flow uses it; a
 * zombie that is crowded out is gone, and its flows with it (counted, {@link #zombiesLost}).
 *
 * <p>Expiry: one tree by deadline with one place per address. An answer that prolongs does not move
 * the place: when it comes up, the address is put back with its new deadline. So an answer costs no
 * more for a large cache, and a pass costs what is due.
 *
 * <p>Time is the wall clock, ms since 1970, handed in: deadlines outlive the process. A clock set
 * back lets addresses live longer by as much, one set forward makes zombies of those in use.
 *
 * <p>Every change goes to the {@link FqdnStore} at once, except that an address prolonged by less
 * than a tenth of its time is not written again.
 *
 * <p>Thread: the DNS agent's.
 */
public final class FqdnCache {
    private final FqdnLimits limits;
    private final FlowUse flows;
    private final FqdnStore store;
    private final Consumer<FqdnRecord> forgotten;
    private final Map<String, Endpoint> endpoints = new LinkedHashMap<>();

    /** A tree and no heap: what is crowded out has to leave it before its time. */
    private final NavigableSet<Entry> due =
            new TreeSet<>(
                    (a, b) ->
                            a.dueMs != b.dueMs
                                    ? Long.compare(a.dueMs, b.dueMs)
                                    : Long.compare(a.number, b.number));

    private long entries;
    private long zombiesLost;
    private long namesCrowdedOut;
    private long addressesCrowdedOut;

    /**
     * An empty cache; see {@link #restore}.
     *
     * @param forgotten told of every address that is not open any more, but for {@link #forget} of
     *     a whole endpoint
     */
    public FqdnCache(
            final FqdnLimits limits,
            final FlowUse flows,
            final FqdnStore store,
            final Consumer<FqdnRecord> forgotten) {
        this.limits = limits;
        this.flows = flows;
        this.store = store;
        this.forgotten = forgotten;
    }

    /** One address of one name of one endpoint. */
    private static final class Entry {
        private final Endpoint owner;
        private final Name name;
        private final Address address;

        /** Tells those apart that are due at the same time. */
        private final long number;

        private long learnedMs;
        private long expiresMs;
        private long storedExpiresMs;
        private long dueMs;
        private boolean isZombie;

        private Entry(
                final Endpoint owner, final Name name, final Address address, final long number) {
            this.owner = owner;
            this.name = name;
            this.address = address;
            this.number = number;
        }

        private FqdnRecord record() {
            return new FqdnRecord(owner.name, name.text, address, learnedMs, expiresMs, isZombie);
        }
    }

    /** Addresses in the order in which answers last named them. */
    private static final class Name {
        private final String text;
        private final Map<Address, Entry> entries = new LinkedHashMap<>(4);
        private int live;

        private Name(final String text) {
            this.text = text;
        }
    }

    private static final class Endpoint {
        private final String name;
        private final Map<String, Name> names = new LinkedHashMap<>();

        /** Those with live addresses, in the order in which answers last named them. */
        private final Set<Name> live = new LinkedHashSet<>();

        private final Set<Entry> zombies = new LinkedHashSet<>();

        private Endpoint(final String name) {
            this.name = name;
        }
    }

    /**
     * Takes in an answer.
     *
     * @param endpoint who asked
     * @param name what it asked for: lower case, dot-terminated
     * @param addresses what the answer says
     * @param ttlSeconds 0 to 2^31-1
     * @param nowMs ms since 1970
     * @return those that were not open before, in the order of the answer
     */
    public List<Address> learn(
            final String endpoint,
            final String name,
            final Collection<Address> addresses,
            final int ttlSeconds,
            final long nowMs) {
        if (addresses.isEmpty()) {
            return List.of();
        }
        final Endpoint owner = endpoints.computeIfAbsent(endpoint, Endpoint::new);
        final Name known = owner.names.computeIfAbsent(name, Name::new);
        final long ttlMs = Math.min(ttlSeconds * 1000L, FqdnLimits.TTL_MAX_MS);
        final long expiresMs = nowMs + Math.max(limits.ttlMinMs(), ttlMs);
        List<Address> added = List.of();
        for (final Address address : addresses) {
            if (learn(owner, known, address, expiresMs, nowMs)) {
                added = added.isEmpty() ? new ArrayList<>() : added;
                added.add(address);
            }
        }
        owner.live.remove(known);
        owner.live.add(known);
        crowdOut(owner, known, nowMs);
        added = stillOpen(known, added);
        return added;
    }

    /**
     * Takes in an answer that another cache has learned from, as it is there.
     *
     * @return whether the address was not open before, and is now
     */
    public boolean learn(final FqdnRecord record, final long nowMs) {
        final Endpoint owner = endpoints.computeIfAbsent(record.endpoint(), Endpoint::new);
        final Name known = owner.names.computeIfAbsent(record.name(), Name::new);
        final boolean isNew =
                learn(owner, known, record.address(), record.expiresMs(), record.learnedMs());
        owner.live.remove(known);
        owner.live.add(known);
        crowdOut(owner, known, nowMs);
        return isNew && known.entries.containsKey(record.address());
    }

    /** Forgets one address, flows or not; nothing happens if it is not known. */
    public void forget(final String endpoint, final String name, final Address address) {
        final Endpoint owner = endpoints.get(endpoint);
        final Name known = owner == null ? null : owner.names.get(name);
        final Entry entry = known == null ? null : known.entries.get(address);
        if (entry != null) {
            drop(entry);
        }
    }

    /** Whatever it is: gone. */
    private void drop(final Entry entry) {
        if (!entry.isZombie && --entry.name.live == 0) {
            entry.owner.live.remove(entry.name);
        }
        remove(entry);
    }

    /** An answer with more addresses than a name may have crowds out its own first ones. */
    private static List<Address> stillOpen(final Name name, final List<Address> added) {
        return name.entries.keySet().containsAll(added)
                ? added
                : added.stream().filter(name.entries::containsKey).toList();
    }

    private boolean learn(
            final Endpoint owner,
            final Name name,
            final Address address,
            final long expiresMs,
            final long nowMs) {
        Entry entry = name.entries.remove(address);
        final boolean isNew = entry == null;
        if (entry == null) {
            entry = new Entry(owner, name, address, entries++);
            entry.dueMs = expiresMs;
        }
        name.entries.put(address, entry);
        if (isNew || entry.isZombie) {
            name.live++;
        }
        if (entry.isZombie) {
            entry.isZombie = false;
            owner.zombies.remove(entry);
            entry.storedExpiresMs = 0;
        }
        entry.learnedMs = nowMs;
        entry.expiresMs = Math.max(entry.expiresMs, expiresMs);
        if (isNew) {
            due.add(entry);
        }
        // A tenth of what is left: names asked for every second are not written every second.
        if (entry.expiresMs - entry.storedExpiresMs > (entry.expiresMs - nowMs) / 10) {
            put(entry);
        }
        return isNew;
    }

    private void put(final Entry entry) {
        entry.storedExpiresMs = entry.expiresMs;
        store.put(entry.record());
    }

    private void crowdOut(final Endpoint owner, final Name newest, final long nowMs) {
        while (newest.live > limits.addressesPerName()) {
            addressesCrowdedOut++;
            retire(firstLive(newest), nowMs);
        }
        while (owner.live.size() > limits.namesPerEndpoint()) {
            namesCrowdedOut++;
            final Name oldest = owner.live.iterator().next();
            while (oldest.live > 0) {
                retire(firstLive(oldest), nowMs);
            }
        }
    }

    private static Entry firstLive(final Name name) {
        for (final Entry entry : name.entries.values()) {
            if (!entry.isZombie) {
                return entry;
            }
        }
        throw new IllegalStateException(name.text + " has no live address of " + name.live);
    }

    /** Live to zombie, or gone. */
    private void retire(final Entry entry, final long nowMs) {
        final Name name = entry.name;
        final Endpoint owner = entry.owner;
        if (--name.live == 0) {
            owner.live.remove(name);
        }
        if (!flows.isUsed(owner.name, entry.address)) {
            remove(entry);
            return;
        }
        entry.isZombie = true;
        owner.zombies.add(entry);
        put(entry);
        due.remove(entry);
        entry.dueMs = nowMs + limits.zombieCheckMs();
        due.add(entry);
        if (owner.zombies.size() > limits.zombiesPerEndpoint()) {
            zombiesLost++;
            remove(owner.zombies.iterator().next());
        }
    }

    private void remove(final Entry entry) {
        detach(entry);
        store.remove(entry.owner.name, entry.name.text, entry.address);
        forgotten.accept(entry.record());
    }

    private void detach(final Entry entry) {
        final Endpoint owner = entry.owner;
        final Name name = entry.name;
        due.remove(entry);
        owner.zombies.remove(entry);
        name.entries.remove(entry.address);
        if (name.entries.isEmpty()) {
            owner.names.remove(name.text);
        }
    }

    /** Whether something is due: {@link #expire} has work. */
    public boolean isDue(final long nowMs) {
        return !due.isEmpty() && due.first().dueMs <= nowMs;
    }

    /** Endpoints that have learned something, a copy. */
    public Set<String> endpoints() {
        return Set.copyOf(endpoints.keySet());
    }

    /**
     * Lets go of what is due.
     *
     * @param limit addresses looked at, at most
     * @return addresses looked at; more are due if it is the limit
     */
    public int expire(final long nowMs, final int limit) {
        int looked = 0;
        while (looked < limit) {
            if (due.isEmpty() || due.first().dueMs > nowMs) {
                break;
            }
            final Entry entry = due.removeFirst();
            looked++;
            if (entry.isZombie) {
                checkZombie(entry, nowMs);
            } else if (entry.expiresMs > nowMs) {
                entry.dueMs = entry.expiresMs;
                due.add(entry);
            } else {
                retire(entry, nowMs);
            }
        }
        return looked;
    }

    private void checkZombie(final Entry entry, final long nowMs) {
        if (flows.isUsed(entry.owner.name, entry.address)) {
            entry.dueMs = nowMs + limits.zombieCheckMs();
            due.add(entry);
        } else {
            remove(entry);
        }
    }

    /**
     * Addresses that the names stand for, to this endpoint, each once.
     *
     * @param names of a policy
     */
    public Set<Address> addresses(final String endpoint, final NamePatternIndex names) {
        final Set<Address> found = new LinkedHashSet<>();
        final Endpoint known = endpoints.get(endpoint);
        if (known != null) {
            for (final Name name : known.names.values()) {
                if (names.match(name.text) != null) {
                    found.addAll(name.entries.keySet());
                }
            }
        }
        return found;
    }

    /** Whether the address is open to the endpoint under this very name. */
    public boolean knows(final String endpoint, final String name, final Address address) {
        final Endpoint known = endpoints.get(endpoint);
        final Name entries = known == null ? null : known.names.get(name);
        return entries != null && entries.entries.containsKey(address);
    }

    /** Hands over what is known: a snapshot, by endpoint and name. */
    public void forEach(final Consumer<FqdnRecord> sink) {
        for (final Endpoint endpoint : endpoints.values()) {
            for (final Name name : endpoint.names.values()) {
                name.entries.values().forEach(entry -> sink.accept(entry.record()));
            }
        }
    }

    /**
     * Takes in what the store kept, before the first answer. What expired meanwhile comes back as
     * live and due: the next {@link #expire} asks for its flows, which conntrack kept too.
     *
     * @throws IllegalStateException if something was learned before
     */
    public void restore() {
        if (!endpoints.isEmpty()) {
            throw new IllegalStateException("restore comes before learn");
        }
        final List<FqdnRecord> kept = new ArrayList<>();
        store.forEach(kept::add);
        // Oldest first, for the order of eviction is that of learning.
        kept.sort((a, b) -> Long.compare(a.learnedMs(), b.learnedMs()));
        for (final FqdnRecord record : kept) {
            restore(record);
        }
    }

    private void restore(final FqdnRecord record) {
        final Endpoint owner = endpoints.computeIfAbsent(record.endpoint(), Endpoint::new);
        final Name name = owner.names.computeIfAbsent(record.name(), Name::new);
        final Entry entry = new Entry(owner, name, record.address(), entries++);
        entry.learnedMs = record.learnedMs();
        entry.expiresMs = record.expiresMs();
        entry.storedExpiresMs = record.expiresMs();
        entry.isZombie = record.isZombie();
        // Zombies are looked at on the first pass.
        entry.dueMs = record.isZombie() ? 0 : record.expiresMs();
        name.entries.put(record.address(), entry);
        if (record.isZombie()) {
            owner.zombies.add(entry);
        } else {
            name.live++;
            owner.live.remove(name);
            owner.live.add(name);
        }
        due.add(entry);
    }

    /** Forgets an endpoint that is gone, with all it learned, in the store too. */
    public void forget(final String endpoint) {
        final Endpoint gone = endpoints.remove(endpoint);
        if (gone != null) {
            for (final Name name : gone.names.values()) {
                for (final Entry entry : name.entries.values()) {
                    due.remove(entry);
                    store.remove(endpoint, name.text, entry.address);
                }
            }
        }
    }

    /**
     * Forgets names at once, flows or not: {@code fqdn clean}.
     *
     * @param endpoint null for all
     * @return addresses forgotten
     */
    public int clean(final @Nullable String endpoint, final NamePatternIndex names) {
        final List<Entry> gone = new ArrayList<>();
        for (final Endpoint known : endpoints.values()) {
            if (endpoint == null || endpoint.equals(known.name)) {
                for (final Name name : known.names.values()) {
                    if (names.match(name.text) != null) {
                        gone.addAll(name.entries.values());
                    }
                }
            }
        }
        gone.forEach(this::drop);
        return gone.size();
    }

    /** Zombies crowded out since the start: flows that were cut for want of room. */
    public long zombiesLost() {
        return zombiesLost;
    }

    /** Names crowded out of their endpoint's room since the start. */
    public long namesCrowdedOut() {
        return namesCrowdedOut;
    }

    /** Addresses crowded out of their name's room since the start. */
    public long addressesCrowdedOut() {
        return addressesCrowdedOut;
    }
}
