package io.sluice.control.cli;

import io.sluice.control.agent.StoredFlows;
import io.sluice.control.policy.replay.FlowTally;
import io.sluice.control.policy.replay.FlowTally.Skipped;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Which recorded flows a command works on: those of a file, of the daemon, or of the store that a
 * daemon left.
 */
final class FlowOptions {
    private static final int BUFFER_BYTES = 1 << 16;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private StateFolderOption state = new StateFolderOption();

    @Option(
            names = "--flows",
            paramLabel = "FILE",
            description = {
                "JSON lines as observe -o json prints them, or hubble; .gz too; - for standard",
                "input."
            })
    private String file = "";

    @Option(
            names = "--since",
            paramLabel = "TIME",
            description = {
                "What the daemon has stored since: 7d, 1h30m, or 2026-01-31T10:00:00Z.",
                "With --offline, from its state folder."
            })
    private @Nullable String since;

    FlowOptions() {}

    /** Whether standard input is the record. */
    boolean isStandardInput() {
        return file.equals("-");
    }

    /**
     * The flows, added up.
     *
     * @param command for errors
     */
    FlowTally read(final String command, final Console console) {
        if (file.isEmpty() == (since == null)) {
            throw CommandError.usage(command + ": either --flows FILE or --since TIME");
        }
        if (since == null) {
            if (state.isOffline()) {
                throw CommandError.usage("--offline: goes with --since TIME");
            }
            return ofFile(console);
        }
        final Instant from = TimeOption.parse("--since", since, console.clock());
        return state.isOffline() ? ofStore(from, console) : ofDaemon(from, console);
    }

    private FlowTally ofFile(final Console console) {
        try (InputStream in = open(console)) {
            return told(FlowLines.read(in), console);
        } catch (final IOException e) {
            throw Manifests.unreadable(file, e);
        }
    }

    private InputStream open(final Console console) throws IOException {
        if (isStandardInput()) {
            return console.in();
        }
        final InputStream in = Files.newInputStream(Path.of(file));
        return file.endsWith(".gz") ? new GZIPInputStream(in, BUFFER_BYTES) : in;
    }

    private FlowTally ofDaemon(final Instant from, final Console console) {
        final String target =
                "/v1/flows?last="
                        + Integer.MAX_VALUE
                        + "&since="
                        + ApiClient.encode(from.toString());
        try {
            return told(
                    daemon.client(console)
                            .read(
                                    target,
                                    body ->
                                            FlowLines.read(
                                                    new BufferedInputStream(body, BUFFER_BYTES))),
                    console);
        } catch (final CommandError e) {
            if (e.exitCode() == ExitCode.UNREACHABLE && e.status() == 0) {
                throw CommandError.unreachable(
                        e.text()
                                + "; what a daemon stored is read with --offline"
                                + " [--state-folder FOLDER]");
            }
            throw e;
        }
    }

    private FlowTally ofStore(final Instant from, final Console console) {
        final FlowTally tally = new FlowTally();
        try {
            final int damaged = StoredFlows.count(state.folder(), from, tally);
            if (damaged > 0) {
                console.note("flow store: damaged blocks of flows left out: " + damaged);
            }
        } catch (final IOException e) {
            throw Manifests.unreadable(state.folder().toString(), e);
        }
        return tally;
    }

    private FlowTally told(final FlowLines.Read read, final Console console) {
        if (read.firstUnreadable().isPresent()) {
            console.note(
                    (file.isEmpty() ? "flows" : file)
                            + ":"
                            + read.firstUnreadable().getAsLong()
                            + ": not a flow: lines of `observe -o json` are expected; lines left"
                            + " out: "
                            + read.tally().skipped().getOrDefault(Skipped.UNREADABLE, 0L));
        }
        return read.tally();
    }
}
