package io.sluice.control.agent;

import io.sluice.control.agent.RunOptions.TakeOver;
import io.sluice.control.agent.api.ApiServer;
import io.sluice.control.agent.export.FlowExports;
import io.sluice.control.agent.hubble.HubbleServer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/**
 * The daemon as a process of its own: a test starts it inside the namespace that plays the node.
 * Arguments: configuration file, then manifests.
 */
public final class DaemonProcess {
    private DaemonProcess() {}

    public static void main(final String[] args) {
        final RunOptions options =
                new RunOptions(
                        Arrays.stream(args).skip(1).map(Path::of).toList(),
                        Optional.of(Path.of(args[0])),
                        Optional.empty(),
                        TakeOver.NEVER);
        System.exit(
                SluiceMain.run(
                        options,
                        new Servers(ApiServer::start, HubbleServer::start, FlowExports::start),
                        System.err));
    }
}
