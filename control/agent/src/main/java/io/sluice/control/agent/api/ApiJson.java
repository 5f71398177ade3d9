package io.sluice.control.agent.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;

/**
 * JSON as the API and the CLI read and write it: records by their component names, times in RFC
 * 3339, and nothing accepted that is not understood (unknown fields, fields given twice, text after
 * the value).
 */
public final class ApiJson {
    /** Made when the first record is written: most commands write none. */
    private static final class Records {
        static final ObjectMapper MAPPER =
                JsonMapper.builder()
                        .addModule(
                                new SimpleModule()
                                        .addSerializer(Instant.class, ToStringSerializer.instance))
                        .build();
    }

    private ApiJson() {}

    public static ObjectNode newObject() {
        return JsonNodeFactory.instance.objectNode();
    }

    /** A constant as the API writes it: {@code END_OF_TIER} is {@code end-of-tier}. */
    static String word(final Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    public static String write(final Object value) {
        try {
            return Records.MAPPER.writeValueAsString(value);
        } catch (final JsonProcessingException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * One JSON value and nothing after it.
     *
     * @throws io.sluice.control.agent.RequestException INVALID with line and column
     */
    public static JsonNode read(final String text) {
        try {
            final JsonNode node = JsonTree.read(text);
            if (node.isMissingNode()) {
                throw ApiRequest.invalid("empty: a JSON value");
            }
            return node;
        } catch (final JsonProcessingException e) {
            throw ApiRequest.invalid(
                    "line "
                            + e.getLocation().getLineNr()
                            + ", column "
                            + e.getLocation().getColumnNr()
                            + ": not JSON: "
                            + e.getOriginalMessage());
        }
    }

    /**
     * The fields of an object, each of which must be among the accepted ones.
     *
     * @throws io.sluice.control.agent.RequestException INVALID otherwise
     */
    public static JsonNode object(
            final JsonNode node, final String where, final Set<String> accepted) {
        if (!node.isObject()) {
            throw ApiRequest.invalid(where + ": " + kind(node) + ": an object");
        }
        final Iterator<String> names = node.fieldNames();
        while (names.hasNext()) {
            final String name = names.next();
            if (!accepted.contains(name)) {
                throw ApiRequest.invalid(
                        (where.isEmpty() ? "" : where + ".")
                                + name
                                + ": unknown field: accepted are "
                                + String.join(", ", new TreeSet<>(accepted)));
            }
        }
        return node;
    }

    /**
     * A field that is a string, or the fallback where there is none.
     *
     * @throws io.sluice.control.agent.RequestException INVALID if it is anything else
     */
    public static String text(final JsonNode object, final String field, final String fallback) {
        final JsonNode value = object.path(field);
        if (value.isMissingNode()) {
            return fallback;
        }
        if (!value.isTextual()) {
            throw ApiRequest.invalid(field + ": " + kind(value) + ": a string");
        }
        return value.asText();
    }

    /**
     * A field that is a whole number, or the fallback where there is none.
     *
     * @param max largest that is accepted; the smallest is 0
     * @throws io.sluice.control.agent.RequestException INVALID if it is anything else
     */
    static int number(
            final JsonNode object, final String field, final int fallback, final int max) {
        final JsonNode value = object.path(field);
        if (value.isMissingNode()) {
            return fallback;
        }
        if (!value.isIntegralNumber() || value.asLong() < 0 || value.asLong() > max) {
            throw ApiRequest.invalid(field + ": " + value + ": a number from 0 to " + max);
        }
        return value.asInt();
    }

    /**
     * A field that is true or false; false where there is none.
     *
     * @throws io.sluice.control.agent.RequestException INVALID if it is anything else
     */
    static boolean flag(final JsonNode object, final String field) {
        final JsonNode value = object.path(field);
        if (!value.isMissingNode() && !value.isBoolean()) {
            throw ApiRequest.invalid(field + ": " + kind(value) + ": true or false");
        }
        return value.asBoolean();
    }

    static List<String> texts(final JsonNode object, final String field) {
        final JsonNode value = object.path(field);
        if (value.isMissingNode()) {
            return List.of();
        }
        if (!value.isArray()) {
            throw ApiRequest.invalid(field + ": " + kind(value) + ": a list of strings");
        }
        return value.valueStream()
                .map(
                        item -> {
                            if (!item.isTextual()) {
                                throw ApiRequest.invalid(
                                        field + ": " + kind(item) + ": a list of strings");
                            }
                            return item.asText();
                        })
                .toList();
    }

    private static String kind(final JsonNode node) {
        return switch (node.getNodeType()) {
            case ARRAY -> "a list";
            case OBJECT, POJO -> "an object";
            case STRING -> "\"" + node.asText() + "\"";
            case NULL -> "null";
            case MISSING -> "nothing";
            case BINARY, BOOLEAN, NUMBER -> node.toString();
        };
    }
}
