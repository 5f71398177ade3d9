package io.sluice.control.policy;

import java.util.Map;

/**
 * Where the numbers of identities outlive the allocator: what it recalls at its start, and what it
 * gives out and takes back afterwards.
 *
 * <p>The key of a number is the canonical text of the peer's facts. It is the same in every version
 * of Sluice, whatever the order of labels, ports and prefixes.
 *
 * <p>Failures are the memory's to report: a number that could not be remembered is good until the
 * process ends.
 *
 * <p>Thread: that of the compiler.
 */
public interface IdentityMemory {
    /** Remembers nothing: numbers live as long as the allocator. */
    IdentityMemory NONE =
            new IdentityMemory() {
                @Override
                public Map<String, Integer> recall() {
                    return Map.of();
                }

                @Override
                public void remember(final String facts, final int number) {}

                @Override
                public void forget(final int number) {}
            };

    /** Every number that was given out and not forgotten, by the text of its facts. */
    Map<String, Integer> recall();

    /**
     * A number is given out. Called before anyone else sees it.
     *
     * @param facts canonical text
     * @param number 256 to 50331647
     */
    void remember(String facts, int number);

    /** The number stands for nothing any more and may be given to other facts. */
    void forget(int number);
}
