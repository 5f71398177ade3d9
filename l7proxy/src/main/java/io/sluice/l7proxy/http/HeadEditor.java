package io.sluice.l7proxy.http;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.buffer.ByteBuf;
import io.sluice.l7proxy.http.common.EditCheck;
import io.sluice.l7proxy.rule.HttpOutcome.Edit;
import io.sluice.l7proxy.rule.HttpOutcome.HeaderEdit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Writes heads whose headers rules change. What they do not change stays as it came. */
final class HeadEditor {
    private HeadEditor() {}

    /**
     * Writes a head with edits.
     *
     * @param edits without an {@link EditCheck} fault
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
