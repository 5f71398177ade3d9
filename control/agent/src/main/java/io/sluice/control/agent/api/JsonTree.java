package io.sluice.control.agent.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.PrettyPrinter;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * JSON as a tree, read and written by Jackson's parser and generator alone.
 *
 * <p>The first {@code ObjectMapper} of a process loads the JDK's calendars, date formats and their
 * languages, a quarter of the time of a short command. A tree needs none of them.
 *
 * <p>Thread: any.
 */
public final class JsonTree {
    private static final JsonFactory FACTORY =
            JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private JsonTree() {}

    /**
     * One value and nothing after it; the missing node for text without any.
     *
     * @throws JsonProcessingException when the text is something else, or an object has a field
     *     twice
     */
    public static JsonNode read(final String text) throws JsonProcessingException {
        try (JsonParser parser = FACTORY.createParser(text)) {
            final @Nullable JsonToken first = parser.nextToken();
            if (first == null) {
                return MissingNode.getInstance();
            }
            final JsonNode tree = value(parser, first);
            if (parser.nextToken() != null) {
                throw new JsonParseException(parser, "text after the value");
            }
            return tree;
        } catch (final JsonProcessingException e) {
            throw e;
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** As deep as the parser lets it be (StreamReadConstraints). */
    private static JsonNode value(final JsonParser parser, final JsonToken first)
            throws IOException {
        final JsonNodeFactory nodes = JsonNodeFactory.instance;
        return switch (first) {
            case START_OBJECT -> {
                final ObjectNode object = nodes.objectNode();
                for (String name = parser.nextFieldName();
                        name != null;
                        name = parser.nextFieldName()) {
                    object.set(name, value(parser, parser.nextToken()));
                }
                yield object;
            }
            case START_ARRAY -> {
                final ArrayNode array = nodes.arrayNode();
                for (JsonToken next = parser.nextToken();
                        next != JsonToken.END_ARRAY;
                        next = parser.nextToken()) {
                    array.add(value(parser, next));
                }
                yield array;
            }
            case VALUE_STRING -> nodes.textNode(parser.getText());
            case VALUE_NUMBER_INT ->
                    switch (parser.getNumberType()) {
                        case INT -> nodes.numberNode(parser.getIntValue());
                        case LONG -> nodes.numberNode(parser.getLongValue());
                        default -> nodes.numberNode(parser.getBigIntegerValue());
                    };
            case VALUE_NUMBER_FLOAT -> nodes.numberNode(parser.getDoubleValue());
            case VALUE_TRUE -> nodes.booleanNode(true);
            case VALUE_FALSE -> nodes.booleanNode(false);
            case VALUE_NULL -> nodes.nullNode();
            case END_OBJECT, END_ARRAY, FIELD_NAME, NOT_AVAILABLE, VALUE_EMBEDDED_OBJECT ->
                    throw new JsonParseException(parser, first + " where a value belongs");
        };
    }

    /** On one line. */
    public static String write(final JsonNode tree) {
        return write(tree, null);
    }

    /** As the printer lays it out. */
    public static String write(final JsonNode tree, final @Nullable PrettyPrinter printer) {
        final StringWriter text = new StringWriter();
        try (JsonGenerator generator = FACTORY.createGenerator(text)) {
            if (printer != null) {
                generator.setPrettyPrinter(printer);
            }
            add(tree, generator);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        return text.toString();
    }

    private static void add(final JsonNode node, final JsonGenerator generator) throws IOException {
        switch (node.getNodeType()) {
            case OBJECT -> {
                generator.writeStartObject();
                for (final Map.Entry<String, JsonNode> field : node.properties()) {
                    generator.writeFieldName(field.getKey());
                    add(field.getValue(), generator);
                }
                generator.writeEndObject();
            }
            case ARRAY -> {
                generator.writeStartArray();
                for (final JsonNode element : node) {
                    add(element, generator);
                }
                generator.writeEndArray();
            }
            case NULL, MISSING -> generator.writeNull();
            // Without a provider, which serves values that are no JSON.
            case STRING, NUMBER, BOOLEAN, BINARY, POJO -> node.serialize(generator, null);
        }
    }
}
