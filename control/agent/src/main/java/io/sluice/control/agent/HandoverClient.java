package io.sluice.control.agent;

import io.sluice.control.agent.HandoverSocket.HandoverException;
import io.sluice.control.agent.state.NameChanges;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The successor's side of a hand-over; see {@link HandoverServer}.
 *
 * <p>Thread: one at a time.
 */
final class HandoverClient implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HandoverClient.class);

    /** Longest wait for an answer of the predecessor, whose control may be at work, in ms. */
    private static final int ANSWER_MS = 60_000;

    /** Longest wait for the predecessor's end, in milliseconds. */
    private static final int END_MS = 30_000;

    private final HandoverSocket socket;
    private final int revision;

    private HandoverClient(final HandoverSocket socket, final int revision) {
        this.socket = socket;
        this.revision = revision;
    }

    /**
     * Asks the daemon of a run folder to hand over.
     *
     * @param path of its socket
     * @param lanes of this process
     * @return empty where no daemon runs
     * @throws HandoverException also where the daemon has another number of lanes: a device has a
     *     queue for each, and only who made it can add some
     */
    static Optional<HandoverClient> begin(final Path path, final int lanes)
            throws HandoverException {
        final Optional<HandoverSocket> connection = HandoverSocket.connect(path);
        if (connection.isEmpty()) {
            return Optional.empty();
        }
        final HandoverSocket socket = connection.get();
        try {
            socket.say(
                    "prepare",
                    Map.of(
                            "version",
                            HandoverSocket.VERSION,
                            "pid",
                            Long.toString(ProcessHandle.current().pid())));
            final Map<String, String> prepared = socket.await("prepared", ANSWER_MS);
            // A daemon before there were several does not say.
            final String there = prepared.getOrDefault("lanes", "1");
            if (!there.equals(Integer.toString(lanes))) {
                throw new HandoverException(
                        "lane.count is %s there and %d here: a hand-over cannot change it, stop it and start anew"
                                .formatted(there, lanes));
            }
            return Optional.of(
                    new HandoverClient(
                            socket, Integer.parseInt(prepared.getOrDefault("revision", "0"))));
        } catch (final HandoverException e) {
            socket.close();
            throw e;
        }
    }

    /** The predecessor's policy revision. */
    int revision() {
        return revision;
    }

    /** Takes the devices; from now on the predecessor forwards nothing. */
    List<PassedDevice> take() throws HandoverException {
        socket.say("take");
        return socket.awaitDevices(ANSWER_MS);
    }

    /**
     * The ports are open: the predecessor ends, and is waited for.
     *
     * @return names that came and went there since it let go of its state folder
     */
    NameChanges complete() throws HandoverException {
        socket.say("taken");
        NameChanges names = NameChanges.none();
        try {
            names = socket.awaitNames(END_MS);
        } catch (final HandoverException e) {
            LOG.warn("names that were learned last are not handed over: {}", e.getMessage());
        }
        socket.awaitEnd(END_MS);
        return names;
    }

    /** Breaks off, where it is not complete. */
    @Override
    public void close() {
        socket.close();
    }
}
