package io.sluice.control.policy;

import java.util.Optional;

/**
 * Reads selectors of projectcalico.org/v3 from fields. An empty text is an absent selector, as to
 * Calico; so is one that was reported.
 */
final class CalicoSelectorReader {
    /** Calico's limit on the text of one selector. */
    private static final int SELECTOR_LENGTH_MAX = 1024;

    private CalicoSelectorReader() {}

    /** A selector that cannot say {@code global()}; an empty text is absent. */
    static Optional<CalicoSelector> read(final Fields fields, final String field) {
        final Optional<CalicoSelector> selector = parse(fields, field);
        if (selector.isPresent() && mentionsGlobal(selector.get().root())) {
            fields.error(
                    field,
                    CalicoReader.invalid(
                            fields.string(field, ""),
                            "global() can only be used in the namespaceSelector of a rule"));
        }
        return selector;
    }

    /** A rule's {@code namespaceSelector}: {@code global()} is one, alone. */
    static Optional<CalicoSelector> readOfNamespaces(final Fields fields) {
        final Optional<CalicoSelector> selector = parse(fields, "namespaceSelector");
        if (selector.isPresent()
                && mentionsGlobal(selector.get().root())
                && !(selector.get().root() instanceof CalicoSelector.Global)) {
            fields.error(
                    "namespaceSelector",
                    CalicoReader.invalid(
                            fields.string("namespaceSelector", ""),
                            "global() cannot be combined with other selectors: write a rule for"
                                    + " each"));
        }
        return selector;
    }

    private static Optional<CalicoSelector> parse(final Fields fields, final String field) {
        final String text = fields.string(field, "");
        if (text.isEmpty()) {
            return Optional.empty();
        }
        if (text.length() > SELECTOR_LENGTH_MAX) {
            fields.error(
                    field,
                    "Invalid value: must be no more than "
                            + SELECTOR_LENGTH_MAX
                            + " characters, has "
                            + text.length());
            return Optional.empty();
        }
        try {
            return Optional.of(CalicoSelector.parse(text));
        } catch (final CalicoSelector.SyntaxException wrong) {
            fields.error(
                    field,
                    CalicoReader.invalid(
                            text,
                            "at character " + (wrong.position() + 1) + ": " + wrong.getMessage()));
            return Optional.empty();
        }
    }

    private static boolean mentionsGlobal(final CalicoSelector.Expression expression) {
        return switch (expression) {
            case CalicoSelector.Global _ -> true;
            case final CalicoSelector.Not not -> mentionsGlobal(not.operand());
            case final CalicoSelector.And and ->
                    and.operands().stream().anyMatch(CalicoSelectorReader::mentionsGlobal);
            case final CalicoSelector.Or or ->
                    or.operands().stream().anyMatch(CalicoSelectorReader::mentionsGlobal);
            case CalicoSelector.All _,
                    CalicoSelector.Has _,
                    CalicoSelector.Compare _,
                    CalicoSelector.In _,
                    CalicoSelector.NotIn _ ->
                    false;
        };
    }
}
