package io.sluice.control.policy;

import java.util.List;

/** Reads manifests: YAML or JSON text to objects and problems. Thread: any, stateless. */
public final class ManifestReader {
    private ManifestReader() {}

    /**
     * Reads every document of a text.
     *
     * @param file name for messages; "-" for standard input
     * @param text YAML or JSON
     */
    public static ReadResult read(final String file, final String text) {
        return new ReadResult(
                List.of(),
                List.of(Problem.error(SourceLocation.ofFile(file), "", "nothing is read yet")));
    }
}
