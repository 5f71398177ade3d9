package io.sluice.control.agent;

import io.sluice.dataplane.DatapathProxy;
import io.sluice.dataplane.Tables;
import io.sluice.dataplane.TraceRing;
import io.sluice.dataplane.port.Port;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/**
 * Commands to lanes on their own threads, waited for: given to all, then awaited of all, so that a
 * command takes as long as the slowest lane's turn and not as all of them one after the other.
 *
 * <p>Thread: control.
 */
final class LaneMailbox implements LaneControl {
    /** A lane answers within a turn, some 100 us; one that does not is broken. In seconds. */
    private static final long ANSWER_SECONDS = 10;

    private final List<LaneThread> lanes;

    LaneMailbox(final List<LaneThread> lanes) {
        this.lanes = List.copyOf(lanes);
    }

    @Override
    public int count() {
        return lanes.size();
    }

    @Override
    public void publish(final Tables tables) {
        ofAll(lane -> lane.publishTables(tables));
    }

    @Override
    public void open(final Map<Integer, Port> ports) {
        final List<CompletableFuture<Void>> answers = new ArrayList<>();
        for (int i = 0; i < lanes.size(); i++) {
            final Map<Integer, Port> parts = new HashMap<>();
            for (final Map.Entry<Integer, Port> port : ports.entrySet()) {
                parts.put(port.getKey(), port.getValue().ofLane(i));
            }
            answers.add(lanes.get(i).loop().proxy().addPorts(parts));
        }
        answers.forEach(LaneMailbox::await);
    }

    @Override
    public void suspend() {
        ofAll(DatapathProxy::suspend);
    }

    @Override
    public void close(final int index) {
        // A lane that has failed holds no port any more; the others do until the daemon has ended.
        lanes.stream()
                .filter(lane -> lane.lane().isAlive())
                .map(lane -> lane.loop().proxy().removePort(index))
                .toList()
                .forEach(LaneMailbox::await);
    }

    /** A lane that has let go of it, or only heard of its device's end after this, does no harm. */
    @Override
    public void closeElsewhere(final int index) {
        if (lanes.size() > 1) {
            close(index);
        }
    }

    @Override
    public void trace(final List<TraceRing> rings) {
        final List<CompletableFuture<Void>> answers = new ArrayList<>();
        for (int i = 0; i < lanes.size(); i++) {
            answers.add(
                    lanes.get(i)
                            .loop()
                            .proxy()
                            .trace(rings.isEmpty() ? Optional.empty() : Optional.of(rings.get(i))));
        }
        answers.forEach(LaneMailbox::await);
    }

    private void ofAll(final Function<DatapathProxy, CompletableFuture<Void>> command) {
        lanes.stream()
                .map(lane -> command.apply(lane.loop().proxy()))
                .toList()
                .forEach(LaneMailbox::await);
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
