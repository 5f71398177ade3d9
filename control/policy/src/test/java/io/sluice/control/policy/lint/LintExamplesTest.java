package io.sluice.control.policy.lint;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import io.sluice.control.policy.lint.Finding.Severity;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The folders of {@code examples/lint}: {@code ID/policy.yaml} has the lines of {@code ID/finding},
 * {@code ID/fixed.yaml} has no finding of that check and no warning of any other, and the files of
 * {@code not-flagged} have no warning at all.
 *
 * <p>With {@code SLUICE_GOLDEN_UPDATE=1} in the environment the finding files are written instead;
 * read the difference before committing it.
 */
final class LintExamplesTest {
    /** Maven runs the tests of a module in the module's folder. */
    private static final Path EXAMPLES = Path.of("..", "..", "examples");

    private static final Path LINT = EXAMPLES.resolve("lint");
    private static final Path NOT_FLAGGED = LINT.resolve("not-flagged");

    @Test
    void everyCheckHasItsExample() throws IOException {
        try (Stream<Path> folders = Files.list(LINT)) {
            assertThat(
                            folders.filter(Files::isDirectory)
                                    .filter(folder -> !folder.equals(NOT_FLAGGED))
                                    .map(folder -> folder.getFileName().toString()))
                    .containsExactlyInAnyOrderElementsOf(
                            Arrays.stream(LintCheck.values()).map(LintCheck::id).toList());
        }
    }

    @TestFactory
    List<DynamicTest> examples() {
        final List<DynamicTest> tests = new ArrayList<>();
        for (final LintCheck check : LintCheck.values()) {
            final Path folder = LINT.resolve(check.id());
            tests.add(
                    DynamicTest.dynamicTest(
                            check.id() + " finds what is in its example",
                            () -> {
                                final Path file = folder.resolve("finding");
                                final String findings =
                                        text(lint(EnumSet.of(check), folder, "policy.yaml"));
                                if ("1".equals(System.getenv("SLUICE_GOLDEN_UPDATE"))) {
                                    Files.writeString(file, findings);
                                }
                                assertThat(findings).isNotEmpty();
                                assertThat(findings).isEqualTo(Files.readString(file));
                            }));
            tests.add(
                    DynamicTest.dynamicTest(
                            check.id() + " warns of nothing else there",
                            () ->
                                    assertThat(
                                                    warnings(
                                                            lint(
                                                                    EnumSet.allOf(LintCheck.class),
                                                                    folder,
                                                                    "policy.yaml")))
                                            .allMatch(
                                                    line ->
                                                            line.contains(
                                                                    ": " + check.id() + ": "))));
            tests.add(
                    DynamicTest.dynamicTest(
                            check.id() + " is content with what is fixed",
                            () -> {
                                assertThat(text(lint(EnumSet.of(check), folder, "fixed.yaml")))
                                        .isEmpty();
                                assertThat(
                                                warnings(
                                                        lint(
                                                                EnumSet.allOf(LintCheck.class),
                                                                folder,
                                                                "fixed.yaml")))
                                        .isEmpty();
                            }));
        }
        return tests;
    }

    @TestFactory
    List<DynamicTest> whatIsRightIsNotFlagged() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> files = Files.list(NOT_FLAGGED)) {
            for (final Path file : files.sorted().toList()) {
                final String name = file.getFileName().toString();
                tests.add(
                        DynamicTest.dynamicTest(
                                name,
                                () ->
                                        assertThat(
                                                        warnings(
                                                                lint(
                                                                        EnumSet.allOf(
                                                                                LintCheck.class),
                                                                        NOT_FLAGGED,
                                                                        name)))
                                                .isEmpty()));
            }
        }
        assertThat(tests).isNotEmpty();
        return tests;
    }

    /** The shop is written with care: what is said about it is worth knowing, no more. */
    @Test
    void theShopHasNoWarnings() throws IOException {
        final List<String> files;
        try (Stream<Path> listed = Files.list(EXAMPLES.resolve("shop"))) {
            files =
                    listed.map(path -> path.getFileName().toString())
                            .filter(name -> name.endsWith(".yaml"))
                            .sorted()
                            .toList();
        }

        final List<Finding> found =
                lint(
                        EnumSet.allOf(LintCheck.class),
                        EXAMPLES.resolve("shop"),
                        files.toArray(String[]::new));

        assertThat(text(found))
                .isEqualTo(
                        """
                        pods.yaml:93:1: metadata-address-open: 169.254.169.254 (cloud metadata) is reachable from pods whose egress no policy isolates, in namespaces kube-system, monitoring: isolate their egress, or deny the address for the whole cluster
                        """);
    }

    private static List<Finding> lint(
            final Set<LintCheck> wanted, final Path folder, final String... names)
            throws IOException {
        final List<KubeObject> objects = new ArrayList<>();
        for (final String name : names) {
            final ReadResult read =
                    ManifestReader.read(name, Files.readString(folder.resolve(name)));
            assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
            objects.addAll(read.objects());
        }
        final World world = World.of(objects);
        assertThat(world.problems()).isEmpty();
        return PolicyLint.lint(world, PolicyOptions.DEFAULTS, wanted);
    }

    private static String text(final List<Finding> findings) {
        final StringBuilder text = new StringBuilder();
        findings.forEach(finding -> text.append(finding).append('\n'));
        return text.toString();
    }

    private static List<String> warnings(final List<Finding> findings) {
        return findings.stream()
                .filter(finding -> finding.severity() != Severity.INFO)
                .map(Finding::toString)
                .toList();
    }
}
