package io.sluice.control.policy;

import io.sluice.control.policy.TrafficMap.Range;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A set of traffic in words: {@code TCP 80,443,UDP 53}, {@code ICMP type 8}, {@code All
 * Connections}, {@code No Connections}. A protocol alone means all its ports. A set that holds the
 * protocols nobody names is told by what it lacks: {@code All Connections except TCP 22}.
 */
final class TrafficText {
    private static final int CODE_MAX = 255;

    private TrafficText() {}

    static String of(final TrafficMap<Boolean> traffic) {
        if (traffic.others()) {
            final TrafficMap<Boolean> lacking = traffic.map(contained -> !contained);
            return "All Connections"
                    + (lacking.protocols().isEmpty() ? "" : " except " + listed(lacking));
        }
        return traffic.protocols().isEmpty() ? "No Connections" : listed(traffic);
    }

    private static String listed(final TrafficMap<Boolean> traffic) {
        final List<String> texts = new ArrayList<>();
        traffic.protocols().forEach((protocol, ports) -> texts.addAll(texts(protocol, ports)));
        return String.join(",", texts);
    }

    /** One text for all destination ports that the same source ports reach. */
    private static List<String> texts(
            final int protocol, final List<Range<List<Range<Boolean>>>> ports) {
        final Map<List<Range<Boolean>>, List<String>> bySources = new LinkedHashMap<>();
        for (final Range<List<Range<Boolean>>> range : ports) {
            if (range.value().stream().anyMatch(Range::value)) {
                final List<String> numbers =
                        bySources.computeIfAbsent(range.value(), _ -> new ArrayList<>());
                if (IpProtocol.isIcmp(protocol)) {
                    addTypes(range.from(), range.to(), numbers);
                } else if (!isWhole(range)) {
                    numbers.add(text(range));
                }
            }
        }
        final String name =
                IpProtocol.hasPorts(protocol) || IpProtocol.isIcmp(protocol)
                        ? IpProtocol.nameOf(protocol)
                        : "protocol " + protocol;
        final List<String> texts = new ArrayList<>();
        bySources.forEach(
                (sources, numbers) ->
                        texts.add(
                                name
                                        + (numbers.isEmpty() ? "" : " ")
                                        + String.join(",", numbers)
                                        + sourceText(sources)));
        return texts;
    }

    private static String sourceText(final List<Range<Boolean>> sources) {
        if (sources.size() == 1) {
            return "";
        }
        return " (source port "
                + String.join(
                        ",", sources.stream().filter(Range::value).map(TrafficText::text).toList())
                + ")";
    }

    private static boolean isWhole(final Range<?> range) {
        return range.from() == 0 && range.to() == VerdictProgram.PORT_MAX;
    }

    private static String text(final Range<?> range) {
        return span(range.from(), range.to());
    }

    private static String span(final int from, final int to) {
        return from == to ? Integer.toString(from) : from + "-" + to;
    }

    /** ICMP types with all their codes as types, what is left over by codes. */
    private static void addTypes(final int from, final int to, final List<String> texts) {
        if (from == 0 && to == VerdictProgram.PORT_MAX) {
            return;
        }
        int next = from;
        while (next <= to) {
            final int type = next >> 8;
            final boolean wholeType = (next & CODE_MAX) == 0 && next + CODE_MAX <= to;
            if (wholeType) {
                final int lastType = ((to + 1) >> 8) - 1;
                texts.add("type " + span(type, lastType));
                next = (lastType + 1) << 8;
            } else {
                final int last = Math.min(to, (type << 8) | CODE_MAX);
                texts.add("type " + type + " code " + span(next & CODE_MAX, last & CODE_MAX));
                next = last + 1;
            }
        }
    }
}
