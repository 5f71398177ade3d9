package io.sluice.dataplane.port;

import java.io.Serial;

/**
 * The kernel or the process lacks what an {@link XdpPort} needs; the message is one line that says
 * what. A {@link TapPort} does the same work.
 */
public final class XdpUnavailableException extends Exception {
    @Serial private static final long serialVersionUID = 1L;

    XdpUnavailableException(final RuntimeException cause) {
        super(cause.getMessage(), cause);
    }
}
