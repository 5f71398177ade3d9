package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.api.ApiJson;
import java.util.ArrayList;
import java.util.List;
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
    @Mixin private RolloutOptions rollout = new RolloutOptions();
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

    /** Report of the last change. */
    private JsonNode last = ApiJson.newObject();

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
            final ObjectNode request = rollout.request(dryRun);
            request.set("delete", RolloutOptions.manifests(manifests.read(console)));
            last = ask(client, request, changes);
        } else {
            final ObjectWords asked = ObjectWords.of(words);
            if (asked.names().isEmpty()) {
                throw CommandError.usage(
                        "sluice delete "
                                + String.join(",", asked.kinds())
                                + ": which? Give a name");
            }
            if (rollout.isConfirmed() && asked.kinds().size() * asked.names().size() > 1) {
                throw CommandError.usage(
                        "sluice delete: --confirm: one object, or -f: each would be a change that"
                                + " waits");
            }
            for (final String kind : asked.kinds()) {
                for (final String name : asked.names()) {
                    delete(client, kind, name, changes);
                }
            }
        }
        changes.end();
        refused.forEach(console::note);
        return refused.isEmpty() ? rollout.await(console, client, last) : ExitCode.NO;
    }

    private JsonNode ask(
            final ApiClient client, final ObjectNode request, final ApplyCommand.Changes changes) {
        final JsonNode report = client.change(request);
        changes.add(report.path("changes"));
        RolloutOptions.tellCuts(console, dryRun, report.path("cuts"));
        return report;
    }

    /** As kubectl: what is not there, or refused, does not keep the others. */
    private void delete(
            final ApiClient client,
            final String kind,
            final String name,
            final ApplyCommand.Changes changes) {
        final ObjectNode request = rollout.request(dryRun);
        request.putObject("deleteObject")
                .put("kind", kind)
                .put("namespace", namespace)
                .put("name", name);
        try {
            last = ask(client, request, changes);
        } catch (final CommandError e) {
            if (e.exitCode() != ExitCode.NO) {
                throw e;
            }
            refused.add(e.status() == 404 ? ObjectWords.notFound(kind, name) : e.text());
        }
    }
}
