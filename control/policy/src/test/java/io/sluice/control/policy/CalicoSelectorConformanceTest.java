package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.policy.CalicoSelector.SyntaxException;
import io.sluice.control.policy.CalicoSelectorTokenizer.Kind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;

/**
 * Every row of {@code calico/selectors.json} below the folder that {@code SLUICE_CONFORMANCE}
 * names; skipped, saying so, where it is not set.
 */
final class CalicoSelectorConformanceTest {
    private static JsonNode table(final String name) throws IOException {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
        return new ObjectMapper()
                .readTree(Path.of(root).resolve("calico/selectors.json").toFile())
                .path("calico_table_" + name);
    }

    @TestFactory
    List<DynamicTest> rows() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        for (final JsonNode row : table("selectorTests")) {
            add(tests, "match", row.path("selector"), () -> matches(row));
        }
        for (final JsonNode row : table("badSelectors")) {
            add(tests, "bad", row, () -> isRefused(row.asText()));
        }
        for (final JsonNode row : table("canonicalisation")) {
            add(tests, "canonical", row.path("input"), () -> isCanonical(row));
        }
        for (final JsonNode row : table("tokenizer")) {
            add(tests, "tokens", row.path("input"), () -> hasTokens(row));
        }
        System.out.println("conformance: calico/selectors: " + tests.size() + " rows");
        assertThat(tests).hasSizeGreaterThanOrEqualTo(150);
        return tests;
    }

    private static void add(
            final List<DynamicTest> tests,
            final String table,
            final JsonNode input,
            final Executable test) {
        tests.add(DynamicTest.dynamicTest(table + ": " + input, test));
    }

    private static void matches(final JsonNode row) throws SyntaxException {
        final CalicoSelector selector = CalicoSelector.parse(row.path("selector").asText());
        // The rows know no namespaces, so global() is true in them.
        for (final JsonNode labels : row.path("matches")) {
            assertThat(selector.matchesOutsideNamespaces(map(labels))).as(labels + "").isTrue();
        }
        for (final JsonNode labels : row.path("nonMatches")) {
            assertThat(selector.matchesOutsideNamespaces(map(labels))).as(labels + "").isFalse();
        }
    }

    private static Map<String, String> map(final JsonNode labels) {
        final Map<String, String> map = new HashMap<>();
        labels.properties().forEach(label -> map.put(label.getKey(), label.getValue().asText()));
        return map;
    }

    private static void isRefused(final String text) {
        assertThatExceptionOfType(SyntaxException.class)
                .isThrownBy(() -> CalicoSelector.parse(text))
                .satisfies(refusal -> assertThat(refusal.position()).isBetween(0, text.length()));
    }

    private static void isCanonical(final JsonNode row)
            throws SyntaxException, NoSuchAlgorithmException {
        final String canonical = row.path("canonical").asText();
        assertThat(CalicoSelector.parse(row.path("input").asText())).hasToString(canonical);
        assertThat(CalicoSelector.parse(canonical)).hasToString(canonical);
        final String uid = row.path("uid").asText();
        if (!uid.isEmpty()) {
            assertThat(uid(canonical)).isEqualTo(uid);
        }
    }

    /** SHA-224 of {@code s:} and the text, in URL-safe base64. */
    private static String uid(final String canonical) throws NoSuchAlgorithmException {
        final byte[] digest =
                MessageDigest.getInstance("SHA-224")
                        .digest(("s:" + canonical).getBytes(StandardCharsets.UTF_8));
        return "s:" + Base64.getUrlEncoder().withoutPadding().encodeToString(digest);
    }

    private static void hasTokens(final JsonNode row) throws SyntaxException {
        final String input = row.path("input").asText();
        if (row.path("error").asBoolean()) {
            assertThatExceptionOfType(SyntaxException.class).isThrownBy(() -> tokens(input));
            return;
        }
        final List<String> expected = new ArrayList<>();
        for (final JsonNode token : row.path("tokens")) {
            expected.add(token.path("kind").asText() + " " + token.path("value").asText());
        }
        assertThat(tokens(input)).isEqualTo(expected);
    }

    private static List<String> tokens(final String input) throws SyntaxException {
        final CalicoSelectorTokenizer tokenizer = new CalicoSelectorTokenizer(input);
        final List<String> tokens = new ArrayList<>();
        do {
            tokenizer.advance();
            tokens.add(calicoName(tokenizer.kind()) + " " + tokenizer.value());
        } while (tokenizer.kind() != Kind.END);
        return tokens;
    }

    private static String calicoName(final Kind kind) {
        return switch (kind) {
            case STRING -> "TokStringLiteral";
            case EQUAL -> "TokEq";
            case NOT_EQUAL -> "TokNe";
            case LEFT_BRACE -> "TokLBrace";
            case RIGHT_BRACE -> "TokRBrace";
            case LEFT_PARENTHESIS -> "TokLParen";
            case RIGHT_PARENTHESIS -> "TokRParen";
            case END -> "TokEOF";
            case LABEL,
                    COMMA,
                    IN,
                    NOT_IN,
                    CONTAINS,
                    STARTS_WITH,
                    ENDS_WITH,
                    ALL,
                    GLOBAL,
                    HAS,
                    NOT ->
                    camelCase(kind);
            case AND, OR -> camelCase(kind);
        };
    }

    private static String camelCase(final Kind kind) {
        final StringBuilder name = new StringBuilder("Tok");
        for (final String word : kind.name().split("_", -1)) {
            name.append(word.charAt(0)).append(word.substring(1).toLowerCase(Locale.ROOT));
        }
        return name.toString();
    }
}
