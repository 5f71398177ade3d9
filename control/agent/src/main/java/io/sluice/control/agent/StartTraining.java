package io.sluice.control.agent;

import io.sluice.control.agent.RunOptions.TakeOver;
import io.sluice.control.agent.state.StateStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;
import java.util.function.Consumer;

/**
 * A start of the daemon without devices and privileges, for the training run of the ahead-of-time
 * cache: what it loads is linked, and what it runs most is known to the compiler, when the daemon
 * is started in earnest. After kill -9 that is time in which nothing is forwarded.
 */
public final class StartTraining {
    private StartTraining() {}

    /**
     * Starts a daemon where another has left its flows, and forwards some packets.
     *
     * @param folder the caller's to remove
     * @param manifests objects, among them Pods with a network namespace
     * @param servers of the daemon
     * @param whileItRuns asks the daemon; told the API's socket
     * @throws Exception when something cannot be opened: the cache then lacks what comes after it
     */
    public static void run(
            final Path folder,
            final Path manifests,
            final Servers servers,
            final Consumer<Path> whileItRuns)
            throws Exception {
        final SluiceConfig config = config(folder);
        StateStore.prepare();
        Files.createDirectory(config.runFolder());
        new FlowFile(config.runFolder().resolve("conntrack"))
                .open(config.conntrack(), new SecureRandom())
                .close();
        try (SluiceMain _ =
                SluiceMain.start(
                        config,
                        List.of(manifests),
                        TakeOver.NEVER,
                        servers,
                        new SluiceMain.Stop(),
                        new TrainingPorts())) {
            whileItRuns.accept(config.runFolder().resolve(RunFolder.SOCKET_FILE));
            WarmUp.run();
        }
    }

    private static SluiceConfig config(final Path folder) throws StartupException, IOException {
        final Path file =
                Files.writeString(
                        folder.resolve("sluice.yaml"),
                        """
                        nodeName: training
                        runFolder: %1$s/run
                        stateFolder: %1$s/state
                        metrics.address: none
                        """
                                .formatted(folder));
        return SluiceConfig.from(
                Settings.parse(file.toString(), Files.readString(file)),
                SluiceConfig.defaults("training"));
    }
}
