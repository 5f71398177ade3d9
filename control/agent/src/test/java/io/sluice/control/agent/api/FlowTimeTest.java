package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every text means what it means to {@link Instant#parse}. */
class FlowTimeTest {
    private static Optional<Instant> read(final String text) {
        try {
            return Optional.of(FlowTime.parse(text));
        } catch (final DateTimeException e) {
            return Optional.empty();
        }
    }

    private static Optional<Instant> expected(final String text) {
        try {
            return Optional.of(Instant.parse(text));
        } catch (final DateTimeException e) {
            return Optional.empty();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "2026-03-01T12:00:00Z",
                "2026-03-01T12:00:00.5Z",
                "2026-03-01T12:00:00.123456789Z",
                "2026-03-01T12:00:00.1234567890Z",
                "2026-03-01T12:00:00.Z",
                "2024-02-29T23:59:59Z",
                "2026-02-29T00:00:00Z",
                "2026-02-31T00:00:00.1Z",
                "2026-13-01T00:00:00Z",
                "2026-03-01T24:00:00Z",
                "2026-03-01T25:00:00Z",
                "2026-03-01T23:59:60Z",
                "2026-03-01T12:60:00Z",
                "0000-01-01T00:00:00Z",
                "2026-03-01t12:00:00z",
                "2026-03-01T12:00:00+01:00",
                "2026-03-01T12:00Z",
                "-2026-03-01T12:00:00Z",
                "+12026-03-01T12:00:00Z",
                "2026-03-01",
                "yesterday",
                "Z",
                "",
            })
    void formsAndEdges(final String text) {
        assertThat(read(text)).isEqualTo(expected(text));
    }

    @Test
    void randomTimesAndTextsNearThem() {
        final Random random = new Random(11);
        for (int i = 0; i < 20_000; i++) {
            final Instant time =
                    Instant.ofEpochSecond(
                            random.nextLong(-2_000_000_000L, 5_000_000_000L),
                            random.nextInt(3) == 0 ? 0 : random.nextInt(1_000_000_000));
            final StringBuilder text = new StringBuilder(time.toString());
            assertThat(read(text.toString())).contains(time);

            text.setCharAt(
                    random.nextInt(text.length()), "0123456789-:.TZ ".charAt(random.nextInt(16)));
            assertThat(read(text.toString())).as("%s", text).isEqualTo(expected(text.toString()));
        }
    }
}
