package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.ResourceKind;
import io.sluice.control.cli.Output.Format;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
        name = "get",
        description = {
            "Objects in force.",
            "They are from the daemon's folders and from `sluice apply`. Without a kind, all of",
            "them."
        })
final class GetCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private NamespaceOption namespace = new NamespaceOption();
    @Mixin private LabelOption labels = new LabelOption();
    @Mixin private Output output = new Output();

    @Parameters(
            arity = "0..*",
            paramLabel = "KIND NAME",
            description = "A kind, its plural or short name (netpol, cnp, po), and names.")
    private List<String> words = new ArrayList<>();

    GetCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format =
                output.oneOf(
                        Format.TEXT,
                        Format.WIDE,
                        Format.NAME,
                        Format.JSON,
                        Format.JSONL,
                        Format.YAML);
        final ObjectWords asked = ObjectWords.of(words);
        final List<JsonNode> objects = find(daemon.client(console), asked, namespace, labels);
        final List<String> missing = missing(objects, asked);
        if (objects.isEmpty() && missing.isEmpty()) {
            console.note(namespace.noResources());
        }
        switch (format) {
            case TEXT, WIDE -> table(objects, format == Format.WIDE);
            case NAME ->
                    objects.forEach(
                            object ->
                                    console.out()
                                            .println(
                                                    resource(object.path("kind").asText())
                                                            + "/"
                                                            + object.path("name").asText()));
            default -> {
                if (!objects.isEmpty() || missing.isEmpty()) {
                    Output.print(console.out(), format, manifests(objects, asked, format));
                }
            }
        }
        missing.forEach(console::note);
        return missing.isEmpty() ? ExitCode.YES : ExitCode.NO;
    }

    private static String resource(final String kind) {
        return ResourceKind.find(kind)
                .map(ResourceKind::resource)
                .orElse(kind.toLowerCase(Locale.ROOT));
    }

    /** Objects that the words, the namespace and the labels mean. */
    static List<JsonNode> find(
            final ApiClient client,
            final ObjectWords asked,
            final NamespaceOption namespace,
            final LabelOption labels) {
        final List<String> parameters = new ArrayList<>();
        for (final String kind : asked.kinds()) {
            parameters.add("kind=" + ApiClient.encode(kind));
        }
        if (!namespace.isAll()) {
            parameters.add("namespace=" + ApiClient.encode(namespace.name()));
        }
        for (final String name : asked.names()) {
            parameters.add("name=" + ApiClient.encode(name));
        }
        final List<JsonNode> found = new ArrayList<>();
        final Predicate<JsonNode> wanted = labels.filter();
        for (final JsonNode object : client.get("/v1/objects?" + String.join("&", parameters))) {
            if (wanted.test(object.path("labels"))) {
                found.add(object);
            }
        }
        return found;
    }

    /** kubectl's line for each of the names that no object of a kind has. */
    static List<String> missing(final List<JsonNode> found, final ObjectWords asked) {
        final List<String> missing = new ArrayList<>();
        for (final String word : asked.kinds()) {
            final String kind = ResourceKind.find(word).map(ResourceKind::kind).orElse(word);
            for (final String name : asked.names()) {
                if (found.stream()
                        .noneMatch(
                                object ->
                                        object.path("kind").asText().equals(kind)
                                                && object.path("name").asText().equals(name))) {
                    missing.add(ObjectWords.notFound(word, name));
                }
            }
        }
        return missing;
    }

    /** As kubectl: one named object by itself, everything else as a List. */
    private static JsonNode manifests(
            final List<JsonNode> objects, final ObjectWords asked, final Format format) {
        if (objects.size() == 1 && asked.names().size() == 1 && asked.kinds().size() == 1) {
            return objects.getFirst().path("manifest");
        }
        final ArrayNode items = JsonNodeFactory.instance.arrayNode();
        objects.forEach(object -> items.add(object.path("manifest")));
        if (format == Format.JSONL) {
            return items;
        }
        final ObjectNode list = JsonNodeFactory.instance.objectNode();
        list.put("apiVersion", "v1").put("kind", "List").set("items", items);
        return list;
    }

    private void table(final List<JsonNode> objects, final boolean wide) {
        if (objects.isEmpty()) {
            return;
        }
        final List<String> header = new ArrayList<>(List.of("KIND", "NAMESPACE", "NAME", "ORIGIN"));
        if (wide) {
            header.addAll(List.of("SOURCE", "LABELS"));
        }
        final TextTable table = new TextTable(header.toArray(String[]::new));
        for (final JsonNode object : objects) {
            final List<String> row = new ArrayList<>();
            row.add(object.path("kind").asText());
            row.add(object.path("namespace").asText());
            row.add(object.path("name").asText());
            row.add(object.path("origin").asText().toLowerCase(Locale.ROOT));
            if (wide) {
                row.add(object.path("file").asText() + ":" + object.path("line").asText());
                row.add(labelText(object.path("labels"), ","));
            }
            table.row(row.toArray(String[]::new));
        }
        table.print(console.out());
    }

    static String labelText(final JsonNode labels, final String between) {
        final List<String> parts = new ArrayList<>();
        for (final Map.Entry<String, JsonNode> label : labels.properties()) {
            parts.add(label.getKey() + "=" + label.getValue().asText());
        }
        return parts.isEmpty() ? "<none>" : String.join(between, parts);
    }
}
