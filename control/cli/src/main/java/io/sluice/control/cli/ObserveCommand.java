package io.sluice.control.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "observe",
        description = {
            "Recent verdicts, oldest first, as hubble observe prints them.",
            "A filter given several times matches any of its values; different filters must all",
            "match."
        })
final class ObserveCommand implements Callable<Integer> {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Go's durations as far as people write them: 90s, 5m, 1h30m, 2d. */
    private static final Pattern DURATION =
            Pattern.compile("(?:(\\d+)d)?(?:(\\d+)h)?(?:(\\d+)m)?(?:(\\d+)s)?");

    private static final int LAST_DEFAULT = 20;

    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();

    @Option(
            names = "--last",
            paramLabel = "N",
            description = "This many of the latest; default 20.")
    private @Nullable Integer last;

    @Option(names = "--all", description = "All that the daemon still has.")
    private boolean all;

    @Option(
            names = {"-f", "--follow"},
            description = "Go on with new ones until interrupted.")
    private boolean follow;

    @Option(
            names = "--since",
            paramLabel = "TIME",
            description = "Not before this time: 5m, 1h30m ago, or 2026-01-31T10:00:00Z.")
    private @Nullable String since;

    @Option(names = "--until", paramLabel = "TIME", description = "Not after this time.")
    private @Nullable String until;

    @Option(names = "--verdict", description = "FORWARDED, DROPPED, REDIRECTED, AUDIT or ERROR.")
    private List<String> verdict = List.of();

    @Option(
            names = {"-t", "--type"},
            description = "drop, policy-verdict or l7.")
    private List<String> type = List.of();

    @Option(names = "--protocol", description = "tcp, udp, sctp, icmp, icmpv4 or icmpv6.")
    private List<String> protocol = List.of();

    @Option(names = "--drop-reason-desc", description = "Name of a drop reason: POLICY_DENIED.")
    private List<String> dropReason = List.of();

    @Option(
            names = "--all-drops",
            description = {
                "Also drops that every Linux host causes by being there: multicast, and what it",
                "tries at the gateway's address. The JSON forms always have them."
            })
    private boolean allDrops;

    @Option(names = "--traffic-direction", description = "ingress or egress.")
    private List<String> direction = List.of();

    @Option(
            names = "--pod",
            description = "Either side: [NAMESPACE/]NAME, NAME being how the pod's name begins.")
    private List<String> pod = List.of();

    @Option(names = "--from-pod", description = "The source.")
    private List<String> fromPod = List.of();

    @Option(names = "--to-pod", description = "The destination.")
    private List<String> toPod = List.of();

    @Option(
            names = {"-n", "--namespace"},
            description = "Namespace of either side.")
    private List<String> namespace = List.of();

    @Option(names = "--from-namespace", description = "Namespace of the source.")
    private List<String> fromNamespace = List.of();

    @Option(names = "--to-namespace", description = "Namespace of the destination.")
    private List<String> toNamespace = List.of();

    @Option(names = "--ip", description = "Address of either side.")
    private List<String> ip = List.of();

    @Option(names = "--from-ip", description = "Address of the source.")
    private List<String> fromIp = List.of();

    @Option(names = "--to-ip", description = "Address of the destination.")
    private List<String> toIp = List.of();

    @Option(names = "--port", description = "Port of either side.")
    private List<String> port = List.of();

    @Option(names = "--from-port", description = "Port of the source.")
    private List<String> fromPort = List.of();

    @Option(names = "--to-port", description = "Port of the destination.")
    private List<String> toPort = List.of();

    @Option(
            names = {"-l", "--label"},
            description = "Label of either side: app=web, k8s:app=web, or a key alone.")
    private List<String> label = List.of();

    @Option(names = "--from-label", description = "Label of the source.")
    private List<String> fromLabel = List.of();

    @Option(names = "--to-label", description = "Label of the destination.")
    private List<String> toLabel = List.of();

    @Option(names = "--identity", description = "Identity number of either side.")
    private List<String> identity = List.of();

    @Option(names = "--from-identity", description = "Identity number of the source.")
    private List<String> fromIdentity = List.of();

    @Option(names = "--to-identity", description = "Identity number of the destination.")
    private List<String> toIdentity = List.of();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FORMAT",
            description = "compact (default), json, jsonpb, dict or table.")
    private String format = "compact";

    @Option(
            names = {"-j", "--json"},
            description = "Short for -o json.")
    private boolean json;

    @Option(names = "--print-policy-names", description = "Name the policies behind a verdict.")
    private boolean policyNames;

    @Option(names = "--print-node-name", description = "Print the node's name.")
    private boolean nodeName;

    ObserveCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final FlowText text = new FlowText(console.clock().getZone(), policyNames, nodeName);
        final PrintWriter out = console.out();
        final Table table = new Table(text);
        final Consumer<String> printer =
                switch (json ? "json" : format) {
                    // Hubble's json is its jsonpb today; both names stay in use.
                    case "json", "jsonpb" -> out::println;
                    case "compact" -> line -> out.println(text.compact(parse(line)));
                    case "dict" -> new Dict(text)::print;
                    case "table" -> table::add;
                    default ->
                            throw CommandError.usage(
                                    "-o "
                                            + format
                                            + ": unknown format: accepted are compact, json,"
                                            + " jsonpb, dict, table");
                };
        final ApiClient client = daemon.client(console);
        if (follow) {
            client.follow(
                    "/v1/flows" + query(),
                    line -> {
                        printer.accept(line);
                        // A follower wants each line at once; a reader of a closed pipe, no more.
                        if (out.checkError()) {
                            throw CommandError.no("sluice observe: output closed");
                        }
                    });
        } else {
            client.lines("/v1/flows" + query(), printer);
        }
        table.print();
        return ExitCode.YES;
    }

    private boolean isJson() {
        return json || format.equals("json") || format.equals("jsonpb");
    }

    private String query() {
        final List<String> parameters = new ArrayList<>();
        final boolean wide = all || since != null || until != null;
        final int count =
                last != null ? last : wide ? Integer.MAX_VALUE : follow ? 0 : LAST_DEFAULT;
        add(parameters, "last", List.of(Integer.toString(count)));
        if (follow) {
            add(parameters, "follow", List.of("true"));
        }
        add(parameters, "since", time("--since", since));
        add(parameters, "until", time("--until", until));
        add(parameters, "verdict", verdict);
        add(parameters, "type", type);
        add(parameters, "protocol", protocol);
        add(parameters, "drop-reason-desc", dropReason);
        // JSON is for programs, which expect everything, as from hubble; and who names a reason
        // wants it.
        if (!allDrops && !isJson() && dropReason.isEmpty()) {
            add(parameters, "all-drops", List.of("false"));
        }
        add(parameters, "traffic-direction", direction);
        add(parameters, "pod", pod);
        add(parameters, "from-pod", fromPod);
        add(parameters, "to-pod", toPod);
        add(parameters, "namespace", namespace);
        add(parameters, "from-namespace", fromNamespace);
        add(parameters, "to-namespace", toNamespace);
        add(parameters, "ip", ip);
        add(parameters, "from-ip", fromIp);
        add(parameters, "to-ip", toIp);
        add(parameters, "port", port);
        add(parameters, "from-port", fromPort);
        add(parameters, "to-port", toPort);
        add(parameters, "label", label);
        add(parameters, "from-label", fromLabel);
        add(parameters, "to-label", toLabel);
        add(parameters, "identity", identity);
        add(parameters, "from-identity", fromIdentity);
        add(parameters, "to-identity", toIdentity);
        return "?" + String.join("&", parameters);
    }

    private static void add(
            final List<String> parameters, final String name, final List<String> values) {
        for (final String value : values) {
            parameters.add(name + "=" + ApiClient.encode(value));
        }
    }

    private List<String> time(final String option, final @Nullable String text) {
        if (text == null) {
            return List.of();
        }
        final Matcher duration = DURATION.matcher(text);
        if (!text.isEmpty() && duration.matches()) {
            final Duration age =
                    Duration.ofDays(number(duration, 1))
                            .plusHours(number(duration, 2))
                            .plusMinutes(number(duration, 3))
                            .plusSeconds(number(duration, 4));
            return List.of(console.clock().instant().minus(age).toString());
        }
        try {
            return List.of(Instant.parse(text).toString());
        } catch (final DateTimeParseException e) {
            throw CommandError.usage(
                    option
                            + " "
                            + text
                            + ": not a time: a duration as 90s, 5m, 1h30m, or a time as"
                            + " 2026-01-31T10:00:00Z");
        }
    }

    private static long number(final Matcher duration, final int group) {
        return duration.group(group) == null ? 0 : Long.parseLong(duration.group(group));
    }

    private static JsonNode parse(final String line) {
        try {
            return JSON.readTree(line);
        } catch (final JsonProcessingException e) {
            throw CommandError.no("sluice observe: the daemon sent what is not JSON: " + line);
        }
    }

    /** Blocks with a rule between them. */
    private final class Dict {
        private final FlowText text;
        private boolean printed;

        Dict(final FlowText text) {
            this.text = text;
        }

        void print(final String line) {
            if (printed) {
                console.out().println("------------");
            }
            printed = true;
            console.out().println(text.dict(parse(line)));
        }
    }

    /** The columns are as wide as their widest cell, so a followed table prints row by row. */
    private final class Table {
        private static final String[] HEADER = {
            "TIMESTAMP", "SOURCE", "DESTINATION", "TYPE", "VERDICT", "SUMMARY"
        };

        private final FlowText text;
        private final TextTable table = new TextTable(HEADER);
        private boolean used;

        Table(final FlowText text) {
            this.text = text;
        }

        void add(final String line) {
            if (follow) {
                if (!used) {
                    console.out().println(String.join("\t", HEADER));
                }
                console.out().println(String.join("\t", text.cells(parse(line))));
            } else {
                table.row(text.cells(parse(line)));
            }
            used = true;
        }

        void print() {
            if (used && !follow) {
                table.print(console.out());
            }
        }
    }
}
