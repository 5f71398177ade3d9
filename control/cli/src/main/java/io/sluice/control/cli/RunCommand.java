package io.sluice.control.cli;

import io.sluice.control.agent.RunOptions;
import io.sluice.control.agent.RunOptions.TakeOver;
import io.sluice.control.agent.Servers;
import io.sluice.control.agent.SluiceMain;
import io.sluice.control.agent.api.ApiServer;
import io.sluice.control.agent.export.FlowExports;
import io.sluice.control.agent.hubble.HubbleServer;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "run",
        description = {
            "The daemon: plugs in the endpoints and enforces the policies of -f.",
            "Folders are watched: a change is live within a second. Runs until SIGTERM or SIGINT,",
            "and then takes away every device and route it made."
        })
final class RunCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Manifests manifests = new Manifests();

    @Option(names = "--config", paramLabel = "FILE", description = "Configuration of the daemon.")
    private @Nullable Path config;

    @Option(
            names = "--run-folder",
            paramLabel = "FOLDER",
            description = {
                "Holds the control socket and the lock; one daemon for each.",
                "Default: that of the configuration, or /run/sluice."
            })
    private @Nullable Path runFolder;

    @Option(
            names = "--replace",
            description = {
                "Takes the place of the daemon that runs on the run folder, without losing a packet;",
                "starts anew where none runs."
            })
    private boolean replace;

    RunCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        if (manifests.paths().contains("-")) {
            throw CommandError.usage("-f -: the daemon watches files and folders, not a stream");
        }
        final ByteArrayOutputStream errors = new ByteArrayOutputStream();
        final int code =
                SluiceMain.run(
                        new RunOptions(
                                manifests.paths().stream().map(Path::of).toList(),
                                Optional.ofNullable(config),
                                Optional.ofNullable(runFolder),
                                replace ? TakeOver.REPLACE : TakeOver.NEVER),
                        new Servers(ApiServer::start, HubbleServer::start, FlowExports::start),
                        new PrintStream(errors, true, StandardCharsets.UTF_8));
        console.err().print(errors.toString(StandardCharsets.UTF_8));
        return code;
    }
}
