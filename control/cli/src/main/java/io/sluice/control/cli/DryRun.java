package io.sluice.control.cli;

import picocli.CommandLine.Option;

/**
 * The option {@code --dry-run}: the daemon checks everything and changes nothing. As kubectl's two
 * forms of it, both ask what is there; here both check the same, and only the words differ.
 */
final class DryRun {
    @Option(
            names = "--dry-run",
            paramLabel = "client|server",
            arity = "0..1",
            fallbackValue = "server",
            description = "Only check, at the daemon: nothing is changed.")
    private String mode = "none";

    DryRun() {}

    boolean isOn() {
        return !words().isEmpty();
    }

    /** What kubectl adds to its messages; empty where changes are made. */
    String words() {
        return switch (mode) {
            case "none" -> "";
            case "client" -> " (dry run)";
            case "server" -> " (server dry run)";
            default ->
                    throw CommandError.usage(
                            "--dry-run=" + mode + ": unknown: accepted are none, client, server");
        };
    }
}
