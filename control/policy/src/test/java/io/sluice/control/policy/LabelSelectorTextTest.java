package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.LabelSelector.Requirement;
import io.sluice.control.policy.LabelSelectorText.SyntaxException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Label selectors as kubectl's -l takes them. */
final class LabelSelectorTextTest {
    @Test
    void everyFormBecomesARequirementInTheOrderOfKeys() throws SyntaxException {
        assertThat(
                        LabelSelectorText.parse(
                                        "!h, a=b,c!=d ,d==x,e in (y,x),f notin (z),g, in in (in)")
                                .requirements())
                .isEqualTo(
                        List.of(
                                new Requirement("a", Operator.IN, Set.of("b")),
                                new Requirement("c", Operator.NOT_IN, Set.of("d")),
                                new Requirement("d", Operator.IN, Set.of("x")),
                                new Requirement("e", Operator.IN, Set.of("x", "y")),
                                new Requirement("f", Operator.NOT_IN, Set.of("z")),
                                new Requirement("g", Operator.EXISTS, Set.of()),
                                new Requirement("h", Operator.DOES_NOT_EXIST, Set.of()),
                                new Requirement("in", Operator.IN, Set.of("in"))));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "  ", "\t\r\n"})
    void blankTextIsEverything(final String text) throws SyntaxException {
        assertThat(LabelSelectorText.parse(text)).isEqualTo(LabelSelector.EVERYTHING);
        assertThat(LabelSelector.EVERYTHING.matches(Map.of())).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a=b           | a=b",
                "a == b        | a=b",
                "a=            | a=",
                "a!=,b         | a!=,b",
                "c,a=b         | a=b,c",
                "a in (c,b,c)  | a in (b,c)",
                "a in (b)      | a=b",
                "a in (b,)     | a in (,b)",
                "a in (,)      | a=",
                "a in (,,b)    | a in (,b)",
                "a notin(c,b)  | a notin (b,c)",
                "!x.io/a       | !x.io/a",
            })
    void printsWhatIsReadAsTheSame(final String text, final String canonical)
            throws SyntaxException {
        final LabelSelector selector = LabelSelectorText.parse(text);

        assertThat(selector).hasToString(canonical);
        assertThat(LabelSelectorText.parse(canonical)).isEqualTo(selector);
    }

    @ParameterizedTest
    @CsvSource({
        "a=1, true, false, false",
        "a!=1, false, true, true",
        "'a in (1,2)', true, true, false",
        "'a notin (1,3)', false, true, true",
        "a, true, true, false",
        "!a, false, false, true",
        "'a,a!=1', false, true, false",
    })
    void matches(final String text, final boolean one, final boolean two, final boolean without)
            throws SyntaxException {
        final LabelSelector selector = LabelSelectorText.parse(text);

        assertThat(selector.matches(Map.of("a", "1"))).isEqualTo(one);
        assertThat(selector.matches(Map.of("a", "2"))).isEqualTo(two);
        assertThat(selector.matches(Map.of("b", "1"))).isEqualTo(without);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "=b          | found '=', expected: !, identifier, or 'end of string'",
                ",           | found ',', expected: !, identifier, or 'end of string'",
                "a=b,        | found '', expected: identifier after ','",
                "a=b,,c      | found ',', expected: identifier after ','",
                "a=b c       | found 'c', expected: ',' or 'end of string'",
                "!a=b        | found '=', expected: ',' or 'end of string'",
                "!           | found '', expected: identifier",
                "!!a         | found '!', expected: identifier",
                "a=(b)       | found '(', expected: identifier",
                "a==!b       | found '!', expected: identifier",
                "a b         | found 'b', expected: in, notin, =, ==, !=",
                "a>1         | found '>', expected: in, notin, =, ==, !=",
                "a gt 1      | found 'gt', expected: in, notin, =, ==, !=",
                "a in b      | found 'b', expected: '('",
                "a in (b     | found '', expected: ',' or ')'",
                "a in (      | found '', expected: ',', or identifier",
                "a in (b c)  | found 'c', expected: ',' or ')'",
                "a in ()     | values[a]: for 'in', 'notin' operators, values set can't be empty",
                "/a          | key: Invalid value: \"/a\": prefix part must be non-empty",
                "a/          | key: Invalid value: \"a/\": name part must be non-empty",
            })
    void refusesInApimachinerysWords(final String text, final String message) {
        assertThat(refusalOf(text)).hasMessage(message);
    }

    @ParameterizedTest
    @CsvSource({
        "-a=b, 'key: Invalid value: \"-a\": name part must consist of'",
        "a=b_, 'values[a]: Invalid value: \"b_\": a valid label must be'",
        "'a in (b,c:d)', 'values[a]: Invalid value: \"c:d\": a valid label must be'",
    })
    void keysAndValuesAreThoseThatKubernetesAccepts(final String text, final String message) {
        assertThat(refusalOf(text)).hasMessageStartingWith(message);
    }

    @Test
    void hostileTextIsRefusedOrRead() throws SyntaxException {
        final int mib = 1 << 20;
        assertThat(refusalOf("(".repeat(mib))).isNotNull();
        assertThat(refusalOf("!".repeat(mib))).isNotNull();
        assertThat(refusalOf("a".repeat(mib))).isNotNull();
        assertThat(refusalOf("a.".repeat(mib / 2) + "/b")).isNotNull();
        assertThat(LabelSelectorText.parse("a in (" + ",".repeat(mib) + ")")).hasToString("a=");
    }

    private static SyntaxException refusalOf(final String text) {
        return catchThrowableOfType(SyntaxException.class, () -> LabelSelectorText.parse(text));
    }
}
