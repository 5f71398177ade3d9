package io.sluice.control.agent;

import java.util.List;

/** A request that could not be done, in words for the person who made it. */
public final class RequestException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Why, in a form that programs can tell apart. */
    public enum Reason {
        /** The request is wrong in itself. */
        INVALID,
        /** It names something that does not exist. */
        NOT_FOUND,
        /** It is right, but something else stands against it. */
        CONFLICT,
        /** The daemon is stopping, or did not answer in time. */
        UNAVAILABLE
    }

    private final Reason reason;
    private final List<String> problems;

    public RequestException(final Reason reason, final String problem) {
        this(reason, List.of(problem));
    }

    /**
     * @param problems one line each, at least one
     */
    public RequestException(final Reason reason, final List<String> problems) {
        super(String.join("\n", problems));
        this.reason = reason;
        this.problems = List.copyOf(problems);
    }

    public Reason reason() {
        return reason;
    }

    /** One line each, at least one. */
    public List<String> problems() {
        return problems;
    }
}
