package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "apply",
        description = {
            "Adds or changes the objects of manifests.",
            "They are live when the command ends. All files are one change: taken wholly or, when",
            "something in one of them is wrong, not at all. Open connections that it cuts are told",
            "on standard error; `sluice policy rollback` undoes it."
        })
final class ApplyCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Manifests manifests = new Manifests();
    @Mixin private DryRun dryRun = new DryRun();
    @Mixin private RolloutOptions rollout = new RolloutOptions();
    @Mixin private Output output = new Output();

    ApplyCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Changes changes = new Changes(console, output, dryRun);
        final ObjectNode request = rollout.request(dryRun);
        request.set("apply", RolloutOptions.manifests(manifests.read(console)));
        final ApiClient client = daemon.client(console);
        final JsonNode report = client.change(request);
        changes.add(report.path("changes"));
        changes.end();
        RolloutOptions.tellCuts(console, dryRun, report.path("cuts"));
        return rollout.await(console, client, report);
    }

    /** What became of objects, in kubectl's words. */
    static final class Changes {
        private final Console console;
        private final Format format;
        private final DryRun dryRun;
        private final ArrayNode all = JsonNodeFactory.instance.arrayNode();

        Changes(final Console console, final Output output, final DryRun dryRun) {
            this.console = console;
            this.format =
                    output.oneOf(Format.TEXT, Format.NAME, Format.JSON, Format.JSONL, Format.YAML);
            this.dryRun = dryRun;
        }

        /** Printed at once: what is done stays done when a later deletion is refused. */
        void add(final JsonNode changes) {
            for (final JsonNode change : changes) {
                all.add(change);
                final String resource = change.path("resource").asText();
                final String name = change.path("name").asText();
                final String outcome = change.path("outcome").asText().toLowerCase(Locale.ROOT);
                if (format == Format.NAME) {
                    console.out().println(resource + "/" + name);
                } else if (format == Format.TEXT) {
                    // kubectl: networkpolicy.networking.k8s.io/x created, but ... "x" deleted
                    console.out()
                            .println(
                                    (outcome.equals("deleted")
                                                    ? resource + " \"" + name + "\" "
                                                    : resource + "/" + name + " ")
                                            + outcome
                                            + dryRun.words());
                }
            }
            console.out().flush();
            for (final JsonNode change : changes) {
                StatusCommand.texts(change.path("warnings")).forEach(console::note);
            }
        }

        void end() {
            if (format != Format.TEXT && format != Format.NAME) {
                Output.print(console.out(), format, all);
            }
        }
    }
}
