package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code policy requests}: what became of requests, by L7 rule. */
@Command(
        name = "requests",
        description = {
            "Requests that L7 rules of the daemon decided about, by rule. Requests that no rule",
            "allows are denied at the end of a tier, under the first policy that isolates the",
            "endpoint. Rules that policies merge count for the first of them."
        })
final class PolicyRequestsCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();

    PolicyRequestsCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        TableCommands.print(
                console, daemon.client(console), output, "/v1/policy/requests", this::table);
        return ExitCode.YES;
    }

    private void table(final JsonNode rules) {
        final TextTable table =
                new TextTable("POLICY", "RULE", "ALLOWED", "DENIED", "AUDITED", "WHERE");
        for (final JsonNode rule : rules) {
            table.row(
                    policy(rule),
                    rule.path("rule").asText(),
                    rule.path("allowed").asText(),
                    rule.path("denied").asText(),
                    rule.path("audited").asText(),
                    rule.path("file").asText().isEmpty()
                            ? ""
                            : rule.path("file").asText() + ":" + rule.path("line").asText());
        }
        table.print(console.out());
    }

    private static String policy(final JsonNode rule) {
        final String namespace = rule.path("namespace").asText();
        final String name = rule.path("name").asText();
        return (rule.path("kind").asText()
                        + " "
                        + (namespace.isEmpty() ? name : namespace + "/" + name))
                .strip();
    }
}
