package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code fqdn}: names that were learned from answers, and what policies ask of them. */
final class FqdnCommands {
    private FqdnCommands() {}

    static CommandLine of(final Console console) {
        return Group.named("fqdn", "Names that were learned from DNS answers.")
                .addSubcommand(new FqdnList(console))
                .addSubcommand(new FqdnNames(console))
                .addSubcommand(new FqdnClean(console));
    }

    @Command(
            name = "list",
            description = {
                "Every address that an endpoint learned from a name, and until when it holds. A",
                "zombie's time is over; it stays while a tracked flow uses it."
            })
    static final class FqdnList implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private StateFolderOption state = new StateFolderOption();
        @Mixin private Output output = new Output();

        FqdnList(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            TableCommands.print(
                    console,
                    () -> state.table(console, daemon, "/v1/fqdn", state::names),
                    output,
                    this::table);
            return ExitCode.YES;
        }

        private void table(final JsonNode names) {
            final TextTable table =
                    new TextTable("NAME", "ADDRESS", "IDENTITY", "ENDPOINT", "EXPIRES", "STATE");
            for (final JsonNode name : names) {
                table.row(
                        name.path("name").asText(),
                        name.path("address").asText(),
                        name.path("identity").asText(),
                        name.path("endpoint").asText(),
                        name.path("expiresAt").asText(),
                        name.path("state").asText());
            }
            table.print(console.out());
        }
    }

    @Command(
            name = "names",
            description = {
                "Every name and pattern that policies name, with the identities and addresses that",
                "were learned under it."
            })
    static final class FqdnNames implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        FqdnNames(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            TableCommands.print(
                    console, daemon.client(console), output, "/v1/fqdn/selectors", this::table);
            return ExitCode.YES;
        }

        private void table(final JsonNode selectors) {
            final TextTable table =
                    new TextTable("SELECTOR", "IDENTITIES", "ADDRESSES", "LEARNED BY");
            for (final JsonNode selector : selectors) {
                final JsonNode learned = selector.path("learned");
                table.row(
                        selector.path("selector").asText(),
                        String.join(",", StatusCommand.texts(selector.path("identities"))),
                        distinct(learned, "address"),
                        distinct(learned, "endpoint"));
            }
            table.print(console.out());
        }

        private static String distinct(final JsonNode rows, final String field) {
            final List<String> values = new ArrayList<>();
            for (final JsonNode row : rows) {
                values.add(row.path(field).asText());
            }
            return String.join(",", values.stream().distinct().toList());
        }
    }

    @Command(
            name = "clean",
            description = {
                "Forgets learned names at once: their addresses are closed, and flows that need them",
                "are cut, until the names are asked for again."
            })
    static final class FqdnClean implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();

        @Option(
                names = {"-p", "--matchpattern"},
                paramLabel = "PATTERN",
                description = "Only names that match, as matchPattern does. Default: all.")
        private String pattern = "*";

        @Option(
                names = "--endpoint",
                paramLabel = "NAMESPACE/NAME",
                description = "Only what this endpoint learned.")
        private @Nullable String endpoint;

        FqdnClean(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Map<String, String> parameters = new TreeMap<>();
            parameters.put("pattern", pattern);
            if (endpoint != null) {
                parameters.put("endpoint", endpoint);
            }
            final JsonNode answer =
                    daemon.client(console).delete("/v1/fqdn" + ApiClient.query(parameters));
            console.out().println("addresses forgotten: " + answer.path("forgotten").asInt());
            return ExitCode.YES;
        }
    }
}
