package io.sluice.control.policy;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * Reads {@code Secret}s: keys and certificates for TLS, and values that headers are compared with.
 *
 * <p>Any type is taken; {@code kubernetes.io/tls} must have its two keys. No message quotes a
 * value.
 */
final class SecretReader {
    /** As the API server's, in bytes of all values (core.MaxSecretSize). */
    static final int BYTES_MAX = 1 << 20;

    private static final String TYPE_TLS = "kubernetes.io/tls";

    private SecretReader() {}

    static KubeObject.Secret read(final ObjectMeta meta, final Fields document) {
        final Map<String, String> values = new LinkedHashMap<>();
        document.object("data").ifPresent(data -> readValues(data, text -> decoded(text), values));
        document.object("stringData")
                .ifPresent(
                        data ->
                                readValues(
                                        data,
                                        text ->
                                                Optional.of(
                                                        new String(
                                                                text.getBytes(
                                                                        StandardCharsets.UTF_8),
                                                                StandardCharsets.ISO_8859_1)),
                                        values));
        final String type = document.string("type", "Opaque");
        document.bool("immutable", false);
        document.rejectOthers();
        final int bytes = values.values().stream().mapToInt(String::length).sum();
        if (bytes > BYTES_MAX) {
            document.error("data", "Too long: may not be more than " + BYTES_MAX + " bytes");
        }
        if (type.equals(TYPE_TLS)) {
            for (final String key : TlsSecrets.PAIR) {
                if (!values.containsKey(key)) {
                    document.error("data", "Required value: " + key + " of a " + TYPE_TLS);
                }
            }
        }
        return new KubeObject.Secret(meta, Map.copyOf(values));
    }

    private static void readValues(
            final Fields data,
            final Function<String, Optional<String>> decoder,
            final Map<String, String> values) {
        for (final String key : data.names()) {
            final Optional<String> text = data.unquotedText(key);
            final Optional<String> value = text.flatMap(decoder);
            if (text.isPresent() && value.isEmpty()) {
                data.error(key, "Invalid value: is not base64");
            }
            value.ifPresent(known -> values.put(key, known));
        }
    }

    /** Line breaks are taken, as the API server does. */
    private static Optional<String> decoded(final String base64) {
        try {
            final String line = base64.replace("\n", "").replace("\r", "");
            return Optional.of(
                    new String(Base64.getDecoder().decode(line), StandardCharsets.ISO_8859_1));
        } catch (final IllegalArgumentException bad) {
            return Optional.empty();
        }
    }
}
