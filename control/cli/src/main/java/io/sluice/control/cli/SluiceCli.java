package io.sluice.control.cli;

import io.sluice.control.agent.RequestException;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * The command line: which commands there are, and what ends them.
 *
 * <p>Read this file first, then the command's own. Every command gets its surroundings as a {@link
 * Console}; results go to its {@code out}, everything else to its {@code err}; a {@link
 * CommandError} ends it with a message and an {@link ExitCode}.
 */
@Command(
        name = "sluice",
        synopsisSubcommandLabel = "COMMAND",
        description = "A userspace software switch that enforces Kubernetes and Cilium policy.",
        footer = {
            "",
            "Exit status: 0 yes or done, 1 no (denied, invalid, not found), 2 usage,",
            "3 no daemon answers. `sluice COMMAND -h` explains a command."
        })
public final class SluiceCli implements Runnable {
    @Spec private CommandSpec spec = CommandSpec.create();

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Show this help and end.")
    @SuppressWarnings("UnusedVariable") // picocli itself acts on it, for every command
    private boolean help;

    private SluiceCli() {}

    /** Process entry, started by scripts/sluice. */
    public static void main(final String... arguments) {
        // picocli and the tables print the same everywhere, whatever the machine's language.
        Locale.setDefault(Locale.ROOT);
        final int code = run(Console.ofProcess(), arguments);
        System.exit(code);
    }

    /** Runs one command line and returns its exit status. */
    static int run(final Console console, final String... arguments) {
        final CommandLine commands = commands(console, arguments);
        final int code = commands.execute(arguments);
        console.out().flush();
        console.err().flush();
        return code;
    }

    /** The commands there are, in the order of the help. */
    private static Map<String, Supplier<Object>> all(final Console console, final String second) {
        final Map<String, Supplier<Object>> all = new LinkedHashMap<>();
        all.put("run", () -> new RunCommand(console));
        all.put("status", () -> new StatusCommand(console));
        all.put("apply", () -> new ApplyCommand(console));
        all.put("delete", () -> new DeleteCommand(console));
        all.put("get", () -> new GetCommand(console));
        all.put("describe", () -> new DescribeCommand(console));
        all.put("diff", () -> new DiffCommand(console));
        all.put("endpoint", () -> EndpointCommands.of(console, second));
        all.put("policy", () -> PolicyCommands.of(console, second));
        all.put("test", () -> new TestCommand(console));
        all.put("observe", () -> new ObserveCommand(console));
        all.put("trace", () -> new TraceCommand(console));
        all.put("identity", () -> TableCommands.identity(console));
        all.put("ipcache", () -> TableCommands.ipcache(console));
        all.put("ct", () -> TableCommands.conntrack(console));
        all.put("fqdn", () -> FqdnCommands.of(console));
        all.put("drops", () -> new TableCommands.Drops(console));
        all.put("metrics", () -> new MetricsCommand(console));
        all.put("top", () -> new TopCommand(console));
        all.put("version", () -> new VersionCommand(console));
        return all;
    }

    /** The parser of a command line. */
    private static CommandLine commands(final Console console, final String... arguments) {
        final CommandLine commands =
                Group.addAsked(
                        new CommandLine(new SluiceCli()),
                        all(console, word(arguments, 1)),
                        word(arguments, 0));
        commands.setOut(console.out());
        commands.setErr(console.err());
        commands.setColorScheme(
                CommandLine.Help.defaultColorScheme(
                        console.colour() ? CommandLine.Help.Ansi.ON : CommandLine.Help.Ansi.OFF));
        commands.setParameterExceptionHandler((wrong, given) -> wrongUsage(console.err(), wrong));
        commands.setExecutionExceptionHandler(
                (failure, command, parsed) -> failed(console, failure));
        commands.setAbbreviatedOptionsAllowed(false);
        commands.setCaseInsensitiveEnumValuesAllowed(true);
        commands.setUsageHelpAutoWidth(false);
        commands.setUsageHelpWidth(100);
        return commands;
    }

    /** The word at a place of the command line, empty where it is shorter. */
    private static String word(final String[] arguments, final int place) {
        return place < arguments.length ? arguments[place] : "";
    }

    @Override
    public void run() {
        throw new ParameterException(
                spec.commandLine(), "which command? Commands are listed by -h");
    }

    private static int wrongUsage(final PrintWriter err, final ParameterException wrong) {
        final String command = wrong.getCommandLine().getCommandSpec().qualifiedName();
        err.println(command + ": " + wrong.getMessage());
        err.println("see `" + command + " -h`");
        err.flush();
        return ExitCode.USAGE;
    }

    private static int failed(final Console console, final Exception failure) {
        console.out().flush();
        final int code =
                switch (failure) {
                    case CommandError error -> {
                        console.err().println(error.text());
                        yield error.exitCode();
                    }
                    case RequestException wrong -> {
                        wrong.problems().forEach(console.err()::println);
                        yield ExitCode.USAGE;
                    }
                    default -> {
                        console.err().println("sluice: internal error, please report it:");
                        failure.printStackTrace(console.err());
                        yield ExitCode.USAGE;
                    }
                };
        console.err().flush();
        return code;
    }
}
