package io.sluice.control.agent;

import io.sluice.dataplane.DatapathProxy;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.TraceRing;
import io.sluice.dataplane.port.Port;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/**
 * Commands to a lane on its own thread, waited for.
 *
 * <p>Thread: control.
 */
final class LaneMailbox implements LaneControl {
    /** The lane answers within a turn, some 100 us; one that does not is broken. In seconds. */
    private static final long ANSWER_SECONDS = 10;

    private final DatapathProxy lane;
    private final BooleanSupplier isAlive;

    /**
     * @param isAlive whether the lane's thread runs: one that has ended holds no port any more
     */
    LaneMailbox(final DatapathProxy lane, final BooleanSupplier isAlive) {
        this.lane = lane;
        this.isAlive = isAlive;
    }

    @Override
    public void publish(final Tables tables) {
        await(lane.publishTables(tables));
    }

    @Override
    public void open(final Map<Integer, Port> ports) {
        await(lane.addPorts(ports));
    }

    @Override
    public void suspend() {
        await(lane.suspend());
    }

    @Override
    public void close(final int index) {
        if (isAlive.getAsBoolean()) {
            await(lane.removePort(index));
        }
    }

    @Override
    public void trace(final Optional<TraceRing> ring) {
        await(lane.trace(ring));
    }

    private static void await(final CompletableFuture<Void> done) {
        try {
            done.get(ANSWER_SECONDS, TimeUnit.SECONDS);
        } catch (final ExecutionException e) {
            throw new IllegalStateException("the lane refused a command", e.getCause());
        } catch (final TimeoutException e) {
            throw new IllegalStateException(
                    "the lane did not answer within " + ANSWER_SECONDS + " s", e);
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for the lane", e);
        }
    }
}
