package io.sluice.dataplane;

import io.sluice.dataplane.port.Port;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import org.agrona.concurrent.ManyToOneConcurrentArrayQueue;

/**
 * Control's way to the lane: commands into a bounded mailbox, carried out between batches, in the
 * order they were given.
 *
 * <p>Thread: any. Each future completes on the lane once the command has taken effect; do not block
 * in what you chain to it.
 */
public final class DatapathProxy {
    /**
     * Commands that may wait. The lane empties the mailbox between batches, within a millisecond of
     * being woken, and control waits for most answers: a burst is a handful.
     */
    private static final int MAILBOX_COMMANDS = 1024;

    private final ManyToOneConcurrentArrayQueue<Command> mailbox =
            new ManyToOneConcurrentArrayQueue<>(MAILBOX_COMMANDS);
    private final Runnable wakeLane;

    /**
     * @param wakeLane ends the lane's sleep; called after every command, from the caller's thread
     */
    public DatapathProxy(final Runnable wakeLane) {
        this.wakeLane = wakeLane;
    }

    /** Judges every packet from the next batch on by this snapshot. */
    public CompletableFuture<Void> publishTables(final Tables tables) {
        final CompletableFuture<Void> done = new CompletableFuture<>();
        return offer(new PublishTables(tables, done), done);
    }

    /**
     * Opens a port: its frames are received and judged from now on. Publish tables that know its
     * endpoint first.
     *
     * @param index unused so far, 0 to {@link ForwardingLoop#PORTS_MAX} - 1
     */
    public CompletableFuture<Void> addPort(final int index, final Port port) {
        return addPorts(Map.of(index, port));
    }

    /**
     * Opens ports in one turn: a frame that one of them receives finds all the others open.
     *
     * @param ports by index, see {@link #addPort}
     */
    public CompletableFuture<Void> addPorts(final Map<Integer, Port> ports) {
        for (final int index : ports.keySet()) {
            if (index < 0 || index >= ForwardingLoop.PORTS_MAX) {
                return CompletableFuture.failedFuture(
                        new IllegalArgumentException(
                                "port index "
                                        + index
                                        + ": 0 to "
                                        + (ForwardingLoop.PORTS_MAX - 1)));
            }
        }
        final CompletableFuture<Void> done = new CompletableFuture<>();
        return offer(new AddPorts(Map.copyOf(ports), done), done);
    }

    /** Lets go of a port; once the future completes, the lane never touches it again. */
    public CompletableFuture<Void> removePort(final int index) {
        final CompletableFuture<Void> done = new CompletableFuture<>();
        return offer(new RemovePort(index, done), done);
    }

    /**
     * Lets go of all ports and of the conntrack table: once the future completes, the lane touches
     * neither until it is given a port again. What takes over from it may have both.
     */
    public CompletableFuture<Void> suspend() {
        final CompletableFuture<Void> done = new CompletableFuture<>();
        return offer(new Suspend(done), done);
    }

    /**
     * Takes down what packets meet, from the next batch on, in the place of what was traced before.
     *
     * @param ring empty to trace nothing; once the future completes, the lane writes into no other
     */
    public CompletableFuture<Void> trace(final Optional<TraceRing> ring) {
        final CompletableFuture<Void> done = new CompletableFuture<>();
        return offer(new Trace(ring, done), done);
    }

    private CompletableFuture<Void> offer(
            final Command command, final CompletableFuture<Void> done) {
        if (mailbox.offer(command)) {
            wakeLane.run();
        } else {
            done.completeExceptionally(
                    new IllegalStateException(
                            "the lane's mailbox is full (" + MAILBOX_COMMANDS + " commands)"));
        }
        return done;
    }

    Queue<Command> mailbox() {
        return mailbox;
    }

    sealed interface Command {}

    record PublishTables(Tables tables, CompletableFuture<Void> done) implements Command {}

    record AddPorts(Map<Integer, Port> ports, CompletableFuture<Void> done) implements Command {}

    record RemovePort(int index, CompletableFuture<Void> done) implements Command {}

    record Suspend(CompletableFuture<Void> done) implements Command {}

    record Trace(Optional<TraceRing> ring, CompletableFuture<Void> done) implements Command {}
}
