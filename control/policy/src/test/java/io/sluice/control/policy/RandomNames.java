package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;

/** Names of random policies, as they stand in {@code metadata}, and which of them are staged. */
final class RandomNames {
    private final Dice dice;
    private int count;

    RandomNames(final Dice dice) {
        this.dice = dice;
    }

    /** A new name. The number makes it unique, the letter decides among equal orders. */
    String clusterwide() {
        return "name: " + dice.oneOf("a", "m", "z") + count++;
    }

    /** A new name in some namespace. */
    String namespaced() {
        return clusterwide() + ", namespace: n" + dice.below(3);
    }

    /** Annotations of a policy: now and then it is only audited. */
    String annotations() {
        return dice.percent(8) ? ", annotations: {policy.cilium.io/audit-mode: 'true'}" : "";
    }

    /** How a policy of some name may be there. */
    enum Kind {
        ENFORCED,
        STAGED
    }

    /**
     * A policy that is enforced, staged, or both: then the staged one stands for the other.
     *
     * @param manifest what makes a manifest of a kind and a staged action, which may be empty
     */
    String mayBeStaged(final BiFunction<Kind, String, String> manifest) {
        final List<String> documents = new ArrayList<>();
        final int throwOf100 = dice.below(100);
        if (throwOf100 >= 4) {
            documents.add(manifest.apply(Kind.ENFORCED, ""));
        }
        if (throwOf100 < 18) {
            documents.add(
                    manifest.apply(
                            Kind.STAGED, dice.oneOf("", "Set", "Learn", "Ignore", "Delete")));
        }
        return String.join("\n---\n", documents);
    }
}
