package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;

/** Against {@link HashMap}, with keys that scatter and with keys that collide. */
final class PersistentMapTest {
    /** A key whose hash is not its own: several keys share one, or its low bits. */
    private record Key(int number, int hash) {
        @Override
        public int hashCode() {
            return hash;
        }
    }

    private static final List<IntFunction<Key>> KEYS =
            List.of(
                    number -> new Key(number, number),
                    number -> new Key(number, number * 0x9E37_79B9),
                    number -> new Key(number, number % 7),
                    number -> new Key(number, number << 27),
                    number -> new Key(number, (number & 3) << 30 | number % 5 << 10),
                    number -> new Key(number, 42));

    @Test
    void agreesWithAHashMapWhateverTheHashes() {
        for (int form = 0; form < KEYS.size(); form++) {
            final IntFunction<Key> key = KEYS.get(form);
            final Random random = new Random(form);
            PersistentMap<Key, Integer> map = PersistentMap.empty();
            final Map<Key, Integer> model = new HashMap<>();
            for (int step = 0; step < 20_000; step++) {
                final Key at = key.apply(random.nextInt(step < 10_000 ? 300 : 30));
                if (random.nextInt(5) < 3) {
                    final int value = random.nextInt(4);
                    map = map.with(at, value);
                    model.put(at, value);
                } else {
                    map = map.without(at);
                    model.remove(at);
                }
                assertThat(map.get(at)).isEqualTo(model.get(at));
                if (step % 200 == 0) {
                    assertThat(map).hasSameSizeAs(model).containsAllEntriesOf(model);
                    assertThat(new HashMap<>(map)).isEqualTo(model);
                    final Map<Key, Integer> walked = new HashMap<>();
                    map.forEach(walked::put);
                    assertThat(walked).isEqualTo(model);
                }
            }
        }
    }

    @Test
    void equalContentsAreEqualWhateverTheWayThere() {
        for (final IntFunction<Key> key : KEYS) {
            PersistentMap<Key, Integer> up = PersistentMap.empty();
            PersistentMap<Key, Integer> down = PersistentMap.empty();
            for (int i = 0; i < 200; i++) {
                up = up.with(key.apply(i), i);
                down = down.with(key.apply(199 - i), 199 - i);
            }
            PersistentMap<Key, Integer> detour = up;
            for (int i = 200; i < 400; i++) {
                detour = detour.with(key.apply(i), i);
            }
            for (int i = 399; i >= 200; i--) {
                detour = detour.without(key.apply(i));
            }
            assertThat(up).isEqualTo(down).isEqualTo(detour).hasSameHashCodeAs(down);
            assertThat(up.with(key.apply(7), 8)).isNotEqualTo(up);
            assertThat(up.without(key.apply(7))).isNotEqualTo(up);
        }
    }

    @Test
    void earlierVersionsStayAsTheyWere() {
        final List<PersistentMap<Integer, Integer>> versions = new ArrayList<>();
        PersistentMap<Integer, Integer> map = PersistentMap.empty();
        for (int i = 0; i < 100; i++) {
            versions.add(map);
            map = map.with(i, i);
        }
        for (int i = 0; i < 100; i++) {
            map = map.without(i);
        }
        for (int i = 0; i < 100; i++) {
            assertThat(versions.get(i)).hasSize(i);
        }
    }

    @Test
    void tellsWhatChangedBetweenTwoVersions() {
        for (int form = 0; form < KEYS.size(); form++) {
            final IntFunction<Key> key = KEYS.get(form);
            final Random random = new Random(form);
            for (int round = 0; round < 200; round++) {
                PersistentMap<Key, Integer> before = PersistentMap.empty();
                for (int i = random.nextInt(120); i > 0; i--) {
                    before = before.with(key.apply(random.nextInt(200)), random.nextInt(3));
                }
                PersistentMap<Key, Integer> after =
                        random.nextInt(4) == 0 ? PersistentMap.empty() : before;
                for (int i = random.nextInt(40); i > 0; i--) {
                    final Key at = key.apply(random.nextInt(200));
                    after =
                            random.nextBoolean()
                                    ? after.with(at, random.nextInt(3))
                                    : after.without(at);
                }
                final Map<Key, String> expected = new HashMap<>();
                for (int i = 0; i < 200; i++) {
                    final Integer was = before.get(key.apply(i));
                    final Integer is = after.get(key.apply(i));
                    if (!Objects.equals(was, is)) {
                        expected.put(key.apply(i), was + " to " + is);
                    }
                }
                final Map<Key, String> told = new HashMap<>();
                after.forEachChange(
                        before,
                        (at, was, is) -> assertThat(told.put(at, was + " to " + is)).isNull());
                assertThat(told).isEqualTo(expected);
            }
        }
    }
}
