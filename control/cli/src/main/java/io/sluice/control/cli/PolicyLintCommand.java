package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.lint.Finding;
import io.sluice.control.policy.lint.Finding.Severity;
import io.sluice.control.policy.lint.LintCheck;
import io.sluice.control.policy.lint.PolicyLint;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "lint",
        description = {
            "Finds pitfalls in policies that are right as text: file:line:column: id: what: what to",
            "do. Exit status 1 if there is an error or a warning, 0 if there is nothing or only info.",
            "A policy silences checks with the annotation sluice.io/lint-ignore: id,id."
        })
final class PolicyLintCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Manifests manifests = new Manifests();
    @Mixin private Output output = new Output();

    @Option(
            names = "--only",
            split = ",",
            paramLabel = "ID",
            description = "Make only these checks.")
    private List<String> only = new ArrayList<>();

    @Option(
            names = "--disable",
            split = ",",
            paramLabel = "ID",
            description = "Leave out these checks.")
    private List<String> disabled = new ArrayList<>();

    @Option(names = "--list", description = "Print all checks with a sentence each, and end.")
    private boolean list;

    PolicyLintCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        final Set<LintCheck> wanted =
                only.isEmpty() ? EnumSet.allOf(LintCheck.class) : checks("--only", only);
        wanted.removeAll(checks("--disable", disabled));
        if (list) {
            printChecks(format, wanted);
            return ExitCode.YES;
        }
        final OfflinePolicy policy = OfflinePolicy.ofCorrect(manifests.read(console), console);
        final List<Finding> findings =
                PolicyLint.lint(policy.world(), PolicyOptions.DEFAULTS, wanted);
        if (format == Format.TEXT) {
            findings.forEach(finding -> console.out().println(finding));
        } else {
            Output.print(console.out(), format, json(findings));
        }
        return findings.stream().allMatch(finding -> finding.severity() == Severity.INFO)
                ? ExitCode.YES
                : ExitCode.NO;
    }

    private static Set<LintCheck> checks(final String option, final List<String> ids) {
        final Set<LintCheck> checks = EnumSet.noneOf(LintCheck.class);
        for (final String id : ids) {
            checks.add(
                    LintCheck.ofId(id)
                            .orElseThrow(
                                    () ->
                                            CommandError.usage(
                                                    option
                                                            + ": unknown check \""
                                                            + id
                                                            + "\""
                                                            + LintCheck.nearestId(id)
                                                                    .map(
                                                                            near ->
                                                                                    ": did you mean "
                                                                                            + near
                                                                                            + "?")
                                                                    .orElse("")
                                                            + ": accepted: "
                                                            + String.join(
                                                                    ", ",
                                                                    Arrays.stream(
                                                                                    LintCheck
                                                                                            .values())
                                                                            .map(LintCheck::id)
                                                                            .toList()))));
        }
        return checks;
    }

    private void printChecks(final Format format, final Set<LintCheck> checks) {
        if (format == Format.TEXT) {
            final TextTable table = new TextTable("ID", "SEVERITY", "FINDS");
            for (final LintCheck check : checks) {
                table.row(check.id(), text(check.severity()), check.sentence());
            }
            table.print(console.out());
            return;
        }
        final ArrayNode array = JsonNodeFactory.instance.arrayNode();
        for (final LintCheck check : checks) {
            array.addObject()
                    .put("id", check.id())
                    .put("severity", text(check.severity()))
                    .put("finds", check.sentence());
        }
        Output.print(console.out(), format, array);
    }

    private static String text(final Severity severity) {
        return severity.name().toLowerCase(Locale.ROOT);
    }

    private static ArrayNode json(final List<Finding> findings) {
        final ArrayNode array = JsonNodeFactory.instance.arrayNode();
        for (final Finding finding : findings) {
            final ObjectNode json = array.addObject();
            json.put("id", finding.check().id());
            json.put("severity", text(finding.severity()));
            json.put("file", finding.where().file());
            json.put("line", finding.where().line());
            json.put("column", finding.where().column());
            json.put("kind", finding.object().kind());
            json.put("namespace", finding.object().namespace());
            json.put("name", finding.object().name());
            json.put("message", finding.message());
            json.put("advice", finding.advice());
        }
        return array;
    }
}
