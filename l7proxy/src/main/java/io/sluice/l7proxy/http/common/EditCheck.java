package io.sluice.l7proxy.http.common;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Which edits of a request's headers can be done safely. Pure. Thread: any. */
public final class EditCheck {
    /** A message with one of these changed would end elsewhere or be another's. */
    private static final Set<String> FRAMING =
            Set.of(
                    "connection",
                    "content-length",
                    "expect",
                    "host",
                    "keep-alive",
                    "proxy-connection",
                    "te",
                    "trailer",
                    "transfer-encoding",
                    "upgrade");

    private EditCheck() {}

    /** What is wrong with edits; empty if they can be done. */
    public static Optional<String> fault(final List<HeaderEdit> edits) {
        for (final HeaderEdit edit : edits) {
            if (FRAMING.contains(edit.name().toLowerCase(Locale.ROOT))) {
                return Optional.of("header " + edit.name() + " must not be edited");
            }
            if (!isValue(edit.value())) {
                return Optional.of("the value for header " + edit.name() + " is no header value");
            }
        }
        return Optional.empty();
    }

    /** A secret may hold anything, also an end of line and a header of its own. */
    private static boolean isValue(final String value) {
        for (final byte b : value.getBytes(UTF_8)) {
            if (!Ascii.is(b, Ascii.VALUE)) {
                return false;
            }
        }
        return true;
    }
}
