package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class UnifiedDiffTest {
    @Test
    void equalTextsHaveNoHunks() {
        assertThat(UnifiedDiff.of("a\nb\n", "a\nb\n")).isEmpty();
    }

    @Test
    void changesHaveThreeLinesAroundThemAndTouchingOnesAreOneHunk() {
        assertThat(
                        UnifiedDiff.of(
                                "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n",
                                "1\n2\n3\n4\nx\n6\n7\n8\n9\n10\n12\n13\n14\n15\n16\n17\n"))
                .isEqualTo(
                        """
                        @@ -2,15 +2,15 @@
                         2
                         3
                         4
                        -5
                        +x
                         6
                         7
                         8
                         9
                         10
                        -11
                         12
                         13
                         14
                         15
                         16
                        +17
                        """);
        assertThat(UnifiedDiff.of("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n"))
                .isEqualTo(
                        """
                        @@ -1,3 +1,4 @@
                        +0
                         1
                         2
                         3
                        @@ -6,4 +7,3 @@
                         6
                         7
                         8
                        -9
                        """);
    }

    @Test
    void aTextThatIsNotThereIsAllNew() {
        assertThat(UnifiedDiff.of("", "a\nb\n")).isEqualTo("@@ -0,0 +1,2 @@\n+a\n+b\n");
        assertThat(UnifiedDiff.of("a\n", "")).isEqualTo("@@ -1 +0,0 @@\n-a\n");
    }

    @Test
    void theHunksTurnTheOldTextIntoTheNewOne() {
        final Random random = new Random(3);
        for (int round = 0; round < 500; round++) {
            final List<String> before = lines(random);
            final List<String> after = lines(random);

            assertThat(patched(before, UnifiedDiff.of(text(before), text(after)))).isEqualTo(after);
        }
    }

    private static List<String> lines(final Random random) {
        final List<String> lines = new ArrayList<>();
        for (int i = random.nextInt(30); i > 0; i--) {
            lines.add("l" + random.nextInt(6));
        }
        return lines;
    }

    private static String text(final List<String> lines) {
        final StringBuilder text = new StringBuilder();
        lines.forEach(line -> text.append(line).append('\n'));
        return text.toString();
    }

    /** As patch(1), without any slack: every line must be where its hunk says. */
    private static List<String> patched(final List<String> before, final String hunks) {
        final List<String> after = new ArrayList<>();
        final Iterator<String> old = before.iterator();
        int taken = 0;
        for (final String line : hunks.lines().toList()) {
            if (line.startsWith("@@")) {
                final String[] span = line.split(" ", -1)[1].substring(1).split(",", -1);
                final int first = Integer.parseInt(span[0]);
                final boolean none = span.length == 2 && span[1].equals("0");
                for (; taken < (none ? first : first - 1); taken++) {
                    after.add(old.next());
                }
            } else if (line.charAt(0) == '+') {
                after.add(line.substring(1));
            } else {
                assertThat(old.next()).isEqualTo(line.substring(1));
                taken++;
                if (line.charAt(0) == ' ') {
                    after.add(line.substring(1));
                }
            }
        }
        old.forEachRemaining(after::add);
        return after;
    }
}
