package io.sluice.l7proxy.rule;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class RepeatScanTest {
    /** What every program has: the failing start, the match, the ends of the whole. */
    private static final int PROGRAM_FRAME = 4;

    private static final String[] PIECES = {
        "a",
        "b",
        ".",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?P<n>",
        "|",
        "*",
        "+",
        "?",
        "*?",
        "{3}",
        "{0,4}",
        "{2,}",
        "{0}",
        "{,2}",
        "{",
        "}",
        "[ab]",
        "[^]a]",
        "[[:alpha:]-]",
        "[",
        "]",
        "\\pL",
        "\\x{41}",
        "\\d",
        "\\b",
        "\\Qab{5}\\E",
        "^",
        "$",
        "k",
        "\\(",
        "\\{"
    };

    @Test
    void theEstimateIsNeverBelowWhatIsBuilt() {
        final Random random = new Random(77);
        int compiled = 0;
        for (int round = 0; round < 30_000; round++) {
            final StringBuilder source = new StringBuilder();
            final int pieces = 1 + random.nextInt(9);
            for (int i = 0; i < pieces; i++) {
                source.append(PIECES[random.nextInt(PIECES.length)]);
            }
            final Pattern pattern;
            try {
                pattern = Pattern.compile(source.toString());
            } catch (final PatternSyntaxException malformed) {
                continue;
            }
            compiled++;
            assertThat(RepeatScan.expandedSize(source.toString()) + PROGRAM_FRAME)
                    .as(source.toString())
                    .isGreaterThanOrEqualTo(pattern.programSize());
        }
        assertThat(compiled).isGreaterThan(2_000);
    }
}
