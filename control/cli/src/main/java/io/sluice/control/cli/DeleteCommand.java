package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "delete",
        description = "Deletes objects: those that manifests name, or KIND NAME...")
final class DeleteCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Manifests manifests = new Manifests();
    @Mixin private DryRun dryRun = new DryRun();
    @Mixin private Output output = new Output();

    @Option(
            names = {"-n", "--namespace"},
            description = "Namespace of the named objects.")
    private String namespace = "default";

    @Parameters(
            arity = "0..*",
            paramLabel = "KIND NAME",
            description = "A kind, its plural or short name (netpol, cnp, po), and names.")
    private List<String> words = new ArrayList<>();

    private final List<String> refused = new ArrayList<>();

    DeleteCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        if (manifests.isGiven() != words.isEmpty()) {
            throw CommandError.usage("sluice delete: either -f PATH or KIND NAME...");
        }
        final ApplyCommand.Changes changes = new ApplyCommand.Changes(console, output, dryRun);
        final ApiClient client = daemon.client(console);
        if (manifests.isGiven()) {
            for (final Manifests.Text text : manifests.read(console)) {
                changes.add(
                        client.manifest(
                                "/v1/objects/delete"
                                        + ApiClient.query(dryRun.parameters(text.name())),
                                text.content()));
            }
        } else {
            final ObjectWords asked = ObjectWords.of(words);
            if (asked.names().isEmpty()) {
                throw CommandError.usage(
                        "sluice delete "
                                + String.join(",", asked.kinds())
                                + ": which? Give a name");
            }
            for (final String kind : asked.kinds()) {
                for (final String name : asked.names()) {
                    delete(client, kind, name, changes);
                }
            }
        }
        changes.end();
        refused.forEach(console::note);
        return refused.isEmpty() ? ExitCode.YES : ExitCode.NO;
    }

    /** As kubectl: what is not there, or refused, does not keep the others. */
    private void delete(
            final ApiClient client,
            final String kind,
            final String name,
            final ApplyCommand.Changes changes) {
        final Map<String, String> parameters = dryRun.parameters();
        parameters.put("kind", kind);
        parameters.put("namespace", namespace);
        parameters.put("name", name);
        try {
            changes.add(
                    JsonNodeFactory.instance
                            .arrayNode()
                            .add(client.delete("/v1/objects" + ApiClient.query(parameters))));
        } catch (final CommandError e) {
            if (e.exitCode() != ExitCode.NO) {
                throw e;
            }
            refused.add(e.status() == 404 ? ObjectWords.notFound(kind, name) : e.text());
        }
    }
}
