package io.sluice.l7proxy.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class KafkaRuleTest {
    private static KafkaRule role(final String role, final String topic) {
        return KafkaRule.compile(role, "", "", "", topic);
    }

    private static KafkaRequest request(final int apiKey, final String... topics) {
        return new KafkaRequest(apiKey, 3, "client", List.of(topics));
    }

    private static List<Integer> apisOf(final String role) {
        return IntStream.rangeClosed(-1, 100)
                .filter(key -> KafkaRule.allow(List.of(role(role, "")), request(key)))
                .boxed()
                .toList();
    }

    @Test
    void aRoleIsASetOfApis() {
        assertThat(apisOf("produce")).containsExactly(0, 3, 18);
        assertThat(apisOf("Consume")).containsExactly(1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18);
        assertThat(apisOf("")).hasSize(102);
    }

    @Test
    void whatARequestLacksIsNothingExactlyIfTheRuleAloneLetsItPass() {
        final KafkaRule rule = KafkaRule.compile("produce", "", "3", "me", "orders");
        assertThat(rule.unmet(new KafkaRequest(1, 2, "you", List.of("carts"))))
                .containsExactly(
                        "api fetch is none of role produce",
                        "version 2 is not 3",
                        "client you is not me",
                        "topic carts is not orders");
        assertThat(KafkaRule.compile("", "fetch", "", "", "").unmet(request(0, "a")))
                .containsExactly("api produce is not fetch");
        for (int bits = 0; bits < 16; bits++) {
            final KafkaRequest request =
                    new KafkaRequest(
                            (bits & 1) == 0 ? 0 : 1,
                            (bits & 2) == 0 ? 3 : 4,
                            (bits & 4) == 0 ? "me" : "you",
                            List.of((bits & 8) == 0 ? "orders" : "carts"));
            assertThat(rule.unmet(request)).hasSize(Integer.bitCount(bits));
            assertThat(rule.unmet(request).isEmpty())
                    .isEqualTo(KafkaRule.allow(List.of(rule), request));
        }
    }

    @Test
    void everyTopicOfARequestMustBeCoveredBySomeRule() {
        final List<KafkaRule> rules = List.of(role("produce", "a"), role("produce", "b"));

        assertThat(KafkaRule.allow(rules, request(0, "a", "b"))).isTrue();
        assertThat(KafkaRule.allow(rules, request(0, "a", "b", "c"))).isFalse();
        assertThat(KafkaRule.allow(rules, request(1, "a"))).isFalse();
        assertThat(KafkaRule.allow(List.of(role("produce", "")), request(0, "c"))).isTrue();
        assertThat(KafkaRule.allow(List.of(), request(0))).isFalse();
    }

    @Test
    void aRuleThatDoesNotFitTheRequestCoversNoneOfItsTopics() {
        final List<KafkaRule> rules = List.of(role("produce", "a"), role("consume", "b"));

        assertThat(KafkaRule.allow(rules, request(0, "a", "b"))).isFalse();
        assertThat(KafkaRule.allow(rules, request(3, "a", "b"))).isTrue();
    }

    @Test
    void aTopicDoesNotMatterToRequestsWithoutTopicsButToThoseAboutAll() {
        final List<KafkaRule> rules = List.of(role("produce", "a"));

        assertThat(KafkaRule.allow(rules, request(18))).isTrue();
        assertThat(KafkaRule.allow(rules, request(3, KafkaRequest.EVERY_TOPIC))).isFalse();
        assertThat(
                        KafkaRule.allow(
                                List.of(role("produce", "")), request(3, KafkaRequest.EVERY_TOPIC)))
                .isTrue();
    }

    @Test
    void apiVersionAndClientAreConditionsToo() {
        final KafkaRule byName = KafkaRule.compile("", "Fetch", "3", "client", "");

        assertThat(byName).isEqualTo(KafkaRule.compile("", "1", "3", "client", ""));
        assertThat(KafkaRule.allow(List.of(byName), request(1, "a"))).isTrue();
        assertThat(KafkaRule.allow(List.of(byName), new KafkaRequest(1, 4, "client", List.of("a"))))
                .isFalse();
        assertThat(KafkaRule.allow(List.of(byName), new KafkaRequest(1, 3, "other", List.of("a"))))
                .isFalse();
        assertThat(byName.matchesEverything()).isFalse();
        assertThat(KafkaRule.compile("", "", "", "", "").matchesEverything()).isTrue();
    }

    @Test
    void wrongFieldsAreNamedWithWhatIsAccepted() {
        refused(KafkaRuleTest::bothRoleAndApi, "", "Cannot set both Role and APIKey together");
        refused(
                () -> KafkaRule.compile("own", "", "", "", ""),
                "role",
                "\"own\": accepted: produce, consume");
        refused(
                () -> KafkaRule.compile("", "fetchh", "", "", ""),
                "apiKey",
                "\"fetchh\": accepted: 0 to 32767, addoffsetstotxn, ");
        refused(
                () -> KafkaRule.compile("", "", "32768", "", ""),
                "apiVersion",
                "\"32768\": accepted: 0 to 32767");
        refused(
                () -> KafkaRule.compile("", "", "", "", "a/b"),
                "topic",
                "\"a/b\": accepted: at most 255 of the characters a-z, A-Z, 0-9, '.', '_', '-'");
    }

    private static void bothRoleAndApi() {
        KafkaRule.compile("produce", "produce", "", "", "");
    }

    private static void refused(
            final org.assertj.core.api.ThrowableAssert.ThrowingCallable compile,
            final String field,
            final String message) {
        assertThatThrownBy(compile)
                .isInstanceOfSatisfying(
                        RuleSyntaxException.class, bad -> assertThat(bad.field()).isEqualTo(field))
                .hasMessageStartingWith(message);
    }
}
