package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
        name = "describe",
        description = "Objects in words: where each comes from, and what it says.")
final class DescribeCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private NamespaceOption namespace = new NamespaceOption();
    @Mixin private LabelOption labels = new LabelOption();
    @Mixin private Output output = new Output();

    @Parameters(
            arity = "1..*",
            paramLabel = "KIND NAME",
            description = "A kind, its plural or short name (netpol, cnp, po), and names.")
    private List<String> words = new ArrayList<>();

    DescribeCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        final ObjectWords asked = ObjectWords.of(words);
        final List<JsonNode> objects =
                GetCommand.find(daemon.client(console), asked, namespace, labels);
        final List<String> missing = GetCommand.missing(objects, asked);
        if (objects.isEmpty() && missing.isEmpty()) {
            console.note(namespace.noResources());
        }
        if (format == Format.TEXT) {
            print(objects);
        } else if (!objects.isEmpty() || missing.isEmpty()) {
            Output.print(
                    console.out(), format, JsonNodeFactory.instance.arrayNode().addAll(objects));
        }
        missing.forEach(console::note);
        return missing.isEmpty() ? ExitCode.YES : ExitCode.NO;
    }

    private void print(final List<JsonNode> objects) {
        boolean first = true;
        for (final JsonNode object : objects) {
            if (!first) {
                console.out().println();
            }
            first = false;
            print(object);
        }
    }

    private void print(final JsonNode object) {
        final PrintWriter out = console.out();
        line("Name", object.path("name").asText());
        line("Namespace", StatusCommand.orNone(object.path("namespace").asText()));
        line("Kind", object.path("kind").asText());
        line("API Version", object.path("apiVersion").asText());
        line("Labels", GetCommand.labelText(object.path("labels"), "\n              "));
        line("Origin", object.path("origin").asText().toLowerCase(Locale.ROOT));
        line("Source", object.path("file").asText() + ":" + object.path("line").asText());
        final ObjectNode rest = object.path("manifest").deepCopy();
        rest.remove(List.of("apiVersion", "kind", "metadata"));
        if (!rest.isEmpty()) {
            out.print(Output.yaml(rest));
        }
    }

    private void line(final String name, final String value) {
        console.out().printf("%-14s%s%n", name + ":", value);
    }
}
