package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.l7proxy.rule.CalicoHttpRule;
import io.sluice.l7proxy.rule.HttpPath;
import io.sluice.l7proxy.rule.HttpRequest;
import io.sluice.l7proxy.rule.HttpRule;
import java.util.Arrays;
import java.util.List;

/**
 * HTTP rules and the requests they are tried on, a line for each: method, path, host and header of
 * the rule, then the same of the request.
 */
public final class HttpRuleTarget {
    private static final int FIELD_COUNT = 8;

    private HttpRuleTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final String[] lines =
                Arrays.copyOf(new String(input, UTF_8).split("\n", FIELD_COUNT), FIELD_COUNT);
        for (int i = 0; i < FIELD_COUNT; i++) {
            lines[i] = lines[i] == null ? "" : lines[i];
        }
        final HttpRequest request =
                HttpRequest.of(lines[4], lines[6], lines[5], "X-Fuzz", lines[7]);
        cilium(lines, request);
        calico(lines, request);
        HttpPath.normalise(lines[5])
                .ifPresent(
                        path -> {
                            Promise.holds(path.startsWith("/"), "is absolute", path);
                            Promise.holds(
                                    Arrays.stream(path.split("/", -1))
                                            .noneMatch(part -> part.equals("..")),
                                    "goes nowhere up",
                                    path);
                        });
    }

    private static void cilium(final String[] lines, final HttpRequest request) {
        final List<String> headers = lines[3].isEmpty() ? List.of() : List.of(lines[3]);
        final HttpRule rule;
        try {
            rule = HttpRule.compile(lines[0], lines[1], lines[2], headers, List.of());
        } catch (final IllegalArgumentException refused) {
            return;
        }
        final boolean matches = rule.matches(request, HttpRule.NO_SECRETS);
        Promise.holds(matches || !rule.matchesEverything(), "matches everything", rule);
        final HttpRule again = HttpRule.compile(lines[0], lines[1], lines[2], headers, List.of());
        Promise.holds(again.equals(rule), "is equal if written alike", rule);
    }

    private static void calico(final String[] lines, final HttpRequest request) {
        final CalicoHttpRule rule;
        try {
            rule =
                    new CalicoHttpRule(
                            lines[0].isEmpty() ? List.of() : List.of(lines[0]),
                            List.of(new CalicoHttpRule.PathMatch(lines[1], lines[2].isEmpty())));
        } catch (final IllegalArgumentException refused) {
            return;
        }
        final boolean matches = rule.matches(request);
        Promise.holds(matches || !rule.matchesEverything(), "matches everything", rule);
    }
}
