package io.sluice.control.cli;

import java.io.ByteArrayInputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;

/**
 * One command line, run in this process.
 *
 * @param code its exit status
 * @param out what it printed as result
 * @param err what it printed besides
 */
record CommandLineRun(int code, String out, String err) {
    /** Now, for every test. */
    static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");

    static CommandLineRun of(final String... arguments) {
        return with(Map.of(), "", arguments);
    }

    static CommandLineRun with(
            final Map<String, String> environment,
            final String standardInput,
            final String... arguments) {
        final StringWriter out = new StringWriter();
        final StringWriter err = new StringWriter();
        final Console console =
                new Console(
                        new ByteArrayInputStream(standardInput.getBytes(StandardCharsets.UTF_8)),
                        new PrintWriter(out),
                        new PrintWriter(err),
                        false,
                        environment,
                        Clock.fixed(NOW, ZoneOffset.UTC));
        final int code = SluiceCli.run(console, arguments);
        return new CommandLineRun(code, out.toString(), err.toString());
    }
}
