package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;

/** One page of {@code top} as text. */
final class TopPage {
    private static final String[] PREFIXES = {"", "k", "M", "G", "T"};
    private static final int STEP = 1000;

    private TopPage() {}

    static void print(final PrintWriter out, final JsonNode page) {
        out.println(
                "%s  revision %s  flows %s of %s"
                        .formatted(
                                page.path("node").asText(),
                                page.path("policyRevision").asText(),
                                page.path("flows").asText(),
                                page.path("flowsMax").asText()));
        out.println(
                "in %s p/s %sB/s  forwarded %s p/s %sB/s  answered %s p/s"
                        .formatted(
                                rate(page, "packetsInPerSecond"),
                                rate(page, "bytesInPerSecond"),
                                rate(page, "packetsForwardedPerSecond"),
                                rate(page, "bytesForwardedPerSecond"),
                                rate(page, "packetsAnsweredPerSecond")));
        out.println();
        endpoints(out, page.path("endpoints"));
        out.println();
        talkers(out, page);
        out.println();
        drops(out, page.path("drops"));
    }

    private static void endpoints(final PrintWriter out, final JsonNode endpoints) {
        final TextTable table = new TextTable("ENDPOINT", "STATE", "SENDS p/s", "RECEIVES p/s");
        for (final JsonNode endpoint : endpoints) {
            table.row(
                    endpoint.path("endpoint").asText(),
                    endpoint.path("state").asText(),
                    rate(endpoint, "sentPerSecond"),
                    rate(endpoint, "receivedPerSecond"));
        }
        table.print(out);
    }

    private static void talkers(final PrintWriter out, final JsonNode page) {
        if (!page.path("talkersRead").asBoolean()) {
            out.println("Talkers are not listed: too many flows to read every time.");
            return;
        }
        final TextTable table = new TextTable("FROM", "TO", "PORT", "FLOWS", "p/s", "B/s");
        for (final JsonNode talker : page.path("talkers")) {
            final int port = talker.path("port").asInt();
            final String protocol = talker.path("protocol").asText();
            table.row(
                    talker.path("from").asText(),
                    talker.path("to").asText(),
                    port == 0 ? protocol : port + "/" + protocol,
                    talker.path("flows").asText(),
                    rate(talker, "packetsPerSecond"),
                    rate(talker, "bytesPerSecond"));
        }
        table.print(out);
    }

    private static void drops(final PrintWriter out, final JsonNode drops) {
        final TextTable table = new TextTable("DROPPED", "DIRECTION", "p/s", "B/s", "SINCE START");
        for (final JsonNode drop : drops) {
            table.row(
                    drop.path("reason").asText(),
                    drop.path("direction").asText(),
                    rate(drop, "packetsPerSecond"),
                    rate(drop, "bytesPerSecond"),
                    drop.path("packets").asText());
        }
        table.print(out);
    }

    private static String rate(final JsonNode object, final String field) {
        return rate(object.path(field).asDouble());
    }

    /** Three digits and a decimal prefix: {@code 0}, {@code 12.5}, {@code 940k}, {@code 1.25G}. */
    static String rate(final double perSecond) {
        double value = perSecond;
        int prefix = 0;
        while (value >= STEP - 0.5 && prefix < PREFIXES.length - 1) {
            value /= STEP;
            prefix++;
        }
        final String digits =
                value >= 99.95 || value == Math.rint(value)
                        ? "%.0f".formatted(value)
                        : value >= 9.995 ? "%.1f".formatted(value) : "%.2f".formatted(value);
        return digits + PREFIXES[prefix];
    }
}
