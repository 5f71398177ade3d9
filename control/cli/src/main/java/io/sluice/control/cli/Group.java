package io.sluice.control.cli;

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

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "which command? They are listed by -h");
    }
}
