package io.sluice.dataplane;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class DropReasonTest {
    /** Maven runs the tests of a module in the module's folder. */
    private static final Path PAGE = Path.of("..", "docs", "drop-reasons.md");

    @Test
    void everyReasonHasItsOwnNumber() {
        assertThat(Arrays.stream(DropReason.values()).map(DropReason::code))
                .doesNotHaveDuplicates();
        for (final DropReason reason : DropReason.values()) {
            assertThat(DropReason.ofCode(reason.code())).isSameAs(reason);
        }
        assertThatThrownBy(() -> DropReason.ofCode(1)).hasMessageContaining("1");
        assertThatThrownBy(() -> DropReason.ofCode(-1)).hasMessageContaining("-1");
    }

    @Test
    void thePageOfDropReasonsIsMadeFromTheEnum() throws IOException {
        assertThat(Files.readString(PAGE)).isEqualTo(page());
    }

    private static String page() {
        final StringBuilder page =
                new StringBuilder(
                        """
                        # Drop reasons

                        Why a packet stopped: the number and name in `sluice drops`, `sluice observe` and the metrics. Numbers below 300 are Cilium's.
                        This page is made from `DropReason.java`; a test compares them.

                        | number | name | kind | meaning |
                        |---|---|---|---|
                        """);
        for (final DropReason reason : DropReason.values()) {
            if (reason != DropReason.NONE) {
                page.append("| ")
                        .append(reason.code())
                        .append(" | `")
                        .append(reason)
                        .append("` | ")
                        .append(reason.severity().toString().toLowerCase(java.util.Locale.ROOT))
                        .append(" | ")
                        .append(reason.sentence())
                        .append(" |\n");
            }
        }
        return page.toString();
    }
}
