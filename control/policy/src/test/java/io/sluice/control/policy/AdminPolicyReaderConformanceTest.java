package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every state of network-policy-api's own suites is read without a problem. Where the data is, and
 * when this is skipped: see {@link ConformanceTest}.
 */
final class AdminPolicyReaderConformanceTest {
    @ParameterizedTest
    @CsvSource({"network-policy-api-v1alpha1, 58", "network-policy-api-v1alpha2, 62"})
    void everyStateIsReadWithoutProblems(final String suite, final int stateCount)
            throws IOException {
        final String root = System.getenv("SLUICE_CONFORMANCE");
        assumeTrue(
                root != null && Files.isDirectory(Path.of(root)),
                "skipped: SLUICE_CONFORMANCE does not name the folder of the conformance data");
        final List<Path> states;
        try (Stream<Path> files = Files.walk(Path.of(root).resolve(suite))) {
            states =
                    files.filter(file -> file.toString().matches(".*/step-[0-9]+\\.yaml"))
                            .sorted()
                            .toList();
        }
        int policies = 0;
        for (final Path state : states) {
            final ReadResult read = ManifestReader.read(state.toString(), Files.readString(state));
            assertThat(read.problems()).as(state.toString()).isEmpty();
            assertThat(read.objects()).as(state.toString()).anyMatch(AdminPolicy.class::isInstance);
            policies += (int) read.objects().stream().filter(AdminPolicy.class::isInstance).count();
        }
        System.out.println(
                "conformance: "
                        + suite
                        + ": "
                        + states.size()
                        + " states read, "
                        + policies
                        + " policies");
        assertThat(states).hasSize(stateCount);
    }
}
