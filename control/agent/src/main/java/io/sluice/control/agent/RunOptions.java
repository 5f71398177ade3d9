package io.sluice.control.agent;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What the command line of {@code sluice run} says.
 *
 * @param manifests files and folders of {@code -f}, any number
 * @param configFile {@code --config}
 * @param runFolder {@code --run-folder}, goes before the file's
 * @param takeOver whether a daemon that runs on the run folder hands over
 */
public record RunOptions(
        List<Path> manifests,
        Optional<Path> configFile,
        Optional<Path> runFolder,
        TakeOver takeOver) {
    /** What to do with a daemon that runs already. */
    public enum TakeOver {
        /** Start only where none runs. */
        NEVER,
        /** {@code --replace}: take its place; start anew where none runs. */
        REPLACE
    }
}
