package io.sluice.l7proxy.http;

import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;
import io.sluice.l7proxy.http2.Http2Limits;
import io.sluice.l7proxy.http2.Http2Protocol;
import io.sluice.l7proxy.rule.SecretName;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * HTTP: 1.1, and 2 on connections that begin with its preface, are upgraded to it, or agree on it
 * by ALPN. Immutable.
 *
 * @param limits of messages of HTTP/1.1
 * @param http2Limits of connections of HTTP/2
 * @param secrets values of secrets that rules refer to, empty for those that are not known; asked
 *     on event loops, must not block
 * @param sink where requests and answers are reported
 */
public record HttpProtocol(
        HttpLimits limits,
        Http2Limits http2Limits,
        Function<SecretName, Optional<String>> secrets,
        L7Sink sink)
        implements Protocol {
    private static final String HTTP2 = "h2";

    /** With the usual limits for HTTP/2. */
    public HttpProtocol(
            final HttpLimits limits,
            final Function<SecretName, Optional<String>> secrets,
            final L7Sink sink) {
        this(limits, Http2Limits.DEFAULTS, secrets, sink);
    }

    /** What goes on with a connection of HTTP/2. */
    Http2Protocol http2() {
        return new Http2Protocol(http2Limits, secrets, sink);
    }

    @Override
    public List<String> applicationProtocols() {
        return List.of(HTTP2, "http/1.1");
    }

    @Override
    public Conversation open(final Link link) {
        return link.applicationProtocol().equals(HTTP2)
                ? http2().open(link)
                : new HttpConversation(link, this);
    }
}
