package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.Author;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.replay.FlowReplay;
import io.sluice.control.policy.replay.FlowReplay.Answer;
import io.sluice.control.policy.replay.FlowReplay.Change;
import io.sluice.control.policy.replay.FlowTally;
import io.sluice.control.policy.replay.ReplayReport;
import io.sluice.control.policy.replay.ReplayReport.Row;
import io.sluice.control.policy.replay.ReplayWorld;
import io.sluice.control.policy.replay.SeenTraffic;
import java.io.PrintWriter;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "replay",
        description = {
            "What recorded traffic would get under other policies: which flows that passed would be",
            "denied, which that were denied would pass, how often, and by which rule.",
            "",
            "-f is the world as it would be, pods and policies. A pod that it lacks is judged by the",
            "labels in the record. Exit status 0 if all that passed would pass, 1 if something would",
            "be denied, 2 where an argument or a manifest is wrong."
        })
final class PolicyReplayCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Manifests manifests = new Manifests();
    @Mixin private FlowOptions flows = new FlowOptions();
    @Mixin private Output output = new Output();

    @Option(
            names = "--limit",
            paramLabel = "N",
            description = "Rows of the table at most; default 100. The JSON forms have all.")
    private int limit = 100;

    PolicyReplayCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        if (flows.isStandardInput() && manifests.paths().contains("-")) {
            throw CommandError.usage("-: both -f and --flows cannot be standard input");
        }
        final List<Manifests.Text> texts = manifests.read(console);
        // Reading manifests is work for one processor: it goes on beside the flows.
        final FutureTask<OfflinePolicy> given = new FutureTask<>(() -> OfflinePolicy.of(texts));
        Thread.ofPlatform().name("sluice-manifests").daemon().start(given);
        final FlowTally tally = flows.read("sluice policy replay", console);
        final ReplayReport report = report(correct(given), tally);
        switch (format) {
            case TEXT -> text(console.out(), report);
            case JSONL -> {
                report.rows().forEach(row -> console.out().println(json(row)));
                console.out()
                        .println(
                                JsonNodeFactory.instance
                                        .objectNode()
                                        .set("summary", summary(report)));
            }
            default -> {
                final ObjectNode json = summary(report);
                report.rows().forEach(row -> json.withArray("changes").add(json(row)));
                Output.print(console.out(), format, json);
            }
        }
        return report.flows(Change.NOW_DENIED) == 0 ? ExitCode.YES : ExitCode.NO;
    }

    /** Manifests that are wrong are trouble here: status 1 says that they are right and deny. */
    private OfflinePolicy correct(final Future<OfflinePolicy> given) {
        final OfflinePolicy policy = await(given);
        if (!policy.errors().isEmpty()) {
            throw CommandError.usage(policy.errorText());
        }
        policy.problems().forEach(warning -> console.note(warning.toString()));
        return policy;
    }

    private static OfflinePolicy await(final Future<OfflinePolicy> given) {
        try {
            return given.get();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw CommandError.no("sluice policy replay: interrupted");
        } catch (final ExecutionException e) {
            throw new IllegalStateException("manifests could not be read", e.getCause());
        }
    }

    private static ReplayReport report(final OfflinePolicy given, final FlowTally tally) {
        final List<SeenTraffic> traffic = tally.traffic();
        final ReplayWorld world = ReplayWorld.of(given.world(), PolicyOptions.DEFAULTS, traffic);
        final PolicySet policies =
                world.isAsGiven()
                        ? given.policies()
                        : PolicyCompiler.compile(
                                world.world(), new IdentityAllocator(), world.options());
        final FlowReplay replay =
                new FlowReplay(world, new PolicyEvaluator(world.world(), policies));
        final List<Answer> answers = traffic.parallelStream().map(replay::judge).toList();
        return ReplayReport.of(answers, tally.skipped(), world.standIns().size());
    }

    // Text.

    private void text(final PrintWriter out, final ReplayReport report) {
        out.println(
                count(report.flows(), "flow")
                        + ": "
                        + report.unchanged()
                        + " unchanged, "
                        + report.connections(Change.NOW_DENIED)
                        + " now denied, "
                        + report.connections(Change.NOW_ALLOWED)
                        + " now allowed; requests: "
                        + report.requests(Change.NOW_DENIED)
                        + " now denied, "
                        + report.requests(Change.NOW_ALLOWED)
                        + " now allowed");
        if (report.flows(Change.NOW_AUDITED) > 0) {
            out.println(
                    "audited: "
                            + report.flows(Change.NOW_AUDITED)
                            + " would pass only because the policies that deny them are audited");
        }
        if (report.standIns() > 0) {
            out.println(
                    "not in the manifests, judged by recorded labels: "
                            + count(report.standIns(), "pod"));
        }
        report.unknown()
                .forEach(
                        (reason, times) ->
                                out.println("not judged: " + count(times, "flow") + ": " + reason));
        if (!report.skipped().isEmpty()) {
            final List<String> reasons = new ArrayList<>();
            report.skipped().forEach((why, times) -> reasons.add(times + " " + why.text()));
            out.println("left out: " + String.join(", ", reasons));
        }
        if (!report.rows().isEmpty()) {
            out.println();
            table(out, report.rows());
        }
    }

    private void table(final PrintWriter out, final List<Row> rows) {
        final TextTable table =
                new TextTable(
                        "FROM",
                        "TO",
                        "PORT",
                        "REQUEST",
                        "WAS",
                        "NOW",
                        "TIMES",
                        "FIRST SEEN",
                        "LAST SEEN",
                        "BY");
        rows.stream()
                .limit(limit)
                .forEach(
                        row ->
                                table.row(
                                        row.from(),
                                        row.to(),
                                        row.port(),
                                        row.request(),
                                        row.was().name(),
                                        row.now().name(),
                                        Long.toString(row.times()),
                                        time(row.first()),
                                        time(row.last()),
                                        row.by().toString()));
        table.print(out);
        if (rows.size() > limit) {
            out.println("and " + (rows.size() - limit) + " more: --limit");
        }
    }

    /** To the second, as people compare them. */
    private static String time(final Instant time) {
        return time.toString().replaceFirst("\\.\\d+Z$", "Z");
    }

    private static String count(final long number, final String noun) {
        return number + " " + noun + (number == 1 ? "" : "s");
    }

    // JSON.

    private static ObjectNode summary(final ReplayReport report) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("flows", report.flows());
        json.put("unchanged", report.unchanged());
        json.put("nowDenied", report.connections(Change.NOW_DENIED));
        json.put("nowAllowed", report.connections(Change.NOW_ALLOWED));
        json.putObject("requests")
                .put("nowDenied", report.requests(Change.NOW_DENIED))
                .put("nowAllowed", report.requests(Change.NOW_ALLOWED));
        json.put("nowAudited", report.flows(Change.NOW_AUDITED));
        json.put("judgedByRecordedLabels", report.standIns());
        json.putArray("unknown");
        for (final Map.Entry<String, Long> unknown : report.unknown().entrySet()) {
            json.withArray("unknown")
                    .addObject()
                    .put("reason", unknown.getKey())
                    .put("flows", unknown.getValue());
        }
        final ObjectNode skipped = json.putObject("skipped");
        report.skipped().forEach((why, times) -> skipped.put(name(why), times));
        return json;
    }

    private static String name(final Enum<?> constant) {
        final String[] words = constant.name().toLowerCase(Locale.ROOT).split("_", -1);
        final StringBuilder name = new StringBuilder(words[0]);
        for (int i = 1; i < words.length; i++) {
            name.append(Character.toUpperCase(words[i].charAt(0))).append(words[i].substring(1));
        }
        return name.toString();
    }

    private static ObjectNode json(final Row row) {
        final ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("change", name(row.change()));
        json.put("from", row.from());
        json.put("to", row.to());
        json.put("port", row.port());
        if (!row.request().isEmpty()) {
            json.put("request", row.request());
        }
        json.put("was", row.was().name());
        json.put("now", row.now().name());
        json.put("times", row.times());
        json.put("first", row.first().toString());
        json.put("last", row.last().toString());
        if (row.reason() != PolicyEntry.Reason.NONE) {
            json.put("reason", row.reason().name());
        }
        final Author by = row.by();
        final ObjectNode author = json.putObject("by");
        author.put("origin", by.origin().name().toLowerCase(Locale.ROOT).replace('_', '-'));
        if (!by.kind().isEmpty()) {
            author.put("kind", by.simpleKind());
            author.put("namespace", by.namespace());
            author.put("name", by.name());
        }
        if (by.rule() != Author.NO_RULE) {
            author.put("list", by.list());
            author.put("rule", by.rule());
        }
        if (!by.file().isEmpty()) {
            author.put("file", by.file());
            author.put("line", by.line());
        }
        return json;
    }
}
