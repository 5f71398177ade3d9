package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.agent.api.ProbeJson;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.cli.SelectorProbeJson.Syntax;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "selector",
        description = {
            "Tries a selector on labels, or an FQDN pattern (toFQDNs.matchPattern) on a name.",
            "",
            "One (EXPR, or --fqdn): exit status 0 it matches, 1 it does not, or is invalid. Many",
            "(--probes): JSON lines in and out; 0, or 2 when some line made no sense."
        })
final class PolicySelectorCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Output output = new Output();

    @Parameters(
            arity = "0..*",
            paramLabel = "EXPR",
            description = "The selector, in one word: quote it for the shell.")
    private List<String> expressions = new ArrayList<>();

    @Option(
            names = "--type",
            paramLabel = "calico|label",
            description =
                    "How EXPR is written: calico, \"app == 'web' && has(tier)\", the default; label,"
                            + " \"app=web,tier\".")
    private Syntax type = Syntax.CALICO;

    @Option(
            names = {"-l", "--label"},
            split = ",",
            paramLabel = "KEY=VALUE",
            description = "A label to try the selector on; several times, or with commas between.")
    private Map<String, String> labels = new LinkedHashMap<>();

    @Option(names = "--fqdn", paramLabel = "PATTERN", description = "The pattern, as *.example.io.")
    private String fqdn = "";

    @Option(names = "--name", paramLabel = "NAME", description = "The name to try --fqdn on.")
    private String name = "";

    @Option(
            names = "--probes",
            paramLabel = "FILE",
            description = "Probes as JSON lines, - for standard input.")
    private String probes = "";

    PolicySelectorCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final int ways =
                (expressions.isEmpty() ? 0 : 1)
                        + (fqdn.isEmpty() ? 0 : 1)
                        + (probes.isEmpty() ? 0 : 1);
        if (ways != 1) {
            throw usage("one of EXPR, --fqdn PATTERN and --probes FILE");
        }
        if (expressions.size() > 1) {
            throw usage("EXPR is one word: quote it, as in \"has(a) && b == 'c'\"");
        }
        if (fqdn.isEmpty() != name.isEmpty()) {
            throw usage("--fqdn PATTERN and --name NAME go together");
        }
        if (expressions.isEmpty() && !labels.isEmpty()) {
            throw usage("-l goes with EXPR");
        }
        return probes.isEmpty() ? one() : many();
    }

    private static CommandError usage(final String accepted) {
        return CommandError.usage("sluice policy selector: " + accepted);
    }

    private int many() {
        // Both are JSON lines: there is no other form of many.
        output.oneOf(Format.TEXT, Format.JSONL);
        final String lines =
                probes.equals("-")
                        ? Manifests.standardInput(console)
                        : Manifests.content(Path.of(probes));
        final ProbeJson.Answers answers = SelectorProbeJson.answerAll(lines, type);
        console.out().print(answers.lines());
        return answers.errors() == 0 ? ExitCode.YES : ExitCode.USAGE;
    }

    private int one() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        final JsonNode answer =
                fqdn.isEmpty()
                        ? SelectorProbeJson.selector(type, expressions.getFirst(), labels)
                        : SelectorProbeJson.fqdn(fqdn, name);
        if (format != Format.TEXT) {
            Output.print(console.out(), format, answer);
        } else if (answer.path("valid").asBoolean()) {
            console.out()
                    .println(
                            (answer.path("match").asBoolean() ? "MATCH  " : "NO MATCH  ")
                                    + answer.path("canonical").asText());
        } else {
            console.note((fqdn.isEmpty() ? "EXPR: " : "--fqdn: ") + answer.path("error").asText());
        }
        return answer.path("match").asBoolean() ? ExitCode.YES : ExitCode.NO;
    }
}
