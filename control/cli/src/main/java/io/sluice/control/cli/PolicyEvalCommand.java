package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.api.ApiJson;
import io.sluice.control.agent.api.JsonTree;
import io.sluice.control.agent.api.ProbeJson;
import io.sluice.control.agent.api.ProbeStream;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.ProbeException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "eval",
        description = {
            "Would this connection pass, and who says so? The engine is the daemon's, over",
            "manifests (-f) or in the daemon (--live).",
            "",
            "One probe (--from, --to, --port): exit status 0 allowed, 1 denied. Many (--probes):",
            "JSON lines in and out; 0, or 2 when some line made no sense. Manifests that are wrong",
            "are status 1 as well, with the reasons on stderr and no verdict on stdout."
        })
final class PolicyEvalCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Manifests manifests = new Manifests();
    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();
    @Mixin private RequestOptions request = new RequestOptions();

    @Option(names = "--live", description = "Ask the daemon instead of reading manifests.")
    private boolean live;

    @Option(names = "--from", paramLabel = "POD|IP", description = "NAMESPACE/POD or an address.")
    private String from = "";

    @Option(names = "--to", paramLabel = "POD|IP", description = "NAMESPACE/POD or an address.")
    private String to = "";

    @Option(
            names = "--port",
            paramLabel = "PORT[/PROTOCOL]",
            description = "80/TCP, 53/UDP, http/TCP, ICMP, ICMPv6; TCP where it does not say.")
    private String port = "";

    @Option(
            names = "--icmp-type",
            paramLabel = "TYPE[/CODE]",
            description = "ICMP type and code; default: echo request.")
    private String icmpType = "";

    @Option(
            names = "--explain",
            description = "Print the whole chain: who selects, which rules match and why not.")
    private boolean explain;

    @Option(
            names = "--probes",
            paramLabel = "FILE",
            description = "Probes as JSON lines, - for standard input.")
    private String probes = "";

    PolicyEvalCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        if (live == manifests.isGiven()) {
            throw CommandError.usage("sluice policy eval: either -f PATH or --live");
        }
        if (probes.isEmpty()) {
            return one(output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML));
        }
        if (!from.isEmpty()
                || !to.isEmpty()
                || !port.isEmpty()
                || !icmpType.isEmpty()
                || explain
                || request.isGiven()) {
            throw CommandError.usage(
                    "sluice policy eval: --probes stands alone: no --from, --to, --port,"
                            + " --icmp-type, --explain, and nothing about a request");
        }
        // Both are JSON lines: there is no other form of many.
        output.oneOf(Format.TEXT, Format.JSONL);
        return many();
    }

    // Many: JSON lines.

    private int many() {
        if (probes.equals("-") && manifests.paths().contains("-")) {
            throw CommandError.usage("-: both -f and --probes cannot be standard input");
        }
        return live ? manyOfDaemon() : manyOfManifests();
    }

    private int manyOfDaemon() {
        final String lines =
                probes.equals("-")
                        ? Manifests.standardInput(console)
                        : Manifests.content(Path.of(probes));
        final String answers =
                daemon.client(console)
                        .text("POST", "/v1/policy/eval", "application/x-ndjson", lines);
        console.out().print(answers);
        final boolean errors = answers.lines().anyMatch(line -> line.startsWith("{\"error\""));
        return errors ? ExitCode.USAGE : ExitCode.YES;
    }

    private int manyOfManifests() {
        try (Reader lines =
                probes.equals("-")
                        ? new InputStreamReader(console.in(), StandardCharsets.UTF_8)
                        : Manifests.reader(Path.of(probes))) {
            final PolicyEvaluator evaluator =
                    OfflinePolicy.ofCorrect(manifests.read(console), console).evaluator();
            final int errors =
                    ProbeStream.answer(lines, console.out(), evaluator, ProbeJson.Detail.VERDICT);
            return errors == 0 ? ExitCode.YES : ExitCode.USAGE;
        } catch (final IOException e) {
            throw Manifests.unreadable(probes, e);
        }
    }

    // One.

    private int one(final Format format) {
        final ObjectNode line = probeLine();
        final JsonNode answer = live ? ofDaemon(line) : ofManifests(line);
        if (format == Format.TEXT) {
            print(answer, line);
            answer.path("explanation").forEach(step -> console.out().println(step.asText()));
        } else {
            Output.print(console.out(), format, answer);
        }
        return answer.path("allowed").asBoolean() ? ExitCode.YES : ExitCode.NO;
    }

    private JsonNode ofDaemon(final ObjectNode line) {
        final JsonNode answer =
                ApiJson.read(
                        daemon.client(console)
                                .text(
                                        "POST",
                                        "/v1/policy/eval?explain=" + explain,
                                        "application/x-ndjson",
                                        JsonTree.write(line) + "\n"));
        if (answer.has("error")) {
            throw CommandError.usage(answer.path("error").asText());
        }
        return answer;
    }

    private JsonNode ofManifests(final ObjectNode line) {
        final PolicyEvaluator evaluator =
                OfflinePolicy.ofCorrect(manifests.read(console), console).evaluator();
        try {
            return ProbeJson.answer(
                    ProbeJson.read(JsonTree.write(line)),
                    evaluator,
                    explain ? ProbeJson.Detail.EXPLAINED : ProbeJson.Detail.VERDICT);
        } catch (final ProbeException e) {
            throw CommandError.usage(String.valueOf(e.getMessage()));
        }
    }

    /** The options as a probe line, so that one reader checks both. */
    private ObjectNode probeLine() {
        if (from.isEmpty() || to.isEmpty() || port.isEmpty()) {
            throw CommandError.usage(
                    "sluice policy eval: --from, --to and --port are needed, or --probes FILE");
        }
        final PortAndProtocol asked = PortAndProtocol.parse(port);
        final ObjectNode line = ApiJson.newObject();
        line.put("from", from).put("to", to).put("protocol", asked.protocol());
        if (!asked.port().isEmpty()) {
            line.put("port", asked.port());
        }
        if (!icmpType.isEmpty()) {
            if (!IpProtocol.isIcmp(IpProtocol.parse(asked.protocol()))) {
                throw CommandError.usage("--icmp-type: only with --port ICMP or ICMPv6");
            }
            final List<Integer> numbers = new ArrayList<>();
            for (final String number : icmpType.split("/", 2)) {
                numbers.add(octet(number));
            }
            final ObjectNode icmp = line.putObject("icmp").put("type", numbers.getFirst());
            if (numbers.size() == 2) {
                icmp.put("code", numbers.getLast());
            }
        }
        request.addTo(line);
        return line;
    }

    private int octet(final String text) {
        try {
            final int number = Integer.parseInt(text);
            if (number >= 0 && number <= 255) {
                return number;
            }
        } catch (final NumberFormatException e) {
            // Answered below, as a number out of range is.
        }
        throw CommandError.usage(
                "--icmp-type " + icmpType + ": TYPE or TYPE/CODE, each from 0 to 255");
    }

    private void print(final JsonNode answer, final ObjectNode probe) {
        final StringBuilder line = new StringBuilder();
        line.append(answer.path("allowed").asBoolean() ? "ALLOWED" : "DENIED");
        line.append("  ").append(from).append(" -> ").append(to).append("  ");
        line.append(probe.path("protocol").asText());
        if (probe.has("port")) {
            line.append(' ').append(probe.path("port").asText());
        }
        if (answer.has("reason")) {
            line.append("  ").append(answer.path("reason").asText());
        } else if (!answer.path("verdict").asText().equals("FORWARDED")) {
            line.append("  ").append(answer.path("verdict").asText());
        }
        console.out().println(line);
        console.out().println("  egress   " + side(answer.path("egress")));
        console.out().println("  ingress  " + side(answer.path("ingress")));
        if (answer.has("l7")) {
            final JsonNode l7 = answer.path("l7");
            console.out()
                    .println(
                            "  request  "
                                    + (l7.path("allowed").asBoolean()
                                            ? "allowed"
                                            : "denied   " + l7.path("answer").asText()));
        }
        if (answer.has("staged")) {
            console.out()
                    .println(
                            "  staged   "
                                    + (answer.path("staged").path("allowed").asBoolean()
                                            ? "would be allowed"
                                            : "would be denied"));
        }
    }

    private static String side(final JsonNode side) {
        final JsonNode by = side.path("by");
        final String place =
                by.has("file")
                        ? " (" + by.path("file").asText() + ":" + by.path("line").asText() + ")"
                        : "";
        final String policy =
                by.path("kind").asText()
                        + " "
                        + (by.has("namespace") ? by.path("namespace").asText() + "/" : "")
                        + by.path("name").asText();
        final String author =
                switch (by.path("origin").asText()) {
                    case "rule" ->
                            policy
                                    + " "
                                    + by.path("list").asText()
                                    + "["
                                    + by.path("rule").asText()
                                    + "]"
                                    + place;
                    case "end-of-tier" -> "no rule: isolated by " + policy + place;
                    case "own-node" -> "traffic from the endpoint's own node";
                    case "failsafe" -> "failsafe port of " + policy + place;
                    case "end-of-profiles" ->
                            policy + ": no policy and no profile allows it" + place;
                    case "missing-profile" -> policy + " of the host endpoint is not there";
                    case "self" -> "a pod to itself";
                    case "not-an-endpoint" -> "not an endpoint: nothing to enforce";
                    default -> "default: no policy selects the endpoint";
                };
        return (side.path("allowed").asBoolean() ? "allowed" : "denied ") + "  " + author;
    }
}
