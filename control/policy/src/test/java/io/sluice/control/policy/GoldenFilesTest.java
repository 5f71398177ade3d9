package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Cases as files: a new case is new files, no Java.
 *
 * <p>{@code golden/CASE/policy.yaml} is judged in {@code golden/world.yaml}; {@code
 * golden/CASE/expected} has the warnings, then one line per probe: from, to, what, then the verdict
 * of both directions and who gave it. {@code reject/NAME.yaml} must be refused with the problems in
 * {@code reject/NAME.err}.
 */
final class GoldenFilesTest {
    private static final Path RESOURCES = Path.of("src/test/resources");
    private static final String ARROW = " => ";

    @TestFactory
    List<DynamicTest> goldenCases() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> cases = Files.list(RESOURCES.resolve("golden"))) {
            for (final Path path : cases.filter(Files::isDirectory).sorted().toList()) {
                tests.add(
                        DynamicTest.dynamicTest(
                                path.getFileName().toString(),
                                () -> {
                                    final String expected =
                                            Files.readString(path.resolve("expected"));
                                    final List<String> probes =
                                            expected.lines()
                                                    .filter(line -> line.contains(ARROW))
                                                    .map(line -> line.split(ARROW, 2)[0])
                                                    .toList();
                                    assertThat(probes).isNotEmpty();
                                    assertThat(answers(path, probes)).isEqualTo(expected);
                                }));
            }
        }
        assertThat(tests).isNotEmpty();
        return tests;
    }

    private static String answers(final Path path, final List<String> probes)
            throws IOException, ProbeException {
        final List<KubeObject> objects = new ArrayList<>();
        final StringBuilder answers = new StringBuilder();
        for (final Path file :
                List.of(
                        RESOURCES.resolve("golden").resolve("world.yaml"),
                        path.resolve("policy.yaml"))) {
            final ReadResult read =
                    ManifestReader.read(file.getFileName().toString(), Files.readString(file));
            assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
            read.problems().forEach(problem -> answers.append(problem).append('\n'));
            objects.addAll(read.objects());
        }
        final World world = World.of(objects);
        assertThat(world.problems()).isEmpty();
        final PolicySet policies =
                PolicyCompiler.compile(
                        world,
                        new IdentityAllocator(),
                        PolicyOptions.DEFAULTS.withNode("alpha", List.of()));
        policies.warnings().forEach(warning -> answers.append(warning).append('\n'));
        final PolicyEvaluator evaluator = new PolicyEvaluator(world, policies);
        for (final String probe : probes) {
            final String[] words = probe.split(" ", -1);
            final String[] what = words[2].split("/", -1);
            final Evaluation seen =
                    evaluator.evaluate(
                            what.length == 2
                                    ? Probe.of(words[0], words[1], what[1], what[0])
                                    : Probe.of(words[0], words[1], what[0], ""));
            answers.append(probe)
                    .append(ARROW)
                    .append(seen.verdict())
                    .append(seen.allowed() ? "" : " " + seen.reason())
                    .append("\n    egress  ")
                    .append(text(seen.egress()))
                    .append("\n    ingress ")
                    .append(text(seen.ingress()))
                    .append('\n');
        }
        return answers.toString();
    }

    private static String text(final PolicyEntry entry) {
        return entry.verdict() + ": " + entry.by();
    }

    @TestFactory
    List<DynamicTest> rejectedManifests() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> files = Files.list(RESOURCES.resolve("reject"))) {
            for (final Path file :
                    files.filter(path -> path.toString().endsWith(".yaml")).sorted().toList()) {
                tests.add(
                        DynamicTest.dynamicTest(
                                file.getFileName().toString(),
                                () -> {
                                    final ReadResult read =
                                            ManifestReader.read(
                                                    file.getFileName().toString(),
                                                    Files.readString(file));
                                    assertThat(read.hasErrors()).isTrue();
                                    assertThat(read.objects()).isEmpty();
                                    assertThat(
                                                    String.join(
                                                                    "\n",
                                                                    read.problems().stream()
                                                                            .map(Problem::toString)
                                                                            .toList())
                                                            + "\n")
                                            .isEqualTo(
                                                    Files.readString(
                                                            file.resolveSibling(
                                                                    file.getFileName()
                                                                            .toString()
                                                                            .replace(
                                                                                    ".yaml",
                                                                                    ".err"))));
                                }));
            }
        }
        assertThat(tests).isNotEmpty();
        return tests;
    }
}
