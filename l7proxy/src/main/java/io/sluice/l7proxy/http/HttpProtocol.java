package io.sluice.l7proxy.http;

import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;
import io.sluice.l7proxy.rule.SecretName;
import java.util.Optional;
import java.util.function.Function;

/**
 * HTTP/1.1. Immutable.
 *
 * @param limits of messages
 * @param secrets values of secrets that rules refer to, empty for those that are not known; asked
 *     on event loops, must not block
 * @param sink where requests and answers are reported
 */
public record HttpProtocol(
        HttpLimits limits, Function<SecretName, Optional<String>> secrets, L7Sink sink)
        implements Protocol {
    @Override
    public Conversation open(final Link link) {
        return new HttpConversation(link, this);
    }
}
