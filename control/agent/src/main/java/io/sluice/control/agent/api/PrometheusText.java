package io.sluice.control.agent.api;

import io.sluice.control.agent.CounterReport;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Counters in Prometheus' text exposition format 0.0.4: one HELP and TYPE per name, then its series
 * in the order given.
 */
public final class PrometheusText {
    /** The format's media type. */
    public static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

    private PrometheusText() {}

    public static String of(final List<CounterReport> counters) {
        final Map<String, List<CounterReport>> families = new LinkedHashMap<>();
        for (final CounterReport counter : counters) {
            families.computeIfAbsent(familyOf(counter), name -> new ArrayList<>()).add(counter);
        }
        final StringBuilder text = new StringBuilder();
        families.forEach((name, series) -> family(text, name, series));
        return text.toString();
    }

    /** The three kinds of series of a histogram share the name without their ending. */
    private static String familyOf(final CounterReport counter) {
        return counter.type() == CounterReport.Type.HISTOGRAM
                ? counter.name().substring(0, counter.name().lastIndexOf('_'))
                : counter.name();
    }

    private static void family(
            final StringBuilder text, final String name, final List<CounterReport> series) {
        final CounterReport first = series.getFirst();
        text.append("# HELP ").append(name).append(' ');
        text.append(first.help().replace("\\", "\\\\").replace("\n", "\\n")).append('\n');
        text.append("# TYPE ").append(name).append(' ');
        text.append(first.type().name().toLowerCase(Locale.ROOT)).append('\n');
        for (final CounterReport counter : series) {
            text.append(counter.name());
            labels(text, counter.labels());
            text.append(' ').append(number(counter.value())).append('\n');
        }
    }

    private static void labels(final StringBuilder text, final Map<String, String> labels) {
        if (labels.isEmpty()) {
            return;
        }
        char separator = '{';
        for (final Map.Entry<String, String> label : new TreeMap<>(labels).entrySet()) {
            text.append(separator).append(label.getKey()).append("=\"");
            text.append(
                    label.getValue()
                            .replace("\\", "\\\\")
                            .replace("\"", "\\\"")
                            .replace("\n", "\\n"));
            text.append('"');
            separator = ',';
        }
        text.append('}');
    }

    /** Whole numbers without a fraction; they are exact up to 2^53. */
    private static String number(final double value) {
        return value == Math.rint(value) && Math.abs(value) < 0x1p53
                ? Long.toString((long) value)
                : Double.toString(value);
    }
}
