package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Requirement;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What selectors say about labels, told a second time. */
final class JudgedLabels {
    private JudgedLabels() {}

    static boolean match(final LabelSelector selector, final Map<String, String> labels) {
        return selector.requirements().stream()
                .allMatch(requirement -> holds(requirement, labels.get(requirement.key())));
    }

    /** Whether a requirement holds for the value of its key; null if the key is absent. */
    static boolean holds(final Requirement requirement, final @Nullable String value) {
        return switch (requirement.operator()) {
            case IN -> value != null && requirement.values().contains(value);
            case NOT_IN -> value == null || !requirement.values().contains(value);
            case EXISTS -> value != null;
            case DOES_NOT_EXIST -> value == null;
        };
    }

    static boolean match(final CalicoSelector selector, final Map<String, String> labels) {
        return holds(selector.root(), labels, true);
    }

    /**
     * Whether a namespaceSelector matches: {@code all()} is whoever is in a namespace, {@code
     * global()} whoever is in none.
     *
     * @param labels labels of the namespace; empty where there is none
     */
    static boolean matchNamespace(final CalicoSelector selector, final Map<String, String> labels) {
        return holds(selector.root(), labels, !labels.isEmpty());
    }

    /**
     * Whether a serviceAccountSelector matches: {@code all()} is whoever has an account
     * (libcalico-go's globalnetworkpolicyprocessor.go).
     *
     * @param labels labels of the account; empty where there is none
     * @param hasAccount whether there is one, which may have no object and so no labels
     */
    static boolean matchServiceAccount(
            final CalicoSelector selector,
            final Map<String, String> labels,
            final boolean hasAccount) {
        return holds(selector.root(), labels, hasAccount);
    }

    private static boolean holds(
            final CalicoSelector.Expression expression,
            final Map<String, String> labels,
            final boolean all) {
        return switch (expression) {
            case CalicoSelector.All _ -> all;
            case CalicoSelector.Global _ -> !all;
            case final CalicoSelector.Has has -> labels.containsKey(has.label());
            case final CalicoSelector.Compare compare -> compares(compare, labels);
            case final CalicoSelector.In in ->
                    labels.containsKey(in.label()) && in.values().contains(labels.get(in.label()));
            case final CalicoSelector.NotIn notIn ->
                    !labels.containsKey(notIn.label())
                            || !notIn.values().contains(labels.get(notIn.label()));
            case final CalicoSelector.Not not -> !holds(not.operand(), labels, all);
            case final CalicoSelector.And and ->
                    and.operands().stream().allMatch(part -> holds(part, labels, all));
            case final CalicoSelector.Or or ->
                    or.operands().stream().anyMatch(part -> holds(part, labels, all));
        };
    }

    private static boolean compares(
            final CalicoSelector.Compare compare, final Map<String, String> labels) {
        final String value = labels.get(compare.label());
        if (value == null) {
            return compare.comparison() == CalicoSelector.Comparison.NOT_EQUAL;
        }
        return switch (compare.comparison()) {
            case EQUAL -> value.equals(compare.value());
            case NOT_EQUAL -> !value.equals(compare.value());
            case CONTAINS -> value.contains(compare.value());
            case STARTS_WITH -> value.startsWith(compare.value());
            case ENDS_WITH -> value.endsWith(compare.value());
        };
    }
}
