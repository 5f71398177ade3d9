package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.control.policy.CalicoSelector;
import io.sluice.control.policy.LabelSelector;
import io.sluice.control.policy.LabelSelectorText;
import java.util.List;
import java.util.Map;

/** Selectors of Calico and of kubectl: what is printed of one reads as that one. */
public final class SelectorTarget {
    private static final List<Map<String, String>> LABELS =
            List.of(Map.of(), Map.of("a", ""), Map.of("a", "b"), Map.of("a", "c", "d", "b"));

    private SelectorTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final String text = new String(input, UTF_8);
        calico(text);
        kubernetes(text);
    }

    private static void calico(final String text) {
        final CalicoSelector selector;
        try {
            selector = CalicoSelector.parse(text);
        } catch (final CalicoSelector.SyntaxException refused) {
            Promise.holds(
                    refused.position() >= 0 && refused.position() <= text.length(),
                    "points into the text",
                    refused.position());
            return;
        }
        final String printed = selector.toString();
        try {
            final CalicoSelector again = CalicoSelector.parse(printed);
            Promise.holds(again.toString().equals(printed), "prints canonically", printed);
            for (final Map<String, String> labels : LABELS) {
                Promise.holds(
                        again.matches(labels) == selector.matches(labels), "means the same", text);
            }
        } catch (final CalicoSelector.SyntaxException refused) {
            throw new AssertionError("reads what it printed: " + printed, refused);
        }
    }

    private static void kubernetes(final String text) {
        final LabelSelector selector;
        try {
            selector = LabelSelectorText.parse(text);
        } catch (final LabelSelectorText.SyntaxException refused) {
            return;
        }
        if (selector.requirements().isEmpty()) {
            return;
        }
        final String printed = selector.toString();
        try {
            Promise.holds(
                    LabelSelectorText.parse(printed).equals(selector), "prints itself", printed);
        } catch (final LabelSelectorText.SyntaxException refused) {
            throw new AssertionError("reads what it printed: " + printed, refused);
        }
    }
}
