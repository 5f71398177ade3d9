package io.sluice.dnsproxy.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** The cache, rule by rule, and against a naive one over random operations. */
final class FqdnCacheTest {
    private static final String POD = "shop/backend";
    private static final String OTHER = "shop/frontend";
    private static final String NAME = "api.example.com.";
    private static final NamePatternIndex API =
            NamePatternIndex.of(List.of(NamePattern.parse("*.example.com")));
    private static final NamePatternIndex ALL =
            NamePatternIndex.of(List.of(NamePattern.parse("*")));
    private static final FqdnLimits LIMITS = new FqdnLimits(10_000, 3, 4, 3, 1_000);
    private static final long T0 = 1_795_000_000_000L;

    private final Set<Address> used = new HashSet<>();
    private final List<FqdnRecord> forgotten = new ArrayList<>();
    private final MemoryStore store = new MemoryStore();
    private FqdnCache cache = newCache();

    private FqdnCache newCache() {
        return new FqdnCache(LIMITS, (_, address) -> used.contains(address), store, forgotten::add);
    }

    private static Address address(final int last) {
        return Address.ofIpv4(0xc000_0200 | last);
    }

    private static List<Address> addresses(final int... last) {
        final List<Address> list = new ArrayList<>();
        for (final int one : last) {
            list.add(address(one));
        }
        return list;
    }

    /** A store in memory that keeps what it is told, as the durable one does. */
    private static final class MemoryStore implements FqdnStore {
        private final Map<List<Object>, FqdnRecord> records = new HashMap<>();
        private int puts;

        @Override
        public void put(final FqdnRecord learned) {
            puts++;
            records.put(List.of(learned.endpoint(), learned.name(), learned.address()), learned);
        }

        @Override
        public void remove(final String endpoint, final String name, final Address address) {
            records.remove(List.of(endpoint, name, address));
        }

        @Override
        public void forEach(final Consumer<FqdnRecord> sink) {
            records.values().forEach(sink);
        }
    }

    @Test
    void anAnswerOpensItsAddressesToWhoAskedOnly() {
        assertThat(cache.learn(POD, NAME, addresses(1, 2), 60, T0)).isEqualTo(addresses(1, 2));
        assertThat(cache.addresses(POD, API)).containsExactlyElementsOf(addresses(1, 2));
        assertThat(cache.addresses(OTHER, API)).isEmpty();
        assertThat(cache.learn(OTHER, "other.org.", addresses(1), 60, T0)).isEqualTo(addresses(1));
        assertThat(cache.addresses(OTHER, API)).isEmpty();
        assertThat(cache.knows(OTHER, NAME, address(1))).isFalse();
    }

    @Test
    void theSameAnswerAgainIsNoNewsAndIsNotWrittenAgain() {
        cache.learn(POD, NAME, addresses(1), 60, T0);
        assertThat(cache.learn(POD, NAME, addresses(1), 60, T0 + 1_000)).isEmpty();
        assertThat(store.puts).isEqualTo(1);
        cache.learn(POD, NAME, addresses(1), 60, T0 + 30_000);
        assertThat(store.puts).isEqualTo(2);
    }

    @Test
    void aShortTimeToLiveIsStretchedAndAnAbsurdOneCut() {
        cache.learn(POD, NAME, addresses(1), 0, T0);
        cache.learn(POD, NAME, addresses(2), Integer.MAX_VALUE, T0);
        cache.expire(T0 + 9_999, 100);
        assertThat(cache.addresses(POD, API)).hasSize(2);
        cache.expire(T0 + 10_000, 100);
        assertThat(cache.addresses(POD, API)).containsExactly(address(2));
        cache.expire(T0 + FqdnLimits.TTL_MAX_MS, 100);
        assertThat(cache.addresses(POD, API)).isEmpty();
        assertThat(forgotten)
                .extracting(FqdnRecord::address)
                .containsExactly(address(1), address(2));
        assertThat(store.records).isEmpty();
    }

    @Test
    void anAddressThatLeftTheAnswerStaysWhileAFlowUsesIt() {
        cache.learn(POD, NAME, addresses(1), 10, T0);
        used.add(address(1));
        cache.learn(POD, NAME, addresses(2), 1_000, T0 + 5_000);
        cache.expire(T0 + 10_000, 100);
        assertThat(cache.addresses(POD, API)).contains(address(1));
        cache.expire(T0 + 100_000, 100);
        assertThat(cache.addresses(POD, API)).contains(address(1));
        used.clear();
        cache.expire(T0 + 101_000, 100);
        assertThat(cache.addresses(POD, API)).containsExactly(address(2));
    }

    @Test
    void aZombieThatIsLearnedAgainIsLive() {
        cache.learn(POD, NAME, addresses(1), 10, T0);
        used.add(address(1));
        cache.expire(T0 + 10_000, 100);
        assertThat(cache.learn(POD, NAME, addresses(1), 10, T0 + 10_500)).isEmpty();
        used.clear();
        cache.expire(T0 + 20_499, 100);
        assertThat(cache.addresses(POD, API)).containsExactly(address(1));
        cache.expire(T0 + 20_500, 100);
        assertThat(cache.addresses(POD, API)).isEmpty();
    }

    @Test
    void theOldestAddressOfANameIsCrowdedOutAndLivesOnForItsFlow() {
        used.add(address(1));
        for (int i = 1; i <= 5; i++) {
            cache.learn(POD, NAME, addresses(i), 60, T0 + i);
        }
        assertThat(cache.addresses(POD, API))
                .containsExactlyInAnyOrderElementsOf(addresses(1, 3, 4, 5));
        assertThat(cache.addressesCrowdedOut()).isEqualTo(2);
        assertThat(forgotten).extracting(FqdnRecord::address).containsExactly(address(2));
    }

    @Test
    void anAnswerLongerThanANamesRoomOpensItsLastAddresses() {
        assertThat(cache.learn(POD, NAME, addresses(1, 2, 3, 4, 5), 60, T0))
                .isEqualTo(addresses(3, 4, 5));
    }

    @Test
    void theNameAskedForLongestAgoIsCrowdedOut() {
        for (int i = 1; i <= 4; i++) {
            cache.learn(POD, "n" + i + ".example.com.", addresses(i), 60, T0 + i);
        }
        cache.learn(POD, "n1.example.com.", addresses(1), 60, T0 + 5);
        cache.learn(POD, "n5.example.com.", addresses(5), 60, T0 + 6);
        assertThat(cache.addresses(POD, API))
                .containsExactlyInAnyOrderElementsOf(addresses(1, 3, 4, 5));
        assertThat(cache.namesCrowdedOut()).isEqualTo(1);
    }

    @Test
    void zombiesAreBoundedToo() {
        for (int i = 1; i <= 20; i++) {
            used.add(address(i));
            cache.learn(POD, NAME, addresses(i), 60, T0 + i);
        }
        assertThat(cache.addresses(POD, API))
                .containsExactlyInAnyOrderElementsOf(addresses(15, 16, 17, 18, 19, 20));
        assertThat(cache.zombiesLost()).isEqualTo(14);
        assertThat(store.records).hasSize(6);
    }

    @Test
    void whatTheStoreKeptIsThereAfterARestart() {
        used.add(address(1));
        cache.learn(POD, NAME, addresses(1), 10, T0);
        cache.learn(POD, NAME, addresses(2), 1_000, T0 + 1);
        cache.learn(OTHER, NAME, addresses(3), 10, T0 + 2);
        cache.expire(T0 + 10_000, 100);
        final List<FqdnRecord> before = new ArrayList<>();
        cache.forEach(before::add);

        cache = newCache();
        cache.restore();
        final List<FqdnRecord> after = new ArrayList<>();
        cache.forEach(after::add);
        assertThat(after).containsExactlyInAnyOrderElementsOf(before);
        // Down for longer than a time to live: the flow that conntrack kept decides.
        cache.expire(T0 + 100_000, 100);
        assertThat(cache.addresses(POD, API)).containsExactlyInAnyOrderElementsOf(addresses(1, 2));
        assertThat(cache.addresses(OTHER, API)).isEmpty();
        assertThatThrownBy(() -> cache.restore()).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void expiryLooksAtNoMoreThanItMay() {
        cache.learn(POD, NAME, addresses(1, 2, 3), 10, T0);
        assertThat(cache.expire(T0 + 60_000, 2)).isEqualTo(2);
        assertThat(cache.addresses(POD, API)).hasSize(1);
        assertThat(cache.expire(T0 + 60_000, 2)).isEqualTo(1);
    }

    @Test
    void anEndpointThatIsGoneLeavesNothing() {
        cache.learn(POD, NAME, addresses(1), 10, T0);
        cache.learn(OTHER, NAME, addresses(1), 10, T0);
        cache.forget(POD);
        assertThat(cache.addresses(POD, ALL)).isEmpty();
        assertThat(cache.addresses(OTHER, ALL)).hasSize(1);
        assertThat(store.records).hasSize(1);
        assertThat(cache.expire(T0 + 60_000, 100)).isEqualTo(1);
    }

    @Test
    void whatAnotherCacheLearnedHoldsAsLongAsThere() {
        cache.learn(POD, NAME, addresses(1), 20, T0);
        assertThat(cache.learn(new FqdnRecord(POD, NAME, address(1), T0, T0 + 60_000, false), T0))
                .as("known, and prolonged")
                .isFalse();
        assertThat(cache.learn(new FqdnRecord(POD, NAME, address(2), T0, T0 + 5_000, false), T0))
                .as("new, with less than the shortest time of this cache")
                .isTrue();
        assertThat(store.records).hasSize(2);
        cache.expire(T0 + 5_000, 100);
        cache.expire(T0 + 59_999, 100);
        assertThat(cache.addresses(POD, API)).containsExactly(address(1));
        cache.expire(T0 + 60_000, 100);
        assertThat(cache.addresses(POD, ALL)).isEmpty();
    }

    @Test
    void oneAddressIsForgottenWithItsFlows() {
        used.add(address(1));
        cache.learn(POD, NAME, addresses(1, 2), 10, T0);
        cache.forget(POD, NAME, address(1));
        cache.forget(POD, NAME, address(3));
        cache.forget(OTHER, NAME, address(2));
        assertThat(cache.addresses(POD, ALL)).containsExactly(address(2));
        assertThat(forgotten).extracting(FqdnRecord::address).containsExactly(address(1));
        assertThat(store.records).hasSize(1);
    }

    @Test
    void cleanForgetsByPatternAndEndpoint() {
        used.add(address(1));
        cache.learn(POD, NAME, addresses(1), 10, T0);
        cache.learn(POD, "other.org.", addresses(2), 10, T0);
        cache.learn(OTHER, NAME, addresses(1), 10, T0);
        assertThat(cache.clean(POD, API)).isEqualTo(1);
        assertThat(cache.addresses(POD, ALL)).containsExactly(address(2));
        assertThat(cache.clean(null, ALL)).isEqualTo(2);
        assertThat(store.records).isEmpty();
    }

    @Test
    void limitsHaveRanges() {
        assertThatThrownBy(() -> new FqdnLimits(-1, 1, 1, 1, 100))
                .hasMessage("ttlMinMs: accepted: 0 to 604800000, not -1");
        assertThatThrownBy(() -> new FqdnLimits(0, 0, 1, 1, 100))
                .hasMessageContaining("addressesPerName");
        assertThatThrownBy(() -> new FqdnLimits(0, 1, 0, 1, 100))
                .hasMessageContaining("namesPerEndpoint");
        assertThatThrownBy(() -> new FqdnLimits(0, 1, 1, 0, 100))
                .hasMessageContaining("zombiesPerEndpoint");
        assertThatThrownBy(() -> new FqdnLimits(0, 1, 1, 1, 99))
                .hasMessageContaining("zombieCheckMs");
    }

    /**
     * The naive cache: a list in the order of learning, gone through as a whole for everything.
     * Agreement includes order, zombies, and what the store holds.
     */
    private static final class Naive {
        private final List<FqdnRecord> records = new ArrayList<>();
        private final Map<FqdnRecord, Long> checks = new HashMap<>();

        /** Endpoint and name of each answer, the latest last. */
        private final List<String> answers = new ArrayList<>();

        private final Set<Address> used;

        private Naive(final Set<Address> used) {
            this.used = used;
        }

        private void learn(
                final String endpoint,
                final String name,
                final List<Address> addresses,
                final int ttl,
                final long now) {
            answers.remove(endpoint + name);
            answers.add(endpoint + name);
            for (final Address address : addresses) {
                long expires = now + Math.max(LIMITS.ttlMinMs(), ttl * 1000L);
                for (final FqdnRecord record : List.copyOf(records)) {
                    if (record.endpoint().equals(endpoint)
                            && record.name().equals(name)
                            && record.address().equals(address)) {
                        expires = Math.max(expires, record.expiresMs());
                        records.remove(record);
                        checks.remove(record);
                    }
                }
                records.add(new FqdnRecord(endpoint, name, address, now, expires, false));
            }
            while (live(endpoint, name).size() > LIMITS.addressesPerName()) {
                retire(live(endpoint, name).getFirst(), now);
            }
            while (names(endpoint).size() > LIMITS.namesPerEndpoint()) {
                final String oldest = names(endpoint).getFirst();
                live(endpoint, oldest).forEach(record -> retire(record, now));
            }
        }

        private List<FqdnRecord> live(final String endpoint, final String name) {
            return records.stream()
                    .filter(
                            record ->
                                    record.endpoint().equals(endpoint)
                                            && record.name().equals(name)
                                            && !record.isZombie())
                    .toList();
        }

        /** In the order of their last answers. */
        private List<String> names(final String endpoint) {
            return records.stream()
                    .filter(record -> record.endpoint().equals(endpoint) && !record.isZombie())
                    .map(FqdnRecord::name)
                    .distinct()
                    .sorted(Comparator.comparingInt(name -> answers.indexOf(endpoint + name)))
                    .toList();
        }

        private void retire(final FqdnRecord record, final long now) {
            final int at = records.indexOf(record);
            if (!used.contains(record.address())) {
                records.remove(at);
                return;
            }
            final FqdnRecord zombie =
                    new FqdnRecord(
                            record.endpoint(),
                            record.name(),
                            record.address(),
                            record.learnedMs(),
                            record.expiresMs(),
                            true);
            records.set(at, zombie);
            checks.put(zombie, now + LIMITS.zombieCheckMs());
        }

        private void expire(final long now) {
            for (final FqdnRecord record : List.copyOf(records)) {
                if (record.isZombie()) {
                    if (checks.getOrDefault(record, 0L) <= now) {
                        if (used.contains(record.address())) {
                            checks.put(record, now + LIMITS.zombieCheckMs());
                        } else {
                            records.remove(record);
                            checks.remove(record);
                        }
                    }
                } else if (record.expiresMs() <= now) {
                    retire(record, now);
                }
            }
        }
    }

    @Test
    void agreesWithANaiveCacheOnRandomOperations() {
        for (long seed = 1; seed <= 40; seed++) {
            agreesWithANaiveCache(new Random(seed), "seed " + seed);
        }
    }

    private void agreesWithANaiveCache(final Random random, final String seed) {
        used.clear();
        store.records.clear();
        // Room for all zombies there can be: their order of eviction has a test of its own.
        final FqdnLimits limits = new FqdnLimits(10_000, 3, 4, 1_000, 1_000);
        final FqdnCache real =
                new FqdnCache(limits, (_, address) -> used.contains(address), store, _ -> {});
        final Naive naive = new Naive(used);
        long now = T0;
        for (int i = 0; i < 500; i++) {
            now += random.nextInt(4_000);
            switch (random.nextInt(4)) {
                case 0, 1 -> {
                    final String endpoint = random.nextBoolean() ? POD : OTHER;
                    final String name = "n" + random.nextInt(6) + ".example.com.";
                    final List<Address> addresses =
                            random.ints(1 + random.nextInt(4), 0, 12)
                                    .distinct()
                                    .mapToObj(FqdnCacheTest::address)
                                    .toList();
                    final int ttl = random.nextInt(40);
                    real.learn(endpoint, name, addresses, ttl, now);
                    naive.learn(endpoint, name, addresses, ttl, now);
                }
                case 2 -> {
                    final Address address = address(random.nextInt(12));
                    if (!used.remove(address)) {
                        used.add(address);
                    }
                }
                default -> {
                    real.expire(now, 10_000);
                    naive.expire(now);
                }
            }
            final List<FqdnRecord> seen = new ArrayList<>();
            real.forEach(seen::add);
            assertThat(seen)
                    .as("%s, step %d", seed, i)
                    .containsExactlyInAnyOrderElementsOf(naive.records);
            assertThat(store.records).hasSize(seen.size());
        }
    }
}
