package io.sluice.control.policy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.composer.Composer;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;
import org.snakeyaml.engine.v2.parser.Parser;
import org.snakeyaml.engine.v2.parser.ParserImpl;
import org.snakeyaml.engine.v2.scanner.StreamReader;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/**
 * YAML (and so JSON) text as documents of located nodes.
 *
 * <p>Reading stops at the composed nodes, which know their line and column; nothing is ever
 * constructed from tags. Before a document is handed out it is walked once with aliases followed,
 * which finds duplicate keys and refuses documents that are too deep or that grow too large by
 * their aliases: whoever walks it later needs no limits of its own. Depth is limited before as
 * well, while the text is parsed, because nodes are composed by recursion: a text of brackets would
 * end in a StackOverflowError. The merge key {@code <<} is understood as kubectl's reader
 * understands it.
 *
 * <p>Thread: any, one text per instance.
 */
final class YamlText {
    /** Kubernetes objects nest about 20 deep; deeper than this is an attack or a mistake. */
    static final int DEPTH_MAX = 100;

    /** A pod has about 200 nodes, so this is a file of 20,000 pods. */
    static final int NODE_COUNT_MAX = 4_000_000;

    private static final String TOO_DEEP = "nested deeper than " + DEPTH_MAX + " levels";

    private static final int CODE_POINT_COUNT_MAX = 256 * 1024 * 1024;

    private static final LoadSettings SETTINGS =
            LoadSettings.builder()
                    .setSchema(new CoreSchema())
                    .setAllowDuplicateKeys(true)
                    .setCodePointLimit(CODE_POINT_COUNT_MAX)
                    // Growth by aliases is bounded below, by what they grow to.
                    .setMaxAliasesForCollections(Integer.MAX_VALUE)
                    .build();

    private final String file;
    private final List<Problem> problems;
    private final Map<MappingNode, Map<String, Node>> entries = new HashMap<>();
    private final Set<MappingNode> reported = new HashSet<>();
    private int nodeCount;
    private boolean limitReported;

    YamlText(final String file, final List<Problem> problems) {
        this.file = file;
        this.problems = problems;
    }

    /** The documents of a text that are not empty; what is wrong with the others is reported. */
    List<Document> documents(final String text) {
        final List<Document> documents = new ArrayList<>();
        try {
            final Parser parser = new ParserImpl(SETTINGS, new StreamReader(SETTINGS, text));
            final Iterator<Node> roots = new Composer(SETTINGS, new ShallowParser(parser));
            while (roots.hasNext()) {
                final Node root = roots.next();
                if (root instanceof final ScalarNode scalar && scalar.getTag().equals(Tag.NULL)) {
                    continue;
                }
                document(root).ifPresent(documents::add);
            }
        } catch (final TooDeepException e) {
            problems.add(Problem.error(e.where.map(this::location).orElse(whole()), "", TOO_DEEP));
        } catch (final MarkedYamlEngineException e) {
            final SourceLocation where =
                    e.getProblemMark().or(e::getContextMark).map(this::location).orElse(whole());
            final String context = e.getContext() == null ? "" : e.getContext() + ": ";
            problems.add(Problem.error(where, "", "not valid YAML: " + context + e.getProblem()));
        } catch (final YamlEngineException e) {
            problems.add(Problem.error(whole(), "", "not valid YAML: " + firstLine(e)));
        }
        return documents;
    }

    /** The events of a text up to the first one that is nested too deep. */
    private static final class ShallowParser implements Parser {
        private final Parser parser;
        private int depth;

        ShallowParser(final Parser parser) {
            this.parser = parser;
        }

        @Override
        public boolean checkEvent(final Event.ID choice) {
            return parser.checkEvent(choice);
        }

        @Override
        public Event peekEvent() {
            return parser.peekEvent();
        }

        @Override
        public boolean hasNext() {
            return parser.hasNext();
        }

        @Override
        public Event next() {
            final Event event = parser.next();
            switch (event.getEventId()) {
                case SequenceStart, MappingStart -> {
                    // The outermost has depth 0, as when the nodes are walked.
                    if (depth > DEPTH_MAX) {
                        throw new TooDeepException(event.getStartMark());
                    }
                    depth++;
                }
                case SequenceEnd, MappingEnd -> depth--;
                default -> {}
            }
            return event;
        }
    }

    private static final class TooDeepException extends YamlEngineException {
        private static final long serialVersionUID = 1L;

        // Read by whoever catches it, in the same call.
        private final transient Optional<Mark> where;

        TooDeepException(final Optional<Mark> where) {
            super(TOO_DEEP);
            this.where = where;
        }
    }

    /** A document whose every node is within limits; faulty ones are read for more problems. */
    record Document(MappingNode root, Map<String, Object> plain, boolean faulty) {}

    private Optional<Document> document(final Node root) {
        if (!(root instanceof final MappingNode mapping)) {
            problems.add(
                    Problem.error(
                            location(root),
                            "",
                            "a document must be an object with apiVersion and kind, not "
                                    + typeName(root)));
            return Optional.empty();
        }
        final int before = problems.size();
        final Object plain = plain(mapping, "", 0);
        return nodeCount > NODE_COUNT_MAX
                ? Optional.empty()
                : Optional.of(new Document(mapping, asObject(plain), problems.size() > before));
    }

    // The tree was built by plain(), whose maps have no other type.
    @SuppressWarnings("unchecked")
    private static Map<String, Object> asObject(final Object plain) {
        return (Map<String, Object>) plain;
    }

    private Object plain(final Node node, final String path, final int depth) {
        nodeCount++;
        if (depth > DEPTH_MAX || nodeCount > NODE_COUNT_MAX) {
            if (!limitReported) {
                limitReported = true;
                problems.add(
                        Problem.error(
                                location(node),
                                path,
                                depth > DEPTH_MAX
                                        ? TOO_DEEP
                                        : "more than " + NODE_COUNT_MAX + " values in one text"));
            }
            nodeCount = NODE_COUNT_MAX + 1;
            return "";
        }
        return switch (node) {
            case final MappingNode mapping -> {
                final Map<String, Object> object = new LinkedHashMap<>();
                for (final Map.Entry<String, Node> entry : entries(mapping, path).entrySet()) {
                    if (!isNull(entry.getValue())) {
                        final String field =
                                path.isEmpty() ? entry.getKey() : path + "." + entry.getKey();
                        object.put(entry.getKey(), plain(entry.getValue(), field, depth + 1));
                    }
                }
                yield Collections.unmodifiableMap(object);
            }
            case final SequenceNode sequence -> {
                final List<Object> list = new ArrayList<>();
                for (final Node item : sequence.getValue()) {
                    list.add(plain(item, path + "[" + list.size() + "]", depth + 1));
                }
                yield Collections.unmodifiableList(list);
            }
            case final ScalarNode scalar -> plainScalar(scalar);
            default -> "";
        };
    }

    private static Object plainScalar(final ScalarNode scalar) {
        final String value = scalar.getValue();
        if (scalar.getTag().equals(Tag.BOOL)) {
            return Boolean.valueOf(value);
        }
        if (scalar.getTag().equals(Tag.INT)) {
            try {
                return Long.decode(value.replace("0o", "0"));
            } catch (final NumberFormatException tooLarge) {
                return value;
            }
        }
        if (scalar.getTag().equals(Tag.FLOAT)) {
            try {
                return Double.valueOf(value);
            } catch (final NumberFormatException notANumber) {
                return value;
            }
        }
        return value;
    }

    /** Keys to values of a mapping, merged mappings included. */
    Map<String, Node> entries(final MappingNode mapping, final String path) {
        final Map<String, Node> known = entries.get(mapping);
        if (known != null) {
            return known;
        }
        final Map<String, Node> own = new LinkedHashMap<>();
        // Set before merged mappings are followed, so that a mapping merged into itself ends.
        entries.put(mapping, own);
        final List<Node> merged = new ArrayList<>();
        for (final NodeTuple tuple : mapping.getValue()) {
            if (!(tuple.getKeyNode() instanceof final ScalarNode key)) {
                problems.add(
                        Problem.error(
                                location(tuple.getKeyNode()), path, "keys must be plain text"));
                continue;
            }
            if (key.getValue().equals("<<") && key.isPlain()) {
                merged.add(tuple.getValueNode());
            } else if (own.putIfAbsent(key.getValue(), tuple.getValueNode()) != null
                    && reported.add(mapping)) {
                problems.add(
                        Problem.error(
                                location(key),
                                path,
                                "key \"" + key.getValue() + "\" is already set in this object"));
            }
        }
        for (final Node source : merged) {
            merge(source, path, own);
        }
        return own;
    }

    private void merge(final Node source, final String path, final Map<String, Node> into) {
        if (source instanceof final MappingNode mapping) {
            entries(mapping, path).forEach(into::putIfAbsent);
        } else if (source instanceof final SequenceNode sequence) {
            for (final Node item : sequence.getValue()) {
                if (item instanceof final MappingNode mapping) {
                    entries(mapping, path).forEach(into::putIfAbsent);
                }
            }
        } else {
            problems.add(
                    Problem.error(location(source), path, "\"<<\" must name an object to merge"));
        }
    }

    void report(final Problem problem) {
        problems.add(problem);
    }

    SourceLocation location(final Node node) {
        return node.getStartMark().map(this::location).orElse(whole());
    }

    private SourceLocation location(final Mark mark) {
        return new SourceLocation(file, mark.getLine() + 1, mark.getColumn() + 1);
    }

    private SourceLocation whole() {
        return SourceLocation.ofFile(file);
    }

    static boolean isNull(final Node node) {
        return node instanceof final ScalarNode scalar && scalar.getTag().equals(Tag.NULL);
    }

    static String typeName(final Node node) {
        return switch (node) {
            case MappingNode _ -> "an object";
            case SequenceNode _ -> "a list";
            case final ScalarNode scalar -> {
                if (scalar.getTag().equals(Tag.INT) || scalar.getTag().equals(Tag.FLOAT)) {
                    yield "the number " + scalar.getValue();
                }
                if (scalar.getTag().equals(Tag.BOOL)) {
                    yield "the boolean " + scalar.getValue();
                }
                yield scalar.getTag().equals(Tag.NULL) ? "null" : "a string";
            }
            default -> "an alias";
        };
    }

    private static String firstLine(final YamlEngineException e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("unknown error");
    }
}
