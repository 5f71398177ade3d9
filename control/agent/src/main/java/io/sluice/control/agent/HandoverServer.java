package io.sluice.control.agent;

import io.sluice.control.agent.HandoverSocket.HandoverException;
import io.sluice.control.agent.state.NameChanges;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The running daemon's side of {@code sluice run --replace}: gives its place to another process.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. A new program takes over from a running one without losing a packet: it gets the
 * descriptors of the devices, so that the pods keep them as they are, and frames that come
 * meanwhile wait in the devices' queues.
 *
 * <p>Order. The successor reads, compiles and publishes to a lane of its own while this one still
 * forwards. Only then this lane lets go of all ports and of the conntrack table, at the end of a
 * batch, and the successor's takes them: between the two no packet is judged, and none by both.
 * What the two say is in {@link HandoverSocket}.
 *
 * <p>Control stands still from the first word on: the conversation is a task of the control thread,
 * so that no change is accepted here which the successor would not know. Requests wait. Names are
 * still learned where no publication is needed for it; what came and went since the state folder
 * was let go of is the last thing said, when the successor forwards already.
 *
 * <p>Failure. A successor that dies, refuses or says nothing for too long changes nothing: this
 * daemon takes back its locks and its ports and goes on.
 *
 * <p>Thread: its own, which waits for a successor; the conversation runs on control.
 */
final class HandoverServer implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HandoverServer.class);

    /** Longest time from the first word to the last before the ports are taken: a large start. */
    private static final int START_MS = 120_000;

    /** Longest time for which no lane has the ports. */
    private static final int TAKE_MS = 10_000;

    /**
     * The daemon, as seen from a hand-over.
     *
     * <p>Thread: control.
     */
    interface Predecessor {
        /** Revision of the policy in force. */
        int revision();

        /** How many lanes there are, and so many descriptors of each device. */
        int lanes();

        /** Lets go of what only one process can have, locks and state; frames may have to wait. */
        void release() throws IOException;

        /** Takes it back. */
        void regain() throws IOException, StartupException;

        /** Takes all ports from the lane; their devices. */
        List<PassedDevice> giveDevices();

        /** Gives the ports back to the lane. */
        void resume();

        /** Names that came and went since {@link #release}; the lane has no port. */
        NameChanges nameChanges();

        /** The successor has everything: ends, and closes the connection last of all. */
        void end(AutoCloseable connection);
    }

    private final Path path;
    private final HandoverSocket listener;
    private final Thread thread;

    private HandoverServer(
            final Path path,
            final HandoverSocket listener,
            final ControlThread control,
            final Predecessor predecessor) {
        this.path = path;
        this.listener = listener;
        this.thread =
                Thread.ofPlatform()
                        .name("sluice-handover")
                        .daemon()
                        .unstarted(() -> serve(control, predecessor));
    }

    /**
     * Waits for successors from now on.
     *
     * @param path of the socket; one that is left there is removed
     */
    static HandoverServer start(
            final Path path, final ControlThread control, final Predecessor predecessor)
            throws IOException {
        Files.deleteIfExists(path);
        final HandoverServer server =
                new HandoverServer(path, HandoverSocket.listen(path), control, predecessor);
        server.thread.start();
        return server;
    }

    private void serve(final ControlThread control, final Predecessor predecessor) {
        while (true) {
            final Optional<HandoverSocket> successor;
            try {
                successor = listener.accept();
            } catch (final HandoverException e) {
                LOG.error("no more hand-overs", e);
                return;
            }
            if (successor.isEmpty()) {
                return;
            }
            try {
                control.callUnlimited(() -> converse(successor.get(), predecessor));
            } catch (final RequestException e) {
                successor.get().close();
                LOG.warn("no hand-over: {}", e.getMessage());
            }
        }
    }

    /** Whether the successor has taken everything. */
    private static boolean converse(final HandoverSocket socket, final Predecessor predecessor) {
        try {
            final Map<String, String> hello = socket.await("prepare", TAKE_MS);
            final String version = hello.getOrDefault("version", "none");
            if (!version.equals(HandoverSocket.VERSION)) {
                socket.refuse(
                        "hand-over version %s, this daemon knows %s: stop it and start anew"
                                .formatted(version, HandoverSocket.VERSION));
                throw new HandoverException("successor of version " + version);
            }
            LOG.info("hands over to process {}", hello.get("pid"));
            predecessor.release();
            if (passOn(socket, predecessor)) {
                passNames(socket, predecessor);
                predecessor.end(socket);
                LOG.info("handed over to process {}", hello.get("pid"));
                return true;
            }
        } catch (final HandoverException | IOException e) {
            LOG.warn("no hand-over: {}", e.getMessage());
        }
        socket.close();
        return false;
    }

    /** The successor forwards; whatever goes wrong here costs names, which are asked for again. */
    private static void passNames(final HandoverSocket socket, final Predecessor predecessor) {
        NameChanges changes = NameChanges.none();
        try {
            changes = predecessor.nameChanges();
        } catch (final CompletionException e) {
            LOG.warn("names that were learned last are not handed over", e);
        }
        try {
            socket.sayNames(changes);
        } catch (final HandoverException e) {
            LOG.warn("names that were learned last are not handed over: {}", e.getMessage());
        }
    }

    private static boolean passOn(final HandoverSocket socket, final Predecessor predecessor) {
        boolean given = false;
        try {
            socket.say(
                    "prepared",
                    Map.of(
                            "revision",
                            Integer.toString(predecessor.revision()),
                            "lanes",
                            Integer.toString(predecessor.lanes())));
            socket.await("take", START_MS);
            given = true;
            socket.sayDevices(predecessor.giveDevices());
            socket.await("taken", TAKE_MS);
            return true;
        } catch (final HandoverException e) {
            LOG.warn("the hand-over broke off, this daemon goes on: {}", e.getMessage());
        }
        // Whether the successor is dead or only slow: closed, it cannot say that it has taken.
        socket.close();
        try {
            predecessor.regain();
        } catch (final IOException | StartupException e) {
            LOG.error("the locks could not be taken back: another daemon may start beside", e);
        }
        if (given) {
            predecessor.resume();
        }
        return false;
    }

    @Override
    public void close() throws IOException {
        listener.close();
        Files.deleteIfExists(path);
    }
}
