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
import java.util.function.Consumer;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.composer.Composer;
import org.snakeyaml.engine.v2.events.CollectionStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.events.ScalarEvent;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.ReaderException;
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
 * their aliases: whoever walks it later needs no limits of its own. Depth and count are limited
 * before as well, while the text is parsed, because nodes are composed by recursion, all of a
 * document before the first is seen: a text of brackets would end in a StackOverflowError, one of
 * commas in an OutOfMemoryError. The merge key {@code <<} is understood as kubectl's reader
 * understands it; what it merges counts.
 *
 * <p>Thread: any, one text per instance.
 */
final class YamlText {
    /** Kubernetes objects nest about 20 deep; deeper than this is an attack or a mistake. */
    static final int DEPTH_MAX = 100;

    /** A pod has about 200 nodes, so this is a file of 20,000 pods. */
    static final int NODE_COUNT_MAX = 4_000_000;

    /**
     * Characters that count as one value more: long texts cost by their length each time that an
     * alias repeats them. The bound on all, 256 million, is that on the characters of a text.
     */
    private static final int LENGTH_PER_NODE = 64;

    private static final String TOO_DEEP = "nested deeper than " + DEPTH_MAX + " levels";
    private static final String TOO_MANY =
            "more than " + NODE_COUNT_MAX + " values in one text, aliases followed";

    private static final int CODE_POINT_COUNT_MAX = 256 * 1024 * 1024;

    /**
     * A text is read in this many parts. The library copies what it has of a token for each part
     * that it reads more of it: parts of its own choice, of 1024 characters, make the time for one
     * long line the square of its length.
     */
    private static final int PARTS = 16;

    private static final int PART_LENGTH_MIN = 1024;

    private final String file;
    private final ProblemList problems;
    private final Map<MappingNode, Map<String, Node>> entries = new HashMap<>();
    private final Set<MappingNode> reported = new HashSet<>();

    /** Of the node being walked; one for all, as a path per node would be the square of a text. */
    private final StringBuilder path = new StringBuilder();

    private int nodeCount;
    private int mergeDepth;

    private static LoadSettings settings(final String text) {
        return LoadSettings.builder()
                .setSchema(new CoreSchema())
                .setAllowDuplicateKeys(true)
                .setAllowNonScalarKeys(true)
                .setBufferSize(Math.max(PART_LENGTH_MIN, text.length() / PARTS))
                .setCodePointLimit(CODE_POINT_COUNT_MAX)
                // Growth by aliases is bounded below, by what they grow to.
                .setMaxAliasesForCollections(Integer.MAX_VALUE)
                .build();
    }

    YamlText(final String file, final ProblemList problems) {
        this.file = file;
        this.problems = problems;
    }

    /**
     * Hands out the documents of a text that are not empty, one by one; what is wrong with the
     * others is reported.
     */
    void forEachDocument(final String text, final Consumer<Document> reader) {
        try {
            final LoadSettings settings = settings(text);
            final Parser parser = new ParserImpl(settings, new StreamReader(settings, text));
            final Iterator<Node> roots = new NodeComposer(settings, new BoundedParser(parser));
            while (roots.hasNext()) {
                final Node root = roots.next();
                if (root instanceof final ScalarNode scalar && scalar.getTag().equals(Tag.NULL)) {
                    continue;
                }
                document(root).ifPresent(reader);
                entries.clear();
                reported.clear();
            }
        } catch (final RefusedException e) {
            problems.add(
                    Problem.error(
                            e.where.map(this::location).orElse(whole()),
                            path.toString(),
                            String.valueOf(e.getMessage())));
        } catch (final MarkedYamlEngineException e) {
            final SourceLocation where =
                    e.getProblemMark().or(e::getContextMark).map(this::location).orElse(whole());
            final String context = String.valueOf(e.getContext());
            problems.add(
                    Problem.error(
                            where,
                            "",
                            "not valid YAML: "
                                    + (e.getContext() == null || context.isEmpty()
                                            ? ""
                                            : context + ": ")
                                    + e.getProblem()));
        } catch (final ReaderException e) {
            problems.add(
                    Problem.error(
                            location(text, e.getPosition()),
                            "",
                            "not valid YAML: the character U+%04X is not allowed"
                                    .formatted(e.getCodePoint())));
        } catch (final YamlEngineException e) {
            problems.add(Problem.error(whole(), "", "not valid YAML: " + firstLine(e)));
        }
    }

    /** Leaves merging to {@link #entries}: the library's own copies, without bound. */
    private static final class NodeComposer extends Composer {
        NodeComposer(final LoadSettings settings, final Parser parser) {
            super(settings, parser);
        }

        @Override
        protected void composeMappingChildren(
                final List<NodeTuple> children, final MappingNode node) {
            super.composeMappingChildren(children, node);
            node.setHasMergeTag(false);
        }
    }

    /**
     * The events of a text up to the first one that is nested too deep, is one too many, or has a
     * tag that the library would stumble over.
     */
    private static final class BoundedParser implements Parser {
        private final Parser parser;
        private int depth;
        private int count;

        BoundedParser(final Parser parser) {
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
                        throw new RefusedException(TOO_DEEP, event.getStartMark());
                    }
                    depth++;
                    count++;
                }
                case SequenceEnd, MappingEnd -> depth--;
                default -> count++;
            }
            if (count > NODE_COUNT_MAX) {
                throw new RefusedException(TOO_MANY, event.getStartMark());
            }
            final String tag = tag(event);
            if (!tag.equals(tag.trim())) {
                throw new RefusedException("not valid YAML: blank in a tag", event.getStartMark());
            }
            return event;
        }

        private static String tag(final Event event) {
            return switch (event) {
                case final ScalarEvent scalar -> scalar.getTag().orElse("");
                case final CollectionStartEvent collection -> collection.getTag().orElse("");
                default -> "";
            };
        }
    }

    /** Ends the reading of a text: what follows cannot be trusted to be less. */
    private static final class RefusedException extends YamlEngineException {
        private static final long serialVersionUID = 1L;

        // Read by whoever catches it, in the same call.
        private final transient Optional<Mark> where;

        RefusedException(final String message, final Optional<Mark> where) {
            super(message);
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
        final int before = problems.errorCount();
        final Object plain = plain(mapping, 0);
        return Optional.of(new Document(mapping, asObject(plain), problems.errorCount() > before));
    }

    // The tree was built by plain(), whose maps have no other type.
    @SuppressWarnings("unchecked")
    private static Map<String, Object> asObject(final Object plain) {
        return (Map<String, Object>) plain;
    }

    private Object plain(final Node node, final int depth) {
        if (depth > DEPTH_MAX) {
            throw new RefusedException(TOO_DEEP, node.getStartMark());
        }
        count(node, 1);
        final int pathLength = path.length();
        return switch (node) {
            case final MappingNode mapping -> {
                final Map<String, Object> object = new LinkedHashMap<>();
                for (final Map.Entry<String, Node> entry : entries(mapping).entrySet()) {
                    count(entry.getValue(), entry.getKey().length() / LENGTH_PER_NODE);
                    if (!isNull(entry.getValue())) {
                        path.append(pathLength == 0 ? "" : ".").append(entry.getKey());
                        object.put(entry.getKey(), plain(entry.getValue(), depth + 1));
                        path.setLength(pathLength);
                    }
                }
                yield Collections.unmodifiableMap(object);
            }
            case final SequenceNode sequence -> {
                final List<Object> list = new ArrayList<>();
                for (final Node item : sequence.getValue()) {
                    path.append('[').append(list.size()).append(']');
                    list.add(plain(item, depth + 1));
                    path.setLength(pathLength);
                }
                yield Collections.unmodifiableList(list);
            }
            case final ScalarNode scalar -> {
                count(node, scalar.getValue().length() / LENGTH_PER_NODE);
                yield plainScalar(scalar);
            }
            default -> "";
        };
    }

    private void count(final Node node, final int nodes) {
        nodeCount += nodes;
        if (nodeCount > NODE_COUNT_MAX) {
            throw new RefusedException(TOO_MANY, node.getStartMark());
        }
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
    Map<String, Node> entries(final MappingNode mapping) {
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
                report(tuple.getKeyNode(), "keys must be plain text");
                continue;
            }
            if (key.getValue().equals("<<") && key.isPlain()) {
                merged.add(tuple.getValueNode());
            } else if (own.putIfAbsent(key.getValue(), tuple.getValueNode()) != null
                    && reported.add(mapping)) {
                report(key, "key \"" + key.getValue() + "\" is already set in this object");
            }
        }
        // Mappings merged into each other are followed by recursion.
        mergeDepth++;
        if (mergeDepth > DEPTH_MAX) {
            throw new RefusedException(TOO_DEEP, mapping.getStartMark());
        }
        for (final Node source : merged) {
            merge(source, own);
        }
        mergeDepth--;
        return own;
    }

    private void merge(final Node source, final Map<String, Node> into) {
        if (source instanceof final MappingNode mapping) {
            mergeMapping(mapping, into);
        } else if (source instanceof final SequenceNode sequence) {
            for (final Node item : sequence.getValue()) {
                count(item, 1);
                if (item instanceof final MappingNode mapping) {
                    mergeMapping(mapping, into);
                } else {
                    report(item, "\"<<\" must name objects to merge");
                }
            }
        } else {
            report(source, "\"<<\" must name an object to merge");
        }
    }

    private void mergeMapping(final MappingNode mapping, final Map<String, Node> into) {
        final Map<String, Node> source = entries(mapping);
        count(mapping, source.size());
        source.forEach(into::putIfAbsent);
    }

    private void report(final Node node, final String message) {
        problems.add(Problem.error(location(node), path.toString(), message));
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

    /** Only for the one fault of a text that the library tells no line of. */
    private SourceLocation location(final String text, final int codePoints) {
        final String before =
                text.substring(
                        0,
                        text.offsetByCodePoints(
                                0, Math.min(codePoints, text.codePointCount(0, text.length()))));
        final int line = (int) before.chars().filter(c -> c == '\n').count() + 1;
        final String rest = before.substring(before.lastIndexOf('\n') + 1);
        return new SourceLocation(file, line, rest.codePointCount(0, rest.length()) + 1);
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
