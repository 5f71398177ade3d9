package io.sluice.l7proxy;

/** A kind of traffic that the proxy can read. */
@FunctionalInterface
public interface Protocol {
    /** Starts reading a connection. Called on its event loop; any loop. */
    Conversation open(Link link);
}
