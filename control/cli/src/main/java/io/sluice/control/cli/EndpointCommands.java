package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.Audit;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code sluice endpoint}: what is plugged into the switch. */
final class EndpointCommands {
    private EndpointCommands() {}

    /**
     * @param asked the command that is asked for; see {@link Group#addAsked}
     */
    static CommandLine of(final Console console, final String asked) {
        final Map<String, Supplier<Object>> all = new LinkedHashMap<>();
        all.put("list", () -> new ListAll(console));
        all.put("get", () -> new Get(console));
        all.put("add", () -> new Add(console));
        all.put("delete", () -> new Delete(console));
        all.put("config", () -> new Config(console));
        return Group.addAsked(
                Group.named("endpoint", "Endpoints: what is plugged into the switch."), all, asked);
    }

    /** {@code namespace/name}. */
    static String name(final JsonNode endpoint) {
        return endpoint.path("namespace").asText() + "/" + endpoint.path("name").asText();
    }

    /** Path of one endpoint, given by number, {@code name} or {@code namespace/name}. */
    private static String target(final String ref, final String namespace) {
        final boolean qualified = ref.contains("/") || ref.chars().allMatch(Character::isDigit);
        final String full = qualified ? ref : namespace + "/" + ref;
        final List<String> segments = new ArrayList<>();
        for (final String segment : full.split("/", -1)) {
            segments.add(ApiClient.encode(segment));
        }
        return "/v1/endpoints/" + String.join("/", segments);
    }

    private static String enforcement(final JsonNode enforced) {
        return enforced.asBoolean() ? "Enabled" : "Disabled";
    }

    private static String address(final JsonNode endpoint, final boolean ipv6) {
        for (final JsonNode address : endpoint.path("addresses")) {
            if (address.asText().contains(":") == ipv6) {
                return address.asText();
            }
        }
        return "";
    }

    @Command(name = "list", description = "Every endpoint of the node.")
    static final class ListAll implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private LabelOption labels = new LabelOption();
        @Mixin private Output output = new Output();

        @Option(
                names = {"-n", "--namespace"},
                description = "Only this namespace; default: all.")
        private String namespace = "";

        ListAll(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Format format =
                    output.oneOf(Format.TEXT, Format.WIDE, Format.JSON, Format.JSONL, Format.YAML);
            final ArrayNode endpoints = JsonNodeFactory.instance.arrayNode();
            for (final JsonNode endpoint : daemon.client(console).get("/v1/endpoints")) {
                final String own = endpoint.path("namespace").asText();
                if ((namespace.isEmpty() || namespace.equals(own))
                        && labels.filter().test(plainLabels(endpoint))) {
                    endpoints.add(endpoint);
                }
            }
            if (format == Format.TEXT || format == Format.WIDE) {
                table(endpoints, format == Format.WIDE);
            } else {
                Output.print(console.out(), format, endpoints);
            }
            return ExitCode.YES;
        }

        /** {@code k8s:app=web} as a Pod writes it: {@code app: web}. */
        private static JsonNode plainLabels(final JsonNode endpoint) {
            final ObjectNode labels = JsonNodeFactory.instance.objectNode();
            for (final JsonNode label : endpoint.path("labels")) {
                final String text = label.asText().substring(label.asText().indexOf(':') + 1);
                final int equal = text.indexOf('=');
                labels.put(
                        equal < 0 ? text : text.substring(0, equal),
                        equal < 0 ? "" : text.substring(equal + 1));
            }
            return labels;
        }

        private void table(final JsonNode endpoints, final boolean wide) {
            if (endpoints.isEmpty()) {
                console.note("No endpoints.");
                return;
            }
            final List<String> header =
                    new ArrayList<>(
                            List.of(
                                    "ENDPOINT",
                                    "NAME",
                                    "POLICY (ingress)",
                                    "POLICY (egress)",
                                    "IDENTITY",
                                    "IPv4",
                                    "IPv6",
                                    "STATUS"));
            if (wide) {
                header.addAll(List.of("REVISION", "NETNS", "DEVICE", "MTU", "MAC", "LABELS"));
            }
            final TextTable table = new TextTable(header.toArray(String[]::new));
            for (final JsonNode endpoint : endpoints) {
                final List<String> row = new ArrayList<>();
                row.add(endpoint.path("id").asText());
                row.add(name(endpoint));
                row.add(enforcement(endpoint.path("ingressEnforced")));
                row.add(enforcement(endpoint.path("egressEnforced")));
                row.add(endpoint.path("identity").asText());
                row.add(address(endpoint, false));
                row.add(address(endpoint, true));
                row.add(endpoint.path("state").asText());
                if (wide) {
                    row.add(endpoint.path("policyRevision").asText());
                    row.add(endpoint.path("networkNamespace").asText());
                    row.add(endpoint.path("device").asText());
                    row.add(endpoint.path("mtu").asText());
                    row.add(endpoint.path("mac").asText());
                    row.add(String.join(",", StatusCommand.texts(endpoint.path("labels"))));
                }
                table.row(row.toArray(String[]::new));
            }
            table.print(console.out());
        }
    }

    @Command(name = "get", description = "Everything about one endpoint.")
    static final class Get implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        @Parameters(paramLabel = "ENDPOINT", description = "NAME, NAMESPACE/NAME or number.")
        private String ref = "";

        @Option(
                names = {"-n", "--namespace"},
                description = "Namespace of a bare NAME; default: default.")
        private String namespace = "default";

        Get(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
            final JsonNode endpoint = daemon.client(console).get(target(ref, namespace));
            if (format == Format.TEXT) {
                page(endpoint);
            } else {
                Output.print(console.out(), format, endpoint);
            }
            return ExitCode.YES;
        }

        private void page(final JsonNode endpoint) {
            line("Endpoint", endpoint.path("id").asText());
            line("Name", name(endpoint));
            line("State", endpoint.path("state").asText());
            line("Reason", StatusCommand.orNone(endpoint.path("reason").asText()));
            line("Identity", endpoint.path("identity").asText());
            line("Labels", joined(endpoint.path("labels")));
            line("Addresses", joined(endpoint.path("addresses")));
            line("Netns", endpoint.path("networkNamespace").asText());
            line(
                    "Device",
                    endpoint.path("device").asText()
                            + ", "
                            + endpoint.path("mac").asText()
                            + ", MTU "
                            + endpoint.path("mtu").asText());
            line("Revision", endpoint.path("policyRevision").asText());
            line("Ingress", policies(endpoint, "ingress"));
            line("Egress", policies(endpoint, "egress"));
            line(
                    "Packets",
                    endpoint.path("packetsReceived").asText()
                            + " from it, "
                            + endpoint.path("packetsSent").asText()
                            + " to it, "
                            + endpoint.path("packetsLost").asText()
                            + " lost in the kernel");
        }

        private static String policies(final JsonNode endpoint, final String direction) {
            return enforcement(endpoint.path(direction + "Enforced"))
                    + ", by "
                    + joined(endpoint.path(direction + "Policies"));
        }

        private static String joined(final JsonNode texts) {
            return StatusCommand.orNone(String.join(", ", StatusCommand.texts(texts)));
        }

        private void line(final String name, final String value) {
            console.out().printf("%-12s%s%n", name + ":", value);
        }
    }

    @Command(
            name = "add",
            description = {
                "Plugs a network namespace into the switch. It is named by --netns, or by a process",
                "or a container in it."
            })
    static final class Add implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        @Parameters(paramLabel = "NAME", description = "NAME or NAMESPACE/NAME of its Pod.")
        private String name = "";

        @Option(
                names = {"-n", "--namespace"},
                description = "Namespace of a bare NAME; default: default.")
        private String namespace = "default";

        @Option(
                names = "--netns",
                paramLabel = "NS",
                description = "Network namespace: a name below /run/netns, or a path.")
        private String networkNamespace = "";

        @Option(names = "--pid", paramLabel = "N", description = "A process in the namespace.")
        private long pid;

        @Option(
                names = "--container",
                paramLabel = "ID",
                description = "A running container: docker, podman, nerdctl or crictl is asked.")
        private String container = "";

        @Option(
                names = "--ip",
                paramLabel = "ADDRESS",
                description = "Its address, one of each family; default: from the node's pool.")
        private List<String> addresses = List.of();

        @Option(
                names = {"-l", "--label"},
                paramLabel = "KEY=VALUE",
                description = "A label of its Pod; may be given several times.")
        private Map<String, String> labels = new LinkedHashMap<>();

        @Option(
                names = "--device",
                paramLabel = "NAME",
                description = "Name of the device in the namespace; default: eth0.")
        private String device = "";

        @Option(
                names = "--mtu",
                paramLabel = "BYTES",
                description = "MTU of the device; default: the node's.")
        private int mtu;

        @Option(
                names = "--port",
                paramLabel = "KIND",
                description = {
                    "How it is connected: tap (default; bulk TCP) or xdp (AF_XDP: packets per",
                    "second)."
                })
        private String port = "tap";

        Add(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
            if (!port.equals("tap") && !port.equals("xdp")) {
                throw CommandError.usage(
                        "--port " + port + ": unknown kind: accepted are tap and xdp");
            }
            final int given =
                    (networkNamespace.isEmpty() ? 0 : 1)
                            + (pid == 0 ? 0 : 1)
                            + (container.isEmpty() ? 0 : 1);
            if (given != 1) {
                throw CommandError.usage(
                        "sluice endpoint add: exactly one of --netns, --pid and --container tells"
                                + " the namespace, given are "
                                + given);
            }
            final JsonNode endpoint =
                    daemon.client(console)
                            .post("/v1/endpoints", "application/json", request().toString());
            if (format == Format.TEXT) {
                final String reason = endpoint.path("reason").asText();
                console.out()
                        .println(
                                "endpoint "
                                        + name(endpoint)
                                        + " added: "
                                        + endpoint.path("state").asText()
                                        + (reason.isEmpty() ? "" : ": " + reason)
                                        + ", "
                                        + String.join(
                                                ", ",
                                                StatusCommand.texts(endpoint.path("addresses"))));
            } else {
                Output.print(console.out(), format, endpoint);
            }
            return endpoint.path("state").asText().equals("FAILED") ? ExitCode.NO : ExitCode.YES;
        }

        private ObjectNode request() {
            final int slash = name.indexOf('/');
            final ObjectNode request = JsonNodeFactory.instance.objectNode();
            request.put("namespace", slash < 0 ? namespace : name.substring(0, slash));
            request.put("name", name.substring(slash + 1));
            request.put("networkNamespace", networkNamespace);
            request.put(
                    "pid",
                    container.isEmpty()
                            ? pid
                            : ContainerRuntime.pidOf(container, console.environment()));
            addresses.forEach(request.putArray("addresses")::add);
            labels.forEach(request.putObject("labels")::put);
            request.put("device", device);
            request.put("mtu", mtu);
            if (!port.equals("tap")) {
                request.put("port", port);
            }
            return request;
        }
    }

    @Command(name = "delete", description = "Unplugs endpoints that `endpoint add` or apply made.")
    static final class Delete implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        @Parameters(
                arity = "1..*",
                paramLabel = "ENDPOINT",
                description = "NAME, NAMESPACE/NAME or number.")
        private List<String> refs = new ArrayList<>();

        @Option(
                names = {"-n", "--namespace"},
                description = "Namespace of a bare NAME; default: default.")
        private String namespace = "default";

        Delete(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
            final PrintWriter out = console.out();
            final ArrayNode answers = JsonNodeFactory.instance.arrayNode();
            try {
                for (final String ref : refs) {
                    final JsonNode answer = daemon.client(console).delete(target(ref, namespace));
                    answers.add(answer);
                    if (format == Format.TEXT) {
                        out.println("endpoint \"" + answer.path("deleted").asText() + "\" deleted");
                    }
                }
            } finally {
                // What is unplugged is told, also when the next one is refused.
                if (format != Format.TEXT) {
                    Output.print(out, format, answers);
                }
            }
            return ExitCode.YES;
        }
    }

    @Command(
            name = "config",
            description = {
                "Shows the options of an endpoint, or sets one: audit=on lets pass and reports what",
                "policy about the endpoint would deny."
            })
    static final class Config implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        @Parameters(
                index = "0",
                paramLabel = "ENDPOINT",
                description = "NAME, NAMESPACE/NAME or number.")
        private String ref = "";

        @Parameters(
                index = "1",
                arity = "0..1",
                paramLabel = "OPTION=VALUE",
                description = "audit=on or audit=off.")
        private String setting = "";

        @Option(
                names = {"-n", "--namespace"},
                description = "Namespace of a bare NAME; default: default.")
        private String namespace = "default";

        Config(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
            final ApiClient client = daemon.client(console);
            final JsonNode endpoint = client.get(target(ref, namespace));
            final JsonNode pod = pod(client, endpoint);
            boolean audited = isAudited(pod.path("manifest"));
            if (!setting.isEmpty()) {
                audited = wanted();
                set(client, pod, audited);
            }
            if (format == Format.TEXT) {
                console.out().printf("endpoint %s audit: %s%n", name(endpoint), word(audited));
            } else {
                Output.print(
                        console.out(),
                        format,
                        JsonNodeFactory.instance
                                .objectNode()
                                .put("endpoint", name(endpoint))
                                .put("audit", audited));
            }
            return ExitCode.YES;
        }

        private boolean wanted() {
            return switch (setting) {
                case "audit=on" -> true;
                case "audit=off" -> false;
                default ->
                        throw CommandError.usage(
                                "sluice endpoint config: \"%s\": accepted are audit=on and audit=off"
                                        .formatted(setting));
            };
        }

        private static String word(final boolean on) {
            return on ? "on" : "off";
        }

        private static JsonNode pod(final ApiClient client, final JsonNode endpoint) {
            final String query =
                    "/v1/objects?kind=Pod&namespace=%s&name=%s"
                            .formatted(
                                    ApiClient.encode(endpoint.path("namespace").asText()),
                                    ApiClient.encode(endpoint.path("name").asText()));
            final JsonNode found = client.get(query).path(0);
            if (found.isMissingNode()) {
                throw CommandError.no("endpoint %s: its Pod is gone".formatted(name(endpoint)));
            }
            return found;
        }

        private static boolean isAudited(final JsonNode manifest) {
            final Map<String, String> annotations = new LinkedHashMap<>();
            for (final Map.Entry<String, JsonNode> annotation :
                    manifest.path("metadata").path("annotations").properties()) {
                annotations.put(annotation.getKey(), annotation.getValue().asText());
            }
            return Audit.isAudited(annotations);
        }

        private void set(final ApiClient client, final JsonNode pod, final boolean audited) {
            if (!pod.path("origin").asText().equals("APPLIED")) {
                throw CommandError.no(
                        "%s:%s: the Pod comes from this file: set its annotation %s there"
                                .formatted(
                                        pod.path("file").asText(),
                                        pod.path("line").asText(),
                                        Audit.SLUICE));
            }
            final ObjectNode manifest = pod.path("manifest").deepCopy();
            manifest.withObjectProperty("metadata")
                    .withObjectProperty("annotations")
                    .put(Audit.SLUICE, audited ? "true" : "false");
            client.post(
                    "/v1/objects?source=" + ApiClient.encode("endpoint config"),
                    "application/json",
                    manifest.toString());
        }
    }
}
