package io.sluice.control.cli.netns;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A program in the background, whose lines are read as they come. */
final class Running implements AutoCloseable {
    private static final long STOP_SECONDS = 20;

    private final Process process;
    private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    private final Queue<String> output = new ConcurrentLinkedQueue<>();
    private final Thread reader;

    Running(final List<String> command) {
        try {
            process = new ProcessBuilder(command).redirectErrorStream(true).start();
        } catch (final IOException e) {
            throw new UncheckedIOException("cannot start " + command, e);
        }
        // Not a virtual one: a read of a pipe keeps its carrier, and two processors have two.
        reader = Thread.ofPlatform().daemon().start(this::read);
    }

    private void read() {
        try (BufferedReader in = process.inputReader()) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                output.add(line);
                lines.add(line);
            }
        } catch (final IOException e) {
            output.add(e.toString());
        }
    }

    /** The next line, or empty when none comes in time. */
    Optional<String> line(final long timeoutMs) {
        try {
            return Optional.ofNullable(lines.poll(timeoutMs, TimeUnit.MILLISECONDS));
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        }
    }

    /** The next line is one that comes from now on. */
    void forgetLines() {
        lines.clear();
    }

    /** Waits for a line that is just this. */
    Running await(final String line, final long timeoutMs) {
        final long start = System.nanoTime();
        while (System.nanoTime() - start < timeoutMs * 1_000_000) {
            if (line(timeoutMs).filter(line::equals).isPresent()) {
                return this;
            }
        }
        throw new IllegalStateException("no line \"" + line + "\" but: " + output());
    }

    /** Gives it a line to read. */
    void write(final String line) {
        try {
            process.outputWriter().write(line + "\n");
            process.outputWriter().flush();
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    long pid() {
        return process.pid();
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** Ends its input. */
    void endInput() {
        try {
            process.outputWriter().close();
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** All it printed until now. */
    String output() {
        return String.join("\n", output);
    }

    /** Sends a signal and waits for the end; the exit code. */
    int stop(final String signal) {
        Command.run("kill", "-" + signal, Long.toString(pid()));
        return awaitExit();
    }

    /** Waits for the end by itself; the exit code. */
    int awaitExit() {
        try {
            if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new IllegalStateException(
                        "still runs after " + STOP_SECONDS + " s: " + output());
            }
            reader.join(1000);
            return process.exitValue();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
    }

    @Override
    public void close() {
        if (process.isAlive()) {
            process.destroy();
            try {
                if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                }
            } catch (final InterruptedException e) {
                process.destroyForcibly();
                Thread.currentThread().interrupt();
            }
        }
    }
}
