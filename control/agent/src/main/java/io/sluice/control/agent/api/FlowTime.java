package io.sluice.control.agent.api;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;

/**
 * Times of flows: {@code 2026-01-31T10:00:00.123456789Z} (RFC 3339, as protojson writes them).
 * {@link Instant#parse} takes a microsecond for one, of which there are two a line; it is asked for
 * all that is not of this form.
 */
final class FlowTime {
    /** Without a fraction and the Z. */
    private static final String FORM = "0000-00-00T00:00:00";

    private static final int NANO_DIGITS = 9;

    private FlowTime() {}

    /**
     * Reads a time.
     *
     * @throws DateTimeException for a text that is none
     */
    static Instant parse(final String text) {
        return isOfForm(text) ? read(text) : Instant.parse(text);
    }

    private static boolean isOfForm(final String text) {
        final int last = text.length() - 1;
        if (last < FORM.length() || text.charAt(last) != 'Z') {
            return false;
        }
        for (int i = 0; i < FORM.length(); i++) {
            final char wanted = FORM.charAt(i);
            if (wanted == '0' ? !isDigit(text.charAt(i)) : text.charAt(i) != wanted) {
                return false;
            }
        }
        // 24:00 and the leap second have rules of their own.
        if (number(text, 11, 13) == 24 || number(text, 17, 19) == 60) {
            return false;
        }
        if (last == FORM.length()) {
            return true;
        }
        final int digits = last - FORM.length() - 1;
        if (text.charAt(FORM.length()) != '.' || digits < 1 || digits > NANO_DIGITS) {
            return false;
        }
        for (int i = FORM.length() + 1; i < last; i++) {
            if (!isDigit(text.charAt(i))) {
                return false;
            }
        }
        return true;
    }

    private static Instant read(final String text) {
        final LocalDateTime second =
                LocalDateTime.of(
                        number(text, 0, 4),
                        number(text, 5, 7),
                        number(text, 8, 10),
                        number(text, 11, 13),
                        number(text, 14, 16),
                        number(text, 17, 19));
        int nanos = 0;
        for (int i = 0; i < NANO_DIGITS; i++) {
            final int at = FORM.length() + 1 + i;
            nanos = nanos * 10 + (at < text.length() - 1 ? text.charAt(at) - '0' : 0);
        }
        return Instant.ofEpochSecond(second.toEpochSecond(ZoneOffset.UTC), nanos);
    }

    private static int number(final String text, final int from, final int to) {
        int number = 0;
        for (int i = from; i < to; i++) {
            number = number * 10 + text.charAt(i) - '0';
        }
        return number;
    }

    private static boolean isDigit(final char character) {
        return character >= '0' && character <= '9';
    }
}
