package io.sluice.l7proxy.rule;

import static io.sluice.l7proxy.rule.ConformanceData.texts;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Cilium's tables of server name patterns. */
final class ServerNameConformanceTest {
    @TestFactory
    List<DynamicTest> patternsMatchOrAreRefused() throws IOException {
        final JsonNode data = ConformanceData.read("cilium/sni/sni-matching.json");
        final List<DynamicTest> tests = new ArrayList<>();
        for (final String bad : texts(data.get("invalid_patterns"))) {
            tests.add(
                    DynamicTest.dynamicTest(
                            "invalid " + bad,
                            () ->
                                    assertThatThrownBy(() -> ServerNamePattern.parse(bad))
                                            .isInstanceOf(IllegalArgumentException.class)
                                            .hasMessageStartingWith(
                                                    "\"" + bad + "\": accepted: ")));
        }
        int names = 0;
        for (final JsonNode row : data.get("cases")) {
            final String written = row.get("pattern").asText();
            final List<String> patterns =
                    written.equals("FULL_WILDCARD") ? List.of("*", "**") : List.of(written);
            for (final String text : patterns) {
                names += row.get("accept").size() + row.get("reject").size();
                tests.add(
                        DynamicTest.dynamicTest(
                                "pattern " + text,
                                () -> {
                                    final ServerNamePattern pattern = ServerNamePattern.parse(text);
                                    assertThat(texts(row.get("accept"))).allMatch(pattern::matches);
                                    assertThat(texts(row.get("reject")))
                                            .noneMatch(pattern::matches);
                                }));
            }
        }
        System.out.println(
                "conformance: cilium/sni/sni-matching: "
                        + tests.size()
                        + " patterns, "
                        + names
                        + " names");
        assertThat(tests).hasSize(23);
        return tests;
    }

    @TestFactory
    List<DynamicTest> patternsAreSanitised() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        for (final Map.Entry<String, JsonNode> row :
                ConformanceData.read("cilium/sni/sni-sanitize.json")
                        .get("sni_sanitize")
                        .properties()) {
            tests.add(
                    DynamicTest.dynamicTest(
                            row.getKey(),
                            () ->
                                    assertThat(ServerNamePattern.compile(row.getKey()))
                                            .hasToString(row.getValue().asText())));
        }
        System.out.println("conformance: cilium/sni/sni-sanitize: " + tests.size() + " rows");
        assertThat(tests).hasSize(13);
        return tests;
    }
}
