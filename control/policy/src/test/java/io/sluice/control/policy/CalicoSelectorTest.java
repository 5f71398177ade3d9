package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.sun.management.ThreadMXBean;
import io.sluice.control.policy.CalicoSelector.And;
import io.sluice.control.policy.CalicoSelector.Has;
import io.sluice.control.policy.CalicoSelector.In;
import io.sluice.control.policy.CalicoSelector.Not;
import io.sluice.control.policy.CalicoSelector.Or;
import io.sluice.control.policy.CalicoSelector.SyntaxException;
import java.lang.management.ManagementFactory;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Calico's selectors: which texts are some, what they mean, how they print. */
final class CalicoSelectorTest {
    private static final int MIB = 1 << 20;

    /** What the labels of one pod look like in these tests: {@code app=web tier=}. */
    private static Map<String, String> labels(final String text) {
        final Map<String, String> labels = new HashMap<>();
        for (final String label : text.split(" ", -1)) {
            final int equal = label.indexOf('=');
            if (equal > 0) {
                labels.put(label.substring(0, equal), label.substring(equal + 1));
            }
        }
        return labels;
    }

    private static SyntaxException refusalOf(final String text) {
        return catchThrowableOfType(SyntaxException.class, () -> CalicoSelector.parse(text));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "app == 'web'             ; app=web tier=front  ; app=db",
                "app == ''                ; app=                ; tier=front",
                "app != 'web'             ; tier=front          ; app=web",
                "app in {'web', \"db\"}   ; app=db              ; tier=db",
                "app in {'web',}          ; app=web             ; app=",
                "app not in {'web','db'}  ; tier=front          ; app=db",
                "app notin {'web'}        ; app=db              ; app=web",
                "app contains 'e'         ; app=web             ; app=db",
                "app contains ''          ; app=                ; tier=web",
                "app starts with 'w'      ; app=web             ; app=swap",
                "app startswith 'we'      ; app=web             ; app=w",
                "app ends with 'b'        ; app=web             ; app=bus",
                "app endswith 'eb'        ; app=web             ; app=b",
                "has(app)                 ; app=                ; tier=front",
                "has( k8s.io/a_b-c.1/d )  ; k8s.io/a_b-c.1/d=x  ; k8s.io/a_b-c.1=x",
                "!has(app)                ; tier=front          ; app=",
                "!!has(app)               ; app=web             ; tier=front",
                "! ! ! has(app)           ; tier=front          ; app=web",
                "!app == 'web'            ; tier=front          ; app=web",
                "has(a) || has(b) && has(c) ; a=1               ; b=1",
                "(has(a) || has(b)) && has(c) ; b=1 c=1         ; a=1",
                "!(has(a) && has(b))      ; a=1                 ; a=1 b=1",
                "!has(a) && has(b)        ; b=1                 ; a=1 b=1",
                "all() && has(a)          ; a=1                 ; b=1",
                "in in {'in'}             ; in=in               ; in=not",
                "not not in {'not'}       ; not=x               ; not=not",
                "has == 'a' && all != 'b' ; has=a               ; has=a all=b",
            })
    void matchesAsWritten(final String text, final String matching, final String other)
            throws SyntaxException {
        final CalicoSelector selector = CalicoSelector.parse(text);

        assertThat(selector.matches(labels(matching))).as(matching).isTrue();
        assertThat(selector.matches(labels(other))).as(other).isFalse();
    }

    @Test
    void anEmptySetHoldsNothing() throws SyntaxException {
        assertThat(CalicoSelector.parse("app in {}").matches(labels("app=web"))).isFalse();
        assertThat(CalicoSelector.parse("app not in {}").matches(labels("app=web"))).isTrue();
        assertThat(CalicoSelector.parse("app not in {}").matches(labels("tier=web"))).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "a == 'x'",
                "a in {}",
                "a in {'x'}",
                "a contains ''",
                "a starts with ''",
                "a ends with ''",
                "has(a)",
            })
    void anAbsentLabelSatisfiesNoneOfThese(final String text) throws SyntaxException {
        assertThat(CalicoSelector.parse(text).matches(Map.of("b", "x"))).isFalse();
        assertThat(CalicoSelector.parse("!" + text).matches(Map.of("b", "x"))).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "\t  ", "all()", "(( all( ) ))"})
    void blankTextIsAll(final String text) throws SyntaxException {
        assertThat(CalicoSelector.parse(text)).isEqualTo(CalicoSelector.ALL);
        assertThat(CalicoSelector.ALL.matches(Map.of())).isTrue();
    }

    @Test
    void globalIsTrueOfWhatIsInNoNamespaceOnly() throws SyntaxException {
        final CalicoSelector global = CalicoSelector.parse("global( )");
        final CalicoSelector other = CalicoSelector.parse("!global() && has(a)");

        assertThat(global.matches(Map.of("a", "b"))).isFalse();
        assertThat(global.matchesOutsideNamespaces(Map.of("a", "b"))).isTrue();
        assertThat(other.matches(Map.of("a", "b"))).isTrue();
        assertThat(other.matchesOutsideNamespaces(Map.of("a", "b"))).isFalse();
    }

    @Test
    void andBindsTighterThanOrAndParenthesesAreKept() throws SyntaxException {
        assertThat(CalicoSelector.parse("has(a) || has(b) && !(has(c) || has(a))").root())
                .isEqualTo(
                        new Or(
                                List.of(
                                        new Has("a"),
                                        new And(
                                                List.of(
                                                        new Has("b"),
                                                        new Not(
                                                                new Or(
                                                                        List.of(
                                                                                new Has("c"),
                                                                                new Has(
                                                                                        "a")))))))));
        assertThat(CalicoSelector.parse("(has(a) && has(b)) && has(c)").root())
                .isEqualTo(
                        new And(
                                List.of(
                                        new And(List.of(new Has("a"), new Has("b"))),
                                        new Has("c"))));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "app=='web'                         ; app == \"web\"",
                "app==\"it's\"                      ; app == \"it's\"",
                "app=='say \"hi\"'                  ; app == 'say \"hi\"'",
                "app  startswith'w'                 ; app starts with \"w\"",
                "app notin{'b','a','b'}             ; app not in {\"a\", \"b\"}",
                "app in {'a\"','a'}                 ; app in {\"a\", 'a\"'}",
                "app in { }                         ; app in {}",
                "has(a)&&has(b)||has( c )           ; ((has(a) && has(b)) || has(c))",
                "((has(a)))                         ; has(a)",
                "!!!(has(a)&&!all( ))               ; !(has(a) && !all())",
                "!(!has(a))                         ; !!has(a)",
                "global()||all()                    ; (global() || all())",
            })
    void printsTheCanonicalForm(final String text, final String canonical) throws SyntaxException {
        assertThat(CalicoSelector.parse(text)).hasToString(canonical);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "app              ; 3  ; found the end, expected '==', '!=', in, not in, contains, starts with or ends with",
                "app == web       ; 7  ; found 'web', expected a string in quotes",
                "app = 'web'      ; 4  ; found '=', expected '=='",
                "app like 'web'   ; 4  ; found 'like', expected '==', '!=', in, not in, contains, starts with or ends with",
                "app starts on 'w' ; 4 ; found 'starts', expected '==', '!=', in, not in, contains, starts with or ends with",
                "app == 'web      ; 7  ; a string without an end, expected a second '",
                "app == 'it''s'   ; 11 ; found a string, expected '&&', '||' or the end",
                "app in 'web'     ; 7  ; found a string, expected '{'",
                "app in {web}     ; 8  ; found 'web', expected a string in quotes or '}'",
                "app in {,}       ; 8  ; found ',', expected a string in quotes or '}'",
                "app in {'a' 'b'} ; 12 ; found a string, expected ',' or '}'",
                "app in {'a', ||  ; 13 ; found '||', expected a string in quotes or '}'",
                "has()            ; 4  ; found ')', expected a label",
                "has(a b)         ; 6  ; found 'b', expected ')'",
                "has (a)          ; 4  ; found '(', expected '==', '!=', in, not in, contains, starts with or ends with",
                "all(             ; 4  ; found the end, expected ')'",
                "global           ; 6  ; found the end, expected '==', '!=', in, not in, contains, starts with or ends with",
                "has(a) has(b)    ; 7  ; found 'has', expected '&&', '||' or the end",
                "has(a) & has(b)  ; 7  ; found '&', expected '&&'",
                "has(a) &&        ; 9  ; found the end, expected a label, has(LABEL), all(), global(), '!' or '('",
                "(has(a)          ; 7  ; found the end, expected '&&', '||' or ')'",
                "has(a))          ; 6  ; found ')', expected '&&', '||' or the end",
                "()               ; 1  ; found ')', expected a label, has(LABEL), all(), global(), '!' or '('",
                "!                ; 1  ; found the end, expected a label, has(LABEL), all(), global(), '!' or '('",
                "%                ; 0  ; found '%', expected a label, has(LABEL), all(), global(), '!' or '('",
            })
    void saysWhereReadingStoppedAndWhatWasExpected(
            final String text, final int position, final String message) {
        final SyntaxException refusal = refusalOf(text);

        assertThat(refusal).hasMessage(message);
        assertThat(refusal.position()).isEqualTo(position);
    }

    @ParameterizedTest
    @ValueSource(strings = {"has(a)\n", "\u00a0all()", "a == 'b' \u0000", "\ud83d\ude00 == 'b'"})
    void whiteSpaceIsSpaceAndTabAndLabelsAreAscii(final String text) {
        assertThat(refusalOf(text)).isNotNull();
    }

    @Test
    void aLabelHasAtMost512Characters() throws SyntaxException {
        final String longest = "a".repeat(512);

        assertThat(CalicoSelector.parse("has(" + longest + ")").root()).isEqualTo(new Has(longest));
        assertThat(refusalOf("has(" + longest + "a)"))
                .hasMessageEndingWith("expected a label of at most 512 characters");
        assertThat(refusalOf(longest + "a == 'b'").position()).isZero();
    }

    @Test
    void parenthesesNestAsDeepAsTheFieldsOfTheApiHaveRoomFor() throws SyntaxException {
        final String longest = "(".repeat(509) + "all()" + ")".repeat(509);

        assertThat(CalicoSelector.parse(longest)).isEqualTo(CalicoSelector.ALL);
        assertThat(longest).hasSizeBetween(1022, 1024);
    }

    @Test
    void theDeepestTreeCanBeUsedInEveryWay() throws SyntaxException {
        final int depth = CalicoSelectorParser.DEPTH_MAX / 2;
        final String text =
                "(has(a)||has(b)&&".repeat(depth - 1) + "has(c)" + ")".repeat(depth - 1);

        final CalicoSelector selector = CalicoSelector.parse("has(a)||" + text);

        assertThat(selector.matches(Map.of("a", "1"))).isTrue();
        assertThat(selector.matches(Map.of("b", "1"))).isFalse();
        assertThat(selector.matches(Map.of("b", "1", "c", "1"))).isTrue();
        assertThat(CalicoSelector.parse("has(a)||" + text))
                .isEqualTo(selector)
                .hasSameHashCodeAs(selector)
                .hasToString(selector.toString());
        assertThat(refusalOf("(has(a) || !" + text + ") && all()"))
                .hasMessageEndingWith("expected no more than 512 operators within each other");
    }

    @Test
    void aTreeThatGrowsToTheLeftIsBoundedToo() {
        final String expected = "expected no more than 512 operators within each other";

        assertThat(refusalOf("!(".repeat(300) + "all()" + " && all())".repeat(300)))
                .hasMessageEndingWith(expected);
        assertThat(refusalOf("(".repeat(300) + "all()" + " && all() || all())".repeat(300)))
                .hasMessageEndingWith(expected);
        assertThat(refusalOf("(".repeat(300) + "all()" + " || all() && all())".repeat(300)))
                .isNull();
    }

    @Test
    void aMebibyteOfParenthesesStopsAtTheDepthLimit() {
        final SyntaxException refusal = refusalOf("(".repeat(MIB));

        assertThat(refusal.position()).isEqualTo(CalicoSelectorParser.DEPTH_MAX);
        assertThat(refusalOf("!(".repeat(MIB / 2)).position())
                .isEqualTo(2 * CalicoSelectorParser.DEPTH_MAX + 1);
    }

    @Test
    void parenthesesBesideEachOtherAreNotDeep() throws SyntaxException {
        final int count = 100_000;

        final CalicoSelector selector =
                CalicoSelector.parse("(has(a)) && ".repeat(count) + "(has(a))");

        assertThat(((And) selector.root()).operands()).hasSize(count + 1);
        assertThat(selector.matches(Map.of("a", ""))).isTrue();
    }

    @Test
    void aMebibyteOfNegationsIsOneOrNone() throws SyntaxException {
        assertThat(refusalOf("!".repeat(MIB)).position()).isEqualTo(MIB);
        assertThat(CalicoSelector.parse("!".repeat(MIB) + "has(a)").root()).isEqualTo(new Has("a"));
        assertThat(CalicoSelector.parse("!".repeat(MIB + 1) + "has(a)").root())
                .isEqualTo(new Not(new Has("a")));
    }

    @Test
    void aSetOfAMillionValuesIsRead() throws SyntaxException {
        final StringBuilder text = new StringBuilder("a in {");
        for (int i = 0; i < 1_000_000; i++) {
            text.append('\'').append(i).append("',");
        }

        final CalicoSelector selector = CalicoSelector.parse(text.append('}').toString());

        assertThat(selector.matches(Map.of("a", "999999"))).isTrue();
        assertThat(selector.matches(Map.of("a", "1000000"))).isFalse();
    }

    /** {@code Aa} and {@code BB} have one hash code, and so have all words of them. */
    @Test
    void valuesThatCollideDoNotMakeASetSlow() throws SyntaxException {
        final int bits = 15;
        final StringBuilder text = new StringBuilder("a not in {");
        for (int i = 0; i < 1 << bits; i++) {
            text.append('"');
            for (int bit = 0; bit < bits; bit++) {
                text.append((i >> bit & 1) == 0 ? "Aa" : "BB");
            }
            text.append("\",");
        }

        final CalicoSelector selector = CalicoSelector.parse(text.append('}').toString());

        assertThat(selector.matches(Map.of("a", "Aa".repeat(bits)))).isFalse();
        assertThat(selector.matches(Map.of("a", "aA".repeat(bits)))).isTrue();
    }

    @Test
    void longWordsAreCutInMessages() {
        assertThat(refusalOf("a " + "b".repeat(MIB)).getMessage()).hasSizeLessThan(200);
        assertThat(refusalOf("b".repeat(MIB)).getMessage()).hasSizeLessThan(200);
    }

    @Test
    void treesMadeByHandArePrintedAndComparedAsThoseThatWereRead() throws SyntaxException {
        final Set<String> unordered = new LinkedHashSet<>(List.of("c", "a", "b"));
        final CalicoSelector made = new CalicoSelector(new In("k", unordered));

        assertThat(made)
                .hasToString("k in {\"a\", \"b\", \"c\"}")
                .isEqualTo(CalicoSelector.parse("k in {'b','c','a'}"));
        assertThatExceptionOfType(UnsupportedOperationException.class)
                .isThrownBy(() -> ((In) made.root()).values().add("d"));
    }

    @Test
    void matchingAllocatesNothing() throws SyntaxException {
        final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        final CalicoSelector selector =
                CalicoSelector.parse(
                        "has(a) && (b in {'x','y'} || c not in {'x'} || d contains 'x')"
                                + " && !(e == 'x' || f starts with 'x') && g != 'x' && !global()");
        final Map<String, String> labels = labels("a=1 b=z c=x d=axe e=y f=ax g=y");
        assertThat(match(selector, labels, 1_000)).isEqualTo(1_000);
        final long before = threads.getCurrentThreadAllocatedBytes();
        match(selector, labels, 20_000);
        final long allocatedBytes = threads.getCurrentThreadAllocatedBytes() - before;

        // Less than one object in a hundred matches: the measurement itself.
        assertThat(allocatedBytes).isLessThan(200 * 16);
    }

    private static int match(
            final CalicoSelector selector, final Map<String, String> labels, final int times) {
        int matches = 0;
        for (int i = 0; i < times; i++) {
            matches += selector.matches(labels) ? 1 : 0;
        }
        return matches;
    }
}
