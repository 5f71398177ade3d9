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
 */
public record RunOptions(
        List<Path> manifests, Optional<Path> configFile, Optional<Path> runFolder) {}
