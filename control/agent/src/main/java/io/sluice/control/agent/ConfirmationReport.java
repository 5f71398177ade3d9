package io.sluice.control.agent;

import java.time.Instant;

/**
 * The latest change that had to be confirmed.
 *
 * @param state how it stands
 * @param revision of the history that has to be confirmed; 0 for none
 * @param undoneTo revision whose objects come back if it is not
 * @param until when it is undone by itself
 */
public record ConfirmationReport(State state, int revision, int undoneTo, Instant until) {
    public static final ConfirmationReport NONE =
            new ConfirmationReport(State.NONE, 0, 0, Instant.EPOCH);

    /** How a confirmation stands. */
    public enum State {
        /** No change had to be confirmed. Left by a change that has to be ({@link #PENDING}). */
        NONE,
        /**
         * The change is in force, and is undone at the deadline. Nothing else may change meanwhile,
         * but for endpoints and watched folders. Left by {@link ControlPlane#confirm} ({@link
         * #CONFIRMED}), by the deadline, or by a rollback to {@link #undoneTo} ({@link #UNDONE}).
         */
        PENDING,
        /** It was confirmed in time and stays. Left by the next change that has to be confirmed. */
        CONFIRMED,
        /** What was there before it is in force again. Left as {@link #CONFIRMED}. */
        UNDONE
    }

    boolean isPending() {
        return state == State.PENDING;
    }

    ConfirmationReport in(final State next) {
        return new ConfirmationReport(next, revision, undoneTo, until);
    }
}
