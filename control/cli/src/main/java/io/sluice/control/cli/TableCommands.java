package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.IpProtocol;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/**
 * Commands that print one table of the daemon: {@code identity}, {@code ipcache}, {@code ct},
 * {@code drops}.
 */
final class TableCommands {
    private TableCommands() {}

    static CommandLine identity(final Console console) {
        return Group.named("identity", "Identities of the live policy.")
                .addSubcommand(new IdentityList(console))
                .addSubcommand(new IdentityGet(console));
    }

    static CommandLine ipcache(final Console console) {
        return Group.named("ipcache", "Prefixes and their identities.")
                .addSubcommand(new IpcacheList(console));
    }

    static CommandLine conntrack(final Console console) {
        return Group.named("ct", "Tracked flows.").addSubcommand(new ConntrackList(console));
    }

    /** Asks for a listing and prints it in the wanted form. */
    static void print(
            final Console console,
            final ApiClient client,
            final Output output,
            final String target,
            final Consumer<JsonNode> text) {
        print(console, () -> client.get(target), output, text);
    }

    /** Prints a listing in the wanted form, wherever it comes from. */
    static void print(
            final Console console,
            final Supplier<JsonNode> listing,
            final Output output,
            final Consumer<JsonNode> text) {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        final JsonNode answer = listing.get();
        if (format == Format.TEXT) {
            text.accept(answer);
        } else {
            Output.print(console.out(), format, answer);
        }
    }

    @Command(
            name = "list",
            description = "Every identity: its number and the labels it stands for.")
    static final class IdentityList implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private StateFolderOption state = new StateFolderOption();
        @Mixin private Output output = new Output();

        IdentityList(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            print(
                    console,
                    () -> state.table(console, daemon, "/v1/identities", state::identities),
                    output,
                    this::table);
            return ExitCode.YES;
        }

        private void table(final JsonNode identities) {
            final TextTable table = new TextTable("ID", "LABELS", "ENDPOINTS");
            for (final JsonNode identity : identities) {
                table.row(
                        identity.path("number").asText(),
                        String.join(",", StatusCommand.texts(identity.path("labels"))),
                        identity.path("endpointCount").asText());
            }
            table.print(console.out());
        }
    }

    @Command(name = "get", description = "One identity.")
    static final class IdentityGet implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private StateFolderOption state = new StateFolderOption();
        @Mixin private Output output = new Output();

        @Parameters(paramLabel = "NUMBER", description = "Number of the identity.")
        private int number;

        IdentityGet(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            print(console, this::find, output, this::lines);
            return ExitCode.YES;
        }

        private JsonNode find() {
            for (final JsonNode identity :
                    state.table(console, daemon, "/v1/identities", state::identities)) {
                if (identity.path("number").asInt() == number) {
                    return identity;
                }
            }
            throw CommandError.no("identity " + number + ": not found");
        }

        private void lines(final JsonNode identity) {
            final List<String> labels = StatusCommand.texts(identity.path("labels"));
            console.out().printf("%-12s%s%n", "ID:", identity.path("number").asText());
            for (int i = 0; i < labels.size(); i++) {
                console.out().printf("%-12s%s%n", i == 0 ? "Labels:" : "", labels.get(i));
            }
            console.out()
                    .printf("%-12s%s%n", "Endpoints:", identity.path("endpointCount").asText());
        }
    }

    @Command(
            name = "list",
            description = "Every prefix: an address has the identity of the longest that holds it.")
    static final class IpcacheList implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private StateFolderOption state = new StateFolderOption();
        @Mixin private Output output = new Output();

        IpcacheList(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            print(
                    console,
                    () -> state.table(console, daemon, "/v1/ipcache", state::ipcache),
                    output,
                    this::table);
            return ExitCode.YES;
        }

        private void table(final JsonNode prefixes) {
            final TextTable table = new TextTable("IP PREFIX/ADDRESS", "IDENTITY", "ENDPOINT");
            for (final JsonNode prefix : prefixes) {
                table.row(
                        prefix.path("prefix").asText(),
                        prefix.path("identity").asText(),
                        prefix.path("endpoint").asText());
            }
            table.print(console.out());
        }
    }

    @Command(
            name = "list",
            description = {
                "Every tracked flow, as its initiator opened it. PACKETS and BYTES are those of the",
                "initiator and of the replies."
            })
    static final class ConntrackList implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        ConntrackList(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            print(console, daemon.client(console), output, "/v1/conntrack", this::table);
            return ExitCode.YES;
        }

        private void table(final JsonNode flows) {
            final TextTable table =
                    new TextTable(
                            "PROTO",
                            "INITIATOR",
                            "RESPONDER",
                            "STATE",
                            "VERDICT",
                            "IDENTITIES",
                            "REVISION",
                            "PACKETS",
                            "BYTES",
                            "EXPIRES");
            for (final JsonNode flow : flows) {
                final int protocol = flow.path("protocol").asInt();
                table.row(
                        IpProtocol.nameOf(protocol),
                        side(flow, protocol, "initiator"),
                        side(flow, protocol, "responder"),
                        flow.path("state").asText(),
                        flow.path("verdict").asText(),
                        pair(flow, "initiatorIdentity", "responderIdentity", "->"),
                        flow.path("policyRevision").asText(),
                        pair(flow, "packetsForward", "packetsReply", "/"),
                        pair(flow, "bytesForward", "bytesReply", "/"),
                        flow.path("expiresInSeconds").asText() + "s");
            }
            table.print(console.out());
        }

        private static String side(final JsonNode flow, final int protocol, final String role) {
            final String address = flow.path(role + "Address").asText();
            // The identifier of an echo is not a port that anyone could connect to.
            return IpProtocol.hasPorts(protocol)
                    ? FlowText.addressAndPort(address, flow.path(role + "Port").asInt())
                    : address;
        }

        private static String pair(
                final JsonNode flow,
                final String first,
                final String second,
                final String between) {
            return flow.path(first).asText() + between + flow.path(second).asText();
        }
    }

    @Command(
            name = "drops",
            description = "Packets dropped since the daemon started, by reason and direction.")
    static final class Drops implements Callable<Integer> {
        private final Console console;

        @Mixin private DaemonOption daemon = new DaemonOption();
        @Mixin private Output output = new Output();

        Drops(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            print(console, daemon.client(console), output, "/v1/drops", this::table);
            return ExitCode.YES;
        }

        private void table(final JsonNode drops) {
            if (drops.isEmpty()) {
                console.note("Nothing was dropped.");
                return;
            }
            final TextTable table =
                    new TextTable("CODE", "REASON", "DIRECTION", "PACKETS", "BYTES", "MEANING");
            for (final JsonNode drop : drops) {
                table.row(
                        drop.path("code").asText(),
                        drop.path("reason").asText(),
                        drop.path("direction").asText(),
                        drop.path("packets").asText(),
                        drop.path("bytes").asText(),
                        drop.path("sentence").asText());
            }
            table.print(console.out());
        }
    }
}
