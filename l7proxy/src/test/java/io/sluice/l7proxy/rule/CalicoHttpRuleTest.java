package io.sluice.l7proxy.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.l7proxy.rule.CalicoHttpRule.PathMatch;
import java.util.List;
import org.junit.jupiter.api.Test;

final class CalicoHttpRuleTest {
    private static boolean matches(final PathMatch path, final String target) {
        return new CalicoHttpRule(List.of("GET"), List.of(path))
                .matches(HttpRequest.of("GET", "h", target));
    }

    @Test
    void aSlashAtTheEndOfARulesPathDoesNotCount() {
        assertThat(matches(new PathMatch("/public/", false), "/public")).isTrue();
        assertThat(matches(new PathMatch("/public/", true), "/public/a")).isTrue();
        assertThat(matches(new PathMatch("/", true), "/any/thing")).isTrue();
        assertThat(matches(new PathMatch("/", false), "/any")).isFalse();
    }

    @Test
    void methodAndPathMustBothHold() {
        final CalicoHttpRule rule =
                new CalicoHttpRule(List.of("GET"), List.of(new PathMatch("/a", false)));

        assertThat(rule.matches(HttpRequest.of("GET", "h", "/a"))).isTrue();
        assertThat(rule.matches(HttpRequest.of("PUT", "h", "/a"))).isFalse();
        assertThat(rule.matches(HttpRequest.of("GET", "h", "/b"))).isFalse();
        assertThat(new CalicoHttpRule(List.of("*"), List.of()).matchesEverything()).isTrue();
        assertThat(rule.matchesEverything()).isFalse();
    }

    @Test
    void whatCannotBeThePathOfARequestIsRefused() {
        for (final String bad : List.of("", "public", "/a?b", "/a#b")) {
            assertThatThrownBy(() -> new PathMatch(bad, true))
                    .hasMessage(
                            "\"" + bad + "\": accepted: a path from \"/\" on, without '?' and '#'");
        }
    }

    @Test
    void bytesThatAreNoTextAndHalfEscapesHaveNoNormalForm() {
        assertThat(HttpPath.normalise("/caf%C3%A9")).contains("/caf\u00e9");
        assertThat(HttpPath.normalise("/caf%E9")).isEmpty();
        assertThat(HttpPath.normalise("/100%")).isEmpty();
        assertThat(HttpPath.normalise("/100%2")).isEmpty();
        assertThat(HttpPath.normalise("/100%25")).contains("/100%");
        assertThat(HttpPath.normalise("*")).isEmpty();
        assertThat(HttpPath.normalise("/a/%2e%2e;x=%2F../b")).contains("/b");
    }

    @Test
    void whatARequestLacksIsNothingExactlyIfItMatches() {
        final CalicoHttpRule rule =
                new CalicoHttpRule(
                        List.of("GET", "PUT"),
                        List.of(
                                new CalicoHttpRule.PathMatch("/exact", false),
                                new CalicoHttpRule.PathMatch("/tree", true)));
        for (final String method : List.of("GET", "POST")) {
            for (final String path : List.of("/exact", "/exact/x", "/tree/x", "/treex")) {
                final HttpRequest request = HttpRequest.of(method, "h", path);
                assertThat(rule.unmet(request).isEmpty()).isEqualTo(rule.matches(request));
            }
        }
        assertThat(rule.unmet(HttpRequest.of("POST", "h", "/treex")))
                .containsExactly(
                        "method POST is not in GET, PUT",
                        "path /treex is not /exact or under /tree");
    }
}
