package io.sluice.control.cli;

import java.util.Map;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** A word that only holds commands: {@code policy}, {@code endpoint}. */
@Command(synopsisSubcommandLabel = "COMMAND")
final class Group implements Runnable {
    @Spec private CommandSpec spec = CommandSpec.create();

    private Group() {}

    /** The group, to which the caller adds the commands. */
    static CommandLine named(final String name, final String description) {
        final CommandLine group = new CommandLine(new Group()).setCommandName(name);
        group.getCommandSpec().usageMessage().description(description);
        return group;
    }

    /**
     * Adds the command that is asked for, where there is one of this name, else all: picocli's
     * reflection over all of them would take longer than the answer.
     *
     * @param all by name, in the order of the help
     * @return the group
     */
    static CommandLine addAsked(
            final CommandLine group, final Map<String, Supplier<Object>> all, final String asked) {
        all.forEach(
                (name, command) -> {
                    if (name.equals(asked) || !all.containsKey(asked)) {
                        group.addSubcommand(name, command.get());
                    }
                });
        return group;
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "which command? They are listed by -h");
    }
}
