package io.sluice.control.cli;

import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.util.Map;

/**
 * Everything a command sees of the world around it, so that tests run commands in their own
 * process.
 *
 * @param in standard input, read for {@code -f -} and {@code --probes -}
 * @param out results
 * @param err errors, warnings, progress
 * @param colour whether {@code out} is a terminal that shows colours
 * @param environment the process environment
 * @param clock for relative times ({@code --since 5m}) and the zone of printed ones
 */
record Console(
        InputStream in,
        PrintWriter out,
        PrintWriter err,
        boolean colour,
        Map<String, String> environment,
        Clock clock) {

    static Console ofProcess() {
        // The launcher asks the shell ([ -t 1 ]): System.console() loads a terminal library first.
        final boolean terminal =
                System.getenv("SLUICE_TERMINAL") != null && System.getenv("NO_COLOR") == null;
        return new Console(
                System.in,
                new PrintWriter(System.out, false, StandardCharsets.UTF_8),
                new PrintWriter(System.err, true, StandardCharsets.UTF_8),
                terminal,
                System.getenv(),
                new ProcessClock());
    }

    /**
     * The machine's clock and zone. Zones are loaded when a time is printed, not by each command.
     */
    private static final class ProcessClock extends Clock {
        @Override
        public Instant instant() {
            return Instant.now();
        }

        @Override
        public ZoneId getZone() {
            return ZoneId.systemDefault();
        }

        @Override
        public Clock withZone(final ZoneId zone) {
            return Clock.system(zone);
        }
    }

    /** A line on stderr that is not an error. */
    void note(final String line) {
        out.flush();
        err.println(line);
        err.flush();
    }
}
