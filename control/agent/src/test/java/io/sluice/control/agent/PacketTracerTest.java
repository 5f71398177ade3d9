package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.PacketReport.StepReport;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Traces through the whole switch, in words. */
class PacketTracerTest {
    private static final Duration NOW = Duration.ZERO;

    private static final String WEB_LETS_DB_IN =
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: web, namespace: shop}
            spec:
              podSelector: {matchLabels: {app: web}}
              ingress:
              - from: [{podSelector: {matchLabels: {app: db}}}]
                ports: [{port: 53, protocol: UDP}]
            """;

    @TempDir private Path folder;
    private SwitchInOneThread sluice;

    @BeforeEach
    void start() throws Exception {
        sluice = new SwitchInOneThread(folder);
        sluice.ports.addNamespace("web");
        sluice.ports.addNamespace("db");
        sluice.folder(
                Manifests.podAt("web", "10.244.0.11"),
                Manifests.podAt("db", "10.244.0.12"),
                WEB_LETS_DB_IN);
    }

    @AfterEach
    void stop() throws Exception {
        sluice.close();
    }

    private TraceCursor trace(final String match, final int packets) {
        return sluice.tracer.start(new TraceQuery(match, packets, Duration.ofSeconds(60)));
    }

    private static List<String> lines(final PacketReport report) {
        return report.steps().stream().map(step -> step.step() + ": " + step.text()).toList();
    }

    @Test
    void tellsEveryStepOfAPacketThatIsForwarded() throws Exception {
        try (TraceCursor trace = trace("udp and dst pod shop/web", 5)) {
            sluice.send("db", "10.244.0.12", "10.244.0.11", 53);
            final PacketReport report = only(trace);

            assertThat(report.summary()).isEqualTo("shop/db:40000 -> shop/web:53 UDP");
            assertThat(report.end()).isEqualTo("FORWARDED");
            assertThat(report.stoppedAt()).isEqualTo("tx");
            final int db = sluice.view("db").id();
            final int web = sluice.view("web").id();
            assertThat(lines(report))
                    .satisfiesExactly(
                            line ->
                                    assertThat(line)
                                            .isEqualTo(
                                                    "rx: from shop/db (port " + db + "), 46 bytes"),
                            line ->
                                    assertThat(line)
                                            .isEqualTo(
                                                    "parse: IPv4 UDP, 10.244.0.12:40000 ->"
                                                            + " 10.244.0.11:53, TTL 64"),
                            line ->
                                    assertThat(line)
                                            .isEqualTo(
                                                    "guard: MAC and source address are the"
                                                            + " endpoint's own"),
                            line ->
                                    assertThat(line)
                                            .isEqualTo(
                                                    "conntrack: NEW: of no flow, and may open one"),
                            line ->
                                    assertThat(line)
                                            .startsWith("identity: source ")
                                            .contains(" shop/db by 10.244.0.12/32 ")
                                            .contains("k8s:app=db"),
                            line ->
                                    assertThat(line)
                                            .startsWith("identity: destination ")
                                            .contains(" shop/web by 10.244.0.11/32 "),
                            line ->
                                    assertThat(line)
                                            .isEqualTo(
                                                    "egress: allowed by default: no policy isolates"
                                                            + " the endpoint"),
                            line ->
                                    assertThat(line)
                                            .startsWith(
                                                    "ingress: allowed by NetworkPolicy shop/web"
                                                            + " ingress[0] (test.yaml:"),
                            line -> assertThat(line).isEqualTo("verdict: FORWARDED"),
                            line ->
                                    assertThat(line)
                                            .isEqualTo("tx: to shop/web (port " + web + ")"));
        }
    }

    @Test
    void aDropSaysWhereAndWhyAndWhoseRule() throws Exception {
        try (TraceCursor trace = trace("", 5)) {
            sluice.send("db", "10.244.0.12", "10.244.0.11", 54);
            final PacketReport report = only(trace);

            assertThat(report.reason()).isEqualTo("POLICY_DENIED");
            assertThat(report.reasonCode()).isEqualTo(133);
            assertThat(report.stoppedAt()).isEqualTo("policy");
            final StepReport ingress = step(report, "ingress");
            assertThat(ingress.text())
                    .startsWith(
                            "denied by end of tier default: isolated by NetworkPolicy shop/web");
            assertThat(ingress.facts())
                    .containsEntry("allowed", false)
                    .containsEntry("kind", "NetworkPolicy")
                    .containsEntry("name", "web")
                    .containsEntry("file", "test.yaml")
                    .doesNotContainKey("rule");
            assertThat(step(report, "verdict").text())
                    .isEqualTo(
                            "DROPPED at policy: POLICY_DENIED (133): no policy rule allows the"
                                    + " connection");
            assertThat(lines(report)).noneMatch(line -> line.startsWith("tx:"));

            sluice.send("db", "10.244.0.99", "10.244.0.11", 53);
            final PacketReport spoofed = only(trace);
            assertThat(spoofed.stoppedAt()).isEqualTo("guard");
            assertThat(lines(spoofed))
                    .extracting(line -> line.split(":", 2)[0])
                    .containsExactly("rx", "parse", "verdict");
        }
    }

    @Test
    void aFlowThatIsKnownIsNotJudgedAgain() throws Exception {
        sluice.send("db", "10.244.0.12", "10.244.0.11", 53);
        try (TraceCursor trace = trace("src pod shop/db", 5)) {
            sluice.send("db", "10.244.0.12", "10.244.0.11", 53);
            final PacketReport report = only(trace);

            assertThat(step(report, "conntrack").text())
                    .isEqualTo("ESTABLISHED: of a known flow, from its initiator");
            assertThat(step(report, "policy").text())
                    .isEqualTo("not asked: the flow's verdict is of revision " + report.revision());
            assertThat(step(report, "identity").facts()).containsEntry("prefix", "10.244.0.12/32");
        }
    }

    @Test
    void endsByCountByTimeAndByItsReader() throws Exception {
        try (TraceCursor trace = trace("udp", 1)) {
            assertThat(trace.next(NOW)).isEmpty();
            assertThat(trace.ended()).isEqualTo(TraceCursor.Ended.NOT_YET);
            sluice.send("db", "10.244.0.12", "10.244.0.11", 53);
            sluice.send("db", "10.244.0.12", "10.244.0.11", 53);
            assertThat(trace.next(NOW)).hasSize(1);
            assertThat(trace.ended()).isEqualTo(TraceCursor.Ended.COUNT);
        }
        final TraceCursor second = trace("udp", 5);
        assertThat(second.ended()).isEqualTo(TraceCursor.Ended.NOT_YET);
        sluice.nowNs += TimeUnit.SECONDS.toNanos(60);
        assertThat(second.ended()).isEqualTo(TraceCursor.Ended.TIMEOUT);
        second.close();
        second.close();

        sluice.send("db", "10.244.0.12", "10.244.0.11", 53);
        assertThat(second.next(NOW)).as("nothing is taken down for it any more").isEmpty();
    }

    @Test
    void thereIsOneAtATime() throws Exception {
        try (TraceCursor first = trace("udp", 1)) {
            assertThat(first.lost()).isZero();
            assertThatThrownBy(() -> trace("tcp", 1))
                    .isInstanceOfSatisfying(
                            RequestException.class,
                            e ->
                                    assertThat(e.reason())
                                            .isEqualTo(RequestException.Reason.CONFLICT));
        }
        assertThatThrownBy(() -> trace("tpc", 1)).isInstanceOf(RequestException.class);
        trace("tcp", 1).close();
    }

    @Test
    void refusesNumbersOutOfRange() {
        assertThatThrownBy(() -> new TraceQuery("", 0, Duration.ofSeconds(1)))
                .hasMessageContaining("count: 0: a number from 1 to 1000000");
        assertThatThrownBy(() -> new TraceQuery("", 1, Duration.ZERO))
                .hasMessageContaining("timeout: 0: seconds from 1 to 3600");
        assertThatThrownBy(() -> new TraceQuery("", 1, Duration.ofSeconds(3601)))
                .hasMessageContaining("timeout: 3601");
    }

    private static PacketReport only(final TraceCursor trace) throws InterruptedException {
        final List<PacketReport> reports = trace.next(NOW);
        assertThat(reports).hasSize(1);
        return reports.getFirst();
    }

    private static StepReport step(final PacketReport report, final String name) {
        return report.steps().stream()
                .filter(step -> step.step().equals(name))
                .findFirst()
                .orElseThrow();
    }
}
