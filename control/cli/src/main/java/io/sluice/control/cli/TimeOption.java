package io.sluice.control.cli;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Times of the past, as options take them. */
final class TimeOption {
    /** Go's durations as far as people write them: 90s, 5m, 1h30m, 2d. */
    private static final Pattern DURATION =
            Pattern.compile("(?:(\\d+)d)?(?:(\\d+)h)?(?:(\\d+)m)?(?:(\\d+)s)?");

    private TimeOption() {}

    /**
     * The time that a text means.
     *
     * @param option its name, for the error
     * @param text an age as {@code 5m}, or a time as {@code 2026-01-31T10:00:00Z}
     */
    static Instant parse(final String option, final String text, final Clock clock) {
        final Matcher duration = DURATION.matcher(text);
        if (!text.isEmpty() && duration.matches()) {
            final Duration age =
                    Duration.ofDays(number(duration, 1))
                            .plusHours(number(duration, 2))
                            .plusMinutes(number(duration, 3))
                            .plusSeconds(number(duration, 4));
            return clock.instant().minus(age);
        }
        try {
            return Instant.parse(text);
        } catch (final DateTimeParseException e) {
            throw CommandError.usage(
                    option
                            + " "
                            + text
                            + ": not a time: a duration as 90s, 5m, 1h30m, or a time as"
                            + " 2026-01-31T10:00:00Z");
        }
    }

    private static long number(final Matcher duration, final int group) {
        return duration.group(group) == null ? 0 : Long.parseLong(duration.group(group));
    }
}
