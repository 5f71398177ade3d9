package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Explanations as files: a new case is new files, no Java.
 *
 * <p>{@code explain/CASE.yaml} is judged in {@code explain/world.yaml}; {@code
 * explain/CASE.expected} has, per probe, a line {@code ? FROM TO PORT/PROTOCOL FIELD=VALUE ...} and
 * the explanation. With {@code SLUICE_GOLDEN_UPDATE=1} in the environment the files are written
 * instead; read the difference before committing it.
 */
final class ExplanationGoldenTest {
    private static final Path FOLDER = Path.of("src/test/resources/explain");
    private static final String PROBE = "? ";

    @TestFactory
    List<DynamicTest> goldenCases() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        try (Stream<Path> cases = Files.list(FOLDER)) {
            for (final Path expected :
                    cases.filter(path -> path.toString().endsWith(".expected")).sorted().toList()) {
                tests.add(
                        DynamicTest.dynamicTest(
                                expected.getFileName().toString(), () -> check(expected)));
            }
        }
        assertThat(tests).hasSizeGreaterThan(5);
        return tests;
    }

    private static void check(final Path expected) throws IOException, ProbeException {
        final String text = Files.readString(expected);
        final List<KubeObject> objects = new ArrayList<>();
        final String policies = expected.getFileName().toString().replace(".expected", ".yaml");
        for (final String file : List.of("world.yaml", policies)) {
            final ReadResult read =
                    ManifestReader.read(file, Files.readString(FOLDER.resolve(file)));
            assertThat(read.problems()).filteredOn(Problem::isError).isEmpty();
            objects.addAll(read.objects());
        }
        final World world = World.of(objects);
        final PolicyEvaluator evaluator =
                new PolicyEvaluator(
                        world,
                        PolicyCompiler.compile(
                                world, new IdentityAllocator(), PolicyOptions.DEFAULTS));
        final StringBuilder answers = new StringBuilder();
        for (final String line : text.lines().filter(l -> l.startsWith(PROBE)).toList()) {
            answers.append(line).append('\n');
            evaluator
                    .explain(probe(line.substring(PROBE.length())))
                    .lines()
                    .forEach(said -> answers.append(said).append('\n'));
        }
        if ("1".equals(System.getenv("SLUICE_GOLDEN_UPDATE"))) {
            Files.writeString(expected, answers);
        }
        assertThat(answers.toString()).isEqualTo(Files.readString(expected));
    }

    private static Probe probe(final String line) {
        final String[] words = line.split(" ", -1);
        final String[] what = words[2].split("/", -1);
        final Map<String, String> fields = new LinkedHashMap<>();
        for (int i = 3; i < words.length; i++) {
            final String[] field = words[i].split("=", 2);
            fields.put(field[0], field[1]);
        }
        if (what[0].equals("ICMP")) {
            return new Probe(
                    words[0],
                    words[1],
                    what[0],
                    "",
                    Probe.NOT_GIVEN,
                    what.length == 2 ? Integer.parseInt(what[1]) : Probe.NOT_GIVEN,
                    Probe.NOT_GIVEN,
                    fields);
        }
        return Probe.of(words[0], words[1], what[1], what[0]).with(fields);
    }
}
