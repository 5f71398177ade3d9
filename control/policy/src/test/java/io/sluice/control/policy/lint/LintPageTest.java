package io.sluice.control.policy.lint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import org.junit.jupiter.api.Test;

final class LintPageTest {
    /** Maven runs the tests of a module in the module's folder. */
    private static final Path PAGE = Path.of("..", "..", "docs", "lint.md");

    @Test
    void everyCheckHasAnIdOfItsOwn() {
        assertThat(Arrays.stream(LintCheck.values()).map(LintCheck::id))
                .doesNotHaveDuplicates()
                .allMatch(id -> id.matches("[a-z][a-z0-9]*(-[a-z0-9]+)*"));
        for (final LintCheck check : LintCheck.values()) {
            assertThat(LintCheck.ofId(check.id())).contains(check);
        }
        assertThat(LintCheck.nearestId("equal-ordr")).contains("equal-order");
    }

    @Test
    void thePageOfChecksIsMadeFromTheEnum() throws IOException {
        assertThat(Files.readString(PAGE)).isEqualTo(page());
    }

    private static String page() {
        final StringBuilder page =
                new StringBuilder(
                        """
                        # What `sluice policy lint` finds

                        Pitfalls in policies that are right as text. Each check has an example with the finding and a corrected form in
                        [examples/lint](../examples/lint), under its id. This page is made from `LintCheck.java`; a test compares them.

                        A finding that is milder than its check's severity is `info`. Errors and warnings make the exit status 1, info does
                        not. `--only` and `--disable` take ids, and the annotation `sluice.io/lint-ignore: id,id` of a policy silences checks
                        for it. What a world does not tell (no pods, no Namespace objects) is not guessed at: policies without pods are
                        linted as if each selected one.

                        | id | severity | finds |
                        |---|---|---|
                        """);
        for (final LintCheck check : LintCheck.values()) {
            page.append("| [")
                    .append(check.id())
                    .append("](../examples/lint/")
                    .append(check.id())
                    .append(") | ")
                    .append(check.severity().name().toLowerCase(Locale.ROOT))
                    .append(" | ")
                    .append(check.sentence())
                    .append(" |\n");
        }
        return page.toString();
    }
}
