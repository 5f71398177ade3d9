package io.sluice.control.policy;

import java.util.HashMap;
import java.util.Map;

/** Names of random policies, as they stand in {@code metadata}. */
final class RandomNames {
    private final Dice dice;
    private final Map<String, String> lastByKind = new HashMap<>();
    private int count;

    RandomNames(final Dice dice) {
        this.dice = dice;
    }

    /** A new name. The number makes it unique, the letter decides among equal orders. */
    String clusterwide(final String kind) {
        final String name = "name: " + dice.oneOf("a", "m", "z") + count++;
        lastByKind.put(kind, name);
        return name;
    }

    /** A new name in some namespace. */
    String namespaced(final String kind) {
        final String name = clusterwide(kind) + ", namespace: n" + dice.below(3);
        lastByKind.put(kind, name);
        return name;
    }

    /** The last name of the kind, now and then: a staged policy stands for it. */
    String staged(final String kind, final String otherwise) {
        return dice.percent(60) ? lastByKind.getOrDefault(kind, otherwise) : otherwise;
    }

    /** {@code stagedAction}, with what a spec of that action may hold besides. */
    String stagedSpec(final String spec) {
        return dice.oneOf(
                spec,
                spec,
                "stagedAction: Set, " + spec,
                "stagedAction: Learn, " + spec,
                "stagedAction: Ignore, " + spec,
                "stagedAction: Delete");
    }
}
