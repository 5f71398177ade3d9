package io.sluice.dataplane;

import java.util.function.LongSupplier;

/**
 * A platform thread that turns a {@link ForwardingLoop} until it is closed.
 *
 * <p>Without work the lane first spins, so that an answer that is already on its way is not slept
 * past, then sleeps in poll(2) until a frame or a command comes. In mode {@link IdleMode#BUSY} it
 * never sleeps.
 *
 * <p>Thread: {@link #start}, {@link #close} and {@link #isAlive} any.
 */
public final class Lane implements AutoCloseable {
    /** What a lane does without work. */
    public enum IdleMode {
        /** Spin, then sleep. */
        ADAPTIVE,
        /** Spin: lowest latency, one whole core. */
        BUSY
    }

    /** Turns without work before the lane sleeps: some 2 us, of one system call each. */
    private static final int SPIN_TURNS = 4;

    /** Longest sleep: conntrack expiry goes on without packets, a step every 10 ms. */
    private static final int SLEEP_MS_MAX = 10;

    private final ForwardingLoop loop;
    private final LongSupplier clockNs;
    private final IdleMode idleMode;
    private final Thread thread;
    private volatile boolean running = true;

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
        this.idleMode = idleMode;
        this.thread =
                Thread.ofPlatform()
                        .name(name)
                        .uncaughtExceptionHandler(onFailure)
                        .unstarted(
                                () -> {
                                    beforeFirstTurn.run();
                                    run();
                                });
    }

    /** Starts the thread. */
    public void start() {
        thread.start();
    }

    /** Whether the lane turns. */
    public boolean isAlive() {
        return thread.isAlive();
    }

    private void run() {
        int idleTurns = 0;
        while (running) {
            if (loop.doWork(clockNs.getAsLong()) > 0) {
                idleTurns = 0;
            } else {
                idle(++idleTurns);
            }
        }
    }

    private void idle(final int turns) {
        if (idleMode == IdleMode.BUSY || turns <= SPIN_TURNS) {
            Thread.onSpinWait();
        } else {
            loop.await(SLEEP_MS_MAX);
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
