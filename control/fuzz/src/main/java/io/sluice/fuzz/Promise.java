package io.sluice.fuzz;

/** What a reader promises, checked. */
final class Promise {
    private Promise() {}

    /**
     * Ends the run unless it holds.
     *
     * @throws AssertionError which fuzzers take for a finding
     */
    static void holds(final boolean condition, final String promise, final Object subject) {
        if (!condition) {
            throw new AssertionError(promise + ": " + subject);
        }
    }
}
