package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.cli.ReachabilityCases.Finding;
import io.sluice.control.cli.ReachabilityCases.Outcome;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "test",
        description = {
            "Do the manifests do what is expected of them? Reads files of cases (-f): connections",
            "and the verdict each must get, judged by the daemon's engine without a daemon.",
            "",
            "--live opens the connections instead, from the namespaces of the daemon's endpoints, as",
            "root. The daemon has its own manifests: those of the cases are not read.",
            "",
            "Every other file of -f is a manifest that is added to those the cases name. Of a folder",
            "with files of cases in it, only these are read.",
            "",
            "Prints a line for every case that fails. Exit status: 0 all passed, 1 some failed, 2 a",
            "file of cases is wrong, or a case makes no sense (there is no such pod)."
        })
final class TestCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Manifests given = new Manifests();
    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();

    @Option(names = "--live", description = "Open real connections instead of judging manifests.")
    private boolean live;

    TestCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        final List<ReachabilityCases> files = new ArrayList<>();
        final List<Manifests.Text> added = new ArrayList<>();
        for (final String path : given.required()) {
            final List<Manifests.Text> texts = Manifests.textsOf(path, console);
            final List<Manifests.Text> ofCases =
                    texts.stream()
                            .filter(text -> ReachabilityCases.areIn(text.name(), text.content()))
                            .toList();
            ofCases.forEach(
                    text -> files.addAll(ReachabilityCases.read(text.name(), text.content())));
            if (ofCases.isEmpty()) {
                added.addAll(texts);
            }
        }
        if (files.isEmpty()) {
            throw CommandError.usage(
                    "sluice test: no cases in "
                            + String.join(", ", given.paths())
                            + ": a file of cases has the field tests, or rejected");
        }
        if (live && !added.isEmpty()) {
            throw CommandError.usage(
                    added.getFirst().name()
                            + ": a manifest: --live takes files of cases only, `sluice apply` gives"
                            + " manifests to the daemon");
        }
        final List<Finding> findings = new ArrayList<>();
        if (live) {
            final LiveProbes probes = new LiveProbes(daemon.client(console));
            files.forEach(cases -> findings.addAll(cases.judge(probes)));
        } else {
            files.forEach(cases -> findings.addAll(cases.judge(policyOf(cases, added))));
        }
        print(format, findings);
        return exitCode(findings);
    }

    private OfflinePolicy policyOf(
            final ReachabilityCases cases, final List<Manifests.Text> added) {
        final List<Manifests.Text> texts = new ArrayList<>(added);
        cases.manifestPaths()
                .forEach(path -> texts.addAll(Manifests.textsOf(path.toString(), console)));
        return OfflinePolicy.of(texts, cases.options());
    }

    private static int exitCode(final List<Finding> findings) {
        if (count(findings, Outcome.ERROR) > 0) {
            return ExitCode.USAGE;
        }
        return count(findings, Outcome.FAILED) > 0 ? ExitCode.NO : ExitCode.YES;
    }

    private static long count(final List<Finding> findings, final Outcome outcome) {
        return findings.stream().filter(finding -> finding.outcome() == outcome).count();
    }

    private void print(final Format format, final List<Finding> findings) {
        final long passed = count(findings, Outcome.PASSED);
        final long notJudged = count(findings, Outcome.NOT_JUDGED);
        final long failed = findings.size() - passed - notJudged;
        switch (format) {
            case TEXT -> {
                findings.stream()
                        .filter(finding -> finding.outcome() != Outcome.PASSED)
                        .forEach(console.out()::println);
                console.out()
                        .println(
                                passed
                                        + " passed, "
                                        + failed
                                        + " failed"
                                        + (live ? ", " + notJudged + " not judged" : ""));
            }
            case JSONL -> Output.print(console.out(), format, tests(findings));
            default -> {
                final ObjectNode report = JsonNodeFactory.instance.objectNode();
                report.put("passed", passed).put("failed", failed);
                if (live) {
                    report.put("notJudged", notJudged);
                }
                report.set("tests", tests(findings));
                Output.print(console.out(), format, report);
            }
        }
    }

    private static ArrayNode tests(final List<Finding> findings) {
        final ArrayNode tests = JsonNodeFactory.instance.arrayNode();
        for (final Finding finding : findings) {
            final ObjectNode test = tests.addObject();
            test.put("file", finding.where().file());
            test.put("line", finding.where().line());
            test.put("name", finding.name());
            test.put(
                    "outcome", finding.outcome().name().toLowerCase(Locale.ROOT).replace('_', '-'));
            if (!finding.message().isEmpty()) {
                test.put("message", finding.message());
            }
        }
        return tests;
    }
}
