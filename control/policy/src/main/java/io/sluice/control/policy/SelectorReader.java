package io.sluice.control.policy;

import io.sluice.control.policy.LabelSelector.Operator;
import io.sluice.control.policy.LabelSelector.Requirement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** Reads {@code matchLabels} and {@code matchExpressions}, with the API server's complaints. */
final class SelectorReader {
    /** Whether keys may carry a source, as in {@code k8s:app}. */
    enum Keys {
        PLAIN,
        WITH_SOURCE
    }

    private SelectorReader() {}

    /** A selector; everything if the object is empty. */
    static LabelSelector read(final Fields fields, final Keys keys) {
        final List<Requirement> requirements = new ArrayList<>();
        for (final Map.Entry<String, Fields.Text> label :
                fields.stringMap("matchLabels").entrySet()) {
            final String value = label.getValue().value();
            checkKey(fields, "matchLabels", label.getKey(), keys);
            for (final String complaint : NameSyntax.labelValue(value)) {
                fields.error("matchLabels", invalid(value, complaint));
            }
            requirements.add(new Requirement(label.getKey(), Operator.IN, Set.of(value)));
        }
        for (final Fields expression : fields.objects("matchExpressions")) {
            readExpression(expression, keys).ifPresent(requirements::add);
        }
        fields.rejectOthers();
        return new LabelSelector(List.copyOf(requirements));
    }

    private static Optional<Requirement> readExpression(final Fields fields, final Keys keys) {
        final String key = fields.string("key", "");
        checkKey(fields, "key", key, keys);
        final String written = fields.string("operator", "");
        final List<Fields.Text> values = fields.strings("values");
        for (final Fields.Text value : values) {
            for (final String complaint : NameSyntax.labelValue(value.value())) {
                fields.error(value, invalid(value.value(), complaint));
            }
        }
        fields.rejectOthers();
        for (final Operator operator : Operator.values()) {
            if (operator.text().equals(written)) {
                checkValues(fields, operator, values);
                final Set<String> listed = new TreeSet<>();
                values.forEach(value -> listed.add(value.value()));
                return Optional.of(
                        new Requirement(key, operator, Collections.unmodifiableSet(listed)));
            }
        }
        fields.error(
                "operator",
                invalid(written, "not a valid selector operator")
                        + ": accepted: In, NotIn, Exists, DoesNotExist");
        return Optional.empty();
    }

    private static void checkValues(
            final Fields fields, final Operator operator, final List<Fields.Text> values) {
        switch (operator) {
            case IN, NOT_IN -> {
                if (values.isEmpty()) {
                    fields.error(
                            "values",
                            "Required value: must be specified when `operator` is 'In' or 'NotIn'");
                }
            }
            case EXISTS, DOES_NOT_EXIST -> {
                if (!values.isEmpty()) {
                    fields.error(
                            "values",
                            "Forbidden: may not be specified when `operator` is 'Exists' or"
                                    + " 'DoesNotExist'");
                }
            }
        }
    }

    private static void checkKey(
            final Fields fields, final String field, final String key, final Keys keys) {
        final String bare =
                switch (keys) {
                    case PLAIN -> key;
                    case WITH_SOURCE -> key.substring(key.indexOf(':') + 1);
                };
        for (final String complaint : NameSyntax.labelKey(bare)) {
            fields.error(field, invalid(key, complaint));
        }
    }

    private static String invalid(final String value, final String complaint) {
        return "Invalid value: \"" + value + "\": " + complaint;
    }
}
