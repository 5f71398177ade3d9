package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.ConntrackOrigin;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The conntrack table's file in the run folder: flows that outlive a crash of the process, and pass
 * from it to a successor. An orderly stop removes it, for it cuts all flows.
 *
 * <p>Where the file cannot be (a run folder without room), the table is in the memory of the
 * process, and the log says what that means.
 *
 * <p>Thread: whoever composes the daemon; {@link #handedOver} control.
 */
final class FlowFile implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(FlowFile.class);

    private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

    private final Path file;
    private volatile boolean handedOver;

    FlowFile(final Path file) {
        this.file = file;
    }

    /** The flows that a killed daemon left, or none. */
    Conntrack open(final ConntrackConfig config, final SecureRandom dice) {
        try {
            final Conntrack conntrack =
                    Conntrack.open(config, dice.nextLong(), file, bootId(), System.nanoTime());
            final ConntrackOrigin origin = conntrack.origin();
            LOG.info(
                    "conntrack: {}: {} flows go on, {} had expired, {} were not whole",
                    origin.start(),
                    origin.flows(),
                    origin.expiredFlows(),
                    origin.tornFlows());
            return conntrack;
        } catch (final IOException e) {
            return inMemory(config, dice, e);
        }
    }

    /** The table of the daemon that hands over; an empty one where that is of no use. */
    Conntrack share(final ConntrackConfig config, final SecureRandom dice) {
        try {
            final Optional<Conntrack> shared = Conntrack.share(config, file, bootId());
            if (shared.isPresent()) {
                return shared.get();
            }
            LOG.warn("conntrack: the table of the daemon before is another: begins empty");
            // Its file stays the other's under no name.
            Files.deleteIfExists(file);
            return open(config, dice);
        } catch (final IOException e) {
            return inMemory(config, dice, e);
        }
    }

    private Conntrack inMemory(
            final ConntrackConfig config, final SecureRandom dice, final IOException cause) {
        LOG.warn(
                "conntrack: {}: {}: the table is in memory, and connections will not outlive a"
                        + " crash",
                file,
                String.valueOf(cause.getMessage()));
        return Conntrack.open(config, dice.nextLong());
    }

    private static String bootId() throws IOException {
        return Files.readString(BOOT_ID).strip();
    }

    /** The file is a successor's from now on. */
    void handedOver() {
        handedOver = true;
    }

    @Override
    public void close() throws IOException {
        if (!handedOver) {
            Files.deleteIfExists(file);
        }
    }
}
