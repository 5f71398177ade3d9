package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.util.List;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Texts that were made to hurt their reader. Each is read, or refused with a problem that says why,
 * by a bounded number of problems of bounded length. Each takes a fraction of a second; one that
 * takes the square of its length would take minutes.
 */
@Timeout(30)
final class HostileManifestsTest {
    private static final int MEBI = 1 << 20;
    private static final int MANY = 200_000;

    /** Characters of a printed problem: field and message, and what is said of the cut. */
    private static final int PRINTED_LENGTH_MAX = 2 * ProblemList.LENGTH_MAX + 200;

    private static final String POLICY =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: a}
            spec:
            """;

    private static ReadResult read(final String text) {
        final ReadResult read = ManifestReader.read("f", text);
        assertThat(read.problems()).hasSizeLessThanOrEqualTo(2 * ProblemList.COUNT_MAX + 2);
        assertThat(read.problems())
                .extracting(Problem::toString)
                .allMatch(problem -> problem.length() <= PRINTED_LENGTH_MAX)
                .allMatch(problem -> problem.lines().count() == 1);
        return read;
    }

    private static String many(final int count, final IntFunction<String> part) {
        return IntStream.range(0, count).mapToObj(part).collect(Collectors.joining());
    }

    private static Arguments text(
            final String name, final Supplier<String> text, final String problem) {
        return arguments(Named.of(name, text), problem);
    }

    private static Stream<Arguments> refusedTexts() {
        return Stream.of(
                text("lists in lists", () -> "[".repeat(MEBI), "f:1:102: nested deeper than"),
                text("objects in objects", () -> "{a: ".repeat(MEBI / 4), "nested deeper than"),
                text("JSON", () -> "{\"a\":".repeat(MEBI / 5), "nested deeper than"),
                text("items in items", () -> "- ".repeat(MEBI / 2), "nested deeper than"),
                text("keys in keys", () -> "? ".repeat(MEBI / 2), "nested deeper than"),
                text(
                        "indents",
                        () -> many(1400, i -> " ".repeat(i) + "a:\n"),
                        "nested deeper than"),
                text("a list in itself", () -> "a: &a [*a, *a]\n", "nested deeper than"),
                text(
                        "a List in itself",
                        () -> "&a {apiVersion: v1, kind: List, items: [*a, *a]}\n",
                        "nested deeper than"),
                text("an object merged into itself", () -> "a: &a {<<: *a, b: 1}\n", "Required"),
                text(
                        "one object merged often",
                        () ->
                                "a: &a {"
                                        + many(50_000, i -> "k" + i + ": 1, ")
                                        + "}\nb: {<<: ["
                                        + "*a, ".repeat(MANY)
                                        + "]}\n",
                        "more than 4000000 values"),
                text(
                        "objects merged one into the other, where nobody looks",
                        () ->
                                "x: &a0 {k: 1}\n"
                                        + many(
                                                50_000,
                                                i -> "x: &a" + (i + 1) + " {<<: *a" + i + "}\n")
                                        + "y: {<<: *a50000}\n",
                        "nested deeper than"),
                text(
                        "one long text named often",
                        () ->
                                "a: &a \""
                                        + "x".repeat(MEBI)
                                        + "\"\nb: ["
                                        + "*a, ".repeat(MANY)
                                        + "]\n",
                        "more than 4000000 values"),
                text("a text that is merged", () -> "a: {<<: b}\n", "must name an object to merge"),
                text(
                        "a list of texts that is merged",
                        () -> "a: {<<: [b]}\n",
                        "must name objects to merge"),
                text("keys that are lists", () -> "? [a]\n: 1\n".repeat(MANY), "keys must be"),
                text("one key, often", () -> "k: 1\n".repeat(MANY), "is already set"),
                text("documents", () -> "---\na: 1\n".repeat(MANY), "apiVersion: Required value"),
                text(
                        "unknown fields",
                        () -> POLICY + many(MANY, i -> "  k" + i + ": 1\n"),
                        "unknown field"),
                text(
                        "wrong labels",
                        () ->
                                POLICY
                                        + "  podSelector:\n    matchLabels:\n"
                                        + many(MANY, i -> "      k" + i + ": -v\n"),
                        "a valid label must be"),
                text(
                        "items of the wrong type",
                        () -> POLICY + "  ingress: [" + "1,".repeat(MANY) + "]\n",
                        "must be an object, is the number 1"),
                text(
                        "a name of dots and letters",
                        () -> pod("a.".repeat(MEBI / 2)),
                        "must be no more than 253 characters"),
                text("a long name", () -> pod("a".repeat(MEBI) + "_"), "RFC 1123 subdomain"),
                text(
                        "a long label key",
                        () ->
                                POLICY
                                        + "  podSelector:\n    matchLabels:\n      ? "
                                        + "a.".repeat(MEBI / 2)
                                        + "a/b\n      : v\n",
                        "prefix part must be no more than 253 characters"),
                text(
                        "a long unknown field",
                        () -> POLICY + "  ? " + "a".repeat(MEBI) + "\n  : v\n",
                        "unknown field"),
                text(
                        "a long field around many values",
                        () -> "? " + "k".repeat(MEBI / 2) + "\n: [" + "x,".repeat(MANY) + "]\n",
                        "apiVersion: Required value"),
                text("a long number", () -> port("1".repeat(MEBI)), "number of 32 bits"),
                text("a huge number", () -> port("1e" + "9".repeat(MEBI)), "must be a string"),
                text("a number by its tag", () -> port("!!int abc"), "number of 32 bits"),
                text(
                        "a long port name",
                        () -> port("a-".repeat(MEBI / 2)),
                        "must be no more than 15 characters"),
                text("a long address", () -> block("1:".repeat(MEBI / 2) + "/8"), "valid CIDR"),
                text(
                        "a long IPv4 address",
                        () -> block("1.".repeat(MEBI / 2) + "/8"),
                        "valid CIDR"),
                text(
                        "a long version",
                        () -> "apiVersion: " + "a/".repeat(MEBI / 2) + "\nkind: NetworkPolicy\n",
                        "unknown kind"),
                text(
                        "NUL",
                        () -> "a: b\nc: \u0000\n",
                        "f:2:4: not valid YAML: the character U+0000"),
                text("half a character", () -> "a: \ud800\n", "f:1:4: not valid YAML"),
                text(
                        "half a character, escaped",
                        () -> "apiVersion: v1\nkind: \"\\ud800\"\n",
                        "unknown kind \"\\u{d800}\""),
                text(
                        "a command to the terminal",
                        () -> pod("\"a\\e[2Jb\\n\""),
                        "a\\u{1b}[2Jb\\u{a}"),
                text("a tab", () -> "a:\n\tb: c\n", "f:2:1: not valid YAML"),
                text("a tag of a blank", () -> "!%20 a", "f:1:1: not valid YAML: blank in a tag"),
                text("a list with such a tag", () -> "a: !b%20 [c]", "f:1:4: not valid YAML"),
                text("quotes", () -> "\"".repeat(MEBI), "not valid YAML"),
                text("directives", () -> "%TAG !a! b\n".repeat(MANY), "duplicate tag handle"),
                text(
                        "an alias of nothing",
                        () -> "a: *b\n",
                        "f:1:4: not valid YAML: found undefined"));
    }

    private static String pod(final String name) {
        return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\n";
    }

    private static String port(final String port) {
        return POLICY + "  ingress: [{ports: [{port: " + port + "}]}]\n";
    }

    private static String block(final String cidr) {
        return POLICY + "  ingress: [{from: [{ipBlock: {cidr: '" + cidr + "'}}]}]\n";
    }

    @ParameterizedTest
    @MethodSource
    void refusedTexts(final Supplier<String> text, final String problem) {
        final ReadResult read = read(text.get());
        assertThat(read.hasErrors()).isTrue();
        assertThat(read.objects()).isEmpty();
        assertThat(read.problems())
                .extracting(Problem::toString)
                .anyMatch(printed -> printed.contains(problem));
    }

    private static Stream<Arguments> acceptedTexts() {
        return Stream.of(
                text(
                        "labels",
                        () ->
                                POLICY
                                        + "  podSelector:\n    matchLabels:\n"
                                        + many(MANY, i -> "      k" + i + ": v\n"),
                        ""),
                text(
                        "values of a label",
                        () ->
                                POLICY
                                        + "  podSelector: {matchExpressions: [{key: a, operator: In,"
                                        + " values: ["
                                        + "x,".repeat(MANY)
                                        + "]}]}\n",
                        ""),
                text("empty documents", () -> "---\n".repeat(MANY) + POLICY, ""),
                text("comments", () -> "# x\n".repeat(MANY) + POLICY, ""),
                text("one line of spaces", () -> " ".repeat(8 * MEBI) + "\n" + POLICY, ""),
                text("a byte order mark", () -> "\ufeff" + POLICY, ""),
                text(
                        "one line of an annotation",
                        () ->
                                POLICY.replace("name: a", "name: a, annotations: {x: %s}")
                                        .formatted("x".repeat(8 * MEBI)),
                        ""),
                text(
                        "an object merged into another",
                        () -> POLICY + "  podSelector: &a {matchLabels: {<<: {a: b}}}\n",
                        ""));
    }

    @ParameterizedTest
    @MethodSource
    void acceptedTexts(final Supplier<String> text, final String none) {
        final ReadResult read = read(text.get());
        assertThat(read.problems()).extracting(Problem::toString).isEqualTo(none.lines().toList());
        assertThat(read.objects()).hasSize(1);
    }

    /** So many are refused while the text is parsed: there is no memory for their nodes. */
    @Test
    @Timeout(120)
    void aTextOfTooManyValuesIsRefusedWhereTheyAreTooMany() {
        final ReadResult read = read("a: [" + "x,".repeat(YamlText.NODE_COUNT_MAX + 10) + "]\n");
        assertThat(read.problems())
                .extracting(Problem::message)
                .containsExactly("more than 4000000 values in one text, aliases followed");
        assertThat(read.problems().get(0).where().column()).isGreaterThan(7_999_000);
    }

    @Test
    void tenThousandErrorsAreCountedAndTheFirstThousandListed() {
        final ReadResult read = read(POLICY + "  ingress:\n" + "  - {from: [{}]}\n".repeat(10_000));
        final List<Problem> problems = read.problems();
        assertThat(problems).hasSize(ProblemList.COUNT_MAX + 1);
        assertThat(problems.get(0).toString())
                .isEqualTo("f:6:13: spec.ingress[0].from[0]: Required value: must specify a peer");
        assertThat(problems.getLast().toString())
                .isEqualTo("f: 9000 more errors, which are not listed");
    }

    @Test
    void anErrorThatIsNotListedRefusesItsObjectAllTheSame() {
        final ReadResult read =
                read(
                        "apiVersion: v1\nkind: ConfigMap\n---\n".repeat(2)
                                + "apiVersion: v1\nkind: Pod\n---\n".repeat(2_000)
                                + POLICY
                                + "  ingress: [{from: [{}]}]\n---\n"
                                + pod("right"));
        assertThat(read.objects()).extracting(KubeObject::ref).hasSize(1);
        assertThat(read.objects().get(0).ref().name()).isEqualTo("right");
        assertThat(read.problems())
                .filteredOn(problem -> !problem.isError())
                .as("warnings are not crowded out by errors")
                .hasSize(2);
    }

    @Test
    void aLongMessageKeepsItsComplaint() {
        final ReadResult read = read(pod("a".repeat(MEBI) + "_"));
        assertThat(read.problems().get(0).message())
                .startsWith("Invalid value: \"aaaa")
                .contains("characters left out")
                .endsWith("must be no more than 253 characters");
    }
}
