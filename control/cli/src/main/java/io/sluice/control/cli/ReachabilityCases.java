package io.sluice.control.cli;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.Evaluation;
import io.sluice.control.policy.Fields;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.Probe;
import io.sluice.control.policy.ProbeException;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.SourceLocation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * A file of reachability expectations, as docs/cli.md describes it: what {@code sluice test} reads.
 *
 * <p>It either lists connections with the verdict that the manifests must give them, or says with
 * which errors the manifests must be refused. Reading is strict: an expectation that is misspelt
 * must not pass unnoticed.
 *
 * @param file name as the user gave it
 * @param manifests files and folders it is about, relative to the file's folder
 * @param options the node and the cluster to judge as: who is {@code host}, and what this cluster
 *     is
 * @param refusals parts of the errors that the manifests must have; empty if they must have none
 * @param expectations the connections
 */
record ReachabilityCases(
        String file,
        List<String> manifests,
        PolicyOptions options,
        List<Fields.Text> refusals,
        List<Expectation> expectations) {
    private static final String TESTS = "tests";
    private static final String REFUSED = "rejected";

    /**
     * One connection and what must become of it.
     *
     * @param where its place in the file
     * @param name what the user calls it; the connection itself where it has no name
     * @param probe the connection
     * @param allowed whether it must pass, requests included
     * @param verdict the verdict it must have; empty if any will do
     * @param by who must have decided, as {@link #phrase} says it; empty if anybody may
     */
    record Expectation(
            SourceLocation where,
            String name,
            Probe probe,
            boolean allowed,
            Optional<Evaluation.Verdict> verdict,
            String by) {}

    /** What came of one expectation. */
    enum Outcome {
        PASSED,
        FAILED,
        /** The probe makes no sense in its world. */
        ERROR,
        /** A connection could not tell; never without a connection. */
        NOT_JUDGED
    }

    /**
     * One line of the report.
     *
     * @param where place of the expectation
     * @param name its name
     * @param outcome what came of it
     * @param message what was expected, what is so and who says so; empty if it passed
     */
    record Finding(SourceLocation where, String name, Outcome outcome, String message) {
        @Override
        public String toString() {
            return where + ": " + name + ": " + message;
        }
    }

    /** Whether a text is a file of cases rather than of manifests. */
    static boolean areIn(final String file, final String content) {
        final List<Fields> cases = new ArrayList<>();
        Fields.read(
                file,
                content,
                document -> {
                    if (ManifestReader.isReachabilityCases(document)) {
                        cases.add(document);
                    }
                });
        return !cases.isEmpty();
    }

    /** Reads; the command ends with every problem found if there is one. */
    static List<ReachabilityCases> read(final String file, final String content) {
        final List<ReachabilityCases> read = new ArrayList<>();
        final List<Problem> problems =
                Fields.read(file, content, document -> read.add(read(file, document)));
        if (problems.stream().anyMatch(Problem::isError)) {
            throw CommandError.usage(
                    String.join("\n", problems.stream().map(Problem::toString).toList()));
        }
        return read;
    }

    private static ReachabilityCases read(final String file, final Fields document) {
        final List<String> manifests =
                document.strings("manifests").stream().map(Fields.Text::value).toList();
        final PolicyOptions options = readOptions(document);
        final List<Fields.Text> refusals = document.strings(REFUSED);
        final List<Expectation> expectations = new ArrayList<>();
        for (final Fields test : document.objects(TESTS)) {
            readExpectation(test).ifPresent(expectations::add);
        }
        document.rejectOthers();
        if (document.has(REFUSED) == document.has(TESTS)) {
            document.error("exactly one of " + TESTS + " and " + REFUSED + " must be given");
        } else if (refusals.isEmpty() && document.objects(TESTS).isEmpty()) {
            document.error(
                    document.has(TESTS) ? TESTS : REFUSED, "must have at least one item: is empty");
        }
        return new ReachabilityCases(file, manifests, options, refusals, List.copyOf(expectations));
    }

    private static PolicyOptions readOptions(final Fields document) {
        final PolicyOptions defaults = PolicyOptions.DEFAULTS;
        return new PolicyOptions(
                document.string("cluster", defaults.clusterName()),
                document.string("node", defaults.nodeName()),
                defaults.defaultVerdict(),
                defaults.cidrMatches(),
                defaults.hostAddresses(),
                defaults.audit());
    }

    private static Optional<Expectation> readExpectation(final Fields test) {
        final String from = test.requiredString("from");
        final String to = test.requiredString("to");
        final String portText =
                test.isInteger("port")
                        ? Integer.toString(test.integer("port").orElse(0))
                        : test.requiredString("port");
        final Map<String, String> request = readRequest(test);
        final String expect = test.requiredString("expect");
        final Optional<Evaluation.Verdict> verdict = readVerdict(test);
        final String by = test.string("by", "");
        final String name = test.string("name", from + " -> " + to + " " + portText);
        test.rejectOthers();
        if (!expect.isEmpty() && !expect.equals("allowed") && !expect.equals("denied")) {
            test.error("expect", "\"" + expect + "\": accepted: allowed, denied");
        }
        final Optional<PortAndProtocol> port = PortAndProtocol.tryParse(portText);
        if (port.isEmpty() && !portText.isEmpty()) {
            test.error("port", "\"" + portText + "\": accepted: " + PortAndProtocol.ACCEPTED);
        }
        return port.map(
                asked ->
                        new Expectation(
                                test.where(),
                                name,
                                Probe.of(from, to, asked.protocol(), asked.port()).with(request),
                                expect.equals("allowed"),
                                verdict,
                                by));
    }

    private static Optional<Evaluation.Verdict> readVerdict(final Fields test) {
        final String text = test.string("verdict", "");
        for (final Evaluation.Verdict verdict : Evaluation.Verdict.values()) {
            if (verdict.name().equals(text)) {
                return Optional.of(verdict);
            }
        }
        if (test.has("verdict")) {
            test.error(
                    "verdict",
                    "\"" + text + "\": accepted: " + List.of(Evaluation.Verdict.values()));
        }
        return Optional.empty();
    }

    /** The fields about the request, under the names that {@link Probe} has for them. */
    private static Map<String, String> readRequest(final Fields test) {
        final Map<String, String> request = new LinkedHashMap<>();
        final String http = test.string("http", "");
        final int blank = http.indexOf(' ');
        if (blank > 0 && http.startsWith("/", blank + 1)) {
            request.put("http.method", http.substring(0, blank));
            request.put("http.path", http.substring(blank + 1));
        } else if (test.has("http")) {
            test.error("http", "\"" + http + "\": accepted: METHOD /PATH, as in GET /orders?id=1");
        }
        ifGiven(test, "host", host -> request.put("http.host", host));
        test.stringMap("headers")
                .forEach((name, value) -> request.put("http.headers." + name, value.value()));
        for (final String ofHttp : List.of("host", "headers")) {
            if (test.has(ofHttp) && !test.has("http")) {
                test.error(ofHttp, "belongs to a request: http is missing");
            }
        }
        ifGiven(
                test,
                "kafka",
                kafka -> {
                    final int colon = kafka.indexOf(':');
                    request.put("kafka.api", colon < 0 ? kafka : kafka.substring(0, colon));
                    if (colon >= 0) {
                        request.put("kafka.topic", kafka.substring(colon + 1));
                    }
                });
        for (final String name : List.of("dns", "sni", "toName")) {
            ifGiven(test, name, value -> request.put(name, value));
        }
        return request;
    }

    private static void ifGiven(
            final Fields test, final String field, final Consumer<String> then) {
        final String value = test.string(field, "");
        if (!value.isEmpty()) {
            then.accept(value);
        }
    }

    // Judging.

    /**
     * A finding for every expectation, in the order of the file, and for every unforeseen error.
     */
    List<Finding> judge(final OfflinePolicy policy) {
        final List<Problem> errors = policy.errors();
        final List<Finding> findings = new ArrayList<>();
        for (final Fields.Text refusal : refusals) {
            final boolean found =
                    errors.stream().anyMatch(error -> error.toString().contains(refusal.value()));
            findings.add(
                    new Finding(
                            refusal.where(),
                            "rejected: " + refusal.value(),
                            found ? Outcome.PASSED : Outcome.FAILED,
                            found ? "" : "no manifest has an error with these words"));
        }
        for (final Problem error : errors) {
            if (refusals.stream().noneMatch(text -> error.toString().contains(text.value()))) {
                findings.add(
                        new Finding(
                                SourceLocation.ofFile(file),
                                "the manifests are refused",
                                Outcome.FAILED,
                                error.toString()));
            }
        }
        if (errors.isEmpty()) {
            for (final Expectation expectation : expectations) {
                findings.add(judge(expectation, policy));
            }
        }
        return findings;
    }

    private static Finding judge(final Expectation expectation, final OfflinePolicy policy) {
        final Evaluation is;
        try {
            is = policy.evaluator().evaluate(expectation.probe());
        } catch (final ProbeException e) {
            return new Finding(
                    expectation.where(),
                    expectation.name(),
                    Outcome.ERROR,
                    String.valueOf(e.getMessage()));
        }
        if (is.allowed() != expectation.allowed()) {
            return failed(
                    expectation,
                    "expected " + word(expectation.allowed()) + ", is " + describe(is));
        }
        final Optional<Evaluation.Verdict> verdict = expectation.verdict();
        if (verdict.isPresent() && verdict.get() != is.verdict()) {
            return failed(expectation, "expected " + verdict.get() + ", is " + describe(is));
        }
        final boolean byIsRight =
                expectation.by().isEmpty()
                        || authors(is).stream()
                                .anyMatch(author -> phrase(author).equals(expectation.by()));
        return byIsRight
                ? new Finding(expectation.where(), expectation.name(), Outcome.PASSED, "")
                : failed(expectation, "expected by " + expectation.by() + ", is " + describe(is));
    }

    /** A finding for every expectation, by what its connection shows; the author is not seen. */
    List<Finding> judge(final LiveProbes probes) {
        // As many at a time as there are processors: what is late looks denied.
        return expectations.parallelStream()
                .map(expectation -> judge(expectation, probes.open(expectation.probe())))
                .toList();
    }

    private static Finding judge(final Expectation expectation, final LiveProbes.Seen seen) {
        if (seen.sight() == LiveProbes.Sight.UNKNOWN) {
            return new Finding(
                    expectation.where(),
                    expectation.name(),
                    Outcome.NOT_JUDGED,
                    "not judged: " + seen.how());
        }
        final boolean allowed = seen.sight() == LiveProbes.Sight.ALLOWED;
        return allowed == expectation.allowed()
                ? new Finding(expectation.where(), expectation.name(), Outcome.PASSED, "")
                : failed(
                        expectation,
                        "expected "
                                + word(expectation.allowed())
                                + ", is "
                                + word(allowed)
                                + ": "
                                + seen.how());
    }

    private static Finding failed(final Expectation expectation, final String message) {
        return new Finding(expectation.where(), expectation.name(), Outcome.FAILED, message);
    }

    private static String word(final boolean allowed) {
        return allowed ? "allowed" : "denied";
    }

    /** Who had a say: those who deny where it is denied, everybody where it is allowed. */
    private static List<Author> authors(final Evaluation evaluation) {
        final List<Author> denying = new ArrayList<>();
        final List<Author> all = new ArrayList<>();
        for (final PolicyEntry side : List.of(evaluation.egress(), evaluation.ingress())) {
            (side.isAllowed() ? all : denying).add(side.by());
        }
        evaluation
                .request()
                .ifPresent(request -> (request.allowed() ? all : denying).add(request.by()));
        return denying.isEmpty() ? all : denying;
    }

    private static String describe(final Evaluation evaluation) {
        final StringBuilder line = new StringBuilder(word(evaluation.allowed()));
        line.append(" (").append(evaluation.verdict());
        if (evaluation.reason() != PolicyEntry.Reason.NONE) {
            line.append(' ').append(evaluation.reason());
        }
        line.append("): egress by ").append(evaluation.egress().by());
        line.append("; ingress by ").append(evaluation.ingress().by());
        evaluation
                .request()
                .ifPresent(
                        request ->
                                line.append("; request ")
                                        .append(request.allowed() ? "forwarded" : request.answer())
                                        .append(" by ")
                                        .append(request.by()));
        return line.toString();
    }

    /** An author without its place, which moves with every edit of the file. */
    private static String phrase(final Author author) {
        return new Author(
                        author.origin(),
                        author.tier(),
                        author.kind(),
                        author.namespace(),
                        author.name(),
                        author.rule(),
                        author.list(),
                        "",
                        0)
                .toString();
    }

    /** Where its manifests are. */
    List<Path> manifestPaths() {
        final Path folder = Optional.ofNullable(Path.of(file).getParent()).orElse(Path.of(""));
        return manifests.stream().map(folder::resolve).map(Path::normalize).toList();
    }
}
