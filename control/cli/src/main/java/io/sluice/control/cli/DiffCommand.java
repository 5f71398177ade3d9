package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.sluice.control.agent.api.ApiJson;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "diff",
        description = {
            "What apply would change: the objects in force against those of manifests.",
            "",
            "As diff -u, with the fields of both sides in alphabetical order. Exit status 0 where",
            "nothing differs, 1 where something does, 2 where the manifests are wrong. What",
            "connections that makes or breaks says `sluice policy diff`."
        })
final class DiffCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Manifests manifests = new Manifests();

    DiffCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Map<String, JsonNode> live = new HashMap<>();
        for (final JsonNode object : daemon.client(console).get("/v1/objects")) {
            final String name =
                    name(
                            object.path("kind").asText(),
                            object.path("namespace").asText(),
                            object.path("name").asText());
            live.put(name, object.path("manifest"));
        }
        boolean differs = false;
        for (final Manifests.Text text : manifests.read(console)) {
            for (final KubeObject object : read(text).objects()) {
                final String name =
                        name(object.ref().kind(), object.ref().namespace(), object.ref().name());
                final JsonNode wanted = ApiJson.read(ApiJson.write(object.shown()));
                final JsonNode present = live.get(name);
                if (!wanted.equals(present)) {
                    differs = true;
                    console.out().println("--- LIVE/" + name);
                    console.out().println("+++ MERGED/" + name);
                    console.out()
                            .print(
                                    UnifiedDiff.of(
                                            present == null ? "" : Output.yaml(sorted(present)),
                                            Output.yaml(sorted(wanted))));
                }
            }
        }
        return differs ? ExitCode.NO : ExitCode.YES;
    }

    /** The name of an object in the head of a difference. */
    static String name(final String kind, final String namespace, final String name) {
        return kind + "." + (namespace.isEmpty() ? name : namespace + "." + name);
    }

    private static ReadResult read(final Manifests.Text text) {
        final ReadResult result = ManifestReader.read(text.name(), text.content());
        if (result.hasErrors()) {
            throw CommandError.usage(
                    String.join(
                            "\n",
                            result.problems().stream()
                                    .filter(Problem::isError)
                                    .map(Problem::toString)
                                    .toList()));
        }
        return result;
    }

    /** The same with the fields of every object in alphabetical order. */
    static JsonNode sorted(final JsonNode value) {
        if (value.isArray()) {
            final ArrayNode items = JsonNodeFactory.instance.arrayNode();
            value.forEach(item -> items.add(sorted(item)));
            return items;
        }
        if (!value.isObject()) {
            return value;
        }
        final Map<String, JsonNode> fields = new TreeMap<>();
        value.properties().forEach(field -> fields.put(field.getKey(), sorted(field.getValue())));
        return ApiJson.newObject().setAll(fields);
    }
}
