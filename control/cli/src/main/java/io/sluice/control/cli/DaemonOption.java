package io.sluice.control.cli;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which daemon a command talks to. */
final class DaemonOption {
    private static final String SOCKET_DEFAULT = "/run/sluice/api.sock";

    @Option(
            names = "--socket",
            paramLabel = "PATH",
            description = {
                "Control socket of the daemon.",
                "Default: $SLUICE_SOCKET, or /run/sluice/api.sock."
            })
    private @Nullable Path socket;

    DaemonOption() {}

    ApiClient client(final Console console) {
        if (socket != null) {
            return new ApiClient(socket);
        }
        final String named = console.environment().getOrDefault("SLUICE_SOCKET", "");
        return new ApiClient(Path.of(named.isEmpty() ? SOCKET_DEFAULT : named));
    }
}
