package io.sluice.control.policy.recommend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

final class HttpUseTest {
    private static List<String> rules(final String... requests) {
        final HttpUse use = new HttpUse();
        for (final String request : requests) {
            use.add(
                    request.substring(0, request.indexOf(' ')),
                    request.substring(request.indexOf(' ') + 1));
        }
        return use.rules().stream().map(rule -> rule.method() + " " + rule.path()).toList();
    }

    @Test
    void aPathIsTakenAsItWasSeen() {
        assertThat(rules("GET /health", "POST /orders", "GET /v1.0/a+b"))
                .containsExactly("GET /health", "POST /orders", "GET /v1\\.0/a\\+b");
    }

    @Test
    void threeNumbersInOnePlaceAreAnyNumber() {
        assertThat(rules("GET /orders/1", "GET /orders/22", "GET /orders/333/lines"))
                .containsExactly("GET /orders/1", "GET /orders/22", "GET /orders/333/lines");
        assertThat(rules("GET /orders/1", "GET /orders/22", "GET /orders/333"))
                .containsExactly("GET /orders/[0-9]+");
        assertThat(
                        rules(
                                "GET /o/1/l/4",
                                "GET /o/2/l/5",
                                "GET /o/3/l/4",
                                "GET /o/1/l/5",
                                "GET /o/2/l/4",
                                "GET /o/3/l/5",
                                "GET /o/1/l/6",
                                "GET /o/2/l/6",
                                "GET /o/3/l/6"))
                .containsExactly("GET /o/[0-9]+/l/[0-9]+");
    }

    @Test
    void methodsAreNotPutTogetherAndNeitherAreWords() {
        assertThat(rules("GET /orders/1", "PUT /orders/2", "GET /orders/3"))
                .containsExactly("GET /orders/1", "PUT /orders/2", "GET /orders/3");
        assertThat(rules("GET /a/cafe", "GET /a/feed", "GET /a/beef", "GET /a/admin")).hasSize(4);
    }

    @Test
    void identifiersOfTheFormOfUuidsAndLongHexadecimalAreAnyOfTheirForm() {
        assertThat(
                        rules(
                                "GET /s/3f2504e0-4f89-11d3-9a0c-0305e82c3301",
                                "GET /s/3f2504e0-4f89-11d3-9a0c-0305e82c3302",
                                "GET /s/3f2504e0-4f89-11d3-9a0c-0305e82c3303",
                                "GET /b/0123456789abcdef",
                                "GET /b/a123456789abcdef",
                                "GET /b/b123456789abcdef"))
                .containsExactly(
                        "GET /b/[0-9a-f]{12,}",
                        "GET /s/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
    }

    @Test
    void aQueryThatWasSeenMayBeAnyAndOneThatWasNotIsNone() {
        assertThat(rules("GET /search?q=a", "GET /search?q=b", "GET /health"))
                .containsExactly("GET /health", "GET /search(\\?.*)?");
    }
}
