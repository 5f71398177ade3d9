package io.sluice.control.agent;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.atomic.LongAdder;

/**
 * Flow events counted under Hubble's names, so that its dashboards show a Sluice node as they show
 * a Cilium one.
 *
 * <p>What: every event that reaches the flow store is counted once, by the labels that Hubble's
 * metrics {@code flow}, {@code drop}, {@code policy}, {@code dns} and {@code httpV2} have without
 * context options (pkg/hubble/metrics). Events that the recorder lost are not here, but in {@code
 * hubble_lost_events_total}; exact drops are in {@code sluice_drop_packets_total}.
 *
 * <p>Limits: no label takes a value that a peer can make up. A method outside RFC 9110 and RFC 5789
 * and a record type without a name count as {@code other}, a status outside 100 to 599 as 0. That
 * bounds the series to some thousands, of which a node sees some dozens.
 *
 * <p>Thread: any.
 */
final class FlowCounts {
    /** Upper bounds of the buckets in seconds: those of Prometheus' client libraries. */
    private static final double[] BUCKET_SECONDS = {
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
    };

    private static final String OTHER = "other";

    /** Kinds of packets that are found by one look; a node sees some dozens. A power of two. */
    private static final int PACKETS_KEPT = 1 << 10;

    private static final Set<String> METHODS =
            Set.of("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH");

    private static final Set<String> PROTOCOLS = Set.of("HTTP/1.0", "HTTP/1.1", "HTTP/2");

    /** Response codes as Hubble writes them (RFC 1035 section 4.1.1, RFC 2136, RFC 6895). */
    private static final Map<Integer, String> RCODES =
            Map.ofEntries(
                    Map.entry(0, "No Error"),
                    Map.entry(1, "Format Error"),
                    Map.entry(2, "Server Failure"),
                    Map.entry(3, "Non-Existent Domain"),
                    Map.entry(4, "Not Implemented"),
                    Map.entry(5, "Query Refused"),
                    Map.entry(6, "Name Exists when it should not"),
                    Map.entry(7, "RR Set Exists when it should not"),
                    Map.entry(8, "RR Set that should exist does not"),
                    Map.entry(9, "Server Not Authoritative for zone"),
                    Map.entry(10, "Name not contained in zone"));

    private enum Metric {
        FLOWS("hubble_flows_processed_total", "Flow events, by kind and verdict."),
        DROPS("hubble_drop_total", "Flow events of drops, by reason."),
        VERDICTS("hubble_policy_verdicts_total", "New flows and requests that policy judged."),
        DNS_QUERIES("hubble_dns_queries_total", "DNS queries under DNS rules."),
        DNS_RESPONSES("hubble_dns_responses_total", "DNS answers under DNS rules."),
        HTTP_REQUESTS("hubble_http_requests_total", "HTTP requests that were answered."),
        HTTP_DURATION(
                "hubble_http_request_duration_seconds", "Time from an HTTP request to its answer.");

        private final String text;
        private final String help;

        Metric(final String text, final String help) {
            this.text = text;
            this.help = help;
        }
    }

    private record Series(Metric metric, Map<String, String> labels) {}

    /** What packets that are alike have in common, and what counts them. */
    private record Counted(
            Flow.Kind kind,
            Flow.Verdict verdict,
            Flow.Direction direction,
            Flow.Match match,
            int protocol,
            String dropReasonName,
            List<LongAdder> counters) {
        boolean is(final Flow flow, final Flow.Match ofFlow) {
            return kind == flow.kind()
                    && verdict == flow.verdict()
                    && direction == flow.direction()
                    && match == ofFlow
                    && protocol == flow.protocol()
                    && dropReasonName.equals(flow.dropReasonName());
        }
    }

    /** Observations at or below each bound, the last without bound, and their sum. */
    private static final class Histogram {
        private final LongAdder[] buckets = new LongAdder[BUCKET_SECONDS.length + 1];
        private final LongAdder sumNs = new LongAdder();

        Histogram() {
            for (int i = 0; i < buckets.length; i++) {
                buckets[i] = new LongAdder();
            }
        }

        void observe(final long valueNs) {
            int bucket = 0;
            while (bucket < BUCKET_SECONDS.length && valueNs > BUCKET_SECONDS[bucket] * 1e9) {
                bucket++;
            }
            buckets[bucket].increment();
            sumNs.add(valueNs);
        }
    }

    private final ConcurrentHashMap<Series, LongAdder> counts = new ConcurrentHashMap<>();

    /** By hash; who is not there is looked for in {@link #counts}, and takes the place. */
    private final AtomicReferenceArray<Counted> packets = new AtomicReferenceArray<>(PACKETS_KEPT);

    private final ConcurrentHashMap<Series, Histogram> durations = new ConcurrentHashMap<>();

    /** When a namespace last had a flow. They are those of objects, so they are few. */
    private final ConcurrentHashMap<String, Instant> namespaces = new ConcurrentHashMap<>();

    /** Counts an event, the ends of flows aside: their beginnings were counted. */
    void count(final Flow flow) {
        if (flow.kind() == Flow.Kind.END) {
            return;
        }
        saw(flow.source().namespace(), flow.time());
        saw(flow.destination().namespace(), flow.time());
        if (flow.l7().isPresent()) {
            countersOf(flow).forEach(LongAdder::increment);
            count(flow, flow.l7().get());
        } else {
            countPacket(flow);
        }
    }

    /** Finds again what counts packets of this kind. */
    private void countPacket(final Flow flow) {
        final Flow.Match match = flow.match();
        final int place = place(flow, match);
        Counted counted = packets.get(place);
        if (counted == null || !counted.is(flow, match)) {
            counted =
                    new Counted(
                            flow.kind(),
                            flow.verdict(),
                            flow.direction(),
                            match,
                            flow.protocol(),
                            flow.dropReasonName(),
                            countersOf(flow));
            packets.set(place, counted);
        }
        counted.counters().forEach(LongAdder::increment);
    }

    private static int place(final Flow flow, final Flow.Match match) {
        int hash = flow.kind().number();
        hash = 31 * hash + flow.verdict().number();
        hash = 31 * hash + flow.direction().number();
        hash = 31 * hash + match.number();
        hash = 31 * hash + flow.protocol();
        hash = 31 * hash + flow.dropReason();
        return hash & (PACKETS_KEPT - 1);
    }

    /** What counts an event, but for what is particular to its protocol. */
    private List<LongAdder> countersOf(final Flow flow) {
        final String protocol = protocol(flow);
        final List<LongAdder> counters = new ArrayList<>();
        counters.add(
                counter(
                        Metric.FLOWS,
                        Map.of(
                                "protocol",
                                protocol,
                                "type",
                                type(flow.kind()),
                                "subtype",
                                flow.kind() == Flow.Kind.L7 ? protocol : "",
                                "verdict",
                                flow.verdict().name())));
        if (flow.kind() == Flow.Kind.DROP) {
            counters.add(
                    counter(
                            Metric.DROPS,
                            Map.of("protocol", protocol, "reason", flow.dropReasonName())));
        }
        if (isVerdict(flow)) {
            counters.add(
                    counter(
                            Metric.VERDICTS,
                            Map.of(
                                    "direction", flow.direction().name().toLowerCase(Locale.ROOT),
                                    "match",
                                            flow.kind() == Flow.Kind.L7
                                                    ? "l7/" + protocol.toLowerCase(Locale.ROOT)
                                                    : flow.match().text(),
                                    "action", flow.verdict().name().toLowerCase(Locale.ROOT))));
        }
        return List.copyOf(counters);
    }

    /** A drop for want of a rule is a verdict too: the lane tells it as a drop only. */
    private static boolean isVerdict(final Flow flow) {
        return switch (flow.kind()) {
            case POLICY_VERDICT -> true;
            case DROP -> flow.match() != Flow.Match.UNASKED;
            case L7 -> flow.l7().map(L7Message::isRequest).orElse(false);
            case END -> false;
        };
    }

    private void count(final Flow flow, final L7Message message) {
        switch (message.content()) {
            case final L7Message.Dns dns when flow.verdict() == Flow.Verdict.DROPPED ->
                    add(Metric.DNS_QUERIES, dns("Policy denied", dns));
            case final L7Message.Dns dns when message.isRequest() ->
                    add(Metric.DNS_QUERIES, dns("", dns));
            case final L7Message.Dns dns ->
                    add(Metric.DNS_RESPONSES, dns(RCODES.getOrDefault(dns.rcode(), OTHER), dns));
            case final L7Message.Http http when !message.isRequest() -> {
                final String method = METHODS.contains(http.method()) ? http.method() : OTHER;
                final String reporter =
                        flow.direction() == Flow.Direction.INGRESS ? "server" : "client";
                add(
                        Metric.HTTP_REQUESTS,
                        Map.of(
                                "method",
                                method,
                                "protocol",
                                PROTOCOLS.contains(http.protocol()) ? http.protocol() : OTHER,
                                "status",
                                http.code() >= 100 && http.code() <= 599
                                        ? Integer.toString(http.code())
                                        : "0",
                                "reporter",
                                reporter));
                durations
                        .computeIfAbsent(
                                new Series(
                                        Metric.HTTP_DURATION,
                                        Map.of("method", method, "reporter", reporter)),
                                series -> new Histogram())
                        .observe(message.latencyNs());
            }
            default -> {
                // Hubble counts no other protocol on its own.
            }
        }
    }

    private static Map<String, String> dns(final String rcode, final L7Message.Dns dns) {
        return Map.of(
                "rcode",
                rcode,
                "qtypes",
                dns.type().startsWith("TYPE") ? OTHER : dns.type(),
                "ips_returned",
                Integer.toString(dns.addresses().size()));
    }

    private static String protocol(final Flow flow) {
        return flow.l7()
                .map(
                        message ->
                                switch (message.content()) {
                                    case L7Message.Http _ -> "HTTP";
                                    case L7Message.Kafka _ -> "Kafka";
                                    case L7Message.Dns _ -> "DNS";
                                    case L7Message.Tls _ -> "TLS";
                                })
                .orElseGet(
                        () ->
                                switch (flow.protocol()) {
                                    case 1 -> "ICMPv4";
                                    case 6 -> "TCP";
                                    case 17 -> "UDP";
                                    case 58 -> "ICMPv6";
                                    case 132 -> "SCTP";
                                    default -> "Unknown";
                                });
    }

    private static String type(final Flow.Kind kind) {
        return switch (kind) {
            case DROP -> "Drop";
            case POLICY_VERDICT -> "PolicyVerdict";
            case L7 -> "L7";
            case END -> "FlowEnd";
        };
    }

    private void add(final Metric metric, final Map<String, String> labels) {
        counter(metric, labels).increment();
    }

    private LongAdder counter(final Metric metric, final Map<String, String> labels) {
        return counts.computeIfAbsent(new Series(metric, labels), series -> new LongAdder());
    }

    private void saw(final String namespace, final Instant at) {
        // Events of one batch of the lane have one time.
        if (!namespace.isEmpty() && !at.equals(namespaces.get(namespace))) {
            namespaces.put(namespace, at);
        }
    }

    /** Namespaces that had flows after a moment, since this daemon started; by name. */
    List<String> namespacesSince(final Instant moment) {
        return namespaces.entrySet().stream()
                .filter(entry -> entry.getValue().isAfter(moment))
                .map(Map.Entry::getKey)
                .sorted()
                .toList();
    }

    /** What was counted so far, in a fixed order. */
    List<CounterReport> reports() {
        final List<CounterReport> reports = new ArrayList<>();
        counts.entrySet().stream()
                .sorted(Map.Entry.comparingByKey(ORDER))
                .forEach(
                        entry ->
                                reports.add(
                                        new CounterReport(
                                                entry.getKey().metric().text,
                                                entry.getKey().metric().help,
                                                CounterReport.Type.COUNTER,
                                                entry.getKey().labels(),
                                                (double) entry.getValue().sum())));
        durations.entrySet().stream()
                .sorted(Map.Entry.comparingByKey(ORDER))
                .forEach(entry -> histogram(reports, entry.getKey(), entry.getValue()));
        return reports;
    }

    private static final Comparator<Series> ORDER =
            Comparator.comparing(Series::metric)
                    .thenComparing(series -> new TreeMap<>(series.labels()).toString());

    private static void histogram(
            final List<CounterReport> reports, final Series series, final Histogram histogram) {
        long count = 0;
        for (int i = 0; i < histogram.buckets.length; i++) {
            count += histogram.buckets[i].sum();
            final Map<String, String> labels = new TreeMap<>(series.labels());
            labels.put(
                    "le", i < BUCKET_SECONDS.length ? Double.toString(BUCKET_SECONDS[i]) : "+Inf");
            reports.add(part(series, "_bucket", labels, (double) count));
        }
        reports.add(part(series, "_sum", series.labels(), histogram.sumNs.sum() / 1e9));
        reports.add(part(series, "_count", series.labels(), (double) count));
    }

    private static CounterReport part(
            final Series series,
            final String suffix,
            final Map<String, String> labels,
            final double value) {
        return new CounterReport(
                series.metric().text + suffix,
                series.metric().help,
                CounterReport.Type.HISTOGRAM,
                labels,
                value);
    }
}
