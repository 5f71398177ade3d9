package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.l7proxy.rule.ServerNamePattern;
import java.util.List;
import java.util.function.Function;

/**
 * Patterns of domain names and TLS server names, in all dialects. The first line is the pattern,
 * the rest the name it is tried on.
 */
public final class NamePatternTarget {
    private static final List<Function<String, NamePattern>> DIALECTS =
            List.of(
                    NamePattern::parse,
                    NamePattern::parseName,
                    NamePattern::parseDomainName,
                    NamePattern::parseCalicoDomain);

    private NamePatternTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final String[] lines = new String(input, UTF_8).split("\n", 2);
        final String name = lines.length == 2 ? lines[1] : "";
        DIALECTS.forEach(dialect -> domain(dialect, lines[0], name));
        server(lines[0], name);
    }

    private static void domain(
            final Function<String, NamePattern> dialect, final String written, final String name) {
        final NamePattern pattern;
        try {
            pattern = dialect.apply(written);
        } catch (final IllegalArgumentException refused) {
            return;
        }
        final boolean matches = pattern.matches(name);
        // The final dot of a name of full length is one character too many to be read again.
        if (pattern.toString().length() <= NamePattern.LENGTH_MAX) {
            final NamePattern again = dialect.apply(pattern.toString());
            Promise.holds(again.equals(pattern), "prints itself", written);
            Promise.holds(again.matches(name) == matches, "means the same", written);
        }
        Promise.holds(
                !matches || !pattern.isName() || name.equalsIgnoreCase(pattern.toString()),
                "a name means itself only",
                written);
    }

    private static void server(final String written, final String name) {
        final ServerNamePattern pattern;
        try {
            pattern = ServerNamePattern.compile(written);
        } catch (final IllegalArgumentException refused) {
            return;
        }
        final boolean matches = pattern.matches(name);
        final ServerNamePattern again = ServerNamePattern.parse(pattern.toString());
        Promise.holds(again.equals(pattern), "prints itself", written);
        Promise.holds(again.matches(name) == matches, "means the same", written);
    }
}
