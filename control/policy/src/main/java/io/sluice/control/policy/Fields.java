package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * The fields of one object of a text, asked for one by one.
 *
 * <p>Every question names a field; {@link #rejectOthers} then reports each field that nobody asked
 * for, and lists those that were. So the accepted fields are never written down twice. A field of
 * the wrong type is reported and answered as absent; a null is absent. Problems go to the list that
 * the reader was given: reading goes on after the first.
 *
 * <p>Thread: that of the reader.
 */
public final class Fields {
    private final YamlText text;
    private final String path;
    private final Node node;
    private final Map<String, Node> entries;
    private final Map<String, Object> plain;
    private final boolean faulty;
    private final TreeSet<String> asked = new TreeSet<>();

    private Fields(
            final YamlText text,
            final String path,
            final MappingNode node,
            final Map<String, Object> plain,
            final boolean faulty) {
        this.text = text;
        this.path = path;
        this.node = node;
        this.entries = text.entries(node);
        this.plain = plain;
        this.faulty = faulty;
    }

    /**
     * Reads the documents of a YAML or JSON text, each an object.
     *
     * @param file name for messages
     * @param problems where problems are added
     * @param reader is given one document after the other
     */
    static void forEachDocument(
            final String file,
            final String content,
            final ProblemList problems,
            final Consumer<Fields> reader) {
        final YamlText text = new YamlText(file, problems);
        text.forEachDocument(
                content,
                document ->
                        reader.accept(
                                new Fields(
                                        text,
                                        "",
                                        document.root(),
                                        document.plain(),
                                        document.faulty())));
    }

    /**
     * Reads a text that is no manifest, document by document, as strictly.
     *
     * @param file name for messages
     * @param reader is given one document after the other
     * @return what is wrong, in the order of the text
     */
    public static List<Problem> read(
            final String file, final String content, final Consumer<Fields> reader) {
        final ProblemList problems = new ProblemList();
        forEachDocument(file, content, problems, reader);
        return problems.inOrder(file);
    }

    /** Path of this object in its document; empty for the document itself. */
    public String path() {
        return path;
    }

    /** Path of a field of this object. */
    public String path(final String field) {
        return path.isEmpty() ? field : path + "." + field;
    }

    /** Where this object starts. */
    public SourceLocation where() {
        return text.location(node);
    }

    /** Where the value of a field starts; where this object starts if the field is absent. */
    public SourceLocation where(final String field) {
        final Node value = entries.get(field);
        return text.location(value == null ? node : value);
    }

    /** The object as plain values; only known for a document and for items of a List. */
    Map<String, Object> plain() {
        return plain;
    }

    /** Whether the document has problems of form, such as a key that is set twice. */
    boolean isFaulty() {
        return faulty;
    }

    /** Whether the field is written, and not null. */
    public boolean has(final String field) {
        return value(field).isPresent();
    }

    /** A string, or the other text if absent. */
    public String string(final String field, final String ifAbsent) {
        return value(field).flatMap(value -> string(value, field)).orElse(ifAbsent);
    }

    /** A string that must be there; empty after a report if it is not. */
    public String requiredString(final String field) {
        if (!has(field)) {
            error(field, "Required value");
            return "";
        }
        return string(field, "");
    }

    /** true or false, or the other value if absent. */
    public boolean bool(final String field, final boolean ifAbsent) {
        final Optional<Node> value = value(field);
        if (value.isEmpty()) {
            return ifAbsent;
        }
        if (value.get() instanceof final ScalarNode scalar && scalar.getTag().equals(Tag.BOOL)) {
            final boolean isTrue = Boolean.parseBoolean(scalar.getValue());
            // Of "!!bool yes" only the tag says that it is one.
            if (isTrue || scalar.getValue().equalsIgnoreCase("false")) {
                return isTrue;
            }
        }
        wrongType(field, value.get(), "true or false");
        return ifAbsent;
    }

    /** A whole number of 32 bits; larger ones are reported. */
    public OptionalInt integer(final String field) {
        final Optional<Node> value = value(field);
        if (value.isEmpty()) {
            return OptionalInt.empty();
        }
        if (value.get() instanceof final ScalarNode scalar && scalar.getTag().equals(Tag.INT)) {
            try {
                return OptionalInt.of(Integer.decode(scalar.getValue().replace("0o", "0")));
            } catch (final NumberFormatException tooLarge) {
                error(
                        field,
                        "Invalid value: "
                                + scalar.getValue()
                                + ": must be a whole number of 32 bits");
                return OptionalInt.empty();
            }
        }
        wrongType(field, value.get(), "a whole number");
        return OptionalInt.empty();
    }

    /** A finite number. */
    public OptionalDouble number(final String field) {
        final Optional<Node> value = value(field);
        if (value.isEmpty()) {
            return OptionalDouble.empty();
        }
        if (value.get() instanceof final ScalarNode scalar) {
            final double number = finite(scalar);
            if (!Double.isNaN(number)) {
                return OptionalDouble.of(number);
            }
        }
        wrongType(field, value.get(), "a finite number");
        return OptionalDouble.empty();
    }

    private static double finite(final ScalarNode scalar) {
        try {
            if (scalar.getTag().equals(Tag.INT)) {
                return Long.decode(scalar.getValue().replace("0o", "0"));
            }
            final boolean isFloat = scalar.getTag().equals(Tag.FLOAT);
            final double number = isFloat ? Double.parseDouble(scalar.getValue()) : Double.NaN;
            return Double.isInfinite(number) ? Double.NaN : number;
        } catch (final NumberFormatException notFinite) {
            return Double.NaN;
        }
    }

    /** Text that may be written as a whole number; the number is answered in decimal. */
    public Optional<Text> textOrNumber(final String field) {
        return value(field).flatMap(value -> textOrNumber(value, field));
    }

    /** A list of texts that may be written as whole numbers; absent is empty. */
    public List<Text> textsOrNumbers(final String field) {
        return items(field, (itemField, item) -> textOrNumber(item, itemField));
    }

    private Optional<Text> textOrNumber(final Node value, final String field) {
        if (value instanceof final ScalarNode scalar && scalar.getTag().equals(Tag.INT)) {
            final double number = finite(scalar);
            final String decimal =
                    Double.isNaN(number) ? scalar.getValue() : Long.toString((long) number);
            return Optional.of(new Text(decimal, path(field), text.location(value)));
        }
        return string(value, field).map(v -> new Text(v, path(field), text.location(value)));
    }

    /**
     * Whether a field of {@link #names} says nothing: null, false, or an empty text, list or
     * object. Not a question that {@link #rejectOthers} counts.
     */
    boolean isEmpty(final String field) {
        final Node value = entries.get(field);
        if (value == null || YamlText.isNull(value)) {
            return true;
        }
        return switch (value) {
            case final SequenceNode list -> list.getValue().isEmpty();
            case final MappingNode object -> object.getValue().isEmpty();
            case final ScalarNode scalar ->
                    scalar.getValue().isEmpty()
                            || (scalar.getTag().equals(Tag.BOOL)
                                    && !Boolean.parseBoolean(scalar.getValue()));
            default -> false;
        };
    }

    /** Whether the field is written as a number rather than as text. */
    public boolean isInteger(final String field) {
        return value(field)
                .filter(ScalarNode.class::isInstance)
                .filter(value -> value.getTag().equals(Tag.INT))
                .isPresent();
    }

    /** An object. */
    public Optional<Fields> object(final String field) {
        final Optional<Node> value = value(field);
        if (value.isPresent() && value.get() instanceof final MappingNode mapping) {
            return Optional.of(new Fields(text, path(field), mapping, Map.of(), faulty));
        }
        value.ifPresent(other -> wrongType(field, other, "an object"));
        return Optional.empty();
    }

    /** A list of objects; absent is empty. */
    public List<Fields> objects(final String field) {
        return items(
                field,
                (itemField, item) -> {
                    if (item instanceof final MappingNode mapping) {
                        return Optional.of(
                                new Fields(text, path(itemField), mapping, Map.of(), faulty));
                    }
                    wrongType(itemField, item, "an object");
                    return Optional.empty();
                });
    }

    /** The items of a {@code List}, each with its own plain values and a path of its own. */
    List<Fields> documentsOf(final String field) {
        final List<Fields> documents = new ArrayList<>();
        final Object plainItems = plain.getOrDefault(field, List.of());
        final List<?> plainList = plainItems instanceof final List<?> list ? list : List.of();
        for (final Fields item : objects(field)) {
            final String index = item.path.substring(item.path.lastIndexOf('[') + 1);
            final int position = Integer.parseInt(index.substring(0, index.length() - 1));
            documents.add(
                    new Fields(
                            text,
                            "",
                            (MappingNode) item.node,
                            objectOf(plainList.get(position)),
                            faulty));
        }
        return documents;
    }

    // Plain maps come from YamlText.plain only, which builds them with these types.
    @SuppressWarnings("unchecked")
    private static Map<String, Object> objectOf(final Object plainItem) {
        return (Map<String, Object>) plainItem;
    }

    /** One string of a list, with its place. */
    public record Text(String value, String field, SourceLocation where) {}

    /** A string with its place. */
    Optional<Text> text(final String field) {
        return value(field)
                .flatMap(value -> string(value, field))
                .map(string -> new Text(string, path(field), where(field)));
    }

    /** A string that no message may quote. */
    Optional<String> unquotedText(final String field) {
        final Optional<Node> value = value(field);
        if (value.isPresent()
                && value.get() instanceof final ScalarNode scalar
                && scalar.getTag().equals(Tag.STR)) {
            return Optional.of(scalar.getValue());
        }
        // The type of another value is told with it.
        value.ifPresent(_ -> error(field, "must be a string in quotes"));
        return Optional.empty();
    }

    /** A list of strings; absent is empty. */
    public List<Text> strings(final String field) {
        return items(
                field,
                (itemField, item) ->
                        string(item, itemField)
                                .map(v -> new Text(v, path(itemField), text.location(item))));
    }

    /** An object whose every value is a string, in the order written. */
    public Map<String, Text> stringMap(final String field) {
        final Map<String, Text> strings = new LinkedHashMap<>();
        object(field)
                .ifPresent(
                        object -> {
                            for (final String key : object.entries.keySet()) {
                                final Optional<Node> value = object.value(key);
                                // A null label value is the empty string to the API server.
                                final Optional<String> string =
                                        value.isEmpty()
                                                ? Optional.of("")
                                                : object.string(value.get(), key);
                                string.ifPresent(
                                        v ->
                                                strings.put(
                                                        key,
                                                        new Text(
                                                                v,
                                                                object.path(key),
                                                                object.where(key))));
                            }
                        });
        return strings;
    }

    /** Accepts a field without looking at it. */
    public void ignore(final String... fields) {
        asked.addAll(List.of(fields));
    }

    /** Fields of this object that are written and not null, in the order written. */
    public List<String> names() {
        return entries.entrySet().stream()
                .filter(entry -> !YamlText.isNull(entry.getValue()))
                .map(Map.Entry::getKey)
                .toList();
    }

    /** Items of a list, right or wrong; empty if the field is absent or no list. */
    public OptionalInt itemCount(final String field) {
        return value(field).orElse(node) instanceof final SequenceNode sequence
                ? OptionalInt.of(sequence.getValue().size())
                : OptionalInt.empty();
    }

    /** Reports every field that was not asked for. */
    public void rejectOthers() {
        for (final Map.Entry<String, Node> entry : entries.entrySet()) {
            if (!asked.contains(entry.getKey())) {
                text.report(
                        Problem.error(
                                where(entry.getKey()),
                                path(entry.getKey()),
                                "unknown field \""
                                        + path(entry.getKey())
                                        + "\""
                                        + nearest(entry.getKey(), asked)
                                                .map(name -> ": did you mean \"" + name + "\"?")
                                                .orElse("")
                                        + ": accepted: "
                                        + String.join(", ", asked)));
            }
        }
    }

    public void error(final String field, final String message) {
        text.report(Problem.error(where(field), path(field), message));
    }

    public void warning(final String field, final String message) {
        text.report(Problem.warning(where(field), path(field), message));
    }

    void error(final Text value, final String message) {
        text.report(Problem.error(value.where(), value.field(), message));
    }

    void warning(final Text value, final String message) {
        text.report(Problem.warning(value.where(), value.field(), message));
    }

    void errorAt(final SourceLocation where, final String field, final String message) {
        text.report(Problem.error(where, field, message));
    }

    /** A problem of this object as a whole. */
    public void error(final String message) {
        text.report(Problem.error(where(), path, message));
    }

    private Optional<Node> value(final String field) {
        asked.add(field);
        return Optional.ofNullable(entries.get(field)).filter(value -> !YamlText.isNull(value));
    }

    private Optional<String> string(final Node value, final String field) {
        if (value instanceof final ScalarNode scalar) {
            final Tag tag = scalar.getTag();
            final boolean number = tag.equals(Tag.INT) || tag.equals(Tag.FLOAT);
            if (!number && !tag.equals(Tag.BOOL) && !tag.equals(Tag.NULL)) {
                return Optional.of(scalar.getValue());
            }
            wrongType(field, value, "a string (put \"" + scalar.getValue() + "\" in quotes)");
            return Optional.empty();
        }
        wrongType(field, value, "a string");
        return Optional.empty();
    }

    private <T> List<T> items(
            final String field, final BiFunction<String, Node, Optional<T>> reader) {
        final Optional<Node> value = value(field);
        if (value.isEmpty()) {
            return List.of();
        }
        if (!(value.get() instanceof final SequenceNode sequence)) {
            wrongType(field, value.get(), "a list");
            return List.of();
        }
        final List<T> items = new ArrayList<>();
        int index = 0;
        for (final Node item : sequence.getValue()) {
            reader.apply(field + "[" + index + "]", item).ifPresent(items::add);
            index++;
        }
        return items;
    }

    private void wrongType(final String field, final Node value, final String expected) {
        text.report(
                Problem.error(
                        text.location(value),
                        path(field),
                        "must be " + expected + ", is " + YamlText.typeName(value)));
    }

    /**
     * The accepted name closest to what was written, if it is close enough to be what was meant: at
     * most one edit in three letters.
     */
    public static Optional<String> nearest(final String written, final Iterable<String> accepted) {
        int best = Math.max(1, written.length() / 3) + 1;
        Optional<String> nearest = Optional.empty();
        for (final String name : accepted) {
            // The distance is at least this; a text of a megabyte need not be looked at.
            if (Math.abs(written.length() - name.length()) >= best) {
                continue;
            }
            final int distance = editDistance(written, name);
            if (distance < best) {
                best = distance;
                nearest = Optional.of(name);
            }
        }
        return nearest;
    }

    private static int editDistance(final String a, final String b) {
        int[] previous = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            previous[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            final int[] current = new int[b.length() + 1];
            current[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                final boolean same =
                        Character.toLowerCase(a.charAt(i - 1))
                                == Character.toLowerCase(b.charAt(j - 1));
                final int replaced = previous[j - 1] + (same ? 0 : 1);
                current[j] = Math.min(replaced, Math.min(previous[j], current[j - 1]) + 1);
            }
            previous = current;
        }
        return previous[b.length()];
    }
}
