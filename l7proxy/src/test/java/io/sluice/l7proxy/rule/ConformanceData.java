package io.sluice.l7proxy.rule;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The cases of other projects, which are not part of the repository: tests look for the folder that
 * the environment variable {@code SLUICE_CONFORMANCE} names, and are skipped, saying so, where it
 * is not set.
 */
final class ConformanceData {
    private ConformanceData() {}

    static JsonNode read(final String file) throws IOException {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
        return new ObjectMapper().readTree(Path.of(root).resolve(file).toFile());
    }

    static List<String> texts(final JsonNode array) {
        final List<String> texts = new ArrayList<>();
        array.forEach(item -> texts.add(item.asText()));
        return texts;
    }
}
