package io.sluice.dnsproxy;

import io.sluice.dnsproxy.wire.Address;

/**
 * Who asks whom: what conntrack knows of a flow that is under a DNS rule. Immutable.
 *
 * @param endpoint name of the workload that asks
 * @param transport UDP or TCP
 * @param client its address
 * @param clientPort 0 to 65535
 * @param server address that it asks
 * @param serverPort 0 to 65535
 */
public record DnsFlow(
        String endpoint,
        Transport transport,
        Address client,
        int clientPort,
        Address server,
        int serverPort) {
    /** What carries a message. */
    public enum Transport {
        /** One message a datagram. */
        UDP,
        /** Two octets of length before each message (RFC 1035 section 4.2.2). */
        TCP
    }
}
