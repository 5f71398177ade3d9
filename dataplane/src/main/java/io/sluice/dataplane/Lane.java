package io.sluice.dataplane;

import java.util.function.LongSupplier;

/**
 * A platform thread that turns a {@link ForwardingLoop} until it is closed.
 *
 * <p>Without work the lane first spins for as long as its {@link IdleMode} says, so that an answer
 * that is already on its way is not slept past, then sleeps in poll(2) until a frame or a command
 * comes, or expiry is due again. {@link IdlePolicy} decides.
 *
 * <p>Lanes of one switch turn independently, and none waits for another. Which packets a lane gets
 * is the ports' business: a device deals flows out to its queues. A lane is never idle on behalf of
 * others, nor does it take what is theirs: both would break the order of a flow's packets.
 *
 * <p>Thread: {@link #start}, {@link #close} and {@link #isAlive} any.
 */
public final class Lane implements AutoCloseable {
    /** What a lane does without work. */
    public enum IdleMode {
        /** Spin for 2 us, or for 50 us as long as pauses are shorter than that, then sleep. */
        ADAPTIVE(2_000, 50_000),
        /** Spin: lowest latency, one whole core. */
        BUSY(Long.MAX_VALUE, Long.MAX_VALUE),
        /** Sleep at once: least processor time, where others want the core. */
        SLEEPY(0, 0);

        private final long spinNsMin;
        private final long spinNsMax;

        IdleMode(final long spinNsMin, final long spinNsMax) {
            this.spinNsMin = spinNsMin;
            this.spinNsMax = spinNsMax;
        }

        /** Shortest time without work before the lane sleeps, in nanoseconds. */
        long spinNsMin() {
            return spinNsMin;
        }

        /** Longest, in nanoseconds: about what a sleep and a wake-up cost. */
        long spinNsMax() {
            return spinNsMax;
        }
    }

    /**
     * Longest sleep: conntrack expiry goes on without packets. 20 turns a second of some 10 us each
     * are a five-thousandth of a core.
     */
    private static final int SLEEP_MS_MAX = 50;

    private final ForwardingLoop loop;
    private final LongSupplier clockNs;
    private final IdlePolicy idle;
    private final Thread thread;
    private volatile boolean running = true;
    private volatile boolean alive;

    /**
     * @param name of the thread
     * @param clockNs monotonic clock, in nanoseconds
     * @param beforeFirstTurn carried out on the thread
     * @param onFailure told the error that ended the lane, on the lane's thread
     */
    public Lane(
            final String name,
            final ForwardingLoop loop,
            final LongSupplier clockNs,
            final IdleMode idleMode,
            final Runnable beforeFirstTurn,
            final Thread.UncaughtExceptionHandler onFailure) {
        this.loop = loop;
        this.clockNs = clockNs;
        this.idle = new IdlePolicy(idleMode);
        this.thread =
                Thread.ofPlatform()
                        .name(name)
                        .uncaughtExceptionHandler(onFailure)
                        .unstarted(() -> live(beforeFirstTurn));
    }

    /** Starts the thread. */
    public void start() {
        alive = true;
        thread.start();
    }

    /** Whether the lane turns: not any more when {@code onFailure} is told. */
    public boolean isAlive() {
        return alive;
    }

    private void live(final Runnable beforeFirstTurn) {
        try {
            beforeFirstTurn.run();
            run();
        } finally {
            alive = false;
        }
    }

    // To yield is a courtesy to who shares the processor; nothing rests on it.
    @SuppressWarnings("ThreadPriorityCheck")
    private void run() {
        while (running) {
            final long nowNs = clockNs.getAsLong();
            if (loop.doWork(nowNs) > 0) {
                idle.worked(nowNs);
                continue;
            }
            switch (idle.idle(nowNs)) {
                case SPIN -> Thread.onSpinWait();
                case YIELD -> Thread.yield();
                case SLEEP -> loop.await(SLEEP_MS_MAX);
            }
        }
    }

    /** Ends the thread after its current turn, and waits for that. */
    @Override
    public void close() {
        running = false;
        loop.wake();
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (final InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
