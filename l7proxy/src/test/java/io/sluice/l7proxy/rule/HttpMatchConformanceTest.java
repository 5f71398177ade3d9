package io.sluice.l7proxy.rule;

import static io.sluice.l7proxy.rule.ConformanceData.texts;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.l7proxy.rule.CalicoHttpRule.PathMatch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Calico's table of methods, paths and normal forms. */
final class HttpMatchConformanceTest {
    @TestFactory
    List<DynamicTest> methodsPathsAndNormalForms() throws IOException {
        final JsonNode data = ConformanceData.read("calico/http-match.json");
        final List<DynamicTest> tests = new ArrayList<>();
        for (final JsonNode row : data.get("methods")) {
            final CalicoHttpRule rule = new CalicoHttpRule(texts(row.get("methods")), List.of());
            tests.add(judge("method ", row, rule, row.get("method").asText(), "/"));
        }
        for (final JsonNode row : data.get("paths")) {
            final List<PathMatch> paths = new ArrayList<>();
            for (final JsonNode path : row.get("paths")) {
                paths.add(
                        path.has("prefix")
                                ? new PathMatch(path.get("prefix").asText(), true)
                                : new PathMatch(path.get("exact").asText(), false));
            }
            final CalicoHttpRule rule = new CalicoHttpRule(List.of(), paths);
            tests.add(judge("path ", row, rule, "GET", row.get("path").asText()));
        }
        for (final JsonNode row : data.get("normalise")) {
            tests.add(
                    DynamicTest.dynamicTest(
                            "normal form: " + row.get("title").asText(),
                            () -> {
                                final var normal = HttpPath.normalise(row.get("in").asText());
                                if (row.get("ok").asBoolean()) {
                                    assertThat(normal).contains(row.get("out").asText());
                                } else {
                                    assertThat(normal).isEmpty();
                                }
                            }));
        }
        System.out.println("conformance: calico/http-match: " + tests.size() + " rows");
        assertThat(tests).hasSize(89);
        return tests;
    }

    private static DynamicTest judge(
            final String kind,
            final JsonNode row,
            final CalicoHttpRule rule,
            final String method,
            final String path) {
        return DynamicTest.dynamicTest(
                kind + row.get("title").asText(),
                () ->
                        assertThat(rule.matches(HttpRequest.of(method, "host", path)))
                                .isEqualTo(row.get("match").asBoolean()));
    }
}
