package io.sluice.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Every target keeps its promise for each file of {@code seeds/TARGET}, and for a few changes of
 * it, the same ones in each run. What a fuzzer found is a file there, named by what it is about.
 */
final class SeedsTest {
    private static final Path SEEDS = Path.of("src/test/resources/seeds");

    /** A quarter of a second per seed; a fuzzer makes as many in a second as the whole test. */
    private static final int CHANGES = 100;

    private static final Map<String, Consumer<byte[]>> TARGETS =
            Map.ofEntries(
                    Map.entry("Address", AddressTarget::fuzzerTestOneInput),
                    Map.entry("ClientHello", ClientHelloTarget::fuzzerTestOneInput),
                    Map.entry("DnsMessage", DnsMessageTarget::fuzzerTestOneInput),
                    Map.entry("Http2Connection", Http2ConnectionTarget::fuzzerTestOneInput),
                    Map.entry("HttpMessage", HttpMessageTarget::fuzzerTestOneInput),
                    Map.entry("HttpRule", HttpRuleTarget::fuzzerTestOneInput),
                    Map.entry("KafkaRequest", KafkaRequestTarget::fuzzerTestOneInput),
                    Map.entry("Manifest", ManifestTarget::fuzzerTestOneInput),
                    Map.entry("NamePattern", NamePatternTarget::fuzzerTestOneInput),
                    Map.entry("Selector", SelectorTarget::fuzzerTestOneInput));

    private static List<Path> files(final Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().toList();
        }
    }

    @TestFactory
    List<DynamicTest> seedsAndTheirNeighboursAreReadAsPromised() throws IOException {
        final List<DynamicTest> tests = new ArrayList<>();
        for (final Map.Entry<String, Consumer<byte[]>> target : TARGETS.entrySet()) {
            for (final Path file : files(SEEDS.resolve(target.getKey()))) {
                tests.add(
                        DynamicTest.dynamicTest(
                                target.getKey() + " " + file.getFileName(),
                                () -> runAround(Files.readAllBytes(file), target.getValue())));
            }
        }
        return tests;
    }

    private static void runAround(final byte[] seed, final Consumer<byte[]> target) {
        run(target, seed);
        final Random random = new Random(Arrays.hashCode(seed));
        for (int i = 0; i < CHANGES; i++) {
            run(target, changed(seed, random));
        }
    }

    private static void run(final Consumer<byte[]> target, final byte[] input) {
        try {
            target.accept(input);
        } catch (final RuntimeException | Error broken) {
            throw new AssertionError("input: " + Arrays.toString(input), broken);
        }
    }

    /** One to four bytes set anew, left out or put in between. */
    private static byte[] changed(final byte[] seed, final Random random) {
        final List<Byte> bytes = new ArrayList<>();
        for (final byte b : seed) {
            bytes.add(b);
        }
        for (int i = random.nextInt(4); i >= 0; i--) {
            final int at = random.nextInt(bytes.size() + 1);
            final byte value = (byte) random.nextInt(256);
            switch (random.nextInt(3)) {
                case 0 -> bytes.add(at, value);
                case 1 -> bytes.subList(at, Math.min(at + 1, bytes.size())).clear();
                default -> bytes.subList(at, Math.min(at + 1, bytes.size())).replaceAll(_ -> value);
            }
        }
        final byte[] changed = new byte[bytes.size()];
        for (int i = 0; i < changed.length; i++) {
            changed[i] = bytes.get(i);
        }
        return changed;
    }

    @Test
    void everyFolderOfSeedsHasATarget() throws IOException {
        assertThat(files(SEEDS))
                .extracting(folder -> folder.getFileName().toString())
                .containsExactlyInAnyOrderElementsOf(TARGETS.keySet());
    }
}
