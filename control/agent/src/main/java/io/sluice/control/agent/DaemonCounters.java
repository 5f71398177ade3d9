package io.sluice.control.agent;

import io.sluice.dataplane.DropReason;
import io.sluice.dataplane.FlowEnd;
import io.sluice.dataplane.TrafficDirection;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyCounters;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * The daemon's counters and gauges as Prometheus gets them; docs/metrics.md explains each.
 *
 * <p>A counter has a name of Sluice's own ({@code sluice_}), and Cilium's or Hubble's as well where
 * it means the same, so that dashboards and alerts that people have keep working.
 *
 * <p>Thread: any; reads what other threads count.
 */
final class DaemonCounters {
    /** Cilium's texts of its drop reasons (pkg/monitor/api/drop.go). */
    private static final Map<DropReason, String> CILIUM_REASONS =
            new EnumMap<>(
                    Map.ofEntries(
                            Map.entry(DropReason.INVALID_SOURCE_MAC, "Invalid source mac"),
                            Map.entry(DropReason.INVALID_SOURCE_IP, "Invalid source ip"),
                            Map.entry(DropReason.POLICY_DENIED, "Policy denied"),
                            Map.entry(DropReason.INVALID_PACKET, "Invalid packet"),
                            Map.entry(
                                    DropReason.CT_TRUNCATED_OR_INVALID_HEADER,
                                    "CT: Truncated or invalid L4 header"),
                            Map.entry(DropReason.FRAGMENTATION_NEEDED, "Fragmentation needed"),
                            Map.entry(
                                    DropReason.UNSUPPORTED_L3_PROTOCOL, "Unsupported L3 protocol"),
                            Map.entry(DropReason.STALE_OR_UNROUTABLE_IP, "Stale or unroutable IP"),
                            Map.entry(
                                    DropReason.CT_MAP_INSERTION_FAILED, "CT: Map insertion failed"),
                            Map.entry(
                                    DropReason.INVALID_IPV6_EXTENSION_HEADER,
                                    "Invalid IPv6 extension header"),
                            Map.entry(
                                    DropReason.UNKNOWN_CONNECTION_TRACKING_STATE,
                                    "Unknown connection tracking state"),
                            Map.entry(
                                    DropReason.UNSUPPORTED_L2_PROTOCOL, "Unsupported L2 protocol"),
                            Map.entry(DropReason.INVALID_IDENTITY, "Invalid identity"),
                            Map.entry(
                                    DropReason.FRAGMENT_NOT_FOUND,
                                    "First logical datagram fragment not found"),
                            Map.entry(DropReason.POLICY_DENY, "Policy denied by denylist"),
                            Map.entry(DropReason.AUTH_REQUIRED, "Authentication required"),
                            Map.entry(DropReason.TTL_EXCEEDED, "TTL exceeded"),
                            Map.entry(
                                    DropReason.EP_NOT_READY,
                                    "Endpoint policy program not available")));

    private final ControlAgent.Parts parts;

    DaemonCounters(final ControlAgent.Parts parts) {
        this.parts = parts;
    }

    /** All of them, those of one name beside each other. */
    List<CounterReport> reports(final StatusReport status, final List<DropReport> drops) {
        final List<CounterReport> counters = new ArrayList<>();
        final Map<String, Long> values = parts.counterFile().values();
        LANE_COUNTERS.forEach(
                (label, help) ->
                        counters.add(
                                counter(
                                        "sluice_%s_total".formatted(label),
                                        help,
                                        (double) values.getOrDefault("lane." + label, 0L))));
        for (final DropReport drop : drops) {
            final Map<String, String> labels =
                    Map.of("reason", drop.reason(), "direction", drop.direction());
            counters.add(
                    new CounterReport(
                            "sluice_drop_packets_total",
                            "Packets dropped, by reason and direction.",
                            CounterReport.Type.COUNTER,
                            labels,
                            (double) drop.packets()));
            counters.add(
                    new CounterReport(
                            "sluice_drop_bytes_total",
                            "Bytes of dropped packets, by reason and direction.",
                            CounterReport.Type.COUNTER,
                            labels,
                            (double) drop.bytes()));
        }
        addCiliumDrops(counters, drops);
        addForwarded(counters, values);
        addEnds(counters, values);
        counters.add(
                counter(
                        "sluice_packets_lost_by_kernel_total",
                        "Packets that the kernel lost between a pod or the node and the switch, at"
                                + " AF_XDP ports.",
                        (double) parts.reconciler().snapshot().lostByKernel()));
        counters.add(
                counter(
                        "sluice_flow_events_lost_total",
                        "Flow events lost because the ring was full, ends of flows aside.",
                        (double) parts.recorder().lost()));
        addHistory(counters);
        addExports(counters);
        counters.add(
                new CounterReport(
                        "hubble_lost_events_total",
                        "The same, under Hubble's name.",
                        CounterReport.Type.COUNTER,
                        Map.of("source", "PERF_EVENT_RING_BUFFER"),
                        (double) parts.recorder().lost()));
        addL7(counters);
        addL7Rules(counters);
        counters.addAll(parts.flowCounts().reports());
        parts.names()
                .counts()
                .forEach(
                        (end, count) ->
                                counters.add(
                                        new CounterReport(
                                                "sluice_dns_messages_total",
                                                "Messages of flows under DNS rules, by their end.",
                                                CounterReport.Type.COUNTER,
                                                Map.of("end", end.name()),
                                                count)));
        counters.add(
                counter(
                        "sluice_dns_wrong_drops_total",
                        "Packets dropped by policy after the answer with their address had gone"
                                + " out: always 0.",
                        (double) parts.names().wrongDrops()));
        counters.add(gauge("sluice_conntrack_flows", "Tracked flows.", status.conntrackCount()));
        counters.add(
                gauge(
                        "sluice_conntrack_capacity_flows",
                        "Tracked flows at most.",
                        status.conntrackCapacity()));
        for (final TableReport table : status.tables()) {
            counters.addAll(counters(table));
        }
        counters.add(
                counter(
                        "sluice_conntrack_created_total",
                        "Flows opened.",
                        (double) parts.conntrack().createdCount()));
        counters.add(
                counter(
                        "sluice_conntrack_expired_total",
                        "Flows forgotten when their time was over.",
                        (double) parts.conntrack().expiredCount()));
        counters.add(
                counter(
                        "sluice_conntrack_refused_total",
                        "Flows that found no place in the table.",
                        (double) parts.conntrack().refusedCount()));
        counters.add(
                counter(
                        "sluice_conntrack_evicted_total",
                        "Unanswered or closing flows pushed out of a nearly full table.",
                        (double) parts.conntrack().evictedCount()));
        counters.add(
                gauge(
                        "sluice_policy_revision",
                        "Policy revision that is live.",
                        (double) status.policyRevision()));
        counters.add(
                gauge(
                        "sluice_policy_compile_seconds",
                        "How long the live policy took to compile.",
                        status.policyCompileNs() / 1e9));
        counters.add(gauge("sluice_identities", "Identities known.", status.identityCount()));
        counters.add(
                gauge(
                        "sluice_ipcache_prefixes",
                        "Prefixes in the ipcache.",
                        status.ipcacheCount()));
        counters.add(
                gauge(
                        "sluice_problems",
                        "Lines under problems in status.",
                        status.problems().size()));
        status.endpointCounts()
                .forEach(
                        (state, count) ->
                                counters.add(
                                        new CounterReport(
                                                "sluice_endpoints",
                                                "Endpoints, by state.",
                                                CounterReport.Type.GAUGE,
                                                Map.of("state", state),
                                                count)));
        return List.copyOf(counters);
    }

    /** Per direction, as Cilium does; the sums are under the lane's own names. */
    private static void addForwarded(
            final List<CounterReport> counters, final Map<String, Long> values) {
        for (final TrafficDirection direction : TrafficDirection.values()) {
            final String label = "forwarded." + direction.label();
            final Map<String, String> labels = Map.of("direction", direction.name());
            counters.add(
                    new CounterReport(
                            "cilium_forward_count_total",
                            "Packets that endpoints sent (EGRESS) and got (INGRESS).",
                            CounterReport.Type.COUNTER,
                            labels,
                            (double) values.getOrDefault(label + ".packets", 0L)));
            counters.add(
                    new CounterReport(
                            "cilium_forward_bytes_total",
                            "Bytes that endpoints sent (EGRESS) and got (INGRESS).",
                            CounterReport.Type.COUNTER,
                            labels,
                            (double) values.getOrDefault(label + ".bytes", 0L)));
        }
    }

    private void addEnds(final List<CounterReport> counters, final Map<String, Long> values) {
        for (final FlowEnd end : FlowEnd.values()) {
            counters.add(
                    new CounterReport(
                            "sluice_flow_ends_total",
                            "Tracked flows that ended, by reason.",
                            CounterReport.Type.COUNTER,
                            Map.of("reason", end.name()),
                            (double) values.getOrDefault("ended." + end, 0L)));
        }
        counters.add(
                counter(
                        "sluice_flow_ends_lost_total",
                        "Ends of flows lost because their half of the ring was full.",
                        (double) parts.recorder().lostEnds()));
    }

    private static void addCiliumDrops(
            final List<CounterReport> counters, final List<DropReport> drops) {
        for (final DropReport drop : drops) {
            final Map<String, String> labels =
                    Map.of(
                            "reason",
                            ciliumReason(DropReason.valueOf(drop.reason())),
                            "direction",
                            drop.direction().toUpperCase(Locale.ROOT));
            counters.add(
                    new CounterReport(
                            "cilium_drop_count_total",
                            "Packets dropped, under Cilium's name and in its words.",
                            CounterReport.Type.COUNTER,
                            labels,
                            (double) drop.packets()));
            counters.add(
                    new CounterReport(
                            "cilium_drop_bytes_total",
                            "Bytes of dropped packets, under Cilium's name and in its words.",
                            CounterReport.Type.COUNTER,
                            labels,
                            (double) drop.bytes()));
        }
    }

    /** Reasons of Sluice's own are written as Cilium would: {@code Dns ring full}. */
    private static String ciliumReason(final DropReason reason) {
        final String words = reason.name().replace('_', ' ').toLowerCase(Locale.ROOT);
        return CILIUM_REASONS.getOrDefault(
                reason, words.substring(0, 1).toUpperCase(Locale.ROOT) + words.substring(1));
    }

    private static List<CounterReport> counters(final TableReport table) {
        final Map<String, String> name = Map.of("map_name", table.name());
        final List<CounterReport> counters = new ArrayList<>();
        if (table.capacity() > 0) {
            counters.add(
                    new CounterReport(
                            "cilium_bpf_map_pressure",
                            "Share of a table that is in use, of those that have a limit.",
                            CounterReport.Type.GAUGE,
                            name,
                            table.pressure()));
        }
        counters.add(
                new CounterReport(
                        "sluice_table_entries",
                        "Entries of a table; of policy maps, how many there are.",
                        CounterReport.Type.GAUGE,
                        name,
                        (double) table.entries()));
        counters.add(
                new CounterReport(
                        "sluice_table_bytes",
                        "Native memory of a table.",
                        CounterReport.Type.GAUGE,
                        name,
                        (double) table.bytes()));
        return counters;
    }

    /** The lane's own counters by their label in the file, with a sentence for people. */
    private static final Map<String, String> LANE_COUNTERS =
            new TreeMap<>(
                    Map.of(
                            "packets_in", "Packets received from all ports.",
                            "bytes_in", "Bytes received from all ports.",
                            "forwarded_packets", "Packets sent on to another port.",
                            "forwarded_bytes", "Bytes sent on to another port.",
                            "answered", "Packets that the switch answered itself.",
                            "punted", "Datagrams handed to the DNS agent.",
                            "returned", "Punted datagrams that came back.",
                            "icmp_errors_sent", "ICMP errors sent on behalf of dropped packets.",
                            "fragments_sent", "Fragments made of packets too long for their port.",
                            "policy_verdicts", "Packets that a policy map was asked about."));

    private void addL7Rules(final List<CounterReport> counters) {
        for (final RuleReport rule : parts.ruleCounts().all()) {
            Map.of(
                            "allowed", rule.allowed(),
                            "denied", rule.denied(),
                            "audited", rule.audited())
                    .forEach(
                            (verdict, requests) ->
                                    counters.add(
                                            new CounterReport(
                                                    "sluice_l7_rule_requests_total",
                                                    "Requests by the L7 rule that decided.",
                                                    CounterReport.Type.COUNTER,
                                                    Map.of(
                                                            "kind", rule.kind(),
                                                            "namespace", rule.namespace(),
                                                            "name", rule.name(),
                                                            "rule", rule.rule(),
                                                            "verdict", verdict),
                                                    (double) requests)));
        }
    }

    private void addL7(final List<CounterReport> counters) {
        final ProxyCounters proxy = parts.proxyCounters();
        for (final ProxyCounter counter : ProxyCounter.values()) {
            counters.add(
                    counter(
                            "sluice_l7_%s_total".formatted(counter.name().toLowerCase(Locale.ROOT)),
                            "L7 proxy: " + counter.meaning() + ".",
                            (double) proxy.value(counter)));
        }
        counters.add(
                gauge(
                        "sluice_l7_connections",
                        "Client connections in the L7 proxy.",
                        proxy.openConnections()));
        final long forwarded =
                proxy.value(ProxyCounter.REQUESTS_FORWARDED)
                        + proxy.value(ProxyCounter.REQUESTS_AUDITED);
        final long denied = proxy.value(ProxyCounter.REQUESTS_DENIED);
        final long malformed = proxy.value(ProxyCounter.REQUESTS_MALFORMED);
        Map.of(
                        "received",
                        forwarded + denied + malformed,
                        "forwarded",
                        forwarded,
                        "denied",
                        denied,
                        "parse_errors",
                        malformed)
                .forEach(
                        (rule, value) ->
                                counters.add(
                                        new CounterReport(
                                                "cilium_policy_l7_total",
                                                "Requests that the L7 proxy judged, by outcome.",
                                                CounterReport.Type.COUNTER,
                                                Map.of("rule", rule),
                                                (double) value)));
    }

    private static CounterReport counter(final String name, final String help, final double value) {
        return new CounterReport(name, help, CounterReport.Type.COUNTER, Map.of(), value);
    }

    private void addExports(final List<CounterReport> counters) {
        final Map<String, ExportCounts> exports =
                new TreeMap<>(
                        Map.of("file", parts.exports().file(), "kafka", parts.exports().kafka()));
        // Ends before beginnings, so that no reader sees more written and lost than offered.
        exports.forEach(
                (destination, counts) ->
                        counters.add(
                                new CounterReport(
                                        "sluice_flow_export_lines_total",
                                        "Lines of flows that were exported.",
                                        CounterReport.Type.COUNTER,
                                        Map.of("destination", destination),
                                        (double) counts.written())));
        exports.forEach(
                (destination, counts) -> {
                    for (final ExportCounts.Cause cause : ExportCounts.Cause.values()) {
                        if (destination.equals("kafka") || cause != ExportCounts.Cause.FULL) {
                            counters.add(lost(destination, cause, counts));
                        }
                    }
                });
        exports.forEach(
                (destination, counts) ->
                        counters.add(
                                new CounterReport(
                                        "sluice_flow_export_offered_total",
                                        "Flows for the export: exported, lost or on their way.",
                                        CounterReport.Type.COUNTER,
                                        Map.of("destination", destination),
                                        (double) counts.offered())));
    }

    private static CounterReport lost(
            final String destination, final ExportCounts.Cause cause, final ExportCounts counts) {
        return new CounterReport(
                "sluice_flow_export_lost_total",
                "Flows that were not exported: overtaken by the ring, no room to wait, or not"
                        + " taken.",
                CounterReport.Type.COUNTER,
                Map.of("destination", destination, "cause", cause.label()),
                (double) counts.lost(cause));
    }

    private void addHistory(final List<CounterReport> counters) {
        final FlowHistory history = parts.history();
        counters.add(
                counter(
                        "sluice_flow_store_offered_total",
                        "Flows for the flow store: stored, lost or on their way.",
                        (double) history.offered()));
        counters.add(
                counter(
                        "sluice_flow_store_stored_total",
                        "Flows that are in the files of the flow store.",
                        (double) history.stored()));
        counters.add(
                counter(
                        "sluice_flow_store_lost_total",
                        "Flows that the flow store has not: off, queue full, or files not writable.",
                        (double) history.lost()));
        counters.add(
                gauge(
                        "sluice_flow_store_flows",
                        "Flows in the flow store.",
                        (double) history.flows()));
        counters.add(
                gauge(
                        "sluice_flow_store_bytes",
                        "Size of the files of the flow store.",
                        (double) history.bytes()));
    }

    private static CounterReport gauge(final String name, final String help, final double value) {
        return new CounterReport(name, help, CounterReport.Type.GAUGE, Map.of(), value);
    }
}
