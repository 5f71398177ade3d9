package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Output of commands against files below {@code src/test/resources/golden}. With {@code
 * SLUICE_GOLDEN_UPDATE=1} in the environment the files are written instead; read the difference
 * before committing it.
 */
final class Golden {
    private static final Path FOLDER = Path.of("src/test/resources/golden");

    private Golden() {}

    static void assertMatches(final String name, final String output) {
        final Path file = FOLDER.resolve(name);
        try {
            if ("1".equals(System.getenv("SLUICE_GOLDEN_UPDATE"))) {
                Files.writeString(file, output);
            }
            assertThat(output).as(name).isEqualTo(Files.readString(file));
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
