package io.sluice.l7proxy.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.l7proxy.rule.HeaderMatch.OnMismatch;
import io.sluice.l7proxy.rule.HttpOutcome.Edit;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

final class HttpRuleTest {
    private static final SecretName TOKEN = new SecretName("shop", "token");

    private static HttpRule rule(final String method, final String path, final String host) {
        return HttpRule.compile(method, path, host, List.of(), List.of());
    }

    private static boolean matches(final HttpRule rule, final HttpRequest request) {
        return rule.matches(request, HttpRule.NO_SECRETS);
    }

    private static boolean pathMatches(final String pattern, final String path) {
        return matches(rule("", pattern, ""), HttpRequest.of("GET", "h", path));
    }

    @Test
    void allFieldsThatAreWrittenMustHoldAndNoneIsEverything() {
        final HttpRule rule = rule("GET", "/a", "shop:80");

        assertThat(matches(rule, HttpRequest.of("GET", "shop:80", "/a"))).isTrue();
        assertThat(matches(rule, HttpRequest.of("PUT", "shop:80", "/a"))).isFalse();
        assertThat(matches(rule, HttpRequest.of("GET", "shop", "/a"))).isFalse();
        assertThat(matches(rule, HttpRequest.of("GET", "shop:80", "/a?b"))).isFalse();
        assertThat(rule("", "", "").matchesEverything()).isTrue();
        assertThat(matches(rule("", "", ""), HttpRequest.of("X", "", "*"))).isTrue();
        assertThat(rule.matchesEverything()).isFalse();
    }

    @Test
    void whatARequestLacksIsNothingExactlyIfItMatches() {
        final HttpRule rule =
                HttpRule.compile(
                        "GET|PUT",
                        "/public/.*",
                        "shop:80",
                        List.of("X-Token", "X-Tenant: a"),
                        List.of(
                                HeaderMatch.of("X-Key", "k", Optional.empty(), OnMismatch.FAIL),
                                HeaderMatch.of("X-Log", "l", Optional.empty(), OnMismatch.LOG)));
        final HttpRequest wrong =
                HttpRequest.of("POST", "shop", "/admin", "X-Tenant", "b", "X-Log", "other");
        assertThat(rule.unmet(wrong, HttpRule.NO_SECRETS))
                .containsExactly(
                        "method POST does not match GET|PUT",
                        "path /admin does not match /public/.*",
                        "host shop does not match shop:80",
                        "header X-Token is missing",
                        "header X-Tenant is not as the rule asks",
                        "header X-Key is missing");

        // Every request of two values a field: what is missing is empty exactly where it matches.
        for (int bits = 0; bits < 64; bits++) {
            final HttpRequest request =
                    HttpRequest.of(
                            (bits & 1) == 0 ? "GET" : "POST",
                            (bits & 2) == 0 ? "shop:80" : "shop",
                            (bits & 4) == 0 ? "/public/x" : "/private",
                            "X-Tenant",
                            (bits & 8) == 0 ? "a" : "b",
                            (bits & 16) == 0 ? "X-Token" : "X-Other",
                            "t",
                            "X-Key",
                            (bits & 32) == 0 ? "k" : "x");
            final List<String> unmet = rule.unmet(request, HttpRule.NO_SECRETS);
            assertThat(unmet).hasSize(Integer.bitCount(bits));
            assertThat(unmet.isEmpty()).isEqualTo(matches(rule, request));
        }
    }

    @Test
    void anExpressionMustMatchTheWholeText() {
        assertThat(pathMatches("/pub.ic", "/public")).isTrue();
        assertThat(pathMatches("/pub.ic", "/public/x")).isFalse();
        assertThat(pathMatches("/public$", "/public")).isTrue();
        assertThat(pathMatches("a|/ab|/abc", "/abc")).isTrue();
        assertThat(pathMatches("a|/b", "xa")).isFalse();
        assertThat(pathMatches("/a.*", "/a\nb")).isFalse();
        assertThat(pathMatches("/a.*", "/ab")).isTrue();
        assertThat(pathMatches("/a.*", "/a")).isTrue();
        assertThat(pathMatches("/a.*", "x/a")).isFalse();
        assertThat(pathMatches("/a\\.*", "/a..")).isTrue();
        assertThat(pathMatches("/a\\.*", "/ab")).isFalse();
        assertThat(pathMatches("/(a|b).*", "/bc")).isTrue();
        assertThat(pathMatches(".*", "")).isTrue();
        assertThat(pathMatches("(?i)/PUBLIC", "/public")).isTrue();
    }

    @Test
    void headersAreThereOrHaveTheirValue() {
        final HttpRule rule =
                HttpRule.compile("", "", "", List.of("X-Team", "X-Level: 4 2"), List.of());

        assertThat(matches(rule, HttpRequest.of("GET", "h", "/", "x-team", "", "X-LEVEL", "4 2")))
                .isTrue();
        assertThat(matches(rule, HttpRequest.of("GET", "h", "/", "x-level", "4 2"))).isFalse();
        assertThat(matches(rule, HttpRequest.of("GET", "h", "/", "x-team", "a", "x-level", "4")))
                .isFalse();
        final HttpRule list = HttpRule.compile("", "", "", List.of("A: 1,2"), List.of());
        assertThat(matches(list, HttpRequest.of("GET", "h", "/", "a", "1", "A", "2"))).isTrue();
        assertThat(matches(list, HttpRequest.of("GET", "h", "/", "a", "2", "A", "1"))).isFalse();
    }

    @Test
    void aNameThatNoHeaderCanHaveIsRefused() {
        assertThatThrownBy(() -> HttpRule.compile("", "", "", List.of("X-Team:red"), List.of()))
                .isInstanceOf(RuleSyntaxException.class)
                .hasMessage(
                        "\"X-Team:red\": accepted: a header's name, or \"Name: value\" with a"
                                + " space");
        assertThatThrownBy(() -> HeaderMatch.of("a b", "", Optional.empty(), OnMismatch.LOG))
                .isInstanceOf(RuleSyntaxException.class);
    }

    @Test
    void aHeaderMatchWithoutMismatchIsACondition() {
        final HttpRule rule =
                HttpRule.compile(
                        "",
                        "",
                        "",
                        List.of(),
                        List.of(HeaderMatch.of("a", "1", Optional.empty(), OnMismatch.FAIL)));

        assertThat(rule.hasHeaderActions()).isFalse();
        assertThat(
                        HttpRule.judge(
                                List.of(rule),
                                HttpRequest.of("GET", "h", "/", "a", "2"),
                                HttpRule.NO_SECRETS))
                .isEqualTo(HttpOutcome.NOT_MATCHED);
        assertThat(matches(rule, HttpRequest.of("GET", "h", "/", "a", "1"))).isTrue();
    }

    @Test
    void theSecretsValueIsPutInAndNowhereShown() {
        final HttpRule rule =
                HttpRule.compile(
                        "",
                        "/a",
                        "",
                        List.of(),
                        List.of(
                                HeaderMatch.of(
                                        "Token", "", Optional.of(TOKEN), OnMismatch.REPLACE)));
        final HttpRequest request = HttpRequest.of("GET", "h", "/a", "token", "guess");

        final HttpOutcome known =
                HttpRule.judge(List.of(rule), request, secret -> Optional.of("s3cret"));
        assertThat(known.matched()).isTrue();
        assertThat(known.edits()).containsExactly(new HeaderEdit(Edit.REPLACE, "token", "s3cret"));
        assertThat(known.toString()).doesNotContain("s3cret").doesNotContain("guess");
        assertThat(rule.secrets()).containsExactly(TOKEN);

        final HttpOutcome unknown = HttpRule.judge(List.of(rule), request, HttpRule.NO_SECRETS);
        assertThat(unknown.edits()).containsExactly(new HeaderEdit(Edit.DELETE, "token", ""));
    }

    @Test
    void aSecretThatIsNotKnownEqualsNothing() {
        final HttpRule rule =
                HttpRule.compile(
                        "",
                        "",
                        "",
                        List.of(),
                        List.of(HeaderMatch.of("Token", "", Optional.of(TOKEN), OnMismatch.FAIL)));

        assertThat(matches(rule, HttpRequest.of("GET", "h", "/", "token", ""))).isFalse();
        assertThat(matches(rule, HttpRequest.of("GET", "h", "/"))).isFalse();
    }

    @Test
    void everyRuleSeesTheRequestAsItArrivedWhateverTheOrder() {
        final HttpRule adds =
                HttpRule.compile(
                        "",
                        "",
                        "",
                        List.of(),
                        List.of(HeaderMatch.of("a", "1", Optional.empty(), OnMismatch.ADD)));
        final HttpRule removes =
                HttpRule.compile(
                        "",
                        "",
                        "",
                        List.of(),
                        List.of(HeaderMatch.of("b", "1", Optional.empty(), OnMismatch.DELETE)));
        final HttpRequest request = HttpRequest.of("GET", "h", "/", "b", "2");

        final HttpOutcome one =
                HttpRule.judge(List.of(adds, removes, adds), request, HttpRule.NO_SECRETS);
        final HttpOutcome other =
                HttpRule.judge(List.of(removes, adds), request, HttpRule.NO_SECRETS);
        assertThat(one.edits())
                .containsExactly(
                        new HeaderEdit(Edit.ADD, "a", "1"), new HeaderEdit(Edit.DELETE, "b", ""));
        assertThat(other.edits()).containsExactlyInAnyOrderElementsOf(one.edits());
    }

    @Test
    void rulesAreEqualIfWrittenAlike() {
        assertThat(rule("GET", "/a.*", ""))
                .isEqualTo(rule("GET", "/a.*", ""))
                .hasSameHashCodeAs(rule("GET", "/a.*", ""))
                .hasToString("{method: GET, path: /a.*}")
                .isNotEqualTo(rule("GET", "", "/a.*"));
    }

    @Test
    void whatIsNotAnExpressionOfRe2IsRefusedWithTheField() {
        refused(
                "/a(",
                "\"/a(\": missing closing ): accepted: an RE2 expression for the whole text");
        refused("(?=a)", "\"(?=a)\": invalid or unsupported Perl syntax: accepted: an RE2");
        refused("(a)\\1", "\"(a)\\1\": invalid escape sequence: accepted: an RE2");
        refused("a**", "\"a**\": invalid nested repetition operator: accepted: an RE2");
    }

    private static void refused(final String path, final String message) {
        assertThatThrownBy(() -> rule("", path, ""))
                .isInstanceOfSatisfying(
                        RuleSyntaxException.class, bad -> assertThat(bad.field()).isEqualTo("path"))
                .hasMessageStartingWith(message);
    }

    @Test
    @Timeout(20)
    void anExpressionThatWouldGrowWithoutBoundIsRefusedBeforeItIsBuilt() {
        final String tooLong = "a".repeat(10_000) + ".";
        refused(tooLong, "10001 characters: accepted: at most 4096");
        refused("(x{1000}){1000}", "repeats make ");
        refused("((((x{100}){100}){100}){100})", "repeats make ");
        refused("x{999}".repeat(5), "repeats make ");
        refused("(?:" + "ab".repeat(500) + "){0,1000}", "repeats make ");
        refused("(" + "x".repeat(900) + "){5,}", "repeats make ");
        refused("x{1000}(?i){1000}", "repeats make ");
        refused("(?P<n>[^]]{900}){9}", "repeats make ");
        refused("\\Qaaaa\\E{1000}.{1000}[[:alpha:]]{1000}\\pL{1000}\\x{41}{1000}", "repeats make ");
        refused("(".repeat(2_000) + "x" + ")".repeat(2_000), "groups within groups: accepted: at");
    }

    @Test
    void bracesThatAreNoRepeatsCostNothing() {
        assertThat(pathMatches("/\\x{41}\\p{Greek}", "/A\u03b1")).isTrue();
        assertThat(pathMatches("/[{9999}]+", "/{9}")).isTrue();
        assertThat(pathMatches("/a{,5}", "/a{,5}")).isTrue();
        assertThat(pathMatches("/\\Qa{1000}{1000}\\E.?", "/a{1000}{1000}")).isTrue();
        assertThat(pathMatches("/v[0-9]{1,3}/.{0,1000}", "/v12/x")).isTrue();
    }

    @Test
    @Timeout(20)
    void anExpressionThatMakesOthersBacktrackTakesLinearTime() {
        final String text = "a".repeat(8_000);
        for (final String hostile :
                List.of("(a*)*b", "(a+)+b", "(a|aa)+b", "(.*)*(.*)*(.*)*b", "(a?){600}a{500}b")) {
            assertThat(pathMatches(hostile, text)).as(hostile).isFalse();
        }
    }
}
