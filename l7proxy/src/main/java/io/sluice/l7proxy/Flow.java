package io.sluice.l7proxy;

import java.net.InetSocketAddress;

/**
 * What the switch knows of a connection that it sent to the proxy. Immutable.
 *
 * @param client address and port of the opener
 * @param server address and port that the client means
 * @param clientIdentity number of the client's labels
 * @param serverIdentity number of the server's labels
 * @param policy rules for it, asked again for each request
 */
public record Flow(
        InetSocketAddress client,
        InetSocketAddress server,
        long clientIdentity,
        long serverIdentity,
        FlowPolicy policy) {}
