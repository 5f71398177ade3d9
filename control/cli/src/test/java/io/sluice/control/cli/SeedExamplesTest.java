package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The examples do what their files of cases say: every {@code examples/**}{@code /cases.yaml}. */
final class SeedExamplesTest {
    private static final Path EXAMPLES = Path.of("../../examples");

    @TestFactory
    Stream<DynamicTest> everyExampleDoesWhatItsCasesSay() throws IOException {
        return files(EXAMPLES, "cases.yaml").stream()
                .map(
                        file ->
                                DynamicTest.dynamicTest(
                                        EXAMPLES.relativize(file.getParent()).toString(),
                                        file.toUri(),
                                        () -> assertPasses(file)));
    }

    private static void assertPasses(final Path file) {
        final CommandLineRun run = CommandLineRun.of("test", "-f", file.toString());

        assertThat(run.err()).isEmpty();
        assertThat(run.out()).matches("[1-9][0-9]* passed, 0 failed\n");
        assertThat(run.code()).isZero();
    }

    @Test
    void everyPolicyOfTheSeedsIsInSomeCases() throws IOException {
        for (final Path policy : files(EXAMPLES.resolve("seeds"), "policy.yaml")) {
            assertThat(policy.resolveSibling("cases.yaml")).exists();
        }
    }

    private static List<Path> files(final Path folder, final String name) throws IOException {
        try (Stream<Path> found = Files.walk(folder)) {
            return found.filter(path -> path.endsWith(name)).sorted().toList();
        }
    }
}
