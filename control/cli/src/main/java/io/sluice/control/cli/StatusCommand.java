package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
        name = "status",
        description = {
            "One page about the daemon and what is wrong.",
            "Says which policy revision is live, for every endpoint too."
        })
final class StatusCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();

    StatusCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.YAML);
        final ApiClient client = daemon.client(console);
        final JsonNode status = client.get("/v1/status");
        final JsonNode endpoints = client.get("/v1/endpoints");
        if (format == Format.TEXT) {
            print(status, endpoints);
        } else {
            ((ObjectNode) status).set("endpoints", endpoints);
            Output.print(console.out(), format, status);
        }
        return ExitCode.YES;
    }

    private void print(final JsonNode status, final JsonNode endpoints) {
        final PrintWriter out = console.out();
        final Instant started = Instant.parse(status.path("startedAt").asText());
        line(
                "Sluice",
                status.path("version").asText()
                        + " on node "
                        + status.path("nodeName").asText()
                        + ", pid "
                        + status.path("pid").asText()
                        + ", up "
                        + age(Duration.between(started, console.clock().instant())));
        line("Folders", String.join(", ", texts(status.path("manifestFolders"))));
        line("Run folder", status.path("runFolder").asText());
        line("State folder", status.path("stateFolder").asText());
        line("Uplink", orNone(status.path("uplink").asText()));
        final String l7 = status.path("l7Namespace").asText();
        if (!l7.isEmpty()) {
            line(
                    "L7 proxy",
                    "%d connections, namespace %s"
                            .formatted(status.path("l7Connections").asInt(), l7));
        }
        line(
                "Policy",
                "revision "
                        + status.path("policyRevision").asText()
                        + " since "
                        + status.path("policyPublishedAt").asText()
                        + ", compiled in "
                        + String.format("%.1f ms", status.path("policyCompileNs").asLong() / 1e6));
        final JsonNode confirmation = status.path("confirmation");
        if (confirmation.path("state").asText().equals("PENDING")) {
            line(
                    "Confirmation",
                    "revision %s of the history is undone at %s unless it is confirmed"
                            .formatted(
                                    confirmation.path("revision").asText(),
                                    confirmation.path("until").asText()));
        }
        line("Objects", counts(status.path("objectCounts")));
        line("Endpoints", counts(status.path("endpointCounts")));
        line(
                "Tables",
                status.path("identityCount").asText()
                        + " identities, "
                        + status.path("ipcacheCount").asText()
                        + " ipcache prefixes");
        line("Conntrack", usage(status, "conntrackCount", "conntrackCapacity"));
        line("Memory", memory(status.path("tables")));
        line(
                "Flows",
                usage(status, "flowCount", "flowCapacity")
                        + ", "
                        + status.path("flowsLost").asText()
                        + " lost");
        for (final JsonNode export : status.path("exports")) {
            line(
                    "Export",
                    "%s %s: %d written, %d lost, %d waiting"
                            .formatted(
                                    export.path("destination").asText(),
                                    export.path("target").asText(),
                                    export.path("written").asLong(),
                                    export.path("lost").asLong(),
                                    export.path("waiting").asLong()));
        }
        line("Lanes", lanes(status.path("lanes")));
        line(
                "Packets",
                status.path("packetsIn").asText()
                        + " in = "
                        + status.path("packetsOut").asText()
                        + " out + "
                        + status.path("packetsAnswered").asText()
                        + " answered + "
                        + status.path("packetsDropped").asText()
                        + " dropped");
        if (!endpoints.isEmpty()) {
            out.println();
            final TextTable table =
                    new TextTable("ENDPOINT", "NAME", "STATE", "REVISION", "REASON");
            for (final JsonNode endpoint : endpoints) {
                table.row(
                        endpoint.path("id").asText(),
                        EndpointCommands.name(endpoint),
                        endpoint.path("state").asText(),
                        endpoint.path("policyRevision").asText(),
                        endpoint.path("reason").asText());
            }
            table.print(out);
        }
        final List<String> problems = texts(status.path("problems"));
        out.println();
        out.println("Problems: " + (problems.isEmpty() ? "none" : problems.size()));
        problems.forEach(problem -> out.println("  " + problem));
    }

    private void line(final String name, final String value) {
        console.out().printf("%-14s%s%n", name + ":", value);
    }

    private static String counts(final JsonNode counts) {
        final List<String> parts = new ArrayList<>();
        for (final Map.Entry<String, JsonNode> count : counts.properties()) {
            if (count.getValue().asInt() != 0) {
                parts.add(count.getValue().asText() + " " + count.getKey());
            }
        }
        return parts.isEmpty() ? "none" : String.join(", ", parts);
    }

    private static String lanes(final JsonNode lanes) {
        final List<String> cpus = new ArrayList<>();
        lanes.forEach(lane -> cpus.add(lane.path("cpu").asText()));
        return "%d %s%s"
                .formatted(
                        lanes.size(),
                        lanes.path(0).path("idle").asText(),
                        cpus.contains("") ? "" : ", cpu " + String.join(", ", cpus));
    }

    private static String memory(final JsonNode tables) {
        final List<String> parts = new ArrayList<>();
        for (final JsonNode table : tables) {
            parts.add(
                    "%s %.1f MiB"
                            .formatted(
                                    table.path("name").asText(),
                                    table.path("bytes").asLong() / (double) (1 << 20)));
        }
        return parts.isEmpty() ? "none" : String.join(", ", parts);
    }

    private static String usage(
            final JsonNode status, final String countField, final String capacityField) {
        final long count = status.path(countField).asLong();
        final long capacity = status.path(capacityField).asLong();
        return String.format(
                "%d/%d (%.2f%%)", count, capacity, capacity == 0 ? 0 : 100.0 * count / capacity);
    }

    /** The two largest units, as kubectl prints ages: {@code 3d4h}, {@code 5m12s}. */
    static String age(final Duration age) {
        final long seconds = Math.max(0, age.toSeconds());
        if (seconds < 60) {
            return seconds + "s";
        }
        if (seconds < 3600) {
            return seconds / 60 + "m" + seconds % 60 + "s";
        }
        return seconds < 86_400
                ? seconds / 3600 + "h" + seconds % 3600 / 60 + "m"
                : seconds / 86_400 + "d" + seconds % 86_400 / 3600 + "h";
    }

    static List<String> texts(final JsonNode array) {
        final List<String> texts = new ArrayList<>();
        array.forEach(item -> texts.add(item.asText()));
        return texts;
    }

    static String orNone(final String text) {
        return text.isEmpty() ? "<none>" : text;
    }
}
