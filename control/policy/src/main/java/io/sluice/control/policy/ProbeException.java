package io.sluice.control.policy;

/** A probe that makes no sense in its world; the message says why, in one line. */
public final class ProbeException extends Exception {
    private static final long serialVersionUID = 1L;

    public ProbeException(final String message) {
        super(message);
    }
}
