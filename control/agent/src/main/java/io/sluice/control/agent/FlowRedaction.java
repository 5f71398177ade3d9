package io.sluice.control.agent;

import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * What flows do not tell of requests: Hubble's {@code hubble.redact} (Cilium,
 * pkg/hubble/parser/seven).
 *
 * <p>Redacted before a flow is stored, so that no reader of flows, file or export has it. What
 * rules compare with a Secret is {@code [redacted]} whatever is set here.
 *
 * <p>Immutable; any thread.
 *
 * @param enabled nothing is redacted without
 * @param urlQuery the query of URLs is left out
 * @param userInfo the password in URLs ({@code http://user:password@host/}) is replaced
 * @param kafkaApiKey the API of Kafka requests is replaced
 * @param headersAllowed in lower case: all other headers' values are replaced
 * @param headersDenied in lower case: these headers' values are replaced. Without any list all
 *     headers' are
 */
public record FlowRedaction(
        boolean enabled,
        boolean urlQuery,
        boolean userInfo,
        boolean kafkaApiKey,
        Set<String> headersAllowed,
        Set<String> headersDenied) {
    /** In place of what is redacted: Hubble's. */
    public static final String REDACTED = "HUBBLE_REDACTED";

    /** Hubble's. */
    public static final FlowRedaction DEFAULTS =
            new FlowRedaction(false, false, true, false, Set.of(), Set.of());

    /**
     * Checks the lists.
     *
     * @throws IllegalArgumentException for two of them
     */
    public FlowRedaction {
        headersAllowed = Set.copyOf(headersAllowed);
        headersDenied = Set.copyOf(headersDenied);
        if (!headersAllowed.isEmpty() && !headersDenied.isEmpty()) {
            throw new IllegalArgumentException(
                    "flows.redact.http.headers.deny: allow is set as well: one of the two");
        }
    }

    /** The message as flows may tell it. */
    public L7Message redact(final L7Message message) {
        if (!enabled) {
            return message;
        }
        return switch (message.content()) {
            case final L7Message.Http http ->
                    new L7Message(
                            message.isRequest(),
                            message.latencyNs(),
                            new L7Message.Http(
                                    http.protocol(),
                                    http.method(),
                                    url(http.url()),
                                    http.code(),
                                    headers(http.headers())));
            case final L7Message.Kafka kafka ->
                    new L7Message(
                            message.isRequest(),
                            message.latencyNs(),
                            new L7Message.Kafka(
                                    kafka.errorCode(),
                                    kafka.apiVersion(),
                                    kafkaApiKey ? REDACTED : kafka.apiKey(),
                                    kafka.correlationId(),
                                    kafka.topic()));
            case final L7Message.Dns _, final L7Message.Tls _ -> message;
        };
    }

    private String url(final String url) {
        final int query = url.indexOf('?');
        return withoutPassword(urlQuery && query >= 0 ? url.substring(0, query) : url);
    }

    /** RFC 3986, 3.2: the authority ends with the first slash, question mark or number sign. */
    private String withoutPassword(final String url) {
        final int scheme = url.indexOf("://");
        if (!userInfo || scheme < 0) {
            return url;
        }
        final int start = scheme + 3;
        int end = start;
        while (end < url.length() && "/?#".indexOf(url.charAt(end)) < 0) {
            end++;
        }
        final int at = url.lastIndexOf('@', end - 1);
        final int colon = url.indexOf(':', start);
        return at < start || colon < 0 || colon > at
                ? url
                : url.substring(0, colon + 1) + REDACTED + url.substring(at);
    }

    private List<L7Message.Header> headers(final List<L7Message.Header> headers) {
        return headers.stream()
                .map(
                        header ->
                                isShown(header.key())
                                        ? header
                                        : new L7Message.Header(header.key(), REDACTED))
                .toList();
    }

    private boolean isShown(final String header) {
        final String name = header.toLowerCase(Locale.ROOT);
        return headersAllowed.isEmpty()
                ? !headersDenied.isEmpty() && !headersDenied.contains(name)
                : headersAllowed.contains(name);
    }
}
