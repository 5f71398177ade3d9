package io.sluice.control.cli;

import picocli.CommandLine.Option;

/** The options {@code -n} and {@code -A}. */
final class NamespaceOption {
    @Option(
            names = {"-n", "--namespace"},
            description = "Namespace; default: default. Cluster-wide kinds are in all.")
    private String name = "default";

    @Option(
            names = {"-A", "--all-namespaces"},
            description = "All namespaces.")
    private boolean all;

    NamespaceOption() {}

    boolean isAll() {
        return all;
    }

    String name() {
        return name;
    }

    /** kubectl's line for a listing without items. */
    String noResources() {
        return all ? "No resources found" : "No resources found in " + name + " namespace.";
    }
}
