package io.sluice.control.agent;

import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Numbers of who decides, as entries of the data plane's policy maps name them: given once, in the
 * order asked for, and never to another. Number 0 is nobody's: the default.
 *
 * <p>They only become more, so a change gives numbers to what is new in it and touches no other.
 *
 * <p>Thread: control; what {@link #decisions} answers any.
 */
final class RuleNumbers {
    private static final int ROOM = 64;

    private final Map<Decision, Integer> numbers = new HashMap<>();
    // Elements are written once: lists that were handed out end before those written later.
    private Decision[] byNumber = new Decision[ROOM];
    private int size;

    RuleNumbers() {
        // It stands in entries that no policy gave; it must not name one.
        of(Decision.DEFAULT);
    }

    /** The number of a decision, a new one if it has none yet. */
    int of(final Decision decision) {
        final Integer known = numbers.get(decision);
        if (known != null) {
            return known;
        }
        if (size == byNumber.length) {
            byNumber = Arrays.copyOf(byNumber, 2 * size);
        }
        byNumber[size] = decision;
        numbers.put(decision, size);
        size++;
        return size - 1;
    }

    /** How many there are. */
    int size() {
        return size;
    }

    /** All so far, by number; does not change any more. Costs nothing. */
    List<Decision> decisions() {
        return Collections.unmodifiableList(Arrays.asList(byNumber).subList(0, size));
    }
}
