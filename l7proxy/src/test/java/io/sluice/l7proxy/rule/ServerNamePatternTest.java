package io.sluice.l7proxy.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

final class ServerNamePatternTest {
    @Test
    void aLetterThatIsAsciiOnlyInLowerCaseIsNotThatLetter() {
        assertThat(ServerNamePattern.parse("kube.io").matches("\u212aube.io")).isFalse();
        assertThatThrownBy(() -> ServerNamePattern.parse("\u212aube.io"))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void onlyAFullWildcardIsEveryName() {
        assertThat(ServerNamePattern.compile("****").matchesEveryName()).isTrue();
        assertThat(ServerNamePattern.parse("**").matchesEveryName()).isTrue();
        assertThat(ServerNamePattern.parse("**.io").matchesEveryName()).isFalse();
    }

    @Test
    void itAgreesWithTheRegularExpressionOfThePattern() {
        final Random random = new Random(11);
        final String[] parts = {"a", "b", "ab", "*", "**", "a*", "*b", "a*b"};
        for (int round = 0; round < 5_000; round++) {
            final StringBuilder text = new StringBuilder(parts[random.nextInt(parts.length)]);
            final int more = 1 + random.nextInt(4);
            for (int i = 0; i < more; i++) {
                text.append('.').append(parts[random.nextInt(parts.length)]);
            }
            final ServerNamePattern pattern = ServerNamePattern.parse(text.toString());
            final Pattern expected =
                    Pattern.compile(
                            text.toString()
                                    .replace(".", "[.]")
                                    .replace("**", "#([.]#)@")
                                    .replace("*", "[ab]@")
                                    .replace("#", "[ab]+")
                                    .replace('@', '*'));
            for (int names = 0; names < 20; names++) {
                final StringBuilder name = new StringBuilder();
                final int labels = 1 + random.nextInt(6);
                for (int i = 0; i < labels; i++) {
                    name.append(i == 0 ? "" : ".")
                            .append(new String[] {"a", "b", "ab", "bb"}[random.nextInt(4)]);
                }
                assertThat(pattern.matches(name.toString()))
                        .as("%s on %s", pattern, name)
                        .isEqualTo(expected.matcher(name).matches());
            }
        }
    }

    @Test
    void aHostilePatternOnAHostileNameIsWalkedInBoundedTime() {
        final ServerNamePattern pattern = ServerNamePattern.parse("**.a.".repeat(42) + "b");
        final String name = "a.".repeat(127) + "c";
        for (int i = 0; i < 2_000; i++) {
            assertThat(pattern.matches(name)).isFalse();
        }
        assertThat(pattern.matches("a.".repeat(1_000_000) + "b")).isFalse();
    }
}
