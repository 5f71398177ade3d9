package io.sluice.conntrack;

/**
 * What a table was when it was opened. Immutable.
 *
 * @param start where its flows come from, or why it began empty
 * @param flows flows that go on from a former process
 * @param expiredFlows flows of a former process whose deadline has passed meanwhile
 * @param tornFlows flows of a former process that were not whole, and are forgotten
 */
public record ConntrackOrigin(Start start, int flows, int expiredFlows, int tornFlows) {
    /** Where the flows of a table come from. */
    public enum Start {
        /** In the memory of this process, empty. */
        ANONYMOUS,
        /** In a new file, empty. */
        NEW_FILE,
        /** The file was not one of this format and version: empty. */
        OTHER_FORMAT,
        /** The file was for other numbers of flows: empty. */
        OTHER_CAPACITY,
        /** The file was of another boot, whose clock is not comparable: empty. */
        OTHER_BOOT,
        /** A former process closed it. */
        AFTER_CLOSE,
        /** A former process ended without closing it. */
        AFTER_CRASH,
        /** A process that runs hands it over. */
        HANDED_OVER
    }

    static ConntrackOrigin empty(final Start start) {
        return new ConntrackOrigin(start, 0, 0, 0);
    }
}
