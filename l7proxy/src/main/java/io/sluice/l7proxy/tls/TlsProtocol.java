package io.sluice.l7proxy.tls;

import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * TLS: passed through undecrypted, or terminated. Immutable.
 *
 * @param sink where handshakes are reported
 * @param termination empty passes it through
 */
public record TlsProtocol(L7Sink sink, Optional<Termination> termination) implements Protocol {
    /**
     * Who answers clients, and who reads what they say then.
     *
     * @param client asked when a ClientHello has been allowed, on the event loop; empty fails the
     *     handshake with internal_error
     * @param inside what TLS carries, judged request by request, and agreed on with both ends
     *     ({@link Protocol#applicationProtocols}); empty passes it on as it is
     */
    public record Termination(
            Supplier<Optional<TerminatingTls>> client, Optional<Protocol> inside) {}

    /** Passes TLS through. */
    public TlsProtocol(final L7Sink sink) {
        this(sink, Optional.empty());
    }

    @Override
    public Conversation open(final Link link) {
        return new TlsConversation(link, sink, termination);
    }
}
