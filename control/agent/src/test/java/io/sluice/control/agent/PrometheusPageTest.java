package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The reader that judges the daemon's page sees what is wrong with one. */
class PrometheusPageTest {
    private static final String RIGHT =
            """
            # HELP a_total Some \\\\ of\\nit.
            # TYPE a_total counter
            a_total 1
            a_total{x="1",y="a \\"b\\" \\\\ \\n"} 2e3
            # HELP h Times.
            # TYPE h histogram
            h_bucket{k="v",le="0.5"} 1
            h_bucket{k="v",le="+Inf"} 3
            h_sum{k="v"} 0.25
            h_count{k="v"} 3
            # HELP g What.
            # TYPE g gauge
            g -0.5
            """;

    @Test
    void aRightPageIsReadAsItIsMeant() {
        final PrometheusPage page = PrometheusPage.of(RIGHT);

        assertThat(page.names()).containsExactly("a_total", "h", "g");
        assertThat(page.family("a_total").samples())
                .containsExactly(
                        new PrometheusPage.Sample("a_total", Map.of(), 1),
                        new PrometheusPage.Sample(
                                "a_total", Map.of("x", "1", "y", "a \"b\" \\ \n"), 2000));
        assertThat(page.family("h").labels()).containsExactly("k");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "# HELP g What.        | # HELP g               | HELP comes first",
                "# TYPE g gauge        | # TYPE g number        | TYPE comes second",
                "# TYPE g gauge        | # TYPE f gauge         | TYPE is of the same name",
                "g -0.5                | # nothing              | a family has samples",
                "g -0.5                | g  -0.5                | a number, and no timestamp",
                "g -0.5                | g -0.5 1700000000000   | a number, and no timestamp",
                "g -0.5                | g five                 | a number, and no timestamp",
                "g -0.5                | g NaN                  | a value",
                "g -0.5                | 5g -0.5                | a metric's name",
                "g -0.5                | f -0.5                 | a sample has its family's name",
                "g -0.5                | g{} -0.5               | a label is name=\"value\"",
                "g -0.5                | g{__a=\"1\"} -0.5      | a label's name",
                "g -0.5                | g{a=\"1\",a=\"2\"} 1   | a label is there once",
                "g -0.5                | g{a=\"1\";b=\"2\"} 1   | a comma between labels",
                "g -0.5                | g{a=\"\\t\"} 1         | an escape that there is",
                "g -0.5                | g{a=\"1} 1             | a label's value has an end",
                "g -0.5                | g{le=\"1\"} 1          | buckets have le, and nothing else has",
                "a_total 1             | a_total -1             | counters only grow, from 0",
                "a_total 1             | a_total{y=\"a \\\"b\\\" \\\\ \\n\",x=\"1\"} 1 | a series is there once",
                "h_bucket{k=\"v\",le=\"0.5\"} 1 | h_bucket{k=\"v\",le=\"0.5\"} 4 | buckets count what is at or below them",
                "h_bucket{k=\"v\",le=\"+Inf\"} 3 | h_bucket{k=\"v\",le=\"7\"} 3  | the last bucket is +Inf",
                "h_bucket{k=\"v\",le=\"+Inf\"} 3 | h_bucket{k=\"v\",le=\"0.1\"} 3 | buckets go upwards",
                "h_count{k=\"v\"} 3    | h_count{k=\"v\"} 4     | +Inf is the count",
                "h_count{k=\"v\"} 3    | h_count{k=\"w\"} 3     | buckets, sum and count go together",
                "# HELP g What.        | # HELP h What.         | TYPE is of the same name",
            })
    void aPageThatBreaksARuleIsRefused(final String line, final String wrong, final String rule) {
        assertThat(RIGHT).contains(line + "\n");
        assertThatThrownBy(() -> PrometheusPage.of(RIGHT.replace(line + "\n", wrong + "\n")))
                .isInstanceOf(AssertionError.class)
                .hasMessageStartingWith(rule);
    }

    @Test
    void familiesAreApart() {
        assertThatThrownBy(
                        () ->
                                PrometheusPage.of(
                                        RIGHT + "# HELP g What.\n# TYPE g gauge\ng{a=\"1\"} 1\n"))
                .hasMessageStartingWith("a family is in one place");
        assertThatThrownBy(
                        () ->
                                PrometheusPage.of(
                                        RIGHT
                                                + "# HELP h_count What.\n# TYPE h_count gauge\nh_count 1\n"))
                .hasMessageStartingWith("no family's name is a sample's of another");
        assertThatThrownBy(() -> PrometheusPage.of(RIGHT + "# HELP c N.\n# TYPE c counter\nc 1\n"))
                .hasMessageStartingWith("counters end with _total");
        assertThatThrownBy(() -> PrometheusPage.of(RIGHT + "\n"))
                .hasMessageStartingWith("a metric's name");
        assertThatThrownBy(() -> PrometheusPage.of(RIGHT.substring(0, RIGHT.length() - 1)))
                .hasMessageStartingWith("the last line has an end");
    }
}
