package io.sluice.l7proxy.http;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.buffer.ByteBuf;
import io.sluice.l7proxy.rule.HttpOutcome.Edit;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Writes heads whose headers rules change. What they do not change stays as it came. */
final class HeadEditor {
    /** A message with one of these changed would end elsewhere or be another's. */
    private static final Set<String> FRAMING =
            Set.of(
                    "connection",
                    "content-length",
                    "expect",
                    "host",
                    "te",
                    "trailer",
                    "transfer-encoding",
                    "upgrade");

    private HeadEditor() {}

    /** What is wrong with edits; empty if they can be done. */
    static Optional<String> fault(final List<HeaderEdit> edits) {
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

    /**
     * Writes a head with edits.
     *
     * @param edits without a {@link #fault}
     */
    static void write(final HeadParser head, final List<HeaderEdit> edits, final ByteBuf out) {
        final boolean[] removed = new boolean[head.headerCount()];
        final List<HeaderEdit> added = new ArrayList<>();
        for (final HeaderEdit edit : edits) {
            if (edit.edit() != Edit.ADD) {
                final String lower = edit.name().toLowerCase(Locale.ROOT);
                for (int i = 0; i < removed.length; i++) {
                    removed[i] |= head.isNamedLower(i, lower);
                }
                added.removeIf(earlier -> earlier.name().equalsIgnoreCase(edit.name()));
            }
            if (edit.edit() != Edit.DELETE) {
                added.add(edit);
            }
        }
        head.writeFirstLineTo(out);
        for (int i = 0; i < removed.length; i++) {
            if (!removed[i]) {
                head.writeHeaderTo(out, i);
            }
        }
        for (final HeaderEdit edit : added) {
            out.writeCharSequence(edit.name() + ": " + edit.value() + "\r\n", UTF_8);
        }
        out.writeByte('\r').writeByte('\n');
    }
}
