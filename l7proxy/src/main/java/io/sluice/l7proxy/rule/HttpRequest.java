package io.sluice.l7proxy.rule;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** What rules may ask of an HTTP request; HTTP/1 and HTTP/2 alike. */
public interface HttpRequest {
    /** Method, as sent. */
    String method();

    /** Target as sent, query included: {@code :path}. */
    String path();

    /** {@code :authority} or {@code Host} as sent, with the port if it has one; may be empty. */
    String host();

    /**
     * Values of a header in the order sent.
     *
     * @param name in any case; pseudo-headers are not headers
     * @return empty if the header is absent
     */
    List<String> headers(String name);

    /**
     * A request without a connection, for offline answers.
     *
     * @param headers names and values in turn; a name may come again
     */
    static HttpRequest of(
            final String method, final String host, final String path, final String... headers) {
        if (headers.length % 2 != 0) {
            throw new IllegalArgumentException("header without a value: " + headers.length);
        }
        final TreeMap<String, List<String>> values = new TreeMap<>();
        for (int i = 0; i < headers.length; i += 2) {
            values.merge(
                    headers[i].toLowerCase(Locale.ROOT),
                    List.of(headers[i + 1]),
                    (first, more) -> Stream.concat(first.stream(), more.stream()).toList());
        }
        return new Written(method, host, path, values);
    }

    /**
     * A request that was written down.
     *
     * @param headerValues by lower-case name
     */
    record Written(String method, String host, String path, Map<String, List<String>> headerValues)
            implements HttpRequest {
        public Written {
            headerValues = Map.copyOf(headerValues);
        }

        @Override
        public List<String> headers(final String name) {
            return headerValues.getOrDefault(name.toLowerCase(Locale.ROOT), List.of());
        }
    }
}
