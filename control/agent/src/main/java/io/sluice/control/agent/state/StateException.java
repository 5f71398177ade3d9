package io.sluice.control.agent.state;

import java.io.Serial;

/** The tables of a state folder are not to be touched: the message says why and what to do. */
public final class StateException extends Exception {
    @Serial private static final long serialVersionUID = 1;

    StateException(final String message) {
        super(message);
    }
}
