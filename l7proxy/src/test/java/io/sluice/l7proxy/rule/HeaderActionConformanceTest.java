package io.sluice.l7proxy.rule;

import static io.sluice.l7proxy.rule.ConformanceData.texts;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.l7proxy.rule.HeaderMatch.OnMatch;
import io.sluice.l7proxy.rule.HeaderMatch.OnMismatch;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Cilium's cases of header actions: requests, and what becomes of them. */
final class HeaderActionConformanceTest {
    @TestFactory
    List<DynamicTest> requestsAndWhatBecomesOfThem() throws IOException {
        final JsonNode data = ConformanceData.read("cilium/http/http-header-action-cases.json");
        final List<HttpRule> rules = new ArrayList<>();
        data.get("rules_identity_1").forEach(rule -> rules.add(rule(rule)));
        final List<DynamicTest> tests = new ArrayList<>();
        for (final JsonNode row : data.get("cases")) {
            tests.add(
                    DynamicTest.dynamicTest(
                            row.get("req").asText(), () -> judge(row, rules, data.get("secret"))));
        }
        System.out.println("conformance: cilium/http: " + tests.size() + " requests");
        assertThat(tests).hasSize(15);
        return tests;
    }

    private static HttpRule rule(final JsonNode rule) {
        final List<HeaderMatch> matches = new ArrayList<>();
        for (final JsonNode match : rule.path("headerMatches")) {
            final String mismatch = match.path("onMismatch").asText("FAIL");
            matches.add(
                    new HeaderMatch(
                            match.get("name").asText(),
                            match.path("value").asText(""),
                            match.has("secret")
                                    ? Optional.of(new SecretName("", match.get("secret").asText()))
                                    : Optional.empty(),
                            OnMatch.valueOf(match.path("onMatch").asText("CONTINUE")),
                            mismatch.equals("CONTINUE(LOG)")
                                    ? OnMismatch.LOG
                                    : OnMismatch.valueOf(mismatch)));
        }
        return HttpRule.compile(
                rule.path("method_exact").asText(""),
                rule.path("path_exact").asText(rule.path("path_regex").asText("")),
                rule.path("host_exact").asText(rule.path("host_regex").asText("")),
                List.of(),
                matches);
    }

    /** "METHOD host /path", then perhaps a header. */
    private static void judge(
            final JsonNode row, final List<HttpRule> rules, final JsonNode secrets) {
        final String[] words =
                row.get("req")
                        .asText()
                        .replace("+ header ", "")
                        .replace(" (source identity 1)", "")
                        .split(" ", 4);
        final String[] header = words.length == 4 ? words[3].split(": ", 2) : new String[0];
        final HttpRequest request = HttpRequest.of(words[0], words[1], words[2], header);

        final HttpOutcome outcome =
                HttpRule.judge(
                        rules,
                        request,
                        secret ->
                                Optional.ofNullable(secrets.get(secret.name()))
                                        .map(JsonNode::asText));

        assertThat(outcome.matched()).isEqualTo(row.get("verdict").asText().equals("allow"));
        if (row.has("missing")) {
            assertThat(outcome.missing())
                    .map(Object::toString)
                    .containsExactlyInAnyOrderElementsOf(texts(row.get("missing")));
        }
        if (row.has("rejected")) {
            assertThat(outcome.rejected())
                    .map(Object::toString)
                    .containsExactlyInAnyOrderElementsOf(texts(row.get("rejected")));
        }
        final Map<String, String> upstream = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        if (header.length == 2) {
            upstream.put(header[0], header[1]);
        }
        for (final HeaderEdit edit : outcome.edits()) {
            switch (edit.edit()) {
                case ADD -> upstream.merge(edit.name(), edit.value(), (a, b) -> a + "," + b);
                case DELETE -> upstream.remove(edit.name());
                case REPLACE -> upstream.put(edit.name(), edit.value());
            }
        }
        for (final Map.Entry<String, JsonNode> sent : row.path("upstream_header").properties()) {
            assertThat(upstream).containsEntry(sent.getKey(), sent.getValue().asText());
        }
        for (final String absent : texts(row.path("upstream_header_absent"))) {
            assertThat(upstream).doesNotContainKey(absent);
        }
    }
}
