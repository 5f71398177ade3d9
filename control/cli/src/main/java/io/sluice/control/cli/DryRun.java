package io.sluice.control.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Option;

/** The option {@code --dry-run=server}: the daemon checks everything and changes nothing. */
final class DryRun {
    @Option(
            names = "--dry-run",
            paramLabel = "server",
            arity = "0..1",
            fallbackValue = "server",
            description = "Only check, at the daemon: nothing is changed.")
    private String mode = "none";

    DryRun() {}

    boolean isOn() {
        return switch (mode) {
            case "none" -> false;
            case "server" -> true;
            default ->
                    throw CommandError.usage(
                            "--dry-run=" + mode + ": unknown: accepted are none, server");
        };
    }

    /** Query parameters of a request about the manifest of this name. */
    Map<String, String> parameters(final String source) {
        final Map<String, String> parameters = parameters();
        parameters.put("source", source);
        return parameters;
    }

    Map<String, String> parameters() {
        final Map<String, String> parameters = new LinkedHashMap<>();
        parameters.put("dryRun", Boolean.toString(isOn()));
        return parameters;
    }
}
