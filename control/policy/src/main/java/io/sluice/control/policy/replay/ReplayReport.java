package io.sluice.control.policy.replay;

import io.sluice.control.policy.Author;
import io.sluice.control.policy.Evaluation;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.PolicyEntry;
import io.sluice.control.policy.replay.FlowReplay.Answer;
import io.sluice.control.policy.replay.FlowReplay.Change;
import io.sluice.control.policy.replay.FlowTally.Skipped;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * What a replay found. Immutable; the same for the same flows, in whatever order they came.
 *
 * @param connectionsByChange connections, by what would change
 * @param requestsByChange requests, by what would change
 * @param unknown flows that could not be judged, by the reason
 * @param skipped events of the record that are no flows of policy
 * @param standIns pods that were judged by recorded labels
 * @param rows what would change: denied first, then allowed, then audited, most frequent first
 */
public record ReplayReport(
        Map<Change, Long> connectionsByChange,
        Map<Change, Long> requestsByChange,
        NavigableMap<String, Long> unknown,
        Map<Skipped, Long> skipped,
        int standIns,
        List<Row> rows) {
    /** Reasons that are told apart; the rest is put together. */
    private static final int REASONS_MAX = 20;

    private static final String OTHER_REASONS = "for other reasons of the kind";

    /**
     * Flows of one pair of ends that change alike.
     *
     * @param from pod as {@code namespace/name}, else labels or the address
     * @param to the same, with the names that the address was learned from
     * @param port {@code 80/TCP}, {@code ICMP 8/0}
     * @param request in words; empty for connections
     * @param was what became of them
     * @param now what would
     * @param reason why they would be dropped; NONE if they would not, or by a proxy
     * @param times how many there were
     * @param by who decides now
     */
    public record Row(
            Change change,
            String from,
            String to,
            String port,
            String request,
            SeenVerdict was,
            SeenVerdict now,
            PolicyEntry.Reason reason,
            long times,
            Instant first,
            Instant last,
            Author by) {}

    /** What rows are put together by. */
    private record RowKey(
            Change change,
            String from,
            String to,
            String port,
            String request,
            SeenVerdict was,
            SeenVerdict now,
            PolicyEntry.Reason reason,
            Author by) {}

    private static final class Sum {
        private long times;
        private Instant first = Instant.MAX;
        private Instant last = Instant.MIN;

        void add(final SeenTraffic seen) {
            times += seen.times();
            first = seen.first().isBefore(first) ? seen.first() : first;
            last = seen.last().isAfter(last) ? seen.last() : last;
        }
    }

    /** Puts answers together. */
    public static ReplayReport of(
            final Collection<Answer> answers,
            final Map<Skipped, Long> skipped,
            final int standIns) {
        final Map<Change, Long> connections = new EnumMap<>(Change.class);
        final Map<Change, Long> requests = new EnumMap<>(Change.class);
        final Map<String, Long> unknown = new HashMap<>();
        final Map<RowKey, Sum> sums = new HashMap<>();
        for (final Answer answer : answers) {
            final SeenTraffic seen = answer.seen();
            (seen.flow().isRequest() ? requests : connections)
                    .merge(answer.change(), seen.times(), Long::sum);
            if (answer.change() == Change.UNKNOWN) {
                unknown.merge(answer.reason(), seen.times(), Long::sum);
            } else if (answer.change() != Change.NONE) {
                sums.computeIfAbsent(key(answer), _ -> new Sum()).add(seen);
            }
        }
        final List<Row> rows = new ArrayList<>();
        sums.forEach(
                (key, sum) ->
                        rows.add(
                                new Row(
                                        key.change,
                                        key.from,
                                        key.to,
                                        key.port,
                                        key.request,
                                        key.was,
                                        key.now,
                                        key.reason,
                                        sum.times,
                                        sum.first,
                                        sum.last,
                                        key.by)));
        rows.sort(ORDER);
        return new ReplayReport(
                connections, requests, told(unknown), skipped, standIns, List.copyOf(rows));
    }

    private static final Comparator<Row> ORDER =
            Comparator.comparing(Row::change)
                    .thenComparing(Comparator.comparingLong(Row::times).reversed())
                    .thenComparing(Row::from)
                    .thenComparing(Row::to)
                    .thenComparing(Row::port)
                    .thenComparing(Row::request)
                    .thenComparing(Row::was)
                    .thenComparing(Row::now)
                    .thenComparing(row -> row.by().toString());

    /** The most frequent reasons; a record of the wrong cluster has one for every pair. */
    private static NavigableMap<String, Long> told(final Map<String, Long> unknown) {
        final NavigableMap<String, Long> told = new TreeMap<>();
        unknown.entrySet().stream()
                .sorted(
                        Map.Entry.<String, Long>comparingByValue()
                                .reversed()
                                .thenComparing(Map.Entry.comparingByKey()))
                .forEach(
                        reason ->
                                told.merge(
                                        told.size() < REASONS_MAX ? reason.getKey() : OTHER_REASONS,
                                        reason.getValue(),
                                        Long::sum));
        return told;
    }

    private static RowKey key(final Answer answer) {
        final SeenFlow flow = answer.seen().flow();
        return new RowKey(
                answer.change(),
                text(flow.from(), List.of()),
                text(flow.to(), flow.names()),
                port(flow),
                request(flow.request()),
                answer.seen().verdict(),
                answer.verdict(),
                answer.now().map(Evaluation::reason).orElse(PolicyEntry.Reason.NONE),
                answer.by().orElse(Author.DEFAULT));
    }

    private static String text(final SeenPeer peer, final List<String> names) {
        if (!peer.pod().isEmpty()) {
            return peer.namespace() + "/" + peer.pod();
        }
        if (peer.isPod()) {
            return peer.namespace() + "/" + peer.podLabels();
        }
        return names.isEmpty()
                ? peer.address()
                : peer.address() + " (" + String.join(",", names) + ")";
    }

    private static String port(final SeenFlow flow) {
        final String protocol = IpProtocol.nameOf(flow.protocol());
        if (IpProtocol.isIcmp(flow.protocol())) {
            return protocol + " " + (flow.port() >> 8) + "/" + (flow.port() & 0xff);
        }
        return IpProtocol.hasPorts(flow.protocol()) ? flow.port() + "/" + protocol : protocol;
    }

    /** {@code GET shop.example/orders}, {@code produce orders}, {@code DNS a.example.}. */
    private static String request(final Map<String, String> fields) {
        if (fields.isEmpty()) {
            return "";
        }
        if (fields.containsKey("dns")) {
            return "DNS " + fields.get("dns");
        }
        if (fields.containsKey("sni")) {
            return "TLS " + fields.get("sni");
        }
        if (fields.containsKey("kafka.api")) {
            return (fields.get("kafka.api") + " " + fields.getOrDefault("kafka.topic", "")).strip();
        }
        return fields.getOrDefault("http.method", "GET")
                + " "
                + fields.getOrDefault("http.host", "")
                + fields.getOrDefault("http.path", "/");
    }

    /** Everything that was judged, or would have been. */
    public long flows() {
        long flows = 0;
        for (final Change change : Change.values()) {
            flows += flows(change);
        }
        return flows;
    }

    /** Connections and requests of a change. */
    public long flows(final Change change) {
        return connections(change) + requests(change);
    }

    public long connections(final Change change) {
        return connectionsByChange.getOrDefault(change, 0L);
    }

    public long requests(final Change change) {
        return requestsByChange.getOrDefault(change, 0L);
    }

    /** Connections and requests that get what they got. */
    public long unchanged() {
        return flows(Change.NONE);
    }
}
