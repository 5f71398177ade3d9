package io.sluice.dnsproxy.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

final class NamePatternTest {
    @Test
    void aStarStaysWithinItsLabelAndMayBeEmpty() {
        final NamePattern pattern = NamePattern.parse("a*c.*.io");

        assertThat(pattern.matches("ac.x.io.")).isTrue();
        assertThat(pattern.matches("abbc.x.io.")).isTrue();
        assertThat(pattern.matches("ab.c.x.io.")).isFalse();
        assertThat(pattern.matches("abb.x.io.")).isFalse();
        assertThat(pattern.matches("ac.x.y.io.")).isFalse();
        assertThat(pattern.matches("ac.x.io.extra.")).isFalse();
    }

    @Test
    void twoLeadingStarsAreOneOrMoreLabels() {
        final NamePattern pattern = NamePattern.parse("**.s*.io");

        assertThat(pattern.matches("a.sub.io.")).isTrue();
        assertThat(pattern.matches("a.b.sub.io.")).isTrue();
        assertThat(pattern.matches("sub.io.")).isFalse();
        assertThat(pattern.matches(".sub.io.")).isFalse();
        assertThat(pattern.matches("a..sub.io.")).isFalse();
        assertThat(pattern.matches("a b.sub.io.")).isFalse();
    }

    @Test
    void caseDoesNotMatter() {
        assertThat(NamePattern.parse("WWW.Example.*").matches("www.EXAMPLE.com.")).isTrue();
        assertThat(NamePattern.parse("WWW.Example.com")).hasToString("www.example.com.");
        assertThat(NamePattern.parse("a.io")).isEqualTo(NamePattern.parseName("A.io."));
    }

    @Test
    void aMatchNameTakesNoStar() {
        assertThat(NamePattern.parseName("a.io").isName()).isTrue();
        assertThatThrownBy(() -> NamePattern.parseName("*.io"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("\"*.io\": '*' needs matchPattern");
    }

    @Test
    void whatIsNotADnsNameIsRefusedWithWhatIsAccepted() {
        for (final String bad : new String[] {"", "a b", "a/b", "ä.io", "a.io\n", "[a].io"}) {
            assertThatThrownBy(() -> NamePattern.parse(bad))
                    .as(bad)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage(
                            "\""
                                    + bad
                                    + "\": accepted: at most 255 of the characters a-z, A-Z, 0-9,"
                                    + " '-', '_', '.', '*'");
        }
        assertThatThrownBy(() -> NamePattern.parse("a".repeat(256)))
                .hasMessageStartingWith("256 characters: accepted: at most 255");
        assertThat(NamePattern.parse("a".repeat(255)).matches("a".repeat(255))).isFalse();
    }

    @Test
    void aDomainNameOfThePolicyApiHasTheApexOutside() {
        final NamePattern below = NamePattern.parseDomainName("*.Example.com");

        assertThat(below.matches("a.example.com.")).isTrue();
        assertThat(below.matches("a.b.example.com.")).isTrue();
        assertThat(below.matches("example.com.")).isFalse();
        assertThat(below.matches("badexample.com.")).isFalse();
        assertThat(below).hasToString("*.example.com.");
        assertThat(below).isNotEqualTo(NamePattern.parse("*.example.com"));
        assertThat(NamePattern.parseDomainName("example.com").matches("example.com.")).isTrue();
        for (final String bad : new String[] {"*", "*.", "a.*.com", "**.a", "a..b", "*a.com"}) {
            assertThatThrownBy(() -> NamePattern.parseDomainName(bad))
                    .as(bad)
                    .hasMessage("\"" + bad + "\": accepted: a name, or \"*.\" and a name");
        }
    }

    @Test
    void aCalicoDomainHasOneWildcardInPlaceOfAWholeLabel() {
        assertThat(NamePattern.parseCalicoDomain("*.google.com").matches("www.ipv6.google.com."))
                .isTrue();
        assertThat(NamePattern.parseCalicoDomain("*.google.com").matches("google.com.")).isFalse();
        assertThat(NamePattern.parseCalicoDomain("www.*.com").matches("www.sun.com.")).isTrue();
        assertThat(NamePattern.parseCalicoDomain("www.*.com").matches("www.com.")).isFalse();
        assertThat(NamePattern.parseCalicoDomain("www.*.com").matches("www.a.b.com.")).isTrue();
        assertThat(NamePattern.parseCalicoDomain("www.*.com").matches("xww.a.com.")).isFalse();
        assertThat(NamePattern.parseCalicoDomain("www.google.*").matches("www.google.co.uk."))
                .isTrue();
        assertThat(NamePattern.parseCalicoDomain("www.google.*").matches("www.google.")).isFalse();
        assertThat(NamePattern.parseCalicoDomain("*").matches("a.b.")).isTrue();
        for (final String bad : new String[] {"*.*.com", "www.g*.com", "**.com", "a..com", "."}) {
            assertThatThrownBy(() -> NamePattern.parseCalicoDomain(bad))
                    .as(bad)
                    .hasMessage(
                            "\""
                                    + bad
                                    + "\": accepted: a name, in which one whole label may be"
                                    + " '*'");
        }
    }

    @Test
    void onlyStarsRestrictNothing() {
        assertThat(NamePattern.parse("***").matchesEveryName()).isTrue();
        assertThat(NamePattern.parse("*.").matchesEveryName()).isTrue();
        assertThat(NamePattern.parse("*.io").matchesEveryName()).isFalse();
        assertThat(NamePattern.parseCalicoDomain("*").matchesEveryName()).isFalse();
    }

    @Test
    void itAgreesWithTheRegularExpressionOfThePattern() {
        final Random random = new Random(7);
        for (int round = 0; round < 20_000; round++) {
            final String pattern = text(random, "ab*.", 1 + random.nextInt(8));
            final NamePattern compiled = NamePattern.parse(pattern);
            if (compiled.matchesEveryName()) {
                continue;
            }
            final Pattern expected = Pattern.compile(regex(compiled.toString()));
            for (int names = 0; names < 20; names++) {
                final String name = text(random, "ab.", random.nextInt(8)) + ".";
                assertThat(compiled.matches(name))
                        .as("%s on %s", pattern, name)
                        .isEqualTo(expected.matcher(name).matches());
            }
        }
    }

    private static String regex(final String pattern) {
        final String one = "[-a-zA-Z0-9_]";
        return pattern.replaceFirst("^\\*\\*+\\.", "(#+([.]#+)@)[.]")
                .replaceAll("\\*+", "#*")
                .replaceAll("(?<!\\[)\\.(?!\\])", "[.]")
                .replace('@', '*')
                .replace("#", one);
    }

    private static String text(final Random random, final String alphabet, final int length) {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append(alphabet.charAt(random.nextInt(alphabet.length())));
        }
        return text.toString();
    }

    @Test
    void aHostilePatternOnAHostileNameIsWalkedInBoundedTime() {
        final NamePattern pattern = NamePattern.parse("*a".repeat(127));
        final String name = "a".repeat(125) + "b".repeat(125) + ".";
        for (int i = 0; i < 10_000; i++) {
            assertThat(pattern.matches(name)).isFalse();
        }
        assertThat(pattern.matches("a.".repeat(1_000_000))).isFalse();
    }
}
