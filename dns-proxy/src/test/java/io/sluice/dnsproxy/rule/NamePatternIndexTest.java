package io.sluice.dnsproxy.rule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The index says what its patterns say, one by one. */
final class NamePatternIndexTest {
    private static final long SEED = 20_261_127L;
    private static final String[] LABELS = {"a", "b", "ab", "a-b", "x1", "com"};
    private static final String[] STARRED = {"*", "a*", "*b", "a*b", "**", "*-*", "x*1"};

    private final Random random = new Random(SEED);

    @Test
    void agreesWithItsPatternsOnRandomNames() {
        int matches = 0;
        for (int round = 0; round < 400; round++) {
            final List<NamePattern> patterns =
                    IntStream.range(0, random.nextInt(12)).mapToObj(_ -> pattern()).toList();
            final NamePatternIndex index = NamePatternIndex.of(patterns);
            for (int i = 0; i < 200; i++) {
                final String name = random.nextInt(50) == 0 ? "." : labels(LABELS) + ".";
                final NamePattern found = index.match(name);
                final boolean wanted = patterns.stream().anyMatch(pattern -> pattern.matches(name));
                assertThat(found != null).as("%s in %s", name, patterns).isEqualTo(wanted);
                final List<NamePattern> all = new ArrayList<>();
                index.forEachMatch(name, all::add);
                assertThat(all)
                        .as("%s in %s", name, patterns)
                        .containsExactlyInAnyOrderElementsOf(
                                patterns.stream()
                                        .filter(pattern -> pattern.matches(name))
                                        .toList());
                if (found != null) {
                    assertThat(found.matches(name)).isTrue();
                    matches++;
                }
            }
        }
        assertThat(matches).isBetween(10_000, 70_000);
    }

    @Test
    void findsEachOfTenThousandPatternsThatShareTheirEnding() {
        final List<NamePattern> patterns = new ArrayList<>();
        for (int i = 0; i < 2_500; i++) {
            patterns.add(NamePattern.parse("api-" + i + "-*.example.com"));
            patterns.add(NamePattern.parse("*-" + i + ".example.com"));
            patterns.add(NamePattern.parse("*.n" + i + ".example.com"));
            patterns.add(NamePattern.parseName("n" + i + ".example.com"));
        }
        final NamePatternIndex index = NamePatternIndex.of(patterns);
        for (int i = 0; i < 2_500; i++) {
            assertThat(index.match("api-" + i + "-x.example.com.")).isEqualTo(patterns.get(4 * i));
            assertThat(index.match("x-" + i + ".example.com.")).isEqualTo(patterns.get(4 * i + 1));
            assertThat(index.match("x.n" + i + ".example.com.")).isEqualTo(patterns.get(4 * i + 2));
            assertThat(index.match("n" + i + ".example.com.")).isEqualTo(patterns.get(4 * i + 3));
            assertThat(index.match("n" + i + ".example.org.")).isNull();
        }
        assertThat(index.size()).isEqualTo(10_000);
    }

    @Test
    void anIndexOfNothingMatchesNothing() {
        assertThat(NamePatternIndex.of(List.of()).match("a.")).isNull();
        assertThat(NamePatternIndex.NONE.match(".")).isNull();
    }

    private NamePattern pattern() {
        return switch (random.nextInt(6)) {
            case 0 -> NamePattern.parseName(labels(LABELS));
            case 1 -> NamePattern.parseDomainName("*." + labels(LABELS));
            case 2 ->
                    NamePattern.parseCalicoDomain(
                            random.nextBoolean()
                                    ? labels(LABELS) + ".*"
                                    : labels(LABELS) + ".*." + labels(LABELS));
            case 3 -> NamePattern.parse("**." + labels(LABELS));
            case 4 -> NamePattern.parse(random.nextInt(20) == 0 ? "*" : labels(STARRED));
            default -> NamePattern.parse(mixed());
        };
    }

    private String mixed() {
        return IntStream.range(0, 1 + random.nextInt(4))
                .mapToObj(_ -> random.nextBoolean() ? one(LABELS) : one(STARRED))
                .collect(Collectors.joining("."));
    }

    private String labels(final String[] from) {
        return IntStream.range(0, 1 + random.nextInt(4))
                .mapToObj(_ -> one(from))
                .collect(Collectors.joining("."));
    }

    private String one(final String[] from) {
        return from[random.nextInt(from.length)];
    }
}
