package io.sluice.control.agent;

import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread that owns objects, endpoints, identities and the publication of policy, and its
 * mailbox.
 *
 * <p>Everything that changes the switch runs here, one after the other; a request's thread waits
 * for its answer. The mailbox is bounded: when it is full a request is refused as UNAVAILABLE, and
 * whoever posts an event is told, and keeps it.
 *
 * <p>A task that fails by an exception has failed alone. After an {@link Error} (no memory, no
 * stack, a class that does not load) nothing is known about what the task left behind: the daemon
 * is told to stop, and the thread goes on for the tasks of the stop.
 *
 * <p>Thread: {@link #call}, {@link #callUnlimited}, {@link #post} and {@link #close} any but this
 * one.
 */
final class ControlThread implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ControlThread.class);

    /** Tasks that may wait. A task takes milliseconds: 1,024 of them are a backlog of seconds. */
    private static final int MAILBOX_TASKS = 1024;

    /** How long a request waits for its turn and its answer, in seconds. */
    private static final long REQUEST_SECONDS = 30;

    private static final long TICK_NS = TimeUnit.SECONDS.toNanos(1);

    private final LinkedBlockingQueue<Runnable> mailbox = new LinkedBlockingQueue<>(MAILBOX_TASKS);
    private final Thread thread;
    private final Consumer<Error> onFailure;
    private volatile Runnable tick = () -> {};
    private volatile boolean running = true;

    /**
     * @param onFailure told an error that leaves control in doubt, on this thread
     */
    ControlThread(final Consumer<Error> onFailure) {
        this.onFailure = onFailure;
        thread = Thread.ofPlatform().name("sluice-control").unstarted(this::run);
        thread.start();
    }

    /** Has this thread run a task every second, between others. */
    void everySecond(final Runnable task) {
        tick = task;
    }

    private void run() {
        long nextTickNs = System.nanoTime() + TICK_NS;
        while (running || !mailbox.isEmpty()) {
            try {
                final long waitNs = Math.max(0, nextTickNs - System.nanoTime());
                final Runnable task = mailbox.poll(waitNs, TimeUnit.NANOSECONDS);
                if (task != null) {
                    task.run();
                }
                if (running && nextTickNs - System.nanoTime() <= 0) {
                    nextTickNs = System.nanoTime() + TICK_NS;
                    tick.run();
                }
            } catch (final InterruptedException e) {
                // Only close() ends this thread, through the flag, after the mailbox is empty.
                LOG.debug("interrupted", e);
            } catch (final RuntimeException e) {
                // One failed task must not end the thread that owns the switch.
                LOG.error("a control task failed", e);
            } catch (final Error e) {
                onFailure.accept(e);
            }
        }
    }

    /**
     * Runs a task later.
     *
     * @return whether it will be run: not when the mailbox is full, or after {@link #close}
     */
    boolean post(final Runnable task) {
        return running && mailbox.offer(task);
    }

    /**
     * Runs a task and waits for its answer, for as long as a request waits.
     *
     * @throws RequestException as thrown by the task; UNAVAILABLE when the mailbox is full, the
     *     daemon stops, or the answer does not come in time, and then the task is still done later
     */
    <T> T call(final Callable<T> task) {
        final CompletableFuture<T> answer = submit(task);
        return await(() -> answer.get(REQUEST_SECONDS, TimeUnit.SECONDS));
    }

    /**
     * Runs a task and waits for its answer, however long it takes: the start and the stop are as
     * long as the node has pods.
     *
     * @throws RequestException as {@link #call}, but for the time
     */
    <T> T callUnlimited(final Callable<T> task) {
        final CompletableFuture<T> answer = submit(task);
        return await(answer::get);
    }

    private <T> CompletableFuture<T> submit(final Callable<T> task) {
        final CompletableFuture<T> answer = new CompletableFuture<>();
        final Runnable turn =
                () -> {
                    try {
                        answer.complete(task.call());
                    } catch (final Exception e) {
                        answer.completeExceptionally(e);
                    } catch (final Error e) {
                        answer.completeExceptionally(e);
                        throw e;
                    }
                };
        if (!running || !mailbox.offer(turn)) {
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE,
                    running ? "the daemon is busy: try again" : "the daemon is stopping");
        }
        return answer;
    }

    private interface Wait<T> {
        T get() throws ExecutionException, TimeoutException, InterruptedException;
    }

    private static <T> T await(final Wait<T> wait) {
        try {
            return wait.get();
        } catch (final ExecutionException e) {
            if (e.getCause() instanceof final RequestException refused) {
                throw refused;
            }
            throw new CompletionException(e.getCause());
        } catch (final TimeoutException e) {
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE,
                    "the daemon did not answer within "
                            + REQUEST_SECONDS
                            + " s: the request may still take effect");
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE, "interrupted while waiting");
        }
    }

    /** Carries out what is in the mailbox and ends the thread. */
    @Override
    public void close() {
        running = false;
        mailbox.offer(() -> {});
        try {
            thread.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
