package io.sluice.control.cli.netns;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A program that was run to its end.
 *
 * @param exit its exit code
 * @param output what it printed, both streams, without the last line feed
 */
record Command(int exit, String output) {
    /** Longer than any step of a test takes on a busy machine; then the program is killed. */
    private static final long LIMIT_SECONDS = 60;

    static Command run(final List<String> line) {
        try {
            final Process process =
                    new ProcessBuilder(line)
                            .redirectErrorStream(true)
                            .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
                            .start();
            final Thread limit =
                    Thread.ofPlatform()
                            .daemon()
                            .start(
                                    () -> {
                                        try {
                                            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                                                process.destroyForcibly();
                                            }
                                        } catch (final InterruptedException e) {
                                            Thread.currentThread().interrupt();
                                        }
                                    });
            final String output =
                    new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            final int exit = process.waitFor();
            limit.interrupt();
            return new Command(exit, output.stripTrailing());
        } catch (final IOException e) {
            throw new UncheckedIOException("cannot run " + line, e);
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while " + line + " ran", e);
        }
    }

    static Command run(final String... line) {
        return run(List.of(line));
    }

    /** Runs what must succeed for the test to make sense. */
    static String need(final String... line) {
        final Command command = run(line);
        if (command.exit != 0) {
            throw new IllegalStateException(
                    "%s: exit %d: %s"
                            .formatted(String.join(" ", line), command.exit, command.output));
        }
        return command.output;
    }
}
