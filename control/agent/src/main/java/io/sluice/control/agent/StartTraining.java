package io.sluice.control.agent;

import io.sluice.conntrack.ConntrackConfig;
import io.sluice.control.agent.state.StateException;
import io.sluice.control.agent.state.StateStore;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;

/**
 * What a start of the daemon loads, without devices and privileges: for the training run of the
 * ahead-of-time cache.
 */
public final class StartTraining {
    private StartTraining() {}

    /**
     * Opens what a start opens, in a folder that is the caller's to remove, and forwards some
     * packets.
     *
     * @throws Exception when something cannot be opened: the cache then lacks what comes after it
     */
    public static void run(final Path folder) throws Exception {
        try (StateStore state = openState(folder.resolve("state"));
                FlowFile flows = new FlowFile(folder.resolve("conntrack"))) {
            flows.open(ConntrackConfig.defaults(), new SecureRandom()).close();
            state.identities();
            WarmUp.run();
        }
    }

    private static StateStore openState(final Path folder) throws StateException {
        return StateStore.open(folder, Clock.systemUTC());
    }
}
