package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.agent.api.MatrixJson;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.ProbeException;
import io.sluice.control.policy.ReachabilityMatrix;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "matrix",
        description = {
            "Who reaches whom at one port: rows connect to columns, `.` allowed, `X` denied, `=`",
            "itself."
        })
final class PolicyMatrixCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Manifests manifests = new Manifests();
    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();

    @Option(names = "--live", description = "Ask the daemon instead of reading manifests.")
    private boolean live;

    @Option(
            names = "--port",
            required = true,
            paramLabel = "PORT[/PROTOCOL]",
            description = "80/TCP, 53/UDP, http/TCP, ICMP, ICMPv6; TCP where it does not say.")
    private String port = "";

    PolicyMatrixCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format =
                output.oneOf(
                        Format.TEXT,
                        Format.JSON,
                        Format.JSONL,
                        Format.YAML,
                        Format.CSV,
                        Format.DOT,
                        Format.MD);
        if (live == manifests.isGiven()) {
            throw CommandError.usage("sluice policy matrix: either -f PATH or --live");
        }
        final PortAndProtocol asked = PortAndProtocol.parse(port);
        final JsonNode matrix = live ? ofDaemon(asked) : ofManifests(asked);
        final List<String> names = StatusCommand.texts(matrix.path("endpoints"));
        final List<String> rows = StatusCommand.texts(matrix.path("rows"));
        if (names.isEmpty()) {
            console.note("There are no endpoints.");
        }
        final PrintWriter out = console.out();
        switch (format) {
            case TEXT -> text(out, names, rows);
            case CSV -> csv(out, names, rows);
            case MD -> markdown(out, names, rows);
            case DOT -> dot(out, names, rows);
            default -> Output.print(out, format, matrix);
        }
        return ExitCode.YES;
    }

    private JsonNode ofDaemon(final PortAndProtocol asked) {
        return daemon.client(console)
                .get(
                        "/v1/policy/matrix?protocol="
                                + ApiClient.encode(asked.protocol())
                                + "&port="
                                + ApiClient.encode(asked.port()));
    }

    private JsonNode ofManifests(final PortAndProtocol asked) {
        final OfflinePolicy policy = OfflinePolicy.ofCorrect(manifests.read(console), console);
        try {
            return MatrixJson.of(
                    ReachabilityMatrix.of(
                            policy.world(), policy.evaluator(), asked.protocol(), asked.port()),
                    asked.protocol(),
                    asked.port());
        } catch (final ProbeException e) {
            throw CommandError.usage(String.valueOf(e.getMessage()));
        }
    }

    /** Columns carry the numbers of the rows: names on both sides would not fit a terminal. */
    private static void text(
            final PrintWriter out, final List<String> names, final List<String> rows) {
        final List<String> header = new ArrayList<>(List.of("", "FROM \\ TO"));
        for (int column = 1; column <= names.size(); column++) {
            header.add(Integer.toString(column));
        }
        final TextTable table = new TextTable(header.toArray(String[]::new));
        for (int row = 0; row < names.size(); row++) {
            final List<String> cells =
                    new ArrayList<>(List.of(Integer.toString(row + 1), names.get(row)));
            cells.addAll(cells(rows.get(row)));
            table.row(cells.toArray(String[]::new));
        }
        table.print(out);
    }

    private static List<String> cells(final String row) {
        return row.chars().mapToObj(Character::toString).toList();
    }

    private static void csv(
            final PrintWriter out, final List<String> names, final List<String> rows) {
        out.println("from\\to," + String.join(",", names));
        for (int row = 0; row < names.size(); row++) {
            out.println(names.get(row) + "," + String.join(",", cells(rows.get(row))));
        }
    }

    private static void markdown(
            final PrintWriter out, final List<String> names, final List<String> rows) {
        out.println("| from \\ to | " + String.join(" | ", names) + " |");
        out.println("|---|" + "---|".repeat(names.size()));
        for (int row = 0; row < names.size(); row++) {
            out.println(
                    "| "
                            + names.get(row)
                            + " | "
                            + String.join(" | ", cells(rows.get(row)))
                            + " |");
        }
    }

    /** An arrow for every allowed connection. */
    private static void dot(
            final PrintWriter out, final List<String> names, final List<String> rows) {
        out.println("digraph reachability {");
        for (final String name : names) {
            out.println("  \"" + name + "\";");
        }
        for (int row = 0; row < names.size(); row++) {
            for (int column = 0; column < names.size(); column++) {
                if (rows.get(row).charAt(column) == '.') {
                    out.println("  \"" + names.get(row) + "\" -> \"" + names.get(column) + "\";");
                }
            }
        }
        out.println("}");
    }
}
