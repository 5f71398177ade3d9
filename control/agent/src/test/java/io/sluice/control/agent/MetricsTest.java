package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.sluice.control.agent.api.PrometheusText;
import io.sluice.dataplane.DropReason;
import io.sluice.dnsproxy.DnsEnd;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.ProxyCounters;
import io.sluice.l7proxy.SideRules;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What Prometheus gets: its form, its names, and that docs/metrics.md tells of all of them. */
class MetricsTest {
    private static final Path DOCS = Path.of("..", "..", "docs");

    private static final FlowPeer CLIENT =
            new FlowPeer(1, 300, "shop", "web", List.of(), "10.0.0.1", 40000, "");
    private static final FlowPeer SERVER =
            new FlowPeer(2, 301, "shop", "db", List.of(), "10.0.0.2", 80, "");

    /** What people write into names and rules. */
    private static final String ANY_TEXT = "GET \"/a\\\\.b\"\nand more, {é}";

    private static final Map<Integer, String> PROTOCOLS =
            Map.of(1, "ICMPv4", 6, "TCP", 17, "UDP", 58, "ICMPv6", 132, "SCTP");

    private final FlowCounts counts = new FlowCounts();
    private final RuleCounts rules = new RuleCounts();
    private final ControlThread thread =
            new ControlThread(
                    error -> {
                        throw error;
                    });
    private SwitchInOneThread sluice;
    private ControlPlane control;

    @TempDir private Path folder;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
        control =
                new ControlAgent(
                        new ControlAgent.Parts(
                                sluice.config,
                                List.of(),
                                thread,
                                sluice.store,
                                sluice.rollouts,
                                sluice.reconciler,
                                sluice.publisher,
                                sluice.conntrack,
                                List.of(sluice.counters),
                                sluice.counterFile,
                                sluice.flows,
                                sluice.history,
                                sluice.recorder,
                                sluice.dns,
                                sluice.proxy,
                                new ProxyCounters(),
                                counts,
                                new Exports(),
                                () -> true,
                                rules,
                                () -> sluice.nowNs,
                                sluice.tracer,
                                () -> {}));
    }

    @AfterEach
    void stop() throws Exception {
        thread.close();
        sluice.close();
    }

    @Test
    void everyMetricIsDocumentedAndNoneThatDoesNotExist() throws Exception {
        oneOfEach();
        final Map<String, String> rows = new TreeMap<>();
        families().forEach((name, series) -> rows.put(name, row(name, series)));

        final String page = Files.readString(DOCS.resolve("metrics.md"));
        final List<String> documented =
                page.lines().filter(line -> line.startsWith("| `")).toList();

        assertThat(documented).containsExactlyElementsOf(rows.values());
    }

    @ParameterizedTest
    @ValueSource(strings = {"grafana/sluice.json", "alerts/sluice.yaml"})
    void dashboardAndAlertsAskForMetricsThatExist(final String file) throws Exception {
        oneOfEach();
        final Map<String, TreeSet<String>> known = new TreeMap<>();
        control.counters()
                .forEach(
                        counter ->
                                known.computeIfAbsent(counter.name(), name -> new TreeSet<>())
                                        .addAll(counter.labels().keySet()));

        final Matcher asked =
                Pattern.compile("\\b((?:sluice|cilium|hubble)_[a-z0-9_]+)(?:\\{([^}]*)})?")
                        .matcher(Files.readString(DOCS.resolve(file)));
        int expressions = 0;
        while (asked.find()) {
            expressions++;
            assertThat(known).as(file).containsKey(asked.group(1));
            final Matcher label =
                    Pattern.compile("(\\w+)[!=]").matcher(String.valueOf(asked.group(2)));
            while (label.find()) {
                // Prometheus adds the instance.
                if (!label.group(1).equals("instance")) {
                    assertThat(known.get(asked.group(1)))
                            .as(asked.group())
                            .contains(label.group(1));
                }
            }
        }
        assertThat(expressions).isGreaterThan(10);
    }

    @Test
    void promtoolReadsTheAlertRules() throws Exception {
        final List<String> said =
                Promtool.run("", "check", "rules", DOCS.resolve("alerts/sluice.yaml").toString());

        assertThat(said).anyMatch(line -> line.matches("  SUCCESS: [0-9]+ rules found"));
        assertThat(said).noneMatch(line -> line.startsWith("exit status"));
    }

    @Test
    void thePageIsWhatPrometheusReads() throws Exception {
        oneOfEach();
        final String text = PrometheusText.of(control.counters());

        final PrometheusPage page = PrometheusPage.of(text);
        assertThat(page.names()).isEqualTo(families().keySet());
        assertThat(page.names().stream().mapToInt(name -> page.family(name).samples().size()).sum())
                .isEqualTo(control.counters().size());
        assertThat(Promtool.run(text, "check", "metrics")).isEmpty();
    }

    @Test
    void textsOfAnyKindAreReadAsTheyAre() throws Exception {
        final String text =
                PrometheusText.of(
                        List.of(
                                new CounterReport(
                                        "any_total",
                                        ANY_TEXT,
                                        CounterReport.Type.COUNTER,
                                        Map.of("a", ANY_TEXT, "b", ""),
                                        1e18)));

        assertThat(PrometheusPage.of(text).family("any_total").samples())
                .containsExactly(
                        new PrometheusPage.Sample(
                                "any_total", Map.of("a", ANY_TEXT, "b", ""), 1e18));
        assertThat(Promtool.run(text, "check", "metrics")).isEmpty();
    }

    /** A row of the page that no code counts says that something never happens. */
    @Test
    void noCounterIsDead() {
        final JavaClasses sluice =
                new ClassFileImporter()
                        .withImportOption(new ImportOption.DoNotIncludeTests())
                        .importPackages("io.sluice");
        for (final Enum<?>[] counters :
                List.<Enum<?>[]>of(
                        ProxyCounter.values(),
                        DnsEnd.values(),
                        DropReason.values(),
                        EndpointState.values())) {
            for (final Enum<?> counter : counters) {
                final JavaClass owner = sluice.get(counter.getDeclaringClass());
                assertThat(
                                owner.getField(counter.name()).getAccessesToSelf().stream()
                                        .map(access -> access.getOriginOwner())
                                        .filter(origin -> !origin.equals(owner))
                                        .filter(
                                                origin ->
                                                        !origin.isEquivalentTo(
                                                                DaemonCounters.class)))
                        .as("%s.%s", owner.getSimpleName(), counter)
                        .isNotEmpty();
            }
        }
    }

    @Test
    void flowsCountAsHubbleCountsThem() {
        oneOfEach();

        assertThat(series("hubble_"))
                .containsExactly(
                        "hubble_lost_events_total{source=PERF_EVENT_RING_BUFFER} 0",
                        "hubble_flows_processed_total{protocol=DNS, subtype=DNS, type=L7,"
                                + " verdict=DROPPED} 1",
                        "hubble_flows_processed_total{protocol=DNS, subtype=DNS, type=L7,"
                                + " verdict=FORWARDED} 2",
                        "hubble_flows_processed_total{protocol=HTTP, subtype=HTTP, type=L7,"
                                + " verdict=DROPPED} 1",
                        "hubble_flows_processed_total{protocol=HTTP, subtype=HTTP, type=L7,"
                                + " verdict=FORWARDED} 2",
                        "hubble_flows_processed_total{protocol=TCP, subtype=, type=Drop,"
                                + " verdict=DROPPED} 2",
                        "hubble_flows_processed_total{protocol=TCP, subtype=, type=PolicyVerdict,"
                                + " verdict=FORWARDED} 1",
                        "hubble_drop_total{protocol=TCP, reason=INVALID_SOURCE_IP} 1",
                        "hubble_drop_total{protocol=TCP, reason=POLICY_DENIED} 1",
                        "hubble_policy_verdicts_total{action=dropped, direction=egress,"
                                + " match=l7/dns} 1",
                        "hubble_policy_verdicts_total{action=dropped, direction=ingress,"
                                + " match=l7/http} 1",
                        "hubble_policy_verdicts_total{action=dropped, direction=ingress,"
                                + " match=none} 1",
                        "hubble_policy_verdicts_total{action=forwarded, direction=egress,"
                                + " match=l7/dns} 1",
                        "hubble_policy_verdicts_total{action=forwarded, direction=ingress,"
                                + " match=l3-l4} 1",
                        "hubble_dns_queries_total{ips_returned=0, qtypes=A, rcode=} 1",
                        "hubble_dns_queries_total{ips_returned=0, qtypes=other,"
                                + " rcode=Policy denied} 1",
                        "hubble_dns_responses_total{ips_returned=1, qtypes=A, rcode=No Error} 1",
                        "hubble_http_requests_total{method=GET, protocol=HTTP/1.1,"
                                + " reporter=server, status=200} 1",
                        "hubble_http_requests_total{method=other, protocol=HTTP/1.1,"
                                + " reporter=server, status=403} 1");
    }

    @Test
    void theTimeOfAnAnswerFallsIntoAllBucketsFromItsOwnUp() {
        counts.count(http(false, Flow.Verdict.FORWARDED, "GET", 200, 30_000_000));
        counts.count(http(false, Flow.Verdict.FORWARDED, "GET", 200, 60_000_000_000L));

        assertThat(counts.reports())
                .filteredOn(report -> report.type() == CounterReport.Type.HISTOGRAM)
                .extracting(
                        report ->
                                report.name().replace("hubble_http_request_duration_seconds", "")
                                        + report.labels().getOrDefault("le", "")
                                        + " "
                                        + report.value())
                .containsExactly(
                        "_bucket0.005 0.0",
                        "_bucket0.01 0.0",
                        "_bucket0.025 0.0",
                        "_bucket0.05 1.0",
                        "_bucket0.1 1.0",
                        "_bucket0.25 1.0",
                        "_bucket0.5 1.0",
                        "_bucket1.0 1.0",
                        "_bucket2.5 1.0",
                        "_bucket5.0 1.0",
                        "_bucket10.0 1.0",
                        "_bucket+Inf 2.0",
                        "_sum 60.03",
                        "_count 2.0");
    }

    private List<String> series(final String prefix) {
        final List<String> found = new ArrayList<>();
        for (final CounterReport counter : control.counters()) {
            if (counter.name().startsWith(prefix)
                    && counter.type() != CounterReport.Type.HISTOGRAM) {
                found.add(
                        "%s%s %d"
                                .formatted(
                                        counter.name(),
                                        new TreeMap<>(counter.labels()),
                                        (long) counter.value()));
            }
        }
        return found;
    }

    private Map<String, List<CounterReport>> families() {
        final Map<String, List<CounterReport>> families = new TreeMap<>();
        for (final CounterReport counter : control.counters()) {
            final String family =
                    counter.type() == CounterReport.Type.HISTOGRAM
                            ? counter.name().replaceAll("_(bucket|sum|count)$", "")
                            : counter.name();
            families.computeIfAbsent(family, name -> new ArrayList<>()).add(counter);
        }
        return families;
    }

    private static String row(final String family, final List<CounterReport> series) {
        final TreeSet<String> labels = new TreeSet<>();
        series.forEach(counter -> labels.addAll(counter.labels().keySet()));
        labels.remove("le");
        return "| `%s%s` | %s | %s |"
                .formatted(
                        family,
                        labels.isEmpty() ? "" : "{" + String.join(",", labels) + "}",
                        series.getFirst().type().name().toLowerCase(Locale.ROOT),
                        series.getFirst().help());
    }

    /** Packets and flows of every kind that has a series of its own. */
    private void oneOfEach() {
        sluice.folder(
                """
                apiVersion: v1
                kind: Pod
                metadata: {name: a, namespace: shop, annotations: {sluice.io/netns: a}}
                status: {podIP: 10.0.0.1}
                """);
        sluice.send("a", "10.0.0.66", "10.0.0.1", 80);
        counts.count(packet(Flow.Kind.POLICY_VERDICT, Flow.Verdict.FORWARDED, "", "NetworkPolicy"));
        counts.count(packet(Flow.Kind.DROP, Flow.Verdict.DROPPED, "POLICY_DENIED", ""));
        counts.count(unjudged());
        counts.count(http(true, Flow.Verdict.DROPPED, "BREW", 0, 0));
        counts.count(http(false, Flow.Verdict.FORWARDED, "BREW", 403, 1000));
        counts.count(http(false, Flow.Verdict.FORWARDED, "GET", 200, 1_000_000));
        counts.count(dns(true, Flow.Verdict.FORWARDED, "A", List.of()));
        counts.count(dns(false, Flow.Verdict.FORWARDED, "A", List.of("192.0.2.1")));
        counts.count(dns(true, Flow.Verdict.DROPPED, "TYPE31337", List.of()));
        final InetSocketAddress any = new InetSocketAddress(80);
        rules.count(
                new L7Event(
                        new io.sluice.l7proxy.Flow(
                                any,
                                any,
                                1,
                                2,
                                () -> new FlowRules(1, SideRules.ALLOW_ALL, SideRules.ALLOW_ALL)),
                        L7Event.Type.REQUEST,
                        L7Event.Verdict.DENIED,
                        1,
                        "a rule",
                        new L7Event.Tls("", false)));
    }

    private static Flow packet(
            final Flow.Kind kind,
            final Flow.Verdict verdict,
            final String reason,
            final String policyKind) {
        return flow(
                kind,
                verdict,
                reason,
                Flow.Direction.INGRESS,
                List.of(new PolicyAuthor("default", policyKind, "", "p", 0, "", 0, "p")),
                Optional.empty());
    }

    private static Flow unjudged() {
        return flow(
                Flow.Kind.DROP,
                Flow.Verdict.DROPPED,
                "INVALID_SOURCE_IP",
                Flow.Direction.EGRESS,
                List.of(),
                Optional.empty());
    }

    private static Flow http(
            final boolean isRequest,
            final Flow.Verdict verdict,
            final String method,
            final int code,
            final long latencyNs) {
        return flow(
                Flow.Kind.L7,
                verdict,
                "",
                Flow.Direction.INGRESS,
                List.of(),
                Optional.of(
                        new L7Message(
                                isRequest,
                                latencyNs,
                                new L7Message.Http(
                                        "HTTP/1.1", method, "http://h/", code, List.of()))));
    }

    @Test
    void packetsThatAreAlikeAreCountedAsOneByOne() {
        final Random random = new Random(5);
        final Map<Map<String, String>, Double> flowsOf = new HashMap<>();
        final Map<Map<String, String>, Double> dropsOf = new HashMap<>();
        for (int i = 0; i < 50_000; i++) {
            final Flow flow = RandomFlows.next(random, i, Instant.EPOCH);
            counts.count(flow);
            if (flow.kind() == Flow.Kind.DROP || flow.kind() == Flow.Kind.POLICY_VERDICT) {
                final String protocol = PROTOCOLS.getOrDefault(flow.protocol(), "Unknown");
                flowsOf.merge(
                        Map.of(
                                "protocol",
                                protocol,
                                "type",
                                flow.kind() == Flow.Kind.DROP ? "Drop" : "PolicyVerdict",
                                "subtype",
                                "",
                                "verdict",
                                flow.verdict().name()),
                        1.0,
                        Double::sum);
                if (flow.kind() == Flow.Kind.DROP) {
                    dropsOf.merge(
                            Map.of("protocol", protocol, "reason", flow.dropReasonName()),
                            1.0,
                            Double::sum);
                }
            }
        }

        assertThat(
                        counted("hubble_flows_processed_total").entrySet().stream()
                                .filter(entry -> !"L7".equals(entry.getKey().get("type"))))
                .containsExactlyInAnyOrderElementsOf(flowsOf.entrySet());
        assertThat(counted("hubble_drop_total")).isEqualTo(dropsOf);
    }

    private Map<Map<String, String>, Double> counted(final String name) {
        final Map<Map<String, String>, Double> values = new HashMap<>();
        for (final CounterReport report : counts.reports()) {
            if (report.name().equals(name)) {
                values.put(report.labels(), report.value());
            }
        }
        return values;
    }

    private static Flow dns(
            final boolean isRequest,
            final Flow.Verdict verdict,
            final String type,
            final List<String> addresses) {
        return flow(
                Flow.Kind.L7,
                verdict,
                "",
                Flow.Direction.EGRESS,
                List.of(),
                Optional.of(
                        new L7Message(
                                isRequest,
                                0,
                                new L7Message.Dns(
                                        "a.example.", type, 0, addresses, List.of(), 60))));
    }

    private static Flow flow(
            final Flow.Kind kind,
            final Flow.Verdict verdict,
            final String reason,
            final Flow.Direction direction,
            final List<PolicyAuthor> ingressBy,
            final Optional<L7Message> l7) {
        return new Flow(
                0,
                Instant.EPOCH,
                "",
                "node-1",
                kind,
                verdict,
                0,
                reason,
                4,
                6,
                2,
                -1,
                -1,
                CLIENT,
                SERVER,
                direction,
                false,
                1,
                List.of(),
                ingressBy,
                60,
                l7);
    }
}
