package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigInteger;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The tree of a text is the one that an ObjectMapper makes of it, and the other way round. */
class JsonTreeTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @Test
    void readsAndWritesWhatAnObjectMapperDoes() throws JsonProcessingException {
        final Random random = new Random(20261127);
        for (int i = 0; i < 2_000; i++) {
            final JsonNode tree = tree(random, 5);
            final String text = MAPPER.writeValueAsString(tree);

            assertThat(JsonTree.write(tree)).isEqualTo(text);
            assertThat(JsonTree.read(text)).isEqualTo(MAPPER.readTree(text));
            assertThat(
                            JsonTree.read(
                                    MAPPER.writerWithDefaultPrettyPrinter()
                                            .writeValueAsString(tree)))
                    .isEqualTo(MAPPER.readTree(text));
        }
    }

    private static JsonNode tree(final Random random, final int depth) {
        final JsonNodeFactory nodes = JsonNodeFactory.instance;
        return switch (random.nextInt(depth == 0 ? 8 : 10)) {
            case 0 -> nodes.nullNode();
            case 1 -> nodes.booleanNode(random.nextBoolean());
            case 2 -> nodes.numberNode(random.nextInt());
            case 3 -> nodes.numberNode(random.nextLong());
            case 4 -> nodes.numberNode(new BigInteger(100, random));
            case 5 -> nodes.numberNode(random.nextGaussian() * 1e9);
            case 6, 7 -> nodes.textNode(text(random));
            case 8 -> {
                final ArrayNode array = nodes.arrayNode();
                for (int i = random.nextInt(4); i > 0; i--) {
                    array.add(tree(random, depth - 1));
                }
                yield array;
            }
            default -> {
                final ObjectNode object = nodes.objectNode();
                for (int i = random.nextInt(4); i > 0; i--) {
                    object.set(text(random), tree(random, depth - 1));
                }
                yield object;
            }
        };
    }

    /** Quotes, controls, letters of several bytes, half pairs left out. */
    private static String text(final Random random) {
        return random.ints(random.nextInt(6), 0, 0xd800)
                .map(letter -> random.nextBoolean() ? letter % 0x80 : letter)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
    }

    @Test
    void textWithoutAValueIsTheMissingNode() throws JsonProcessingException {
        assertThat(JsonTree.read(" \n").isMissingNode()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"a\":1,\"a\":2}",
                "{} {}",
                "1 2",
                "[1",
                "{\"a\"",
                "{\"a\":}",
                "nul",
                "]",
                "[1,]",
                "NaN"
            })
    void anythingElseIsRefused(final String text) {
        assertThatThrownBy(() -> JsonTree.read(text)).isInstanceOf(JsonProcessingException.class);
    }

    @Test
    void isAsDeepAsTheParserLetsIt() {
        assertThatThrownBy(() -> JsonTree.read("[".repeat(1_000_000)))
                .isInstanceOf(JsonProcessingException.class);
    }
}
