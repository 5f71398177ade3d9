package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * A live page: what passes now, who talks most, what is dropped and why.
 *
 * <p>Rates are differences of the daemon's counters between two readings ({@link TopReading}),
 * divided by the time between them on this side. On a terminal each page is written over the last
 * one (ECMA-48: cursor home, erase), elsewhere pages follow each other.
 */
@Command(
        name = "top",
        description = {
            "Rates of now, page after page: endpoints, top talkers, drops by reason.",
            "",
            "On a terminal each page replaces the last. Ends with Ctrl-C, or when the daemon does."
        })
final class TopCommand implements Callable<Integer> {
    /** Cursor home, erase from there to the end of the screen. */
    private static final String OVER = "\u001b[H\u001b[J";

    /** Erase everything, once: what was there before the first page. */
    private static final String CLEAR = "\u001b[2J";

    private static final double INTERVAL_SECONDS_MIN = 0.1;
    private static final double INTERVAL_SECONDS_MAX = 3600;

    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();

    @Option(
            names = "--interval",
            paramLabel = "SECONDS",
            description = "Between two pages, 0.1 to 3600. Default: 2.")
    private double intervalSeconds = 2;

    @Option(names = "--once", description = "One page, after one interval.")
    private boolean once;

    @Option(names = "--rows", paramLabel = "N", description = "Lines of each table. Default: 10.")
    private int rows = 10;

    TopCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        if (!(intervalSeconds >= INTERVAL_SECONDS_MIN && intervalSeconds <= INTERVAL_SECONDS_MAX)) {
            throw CommandError.usage("--interval " + intervalSeconds + ": 0.1 to 3600 seconds");
        }
        if (rows < 1) {
            throw CommandError.usage("--rows " + rows + ": at least 1");
        }
        final ApiClient client = daemon.client(console);
        final boolean overwrites = console.colour() && format == Format.TEXT && !once;
        if (overwrites) {
            console.out().print(CLEAR);
        }
        TopReading before = TopReading.of(client);
        Instant readAt = console.clock().instant();
        boolean first = true;
        while (true) {
            if (!pause()) {
                return ExitCode.YES;
            }
            final TopReading now = TopReading.of(client);
            final Instant nowAt = console.clock().instant();
            final ObjectNode page = now.since(before, seconds(readAt, nowAt), rows);
            if (format != Format.TEXT) {
                Output.print(console.out(), format, page);
            } else {
                console.out().print(overwrites ? OVER : first ? "" : System.lineSeparator());
                TopPage.print(console.out(), page);
            }
            console.out().flush();
            if (once) {
                return ExitCode.YES;
            }
            before = now;
            readAt = nowAt;
            first = false;
        }
    }

    private boolean pause() {
        try {
            Thread.sleep(Duration.ofMillis((long) (intervalSeconds * 1000)));
            return true;
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** A clock that stands still, or was set, makes no rate. */
    private double seconds(final Instant from, final Instant to) {
        final double measured = Duration.between(from, to).toNanos() / 1e9;
        return measured > 0 ? measured : intervalSeconds;
    }
}
