package io.sluice.control.agent.api;

import io.netty.handler.codec.http.QueryStringDecoder;
import io.sluice.control.agent.RequestException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * A request as the routes see it. Immutable.
 *
 * @param method GET, POST, DELETE
 * @param segments decoded parts of the path: {@code [v1, endpoints, shop, web]}
 * @param parameters query parameters, each with its values in order
 * @param body text of the body
 * @param user whose process asks, by the socket; empty where that is unknown
 */
record ApiRequest(
        String method,
        List<String> segments,
        Map<String, List<String>> parameters,
        String body,
        String user) {
    static ApiRequest of(
            final String method, final String uri, final String body, final String user) {
        final QueryStringDecoder decoder = new QueryStringDecoder(uri);
        final List<String> segments = new ArrayList<>();
        for (final String segment : decoder.rawPath().split("/", -1)) {
            if (!segment.isEmpty()) {
                segments.add(decode(segment));
            }
        }
        return new ApiRequest(method, List.copyOf(segments), decoder.parameters(), body, user);
    }

    private static String decode(final String segment) {
        try {
            return URLDecoder.decode(segment.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (final IllegalArgumentException e) {
            // A bad escape names nothing: it stays as it is and is not found.
            return segment;
        }
    }

    /** The value of a parameter that may be given once; the fallback when it is not. */
    String parameter(final String name, final String fallback) {
        final List<String> values = parameters.getOrDefault(name, List.of());
        if (values.size() > 1) {
            throw invalid(
                    "parameter " + name + ": given " + values.size() + " times: once at most");
        }
        return values.isEmpty() ? fallback : values.getFirst();
    }

    List<String> all(final String name) {
        return parameters.getOrDefault(name, List.of());
    }

    boolean flag(final String name) {
        final String value = parameter(name, "false");
        return switch (value) {
            case "true" -> true;
            case "false" -> false;
            default -> throw invalid("parameter " + name + ": \"" + value + "\": true or false");
        };
    }

    int number(final String name, final int fallback) {
        final String value = parameter(name, "");
        if (value.isEmpty()) {
            return fallback;
        }
        try {
            final int number = Integer.parseInt(value);
            if (number >= 0) {
                return number;
            }
        } catch (final NumberFormatException e) {
            // Answered below, as a negative number is.
        }
        throw invalid(
                "parameter "
                        + name
                        + ": \""
                        + value
                        + "\": a number from 0 to "
                        + Integer.MAX_VALUE);
    }

    /** A misspelt filter must not silently become no filter. */
    void accept(final Set<String> names) {
        for (final String name : parameters.keySet()) {
            if (!names.contains(name)) {
                throw invalid(
                        "parameter "
                                + name
                                + ": unknown: "
                                + (names.isEmpty()
                                        ? "none is accepted here"
                                        : "accepted are "
                                                + String.join(", ", new TreeSet<>(names))));
            }
        }
    }

    static RequestException invalid(final String problem) {
        return new RequestException(RequestException.Reason.INVALID, problem);
    }
}
