package io.sluice.control.policy;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/** Choices out of one seed: equal seeds choose alike. */
final class Dice {
    private final SplittableRandom random;

    Dice(final long seed) {
        this.random = new SplittableRandom(seed);
    }

    /** 0 to end - 1. */
    int below(final int end) {
        return random.nextInt(end);
    }

    /** True in so many of 100 throws. */
    boolean percent(final int chance) {
        return random.nextInt(100) < chance;
    }

    String oneOf(final String... choices) {
        return choices[random.nextInt(choices.length)];
    }

    <T> T oneOf(final List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }

    /** One to so many different parts, with commas between them. */
    String several(final int countMax, final Supplier<String> part) {
        final Set<String> parts = new LinkedHashSet<>();
        final int count = 1 + random.nextInt(countMax);
        for (int i = 0; i < count; i++) {
            parts.add(part.get());
        }
        return String.join(", ", parts);
    }
}
