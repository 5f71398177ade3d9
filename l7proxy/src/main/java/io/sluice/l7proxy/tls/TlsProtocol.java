package io.sluice.l7proxy.tls;

import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;

/**
 * TLS, passed through undecrypted. Immutable.
 *
 * @param sink where handshakes are reported
 */
public record TlsProtocol(L7Sink sink) implements Protocol {
    @Override
    public Conversation open(final Link link) {
        return new TlsConversation(link, sink);
    }
}
