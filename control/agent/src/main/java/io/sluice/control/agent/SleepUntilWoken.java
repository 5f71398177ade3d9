package io.sluice.control.agent;

import com.lmax.disruptor.AlertException;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.WaitStrategy;
import java.lang.invoke.VarHandle;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * How a ring's reader waits for events: it looks again and again while they come, and is woken by
 * the writer only out of a long silence.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A wake-up is a system call of the writer, which is a lane. So as long as there was an event
 * within the last {@link #NAPS} naps the reader looks by itself, once a {@link #NAP_NS nap}, and
 * the writer pays a fence and a look at a field. After that the reader announces that it sleeps,
 * looks once more, and sleeps without limit; who publishes wakes it. Who has announced looks at the
 * ring afterwards, who has published looks at the announcement afterwards: one of the two sees the
 * other. So a silent switch costs no processor time here, and the lane a wake-up at most once in
 * {@link #NAPS} naps.
 *
 * <p>Thread: {@link #waitFor} one reader; {@link #signalAllWhenBlocking} any, also several writers.
 */
final class SleepUntilWoken implements WaitStrategy {
    /** Looks without a pause after the last event. */
    private static final int SPINS = 100;

    /** An event is seen so late at most, in nanoseconds, but for the first after a silence. */
    private static final long NAP_NS = TimeUnit.MILLISECONDS.toNanos(1);

    /** Naps without an event before the long sleep. */
    private static final int NAPS = 100;

    /** Set by the reader before it sleeps; taken back by it or by who wakes it. */
    private volatile @Nullable Thread sleeper;

    @Override
    public long waitFor(
            final long sequence,
            final Sequence cursor,
            final Sequence dependent,
            final SequenceBarrier barrier)
            throws AlertException {
        int looks = 0;
        long available = dependent.get();
        while (available < sequence) {
            barrier.checkAlert();
            looks++;
            if (looks <= SPINS) {
                Thread.onSpinWait();
            } else if (looks <= SPINS + NAPS) {
                LockSupport.parkNanos(this, NAP_NS);
            } else {
                sleep(sequence, dependent, barrier);
            }
            available = dependent.get();
        }
        return available;
    }

    private void sleep(
            final long sequence, final Sequence dependent, final SequenceBarrier barrier) {
        sleeper = Thread.currentThread();
        // A sequence is read with less than volatile order: the announcement has to be out before.
        VarHandle.fullFence();
        if (dependent.get() < sequence && !barrier.isAlerted()) {
            LockSupport.park(this);
        }
        sleeper = null;
    }

    /** Wakes the reader if it sleeps; called after every event, and when the ring is to end. */
    @Override
    public void signalAllWhenBlocking() {
        // As in sleep: what was published is out before this looks.
        VarHandle.fullFence();
        final Thread asleep = sleeper;
        if (asleep != null) {
            sleeper = null;
            LockSupport.unpark(asleep);
        }
    }
}
