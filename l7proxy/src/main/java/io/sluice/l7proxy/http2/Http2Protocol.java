package io.sluice.l7proxy.http2;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.Http2Settings;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.L7Sink;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.Protocol;
import io.sluice.l7proxy.http.common.JudgedRequest;
import io.sluice.l7proxy.rule.HttpRequest;
import io.sluice.l7proxy.rule.SecretName;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * HTTP/2 from the first byte, with prior knowledge or agreed on by ALPN. Immutable.
 *
 * @param limits of connections
 * @param secrets values of secrets that rules refer to, empty for those that are not known; asked
 *     on event loops, must not block
 * @param sink where requests and answers are reported
 */
public record Http2Protocol(
        Http2Limits limits, Function<SecretName, Optional<String>> secrets, L7Sink sink)
        implements Protocol {
    /** Bytes of the client's preface: RFC 9113, 3.4. */
    public static final int PREFACE_LENGTH = Http2Leg.PREFACE_LENGTH;

    private static final int SETTING_LENGTH = 6;

    @Override
    public Conversation open(final Link link) {
        return new Http2Conversation(link, this);
    }

    /**
     * Goes on after a server's 101: its answer to the request that asked for the upgrade comes on
     * stream 1. RFC 7540, 3.2.
     *
     * @param request that the server agreed to, with {@link #settings}
     * @param judged the same, judged
     */
    public Conversation upgrade(
            final Link link, final HttpRequest request, final JudgedRequest judged) {
        final Http2Conversation conversation = new Http2Conversation(link, this);
        conversation.beginUpgraded(
                request, judged, settings(request).orElseGet(Http2Settings::new));
        return conversation;
    }

    /**
     * How many more bytes of the client's preface are at the start of some bytes.
     *
     * @param before how many came before
     */
    public static int matchPreface(final ByteBuf in, final int before) {
        return Http2Leg.matchPreface(in, before);
    }

    /** Writes the start of the preface. */
    public static void writePreface(final ByteBuf out, final int length) {
        Http2Leg.writePreface(out, length);
    }

    /**
     * Whether a request asks for an upgrade to HTTP/2, and for nothing else, as it must be asked.
     */
    public static boolean isUpgrade(final HttpRequest request) {
        final List<String> names = request.headers("upgrade");
        return names.size() == 1
                && names.getFirst().strip().equalsIgnoreCase("h2c")
                && settings(request).isPresent();
    }

    /** What the client's {@code HTTP2-Settings} says; empty if it cannot be read. */
    private static Optional<Http2Settings> settings(final HttpRequest request) {
        final List<String> values = request.headers("http2-settings");
        if (values.size() != 1) {
            return Optional.empty();
        }
        try {
            final ByteBuf payload =
                    Unpooled.wrappedBuffer(
                            Base64.getUrlDecoder().decode(values.getFirst().strip()));
            if (payload.readableBytes() % SETTING_LENGTH != 0) {
                return Optional.empty();
            }
            final Http2Settings settings = new Http2Settings();
            while (payload.isReadable()) {
                settings.put(
                        (char) payload.readUnsignedShort(),
                        Long.valueOf(payload.readUnsignedInt()));
            }
            return Optional.of(settings);
        } catch (final IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** What the forwarded request must have as its {@code HTTP2-Settings}: ours. */
    public String upgradeSettings() {
        final ByteBuf payload = Unpooled.buffer();
        Http2Leg.writePayload(serverSettings(), payload);
        final byte[] bytes = new byte[payload.readableBytes()];
        payload.readBytes(bytes);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /** What servers are told. */
    Http2Settings serverSettings() {
        return new Http2Settings()
                .pushEnabled(false)
                .initialWindowSize(limits.streamWindow())
                .maxHeaderListSize(limits.headBytesMax());
    }

    /** What clients are told. */
    Http2Settings clientSettings() {
        return new Http2Settings()
                .maxConcurrentStreams(limits.streamsMax())
                .initialWindowSize(limits.streamWindow())
                .maxHeaderListSize(limits.headBytesMax());
    }
}
