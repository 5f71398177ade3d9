package io.sluice.control.policy;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A label selector as written: all requirements must hold; none means everything.
 *
 * @param requirements {@code matchLabels} as {@code In} with one value, then {@code
 *     matchExpressions}
 */
public record LabelSelector(List<Requirement> requirements) {
    public static final LabelSelector EVERYTHING = new LabelSelector(List.of());

    /** What a requirement asks of the value of its key. */
    public enum Operator {
        /** The key is there and its value is listed. */
        IN("In"),
        /** The key is absent, or its value is not listed. */
        NOT_IN("NotIn"),
        /** The key is there. */
        EXISTS("Exists"),
        /** The key is absent. */
        DOES_NOT_EXIST("DoesNotExist");

        private final String text;

        Operator(final String text) {
            this.text = text;
        }

        public String text() {
            return text;
        }

        /** Whether a key with this value satisfies the condition. */
        boolean holds(final String value, final Set<String> values) {
            return switch (this) {
                case IN -> values.contains(value);
                case NOT_IN -> !values.contains(value);
                case EXISTS -> true;
                case DOES_NOT_EXIST -> false;
            };
        }

        /** Whether the key may be absent. */
        boolean holdsWithoutKey() {
            return this == NOT_IN || this == DOES_NOT_EXIST;
        }
    }

    /**
     * One condition on one label.
     *
     * @param key label key as written, a Cilium source prefix included
     * @param operator the condition
     * @param values listed values; empty for Exists and DoesNotExist
     */
    public record Requirement(String key, Operator operator, Set<String> values) {
        boolean matches(final Map<String, String> labels) {
            final String value = labels.get(key);
            return value == null ? operator.holdsWithoutKey() : operator.holds(value, values);
        }

        @Override
        public String toString() {
            return switch (operator) {
                case IN ->
                        values.size() == 1
                                ? key + "=" + values.iterator().next()
                                : key + " in (" + String.join(",", values) + ")";
                case NOT_IN ->
                        values.size() == 1
                                ? key + "!=" + values.iterator().next()
                                : key + " notin (" + String.join(",", values) + ")";
                case EXISTS -> key;
                case DOES_NOT_EXIST -> "!" + key;
            };
        }
    }

    /** Whether every requirement holds for these labels. */
    public boolean matches(final Map<String, String> labels) {
        for (int i = 0; i < requirements.size(); i++) {
            if (!requirements.get(i).matches(labels)) {
                return false;
            }
        }
        return true;
    }

    /** kubectl's selector text; {@code <all>} for the empty selector. */
    @Override
    public String toString() {
        if (requirements.isEmpty()) {
            return "<all>";
        }
        return String.join(",", requirements.stream().map(Requirement::toString).toList());
    }
}
