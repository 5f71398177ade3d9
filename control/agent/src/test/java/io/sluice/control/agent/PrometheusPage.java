package io.sluice.control.agent;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A page in Prometheus' text format 0.0.4, read as strictly as it is written down, with what
 * OpenMetrics asks beyond it of names: <a
 * href="https://prometheus.io/docs/instrumenting/exposition_formats/">exposition formats</a>, <a
 * href="https://prometheus.io/docs/specs/om/open_metrics_spec/">OpenMetrics</a> sections 4 and 5.
 *
 * <p>What Prometheus tolerates is refused here: a family in two places, a TYPE after a sample, no
 * HELP, blank lines, needless blanks, timestamps, escapes that are none.
 */
final class PrometheusPage {
    private static final Pattern NAME = Pattern.compile("[a-zA-Z_:][a-zA-Z0-9_:]*");
    private static final Pattern LABEL = Pattern.compile("[a-zA-Z_][a-zA-Z0-9_]*");
    private static final Pattern HELP = Pattern.compile("# HELP (\\S+) (\\S|\\S.*\\S)");
    private static final Pattern TYPE =
            Pattern.compile("# TYPE (\\S+) (counter|gauge|histogram|summary|untyped)");
    private static final Pattern NUMBER =
            Pattern.compile("[+-]?(Inf|([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?)|NaN");

    /** A sample: its name with its ending, its labels, its value. */
    record Sample(String name, Map<String, String> labels, double value) {}

    /** What belongs to one HELP. */
    record Family(String name, String help, String type, List<Sample> samples) {
        /** Names of labels, but that of buckets. */
        Set<String> labels() {
            final Set<String> labels = new HashSet<>();
            samples.forEach(sample -> labels.addAll(sample.labels().keySet()));
            labels.remove("le");
            return labels;
        }
    }

    private final Map<String, Family> families = new LinkedHashMap<>();

    private PrometheusPage() {}

    /**
     * Reads a page.
     *
     * @throws AssertionError with the line, or the family, and the rule it breaks
     */
    static PrometheusPage of(final String text) {
        final PrometheusPage page = new PrometheusPage();
        check(text.endsWith("\n"), "the last line has an end", "");
        check(text.indexOf('\r') < 0 && text.indexOf('\uFFFD') < 0, "UTF-8, lines end with LF", "");
        final List<String> lines = List.of(text.substring(0, text.length() - 1).split("\n", -1));
        int next = 0;
        while (next < lines.size()) {
            next = page.family(lines, next);
        }
        page.families.values().forEach(page::judge);
        return page;
    }

    Set<String> names() {
        return families.keySet();
    }

    /** A family that is there. */
    Family family(final String name) {
        final Family family = families.get(name);
        if (family == null) {
            throw new AssertionError("no " + name);
        }
        return family;
    }

    /** Reads a family, from its HELP to the next one's; says where that is. */
    private int family(final List<String> lines, final int first) {
        final Matcher help = matched(HELP, lines.get(first), "HELP comes first");
        final String name = help.group(1);
        check(NAME.matcher(name).matches(), "a metric's name", lines.get(first));
        unescaped(help.group(2), "", lines.get(first));
        check(first + 1 < lines.size(), "TYPE comes second", lines.get(first));
        final Matcher type = matched(TYPE, lines.get(first + 1), "TYPE comes second");
        check(type.group(1).equals(name), "TYPE is of the same name", lines.get(first + 1));
        final List<Sample> samples = new ArrayList<>();
        int next = first + 2;
        for (; next < lines.size() && !lines.get(next).startsWith("#"); next++) {
            samples.add(sample(lines.get(next)));
        }
        check(!samples.isEmpty(), "a family has samples", name);
        check(
                families.put(name, new Family(name, help.group(2), type.group(2), samples)) == null,
                "a family is in one place",
                name);
        return next;
    }

    private static Matcher matched(final Pattern pattern, final String line, final String rule) {
        final Matcher matcher = pattern.matcher(line);
        check(matcher.matches(), rule, line);
        return matcher;
    }

    private static Sample sample(final String line) {
        int at = 0;
        while (at < line.length() && line.charAt(at) != '{' && line.charAt(at) != ' ') {
            at++;
        }
        final String name = line.substring(0, at);
        check(NAME.matcher(name).matches(), "a metric's name", line);
        final Map<String, String> labels = new TreeMap<>();
        if (at < line.length() && line.charAt(at) == '{') {
            at = labels(line, at + 1, labels);
        }
        check(at < line.length() && line.charAt(at) == ' ', "one blank before the value", line);
        final String number = line.substring(at + 1);
        check(NUMBER.matcher(number).matches(), "a number, and no timestamp", line);
        return new Sample(name, labels, number(number));
    }

    /** Reads labels up to the closing brace; says what comes behind it. */
    private static int labels(final String line, final int from, final Map<String, String> into) {
        int at = from;
        while (true) {
            final int equals = line.indexOf("=\"", at);
            check(equals > 0, "a label is name=\"value\"", line);
            final String label = line.substring(at, equals);
            check(
                    LABEL.matcher(label).matches() && !label.startsWith("__"),
                    "a label's name",
                    line);
            int end = equals + 2;
            while (end < line.length() && line.charAt(end) != '"') {
                end += line.charAt(end) == '\\' ? 2 : 1;
            }
            check(end + 1 < line.length(), "a label's value has an end", line);
            final String value = unescaped(line.substring(equals + 2, end), "\"", line);
            check(into.put(label, value) == null, "a label is there once", line);
            at = end + 2;
            if (line.charAt(end + 1) == '}') {
                return at;
            }
            check(line.charAt(end + 1) == ',', "a comma between labels", line);
        }
    }

    /** Escapes are those of backslash and line feed, and of more where that is said. */
    private static String unescaped(final String text, final String more, final String line) {
        final StringBuilder plain = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char character = text.charAt(i);
            if (character == '\\') {
                i++;
                check(i < text.length(), "a backslash escapes something", line);
                character = text.charAt(i);
                check(
                        character == '\\' || character == 'n' || more.indexOf(character) >= 0,
                        "an escape that there is",
                        line);
                character = character == 'n' ? '\n' : character;
            }
            plain.append(character);
        }
        return plain.toString();
    }

    private static double number(final String text) {
        return switch (text) {
            case "Inf", "+Inf" -> Double.POSITIVE_INFINITY;
            case "-Inf" -> Double.NEGATIVE_INFINITY;
            default -> Double.parseDouble(text);
        };
    }

    private void judge(final Family family) {
        final Set<String> series = new HashSet<>();
        for (final Sample sample : family.samples()) {
            check(
                    series.add(sample.name() + sample.labels()),
                    "a series is there once",
                    sample.toString());
            final String ending =
                    sample.name().startsWith(family.name())
                            ? sample.name().substring(family.name().length())
                            : "?";
            check(
                    family.type().equals("histogram")
                            ? List.of("_bucket", "_sum", "_count").contains(ending)
                            : ending.isEmpty(),
                    "a sample has its family's name",
                    sample.toString());
            check(
                    sample.labels().containsKey("le") == ending.equals("_bucket"),
                    "buckets have le, and nothing else has",
                    sample.toString());
            check(!Double.isNaN(sample.value()), "a value", sample.toString());
        }
        switch (family.type()) {
            case "counter" -> {
                check(family.name().endsWith("_total"), "counters end with _total", family.name());
                family.samples()
                        .forEach(
                                sample ->
                                        check(
                                                sample.value() >= 0
                                                        && !Double.isInfinite(sample.value()),
                                                "counters only grow, from 0",
                                                sample.toString()));
            }
            case "histogram" -> judgeHistogram(family);
            default ->
                    check(
                            !family.name().matches(".*_(total|bucket|sum|count)"),
                            "a gauge's name has no ending of another type",
                            family.name());
        }
        for (final String ending : List.of("_bucket", "_sum", "_count", "_total")) {
            check(
                    !families.containsKey(family.name() + ending),
                    "no family's name is a sample's of another",
                    family.name() + ending);
        }
    }

    /** A histogram's parts by the labels of its own. */
    private static void judgeHistogram(final Family family) {
        final Map<Map<String, String>, List<Sample>> buckets = new LinkedHashMap<>();
        final Map<Map<String, String>, Double> counts = new LinkedHashMap<>();
        final Map<Map<String, String>, Double> sums = new LinkedHashMap<>();
        for (final Sample sample : family.samples()) {
            final Map<String, String> own = new TreeMap<>(sample.labels());
            own.remove("le");
            if (sample.name().endsWith("_bucket")) {
                buckets.computeIfAbsent(own, labels -> new ArrayList<>()).add(sample);
            } else {
                (sample.name().endsWith("_sum") ? sums : counts).put(own, sample.value());
            }
        }
        check(
                buckets.keySet().equals(counts.keySet()) && buckets.keySet().equals(sums.keySet()),
                "buckets, sum and count go together",
                family.name());
        buckets.forEach(
                (own, of) -> {
                    double bound = Double.NEGATIVE_INFINITY;
                    double count = 0;
                    for (final Sample bucket : of) {
                        final String le = String.valueOf(bucket.labels().get("le"));
                        check(NUMBER.matcher(le).matches(), "le is a number", bucket.toString());
                        check(number(le) > bound, "buckets go upwards", bucket.toString());
                        check(
                                bucket.value() >= count && isWhole(bucket.value()),
                                "buckets count what is at or below them",
                                bucket.toString());
                        bound = number(le);
                        count = bucket.value();
                    }
                    check(
                            bound == Double.POSITIVE_INFINITY,
                            "the last bucket is +Inf",
                            of.toString());
                    check(
                            count == counts.getOrDefault(own, -1.0),
                            "+Inf is the count",
                            of.toString());
                });
    }

    private static boolean isWhole(final double value) {
        return value == Math.rint(value);
    }

    private static void check(final boolean holds, final String rule, final String where) {
        if (!holds) {
            throw new AssertionError(rule + ": " + where);
        }
    }
}
