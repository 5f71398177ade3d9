package io.sluice.dnsproxy.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Cilium's tables of match patterns.
 *
 * <p>The data is not part of the repository. The tests look for the folder that the environment
 * variable {@code SLUICE_CONFORMANCE} names, and are skipped, saying so, where it is not set.
 */
final class NamePatternConformanceTest {
    private static JsonNode table(final String name) throws IOException {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
        return new ObjectMapper()
                .readTree(Path.of(root).resolve("cilium/fqdn").resolve(name).toFile());
    }

    /** As the proxy hands names to patterns: lower case. The tables have the final dot already. */
    private static void judge(final JsonNode row, final String list, final boolean expected) {
        final NamePattern pattern = NamePattern.parse(row.get("pattern").asText());
        for (final JsonNode item : row.get(list)) {
            final String name = item.asText().toLowerCase(Locale.ROOT);
            assertThat(pattern.matches(name)).as("%s on %s", pattern, name).isEqualTo(expected);
        }
    }

    @TestFactory
    List<DynamicTest> patternsOfTheNewerTable() throws IOException {
        final JsonNode cases = table("matchpattern-derived-1.20.json").get("cases");
        final List<String> names = new ArrayList<>(List.of("", "..", ".io.", "a..io."));
        for (final JsonNode row : cases) {
            row.get("accept").forEach(name -> names.add(name.asText()));
            row.get("reject").forEach(name -> names.add(name.asText()));
        }
        final List<DynamicTest> tests = new ArrayList<>();
        int judged = 0;
        for (final JsonNode row : cases) {
            judged += row.get("accept").size() + row.get("reject").size();
            tests.add(
                    DynamicTest.dynamicTest(
                            row.get("pattern").asText(),
                            () -> {
                                final NamePattern pattern =
                                        NamePattern.parse(row.get("pattern").asText());
                                assertThat(pattern).hasToString(row.get("sanitized").asText());
                                judge(row, "accept", true);
                                judge(row, "reject", false);
                                final Pattern regex =
                                        Pattern.compile(row.get("anchored_regex").asText());
                                for (final String name : names) {
                                    final String asked = name.toLowerCase(Locale.ROOT);
                                    assertThat(pattern.matches(asked))
                                            .as("%s on %s", pattern, asked)
                                            .isEqualTo(regex.matcher(asked).matches());
                                }
                            }));
        }
        System.out.println(
                "conformance: cilium/fqdn/matchpattern-derived-1.20: "
                        + tests.size()
                        + " patterns, "
                        + judged
                        + " names");
        assertThat(tests).hasSize(17);
        return tests;
    }

    @TestFactory
    List<DynamicTest> patternsOfTheOlderTable() throws IOException {
        final JsonNode table = table("matchpattern-upstream-2025-10.json");
        final List<DynamicTest> tests = new ArrayList<>();
        int judged = 0;
        for (final JsonNode row : table.get("matching")) {
            judged += row.get("accept").size() + row.get("reject").size();
            tests.add(
                    DynamicTest.dynamicTest(
                            "matching " + row.get("pattern").asText(),
                            () -> {
                                judge(row, "accept", true);
                                judge(row, "reject", false);
                            }));
        }
        for (final Map.Entry<String, JsonNode> row : table.get("sanitize").properties()) {
            tests.add(
                    DynamicTest.dynamicTest(
                            "sanitize " + row.getKey(),
                            () ->
                                    assertThat(NamePattern.parse(row.getKey()))
                                            .hasToString(row.getValue().asText())));
        }
        for (final Map.Entry<String, JsonNode> row : table.get("anchored_regex").properties()) {
            final String unanchored = table.get("unanchored_regex").get(row.getKey()).asText();
            tests.add(
                    DynamicTest.dynamicTest(
                            "regex " + row.getKey(),
                            () -> {
                                final NamePattern pattern = NamePattern.parse(row.getKey());
                                final Pattern whole = Pattern.compile(row.getValue().asText());
                                final Pattern part = Pattern.compile(unanchored);
                                for (final JsonNode other : table.get("matching")) {
                                    for (final JsonNode name : other.get("accept")) {
                                        final boolean matches = pattern.matches(name.asText());
                                        assertThat(whole.matcher(name.asText()).matches())
                                                .isEqualTo(matches);
                                        assertThat(part.matcher(name.asText()).find() || !matches)
                                                .isTrue();
                                    }
                                }
                            }));
        }
        System.out.println(
                "conformance: cilium/fqdn/matchpattern-upstream-2025-10: "
                        + tests.size()
                        + " rows, "
                        + judged
                        + " names");
        assertThat(tests).hasSize(14);
        return tests;
    }
}
