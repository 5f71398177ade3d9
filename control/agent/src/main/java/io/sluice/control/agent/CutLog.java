package io.sluice.control.agent;

import io.sluice.conntrack.Conntrack;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says in the log which open flows a change cut that nobody was asked about: of a watched folder,
 * or an undo.
 *
 * <p>The change does not wait for it: both policies are kept and flows are judged right after. A
 * change that comes while flows are judged is judged next, together with those after it, from the
 * policy before the first to that after the last.
 *
 * <p>Thread: {@link #changed} any; the judging its own, {@code sluice-cuts}.
 */
final class CutLog implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(CutLog.class);

    /** Lines of one change; {@code apply} has {@link CutsReport#PAIRS_MAX}. */
    private static final int LINES_MAX = 10;

    private record Change(LivePolicy before, LivePolicy after) {}

    private final Conntrack conntrack;
    private final LongSupplier clockNs;
    private final AtomicReference<Optional<Change>> next = new AtomicReference<>(Optional.empty());
    private final ExecutorService thread =
            Executors.newSingleThreadExecutor(
                    Thread.ofPlatform().name("sluice-cuts").daemon().factory());

    /**
     * @param clockNs the lane's
     */
    CutLog(final Conntrack conntrack, final LongSupplier clockNs) {
        this.conntrack = conntrack;
        this.clockNs = clockNs;
    }

    /** Another policy is in force. */
    void changed(final LivePolicy before, final LivePolicy after) {
        if (before.revision() == after.revision()) {
            return;
        }
        final Optional<Change> waiting =
                next.getAndUpdate(
                        earlier ->
                                Optional.of(
                                        new Change(
                                                earlier.map(Change::before).orElse(before),
                                                after)));
        if (waiting.isEmpty()) {
            thread.execute(this::judge);
        }
    }

    private void judge() {
        next.getAndSet(Optional.empty()).ifPresent(this::judge);
    }

    private void judge(final Change change) {
        try {
            final CutsReport cuts =
                    FlowCuts.of(
                            change.before(),
                            FlowCuts.Other.of(change.after()),
                            sink -> conntrack.forEach(clockNs.getAsLong(), sink));
            if (cuts.cut() == 0) {
                return;
            }
            LOG.warn(
                    "policy revision {} cuts {} of {} open flows",
                    change.after().revision(),
                    cuts.cut(),
                    cuts.open());
            cuts.pairs().stream().limit(LINES_MAX).forEach(pair -> LOG.warn("cut: {}", pair));
        } catch (final IllegalStateException e) {
            LOG.debug("conntrack was closed meanwhile", e);
        }
    }

    @Override
    public void close() {
        thread.close();
    }
}
