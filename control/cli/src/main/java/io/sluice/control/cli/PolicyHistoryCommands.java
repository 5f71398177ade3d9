package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code policy history}, {@code rollback} and {@code confirm}. */
final class PolicyHistoryCommands {
    /** Objects that a line of the table names; the others are counted. */
    private static final int NAMED_MAX = 3;

    private PolicyHistoryCommands() {}

    @Command(
            name = "history",
            description = {
                "Changes of applied objects, the newest last; of one, what it changed.",
                "",
                "Objects of watched folders are their files' to change, and not in here; nor is what",
                "`endpoint add` and `endpoint delete` plug in and out."
            })
    static final class History implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        @Parameters(arity = "0..1", paramLabel = "REVISION", description = "Show this one.")
        private String revision = "";

        History(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
            final JsonNode answer =
                    daemon.client(console)
                            .get(
                                    "/v1/policy/history"
                                            + (revision.isEmpty()
                                                    ? ""
                                                    : "/" + number("history", revision)));
            if (format != Format.TEXT) {
                Output.print(console.out(), format, answer);
            } else if (revision.isEmpty()) {
                table(answer);
            } else {
                one(answer);
            }
            return ExitCode.YES;
        }

        private void table(final JsonNode revisions) {
            if (revisions.isEmpty()) {
                console.note("nothing was applied yet");
                return;
            }
            final TextTable table =
                    new TextTable("REVISION", "TIME", "COMMAND", "USER", "FROM", "CHANGED");
            for (final JsonNode revision : revisions) {
                final List<String> changed = new ArrayList<>();
                for (final JsonNode object : revision.path("objects")) {
                    changed.add(
                            name(object)
                                    + " "
                                    + object.path("outcome").asText().toLowerCase(Locale.ROOT));
                }
                table.row(
                        revision.path("revision").asText(),
                        revision.path("at").asText().replaceFirst("\\.\\d+Z$", "Z"),
                        revision.path("command").asText(),
                        StatusCommand.orNone(revision.path("user").asText()),
                        some(StatusCommand.texts(revision.path("sources"))),
                        some(changed));
            }
            table.print(console.out());
        }

        private static String some(final List<String> items) {
            final String named = String.join(", ", items.stream().limit(NAMED_MAX).toList());
            return items.size() <= NAMED_MAX
                    ? named
                    : named + " and " + (items.size() - NAMED_MAX) + " more";
        }

        /** As {@code sluice diff}. */
        private void one(final JsonNode revision) {
            for (final JsonNode object : revision.path("objects")) {
                final String name =
                        DiffCommand.name(
                                object.path("kind").asText(),
                                object.path("namespace").asText(),
                                object.path("name").asText());
                console.out().println("--- BEFORE/" + name);
                console.out().println("+++ AFTER/" + name);
                console.out()
                        .print(
                                UnifiedDiff.of(
                                        text(object.path("before")), text(object.path("after"))));
            }
        }

        private static String text(final JsonNode manifest) {
            return manifest.isEmpty() ? "" : Output.yaml(DiffCommand.sorted(manifest));
        }
    }

    private static String name(final JsonNode object) {
        final String namespace = object.path("namespace").asText();
        return "%s %s%s"
                .formatted(
                        object.path("kind").asText(),
                        namespace.isEmpty() ? "" : namespace + "/",
                        object.path("name").asText());
    }

    private static int number(final String command, final String text) {
        if (!text.matches("[0-9]{1,9}")) {
            throw CommandError.usage(
                    "sluice policy %s %s: a number of `sluice policy history`"
                            .formatted(command, text));
        }
        return Integer.parseInt(text);
    }

    @Command(
            name = "rollback",
            description = {
                "Gives applied objects what they had after a revision; 0 is before the first.",
                "",
                "That is a revision as well, so it can be rolled back itself. While a change waits to",
                "be confirmed, only rolling back to the revision before it is accepted."
            })
    static final class Rollback implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private DryRun dryRun = new DryRun();
        @Mixin private RolloutOptions rollout = new RolloutOptions();
        @Mixin private Output output = new Output();

        @Parameters(paramLabel = "REVISION", description = "A number of `sluice policy history`.")
        private String revision = "";

        Rollback(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final ApplyCommand.Changes changes = new ApplyCommand.Changes(console, output, dryRun);
            final ObjectNode request = rollout.request(dryRun);
            request.put("rollback", number("rollback", revision));
            final ApiClient client = daemon.client(console);
            final JsonNode report = client.change(request);
            changes.add(report.path("changes"));
            changes.end();
            RolloutOptions.tellCuts(console, dryRun, report.path("cuts"));
            return rollout.await(console, client, report);
        }
    }

    @Command(
            name = "confirm",
            description = "Keeps the change that would be undone at its deadline.")
    static final class Confirm implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();

        Confirm(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final JsonNode confirmed =
                    daemon.client(console).post("/v1/policy/confirmation", "application/json", "");
            console.out()
                    .println("revision " + confirmed.path("revision").asText() + " is confirmed");
            return ExitCode.YES;
        }
    }
}
