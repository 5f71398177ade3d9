package io.sluice.control.agent.flowlog;

import java.time.Instant;
import java.util.List;

/**
 * Which blocks a reader wants. A block that is given out may still have entries that are not
 * wanted; one that is left out has none that are.
 *
 * @param from least time of an entry
 * @param until greatest time of an entry
 * @param fromSequence least number of an entry
 * @param beforeSequence all numbers are less
 * @param clauses see {@link KeyFilter#mayAnswer}
 */
public record BlockQuery(
        Instant from, Instant until, long fromSequence, long beforeSequence, List<long[]> clauses) {
    /** Everything. */
    public static final BlockQuery ALL =
            new BlockQuery(Instant.MIN, Instant.MAX, 0, Long.MAX_VALUE, List.of());

    boolean wants(final BlockPlace place) {
        return !place.latest().isBefore(from)
                && !place.earliest().isAfter(until)
                && place.lastSequence() >= fromSequence
                && place.firstSequence() < beforeSequence;
    }
}
