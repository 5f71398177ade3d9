package io.sluice.l7proxy.rule;

import java.util.List;

/**
 * What HTTP rules say of one request.
 *
 * @param matched whether some rule lets it pass
 * @param edits changes to its headers, in order; they matter only if it passes
 * @param missing headers that were not as expected, with the expected value, for the log
 * @param rejected headers that were there and should not have been, for the log
 */
public record HttpOutcome(
        boolean matched,
        List<HeaderEdit> edits,
        List<LoggedHeader> missing,
        List<LoggedHeader> rejected) {
    static final HttpOutcome MATCHED = new HttpOutcome(true, List.of(), List.of(), List.of());
    static final HttpOutcome NOT_MATCHED = new HttpOutcome(false, List.of(), List.of(), List.of());

    /** What an edit does. */
    public enum Edit {
        /** One more value, beside those that are there. */
        ADD,
        /** All values are removed. */
        DELETE,
        /** All values are removed, then this one is added. */
        REPLACE
    }

    /**
     * One change to the headers of a request.
     *
     * @param value may come from a secret, and is not printed; empty for DELETE
     */
    public record HeaderEdit(Edit edit, String name, String value) {
        @Override
        public String toString() {
            return edit + " " + name;
        }
    }

    /**
     * A header in the log.
     *
     * @param value {@link #REDACTED} where it is compared with a secret; empty where only presence
     *     is asked for
     */
    public record LoggedHeader(String name, String value) {
        public static final String REDACTED = "[redacted]";

        /** {@code name=value}, or the name alone. */
        @Override
        public String toString() {
            return value.isEmpty() ? name : name + "=" + value;
        }
    }
}
