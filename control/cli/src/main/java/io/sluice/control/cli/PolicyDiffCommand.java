package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.PolicyDiff;
import io.sluice.control.policy.PolicyDiff.Change;
import io.sluice.control.policy.Problem;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "diff",
        description = {
            "Which connections appear, vanish or change between two sets of manifests.",
            "",
            "Compared is what passes, for all ports, pods, nodes and addresses, not the text of",
            "the manifests. Exit status 0 where nothing differs, 1 where something does, 2 where",
            "the manifests are wrong."
        })
final class PolicyDiffCommand implements Callable<Integer> {
    private static final List<String> COLUMNS =
            List.of("diff-type", "source", "destination", "old", "new", "notes");

    private final Console console;

    @Mixin private Output output = new Output();

    // Not the option of the other commands: that takes all words that follow, OLD and NEW as well.
    @Option(
            names = {"-f", "--filename"},
            paramLabel = "PATH",
            description =
                    "Manifests that both have in common, as pods. May be given several times.")
    private List<String> common = new ArrayList<>();

    @Option(
            names = "--authors",
            description = "Also tell where the same is decided by another policy or rule.")
    private boolean authors;

    @Parameters(index = "0", paramLabel = "OLD", description = "File or folder, - for stdin.")
    private String old = "";

    @Parameters(index = "1", paramLabel = "NEW", description = "File or folder, - for stdin.")
    private String now = "";

    PolicyDiffCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format =
                output.oneOf(
                        Format.TEXT, Format.JSON, Format.JSONL, Format.YAML, Format.CSV, Format.MD);
        final PolicyDiff diff = diff();
        final PrintWriter out = console.out();
        switch (format) {
            case TEXT -> text(out, diff.changes());
            case CSV -> csv(out, diff.changes());
            case MD -> markdown(out, diff.changes());
            default -> Output.print(out, format, json(diff.changes()));
        }
        return diff.isEmpty() ? ExitCode.YES : ExitCode.NO;
    }

    private PolicyDiff diff() {
        final List<String> paths = new ArrayList<>(common);
        paths.addAll(List.of(old, now));
        if (paths.stream().filter("-"::equals).count() > 1) {
            throw CommandError.usage("-: only one of OLD, NEW and -f can be standard input");
        }
        final List<Manifests.Text> shared = Manifests.read(common, console);
        final OfflinePolicy before = policy(old, shared);
        final OfflinePolicy after = policy(now, shared);
        final Set<Problem> warnings = new LinkedHashSet<>(before.problems());
        warnings.addAll(after.problems());
        warnings.forEach(warning -> console.note(warning.toString()));
        return PolicyDiff.of(
                before.world(),
                before.policies(),
                after.world(),
                after.policies(),
                authors ? PolicyDiff.Authors.COMPARED : PolicyDiff.Authors.IGNORED);
    }

    /**
     * Wrong manifests are trouble, as for diff(1): status 1 says that both are right and differ.
     */
    private OfflinePolicy policy(final String path, final List<Manifests.Text> shared) {
        final List<Manifests.Text> texts = new ArrayList<>(shared);
        texts.addAll(Manifests.read(List.of(path), console));
        final OfflinePolicy policy = OfflinePolicy.of(texts);
        if (!policy.errors().isEmpty()) {
            throw CommandError.usage(policy.errorText());
        }
        return policy;
    }

    private static String type(final Change change) {
        return change.type().name().toLowerCase(Locale.ROOT);
    }

    private static String notes(final Change change) {
        return String.join("; ", change.notes());
    }

    private static List<String> cells(final Change change) {
        return List.of(
                type(change),
                change.sources().text(),
                change.destinations().text(),
                change.before(),
                change.after(),
                notes(change));
    }

    /** The form of netpol-analyzer's diff. */
    private static void text(final PrintWriter out, final List<Change> changes) {
        if (changes.isEmpty()) {
            out.println("No connectivity differences");
            return;
        }
        out.println("Connectivity diff:");
        for (final Change change : changes) {
            final List<String> cells = cells(change);
            final List<String> fields = new ArrayList<>();
            for (int i = 0; i < cells.size(); i++) {
                if (!cells.get(i).isEmpty()) {
                    fields.add(COLUMNS.get(i) + ": " + cells.get(i));
                }
            }
            out.println(String.join(", ", fields));
        }
    }

    /** RFC 4180. */
    private static void csv(final PrintWriter out, final List<Change> changes) {
        out.println(String.join(",", COLUMNS));
        for (final Change change : changes) {
            final List<String> quoted = new ArrayList<>();
            for (final String cell : cells(change)) {
                quoted.add(
                        cell.matches("[^,\"\n]*")
                                ? cell
                                : "\"" + cell.replace("\"", "\"\"") + "\"");
            }
            out.println(String.join(",", quoted));
        }
    }

    private static void markdown(final PrintWriter out, final List<Change> changes) {
        out.println("| " + String.join(" | ", COLUMNS) + " |");
        out.println("|---".repeat(COLUMNS.size()) + "|");
        for (final Change change : changes) {
            final String row = String.join(" | ", cells(change));
            out.println("| " + row.replace("*", "\\*") + " |");
        }
    }

    private static ArrayNode json(final List<Change> changes) {
        final ArrayNode all = JsonNodeFactory.instance.arrayNode();
        for (final Change change : changes) {
            final ObjectNode json = all.addObject();
            json.put("diffType", type(change));
            json.put("source", change.sources().text());
            json.put("destination", change.destinations().text());
            json.put("old", change.before());
            json.put("new", change.after());
            change.notes().forEach(json.putArray("notes")::add);
            change.sources().members().forEach(json.putArray("sources")::add);
            change.destinations().members().forEach(json.putArray("destinations")::add);
        }
        return all;
    }
}
