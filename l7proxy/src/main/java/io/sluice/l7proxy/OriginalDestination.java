package io.sluice.l7proxy;

import java.net.InetSocketAddress;
import java.util.Optional;

/** What the switch did with a connection before it arrived at a listener. */
@FunctionalInterface
public interface OriginalDestination {
    /**
     * The flow that a connection belongs to. Called on event loops: must not block.
     *
     * @param client address and port of the opener, as the switch leaves them
     * @param local address and port at which it was accepted: the server's address, the listener's
     *     port
     * @return empty if the switch sent no such connection; it is then reset
     */
    Optional<Flow> find(InetSocketAddress client, InetSocketAddress local);
}
