package io.sluice.control.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.api.FlowFilter;
import io.sluice.control.agent.api.JsonTree;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Stack;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.IParameterConsumer;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

@Command(
        name = "observe",
        description = {
            "Recent verdicts, oldest first, as hubble observe prints them.",
            "A filter given several times matches any of its values; different filters must all",
            "match."
        })
final class ObserveCommand implements Callable<Integer> {

    private static final int LAST_DEFAULT = 20;

    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();

    @Option(
            names = "--last",
            paramLabel = "N",
            description = "This many of the latest; default 20.")
    private @Nullable Integer last;

    @Option(
            names = "--first",
            paramLabel = "N",
            description = "This many of the oldest, in place of --last.")
    private @Nullable Integer first;

    @Option(names = "--all", description = "All that the daemon still has, on disk as well.")
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
            description = {
                "drop, l7, policy-verdict, or trace: new flows that were let pass, with :to-endpoint,",
                ":to-network, :to-stack or :to-proxy by where they went; end: flows that are no more,",
                "with :closed, :reset, :timed-out, :cut, :evicted or :endpoint-removed by why."
            })
    private List<String> type = List.of();

    @Option(
            names = "--protocol",
            description = "tcp, udp, sctp, icmp, icmpv4, icmpv6; http, dns, kafka or tls.")
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

    @Option(
            names = "--ends",
            description = {
                "Also the ends of flows, with what passed of each. Left out otherwise, so that a",
                "flow is told of once; --type end shows them alone."
            })
    private boolean ends;

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

    @Option(names = "--ip", description = "Address of either side, or a prefix it is in.")
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
            description = {
                "Label of either side: app=web, k8s:app=web, or a key alone; with commas between,",
                "all of them."
            })
    private List<String> label = List.of();

    @Option(names = "--from-label", description = "Label of the source.")
    private List<String> fromLabel = List.of();

    @Option(names = "--to-label", description = "Label of the destination.")
    private List<String> toLabel = List.of();

    @Option(
            names = "--identity",
            description = "Identity of either side: a number, or world, host and so on.")
    private List<String> identity = List.of();

    @Option(names = "--from-identity", description = "Identity number of the source.")
    private List<String> fromIdentity = List.of();

    @Option(names = "--to-identity", description = "Identity number of the destination.")
    private List<String> toIdentity = List.of();

    @Option(
            names = "--fqdn",
            description = {
                "Name that the address of either side was learned from; * stands for any part."
            })
    private List<String> fqdn = List.of();

    @Option(names = "--from-fqdn", description = "Of the source.")
    private List<String> fromFqdn = List.of();

    @Option(names = "--to-fqdn", description = "Of the destination.")
    private List<String> toFqdn = List.of();

    @Option(names = "--http-status", description = "404, or how it begins: 4+, 40+.")
    private List<String> httpStatus = List.of();

    @Option(names = "--http-method", description = "GET and so on.")
    private List<String> httpMethod = List.of();

    @Option(
            names = "--http-path",
            paramLabel = "REGEX",
            description = "Regular expression for a part of the path, without the query.")
    private List<String> httpPath = List.of();

    @Option(
            names = "--http-url",
            paramLabel = "REGEX",
            description = "Regular expression for a part of the URL.")
    private List<String> httpUrl = List.of();

    @Option(
            names = "--http-header",
            paramLabel = "NAME:VALUE",
            description = "Header of the flow's log.")
    private List<String> httpHeader = List.of();

    @Option(
            names = "--tcp-flags",
            paramLabel = "FLAGS",
            description = "SYN,ACK: flags that must be set.")
    private List<String> tcpFlags = List.of();

    @Option(
            names = {"-4", "--ipv4"},
            description = "IPv4 only.")
    private boolean ipv4;

    @Option(
            names = {"-6", "--ipv6"},
            description = "IPv6 only.")
    private boolean ipv6;

    @Option(names = "--node-name", description = "Node that saw it; * stands for any part.")
    private List<String> onNode = List.of();

    @Option(names = "--uuid", description = "Of one flow.")
    private List<String> uuid = List.of();

    @Option(
            names = "--not",
            paramLabel = "FILTER VALUE",
            arity = "1",
            parameterConsumer = Negated.class,
            description = "Hides what the filter that follows matches: --not --from-ip 192.0.2.1.")
    private List<String> negated = new ArrayList<>();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FORMAT",
            description = "compact (default), json, jsonpb, dict, table or tab.")
    private String format = "compact";

    @Option(
            names = {"-j", "--json"},
            description = "Short for -o json.")
    private boolean json;

    @Option(names = "--print-policy-names", description = "Name the policies behind a verdict.")
    private boolean policyNames;

    @Option(names = "--print-node-name", description = "Print the node's name.")
    private boolean nodeName;

    @Option(
            names = "--explain",
            description = {
                "After each flow that policy dropped, or would have: the chain of the policy of now,",
                "as policy eval --explain prints it; in JSON as the member explanation."
            })
    private boolean explain;

    ObserveCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final ApiClient client = daemon.client(console);
        final FlowText text = new FlowText(console.clock().getZone(), policyNames, nodeName);
        final PrintWriter out = console.out();
        final Table table = new Table(text);
        final Consumer<String> plain =
                switch (json ? "json" : format) {
                    // Hubble's json is its jsonpb today; both names stay in use.
                    case "json", "jsonpb" -> out::println;
                    case "compact" -> line -> out.println(text.compact(parse(line)));
                    case "dict" -> new Dict(text)::print;
                    case "table", "tab" -> table::add;
                    default ->
                            throw CommandError.usage(
                                    "-o "
                                            + format
                                            + ": unknown format: accepted are compact, json,"
                                            + " jsonpb, dict, table, tab");
                };
        final Consumer<String> printer = explain ? explained(client, plain) : plain;
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

    /** The same, each flow with its explanation: as lines after it, or in it. */
    private Consumer<String> explained(final ApiClient client, final Consumer<String> plain) {
        if (format.equals("table") || format.equals("tab")) {
            throw CommandError.usage(
                    "--explain: a table has no place for it: accepted are -o compact, dict, json,"
                            + " jsonpb");
        }
        final FlowExplanations explanations = new FlowExplanations(client, !follow);
        return line -> {
            final JsonNode response = parse(line);
            final Optional<JsonNode> answer = explanations.of(response);
            if (answer.isEmpty() || isJson()) {
                answer.ifPresent(found -> ((ObjectNode) response).set("explanation", found));
                plain.accept(answer.isEmpty() ? line : response.toString());
                return;
            }
            plain.accept(line);
            final JsonNode found = answer.get();
            if (found.has("error")) {
                console.out().println("    " + found.path("error").asText());
            } else if (found.path("verdict").asText().equals("FORWARDED")) {
                console.out().println("    the policy of now lets it pass");
            }
            found.path("explanation")
                    .forEach(said -> console.out().println("    " + said.asText()));
        };
    }

    private boolean isJson() {
        return json || format.equals("json") || format.equals("jsonpb");
    }

    private String query() {
        final List<String> parameters = new ArrayList<>();
        final boolean wide = all || since != null || until != null;
        final int count =
                last != null ? last : wide ? Integer.MAX_VALUE : follow ? 0 : LAST_DEFAULT;
        if (first != null && last != null) {
            throw CommandError.usage("--first and --last: one of them at most");
        }
        add(
                parameters,
                first != null ? "first" : "last",
                List.of(Integer.toString(first != null ? first : count)));
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
        if (ends) {
            add(parameters, "ends", List.of("true"));
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
        add(parameters, "fqdn", fqdn);
        add(parameters, "from-fqdn", fromFqdn);
        add(parameters, "to-fqdn", toFqdn);
        add(parameters, "http-status", httpStatus);
        add(parameters, "http-method", httpMethod);
        add(parameters, "http-path", httpPath);
        add(parameters, "http-url", httpUrl);
        add(parameters, "http-header", httpHeader);
        add(parameters, "tcp-flags", tcpFlags);
        add(parameters, "ip-version", ipVersions());
        add(parameters, "node-name", onNode);
        add(parameters, "uuid", uuid);
        parameters.addAll(negated);
        return "?" + String.join("&", parameters);
    }

    private List<String> ipVersions() {
        final List<String> versions = new ArrayList<>();
        if (ipv4) {
            versions.add("4");
        }
        if (ipv6) {
            versions.add("6");
        }
        return versions;
    }

    /** Takes the filter after {@code --not} together with its value, as one parameter. */
    static final class Negated implements IParameterConsumer {
        @Override
        public void consumeParameters(
                final Stack<String> arguments, final ArgSpec not, final CommandSpec command) {
            final String word = arguments.pop();
            final int equals = word.indexOf('=');
            final String flag = equals < 0 ? word : word.substring(0, equals);
            final OptionSpec option = command.findOption(flag);
            final String name = option == null ? "" : option.longestName().replaceFirst("^-+", "");
            if (!FlowFilter.names().contains(name)) {
                throw new ParameterException(
                        command.commandLine(), "--not " + word + ": a filter is expected");
            }
            if (equals < 0 && arguments.isEmpty()) {
                throw new ParameterException(
                        command.commandLine(), "--not " + word + ": its value is missing");
            }
            final String value = equals < 0 ? arguments.pop() : word.substring(equals + 1);
            final List<String> negated = not.getValue();
            negated.add(FlowFilter.NOT + name + "=" + ApiClient.encode(value));
        }
    }

    private static void add(
            final List<String> parameters, final String name, final List<String> values) {
        for (final String value : values) {
            parameters.add(name + "=" + ApiClient.encode(value));
        }
    }

    private List<String> time(final String option, final @Nullable String text) {
        return text == null
                ? List.of()
                : List.of(TimeOption.parse(option, text, console.clock()).toString());
    }

    private static JsonNode parse(final String line) {
        try {
            return JsonTree.read(line);
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
