package io.sluice.control.agent;

import io.sluice.control.agent.RunOptions.TakeOver;
import io.sluice.control.agent.api.ApiServer;
import io.sluice.control.agent.export.FlowExports;
import io.sluice.control.agent.hubble.HubbleServer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The daemon as a process of its own: a test starts it inside the namespace that plays the node.
 * Arguments: {@code --replace} for a successor, configuration file, then manifests.
 */
public final class DaemonProcess {
    private DaemonProcess() {}

    public static void main(final String[] args) {
        final boolean replaces = "--replace".equals(args[0]);
        final List<Path> paths = Arrays.stream(args).skip(replaces ? 1 : 0).map(Path::of).toList();
        final RunOptions options =
                new RunOptions(
                        paths.subList(1, paths.size()),
                        Optional.of(paths.getFirst()),
                        Optional.empty(),
                        replaces ? TakeOver.REPLACE : TakeOver.NEVER);
        System.exit(
                SluiceMain.run(
                        options,
                        new Servers(ApiServer::start, HubbleServer::start, FlowExports::start),
                        System.err));
    }
}
