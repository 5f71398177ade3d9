package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.CounterReport;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class PrometheusTextTest {
    @Test
    void seriesOfOneNameShareHelpAndTypeAndLabelsAreEscaped() {
        assertThat(
                        PrometheusText.of(
                                List.of(
                                        counter("drops", Map.of("reason", "a \"b\"\\\n"), 3),
                                        counter("load", Map.of(), 0.5),
                                        counter("drops", Map.of("z", "1", "a", "2"), 1e15))))
                .isEqualTo(
                        """
                        # HELP drops Help\\nme.
                        # TYPE drops counter
                        drops{reason="a \\"b\\"\\\\\\n"} 3
                        drops{a="2",z="1"} 1000000000000000
                        # HELP load Help\\nme.
                        # TYPE load counter
                        load 0.5
                        """);
    }

    private static CounterReport counter(
            final String name, final Map<String, String> labels, final double value) {
        return new CounterReport(name, "Help\nme.", CounterReport.Type.COUNTER, labels, value);
    }
}
