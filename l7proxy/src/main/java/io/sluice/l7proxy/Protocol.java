package io.sluice.l7proxy;

import java.util.List;

/** A kind of traffic that the proxy can read. */
@FunctionalInterface
public interface Protocol {
    /** Starts reading a connection. Called on its event loop; any loop. */
    Conversation open(Link link);

    /**
     * What TLS below may agree on, by names of ALPN (RFC 7301): the best first, and last what a
     * server speaks that does not say. Empty agrees on nothing.
     */
    default List<String> applicationProtocols() {
        return List.of();
    }
}
