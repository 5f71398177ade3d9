package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PlainTokensTest {
    private final PlainTokens tokens = new PlainTokens();

    private void begin(final String text) {
        // Bytes of other lines are around it, as in a piece of a file.
        final byte[] bytes = ("{}\n" + text + "\n\"}]0").getBytes(StandardCharsets.UTF_8);
        tokens.begin(bytes, 3, bytes.length - 5);
    }

    private boolean passes(final String text) {
        begin(text);
        tokens.skip();
        return !tokens.failed() && tokens.position() == 3 + text.length();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "[]",
                "{\"a\":1}",
                "{\"a\": 1, \"b\": [true, false, null, -7, 0, \"\"]}",
                "{\"a\":{\"b\":{\"c\":[[],{}]}},\"d\":\"a text that is longer than a word of eight\"}",
                "{ \"a\" : 1 , \"b\" : 2 }",
                "[123456789,-123456789]",
                "{\"a\":\" !#$%&'()*+,-./:;<=>?@[]^_`{|}~\"}",
            })
    void whatProgramsWriteIsPlain(final String text) {
        assertThat(passes(text)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " {}",
                "{",
                "{\"a\"",
                "{\"a\":",
                "{\"a\":}",
                "{\"a\":1",
                "{\"a\":1,}",
                "{,}",
                "{\"a\" 1}",
                "{\"a\":1 \"b\":2}",
                "{\"a\":  1}",
                "{a:1}",
                "[1 2]",
                "[1,]",
                "[01]",
                "[-]",
                "[1.5]",
                "[1e5]",
                "[+1]",
                "[1x]",
                "[1234567890]",
                "[tru]",
                "[truex]",
                "[nul]",
                "[\"\\n\"]",
                "[\"\\u0041\"]",
                "[\"\u00fc\"]",
                "[\"a tab\tbehind the first word\"]",
                "[\"no end]",
                "[}",
                "{]",
            })
    void anythingElseIsNot(final String text) {
        assertThat(passes(text)).isFalse();
    }

    @Test
    void nestingHasItsLimit() {
        assertThat(passes("[".repeat(30) + "]".repeat(30))).isTrue();
        assertThat(passes("[".repeat(100_000) + "]".repeat(100_000))).isFalse();
    }

    @Test
    void fieldsAreSteppedThroughInOrder() {
        begin(
                "{\"a\":\"x\",\"skipped\":{\"a\":[1,{}]},\"n\":-42,\"t\":true,\"f\":false,\"l\":[\"p\",\"q\"]}");
        final List<String> seen = new ArrayList<>();

        assertThat(tokens.enterObject()).isTrue();
        while (tokens.nextField()) {
            switch (tokens.field()) {
                case "a" -> seen.add("a=" + tokens.text());
                case "n" -> seen.add("n=" + tokens.number());
                case "t", "f" -> seen.add(tokens.field() + "=" + tokens.isTrue());
                case "l" -> {
                    assertThat(tokens.enterArray()).isTrue();
                    while (tokens.nextText()) {
                        seen.add(tokens.text());
                    }
                }
                default -> tokens.skip();
            }
        }

        assertThat(tokens.failed()).isFalse();
        assertThat(seen).containsExactly("a=x", "n=-42", "t=true", "f=false", "p", "q");
    }

    @Test
    void afterAFailureEveryStepAnswersNothing() {
        begin("{\"a\":[\"x\",1],\"b\":2}");
        assertThat(tokens.enterObject()).isTrue();
        assertThat(tokens.nextField()).isTrue();
        assertThat(tokens.number()).isZero();

        assertThat(tokens.failed()).isTrue();
        assertThat(tokens.nextField()).isFalse();
        assertThat(tokens.enterArray()).isFalse();
        assertThat(tokens.nextText()).isFalse();
        assertThat(tokens.text()).isEmpty();
        assertThat(tokens.isTrue()).isFalse();
        tokens.skip();
        assertThat(tokens.failed()).isTrue();

        begin("{}");
        assertThat(tokens.failed()).isFalse();
    }

    @Test
    void noneOfAnObjectIsNull() {
        begin("{\"a\":null,\"b\":1}");

        assertThat(tokens.enterObject()).isTrue();
        assertThat(tokens.nextField()).isTrue();
        assertThat(tokens.enterObject()).isFalse();
        assertThat(tokens.nextField()).isTrue();
        assertThat(tokens.number()).isEqualTo(1);
        assertThat(tokens.failed()).isFalse();
    }

    @Test
    void textsThatShareAPlaceAreNotMistaken() {
        // Some 30,000 texts in 8,192 places.
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < 30_000; i++) {
                begin("\"10.0." + i + "\"");
                assertThat(tokens.text()).isEqualTo("10.0." + i);
            }
        }
    }
}
