package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.agent.api.ApiJson;
import io.sluice.control.cli.Output.Format;
import java.io.PrintWriter;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "trace",
        description = {
            "Live packets, step by step: where each came from, what it is, what conntrack and both",
            "policies say to it, by which rule, and where it goes or why it is dropped.",
            "",
            "EXPR is a small part of pcap's: tcp, udp, sctp, icmp, icmp6, arp, ip, ip6,",
            "[src|dst] host ADDRESS, [src|dst] port NUMBER, [src|dst] pod NAMESPACE/NAME,",
            "and, or, not, ( ).",
            "",
            "Exit status 0 when --count packets were seen, 1 when the time was over before."
        })
final class TraceCommand implements Callable<Integer> {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("HH:mm:ss.SSSSSS", Locale.ROOT);

    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();

    @Option(
            names = "--match",
            paramLabel = "EXPR",
            description = "Which packets: 'tcp and port 443'; every one unless told.")
    private String match = "";

    @Option(
            names = "--count",
            paramLabel = "N",
            description = "Ends after this many packets; default 10.")
    private int count = 10;

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            description = "Ends after this long; default 60, at most 3600.")
    private int timeoutSeconds = 60;

    TraceCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL);
        final Ending ending = new Ending();
        daemon.client(console)
                .follow(
                        "/v1/trace"
                                + ApiClient.query(
                                        Map.of(
                                                "match",
                                                match,
                                                "count",
                                                "" + count,
                                                "timeout",
                                                "" + timeoutSeconds)),
                        line -> print(ApiJson.read(line), format, ending));
        return ending.isByCount ? ExitCode.YES : ExitCode.NO;
    }

    /** What the last line said. */
    private static final class Ending {
        private boolean isByCount;
    }

    private void end(final JsonNode line, final Ending ending) {
        ending.isByCount = line.path("ended").asText().equals("count");
        if (!ending.isByCount) {
            console.note(
                    "sluice trace: "
                            + line.path("packets").asText()
                            + " of "
                            + count
                            + " packets after "
                            + timeoutSeconds
                            + " s");
        }
        if (line.path("lost").asLong() != 0) {
            console.note(
                    "sluice trace: "
                            + line.path("lost").asText()
                            + " packets lost: they came faster than they were read");
        }
    }

    private void print(final JsonNode line, final Format format, final Ending ending) {
        final PrintWriter out = console.out();
        if (line.has("ended")) {
            end(line, ending);
            return;
        }
        if (format == Format.TEXT) {
            out.println(
                    TIME.format(
                                    Instant.parse(line.path("time").asText())
                                            .atZone(console.clock().getZone()))
                            + "  "
                            + line.path("summary").asText());
            for (final JsonNode step : line.path("steps")) {
                out.printf("  %-10s %s%n", step.path("step").asText(), step.path("text").asText());
            }
        } else {
            // One object a line in both forms: a trace has no end that a list could close.
            out.println(line);
        }
        // Live packets are to be seen at once; a reader that has gone wants no more.
        if (out.checkError()) {
            throw CommandError.no("sluice trace: output closed");
        }
    }
}
