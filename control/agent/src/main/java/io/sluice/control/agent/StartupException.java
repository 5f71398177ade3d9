package io.sluice.control.agent;

/** The daemon cannot start; the message is one line for the person who started it. */
public final class StartupException extends Exception {
    private static final long serialVersionUID = 1L;

    public StartupException(final String message) {
        super(message);
    }

    public StartupException(final String message, final Throwable cause) {
        super(message, cause);
    }
}
