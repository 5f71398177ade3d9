package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.api.ApiJson;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Option;

/**
 * How a change of objects is made: asked of the daemon as one, with the open flows that it cuts
 * told on standard error, and undone by the daemon unless it is confirmed where that is wanted.
 *
 * <p>The command that waits for a confirmation only watches: the deadline is the daemon's, whatever
 * becomes of the command, its terminal, or its connection.
 */
final class RolloutOptions {
    private static final Pattern DURATION =
            Pattern.compile("(?:(\\d{1,6})h)?(?:(\\d{1,6})m)?(?:(\\d{1,6})s)?");

    @Option(
            names = "--refuse-cuts",
            description = "Change nothing when that would cut connections that are open.")
    private boolean refuseCuts;

    @Option(
            names = "--confirm",
            paramLabel = "TIME",
            description = {
                "The daemon undoes the change after this time (60s, 5m) unless",
                "`sluice policy confirm` was called. Waits until either happens."
            })
    private String confirm = "";

    @Option(names = "--no-wait", description = "With --confirm: end at once. The deadline stays.")
    private boolean noWait;

    RolloutOptions() {}

    boolean isConfirmed() {
        return !confirm.isEmpty();
    }

    /** The body of a request for a change; {@code what} is still to be put in. */
    ObjectNode request(final DryRun dryRun) {
        if (noWait && !isConfirmed()) {
            throw CommandError.usage("--no-wait: only with --confirm");
        }
        if (dryRun.isOn() && isConfirmed()) {
            throw CommandError.usage(
                    "--confirm: a dry run changes nothing that could be confirmed");
        }
        final ObjectNode request = ApiJson.newObject();
        request.put("dryRun", dryRun.isOn());
        request.put("refuseCuts", refuseCuts);
        if (isConfirmed()) {
            request.put("confirmSeconds", seconds(confirm));
        }
        return request;
    }

    /** Manifests as the API takes them. */
    static ArrayNode manifests(final List<Manifests.Text> texts) {
        final ArrayNode manifests = ApiJson.newObject().putArray("manifests");
        for (final Manifests.Text text : texts) {
            manifests.addObject().put("source", text.name()).put("text", text.content());
        }
        return manifests;
    }

    private static long seconds(final String text) {
        final Matcher parts = DURATION.matcher(text);
        if (!parts.matches()) {
            throw CommandError.usage("--confirm " + text + ": not a time: as 60s, 5m, 1h30m");
        }
        return number(parts, 1) * 3600 + number(parts, 2) * 60 + number(parts, 3);
    }

    private static long number(final Matcher parts, final int group) {
        return parts.group(group) == null ? 0 : Long.parseLong(parts.group(group));
    }

    /** Says which open flows are cut. */
    static void tellCuts(final Console console, final DryRun dryRun, final JsonNode cuts) {
        final String problem = cuts.path("problem").asText();
        if (!problem.isEmpty()) {
            console.note("warning: " + problem);
        }
        final int cut = cuts.path("cut").asInt();
        if (cut == 0) {
            return;
        }
        console.note(
                "warning: %d of %d open flows %s cut%s:"
                        .formatted(
                                cut,
                                cuts.path("open").asInt(),
                                dryRun.isOn() ? "would be" : "are",
                                dryRun.words()));
        int listed = 0;
        for (final JsonNode pair : cuts.path("pairs")) {
            final int flows = pair.path("flows").asInt();
            listed += flows;
            console.note("  " + line(pair, flows));
        }
        if (listed < cut) {
            console.note("  and %d more flows".formatted(cut - listed));
        }
    }

    private static String line(final JsonNode pair, final int flows) {
        final int port = pair.path("port").asInt();
        final String protocol = pair.path("protocol").asText();
        final String by = pair.path("by").asText();
        final String reason =
                switch (pair.path("reason").asText()) {
                    case "EGRESS_DENIED" -> "egress denied";
                    case "INGRESS_DENIED" -> "ingress denied";
                    case "READ_FROM_NOW_ON" -> "reset, to be read by the L7 proxy from now on";
                    case "UNPLUGGED" -> "endpoint unplugged";
                    default -> pair.path("reason").asText();
                };
        return "%s -> %s %s: %d flow%s: %s%s"
                .formatted(
                        pair.path("from").asText(),
                        pair.path("to").asText(),
                        port == 0 ? protocol : port + "/" + protocol,
                        flows,
                        flows == 1 ? "" : "s",
                        reason,
                        by.isEmpty() ? "" : ": " + by);
    }

    /**
     * Says until when a change has to be confirmed, and waits for what becomes of it.
     *
     * @param report of the change
     * @return exit status: no, where it was undone
     */
    int await(final Console console, final ApiClient client, final JsonNode report) {
        final int revision = report.path("revision").asInt();
        if (!isConfirmed()) {
            return ExitCode.YES;
        }
        if (revision == 0) {
            console.note("nothing has changed, so there is nothing to confirm");
            return ExitCode.YES;
        }
        console.note(
                "revision %d is undone at %s unless it is confirmed: sluice policy confirm"
                        .formatted(revision, report.path("confirmation").path("until").asText()));
        if (noWait) {
            return ExitCode.YES;
        }
        final String[] state = {""};
        client.follow(
                "/v1/policy/confirmation?follow=true",
                line -> {
                    final JsonNode now = ApiJson.read(line);
                    if (now.path("revision").asInt() == revision) {
                        state[0] = now.path("state").asText();
                    }
                });
        return switch (state[0]) {
            case "CONFIRMED" -> {
                console.note("revision %d is confirmed".formatted(revision));
                yield ExitCode.YES;
            }
            case "UNDONE" -> {
                console.note("revision %d was not confirmed: undone".formatted(revision));
                yield ExitCode.NO;
            }
            default ->
                    throw CommandError.unreachable(
                            "sluice: the daemon ended before revision %d was confirmed: it is undone at its time"
                                    .formatted(revision));
        };
    }
}
