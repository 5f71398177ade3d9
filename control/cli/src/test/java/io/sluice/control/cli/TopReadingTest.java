package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.api.ApiJson;
import io.sluice.control.cli.TopReading.Carried;
import io.sluice.control.cli.TopReading.Talker;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rates between two readings, and the page made of them. */
final class TopReadingTest {
    private static final Talker WEB = new Talker("shop/a", "shop/b", "TCP", 80);
    private static final Talker NAMES = new Talker("shop/a", "10.96.0.10", "UDP", 53);
    private static final Talker PING = new Talker("shop/b", "shop/a", "ICMP", 0);

    private static JsonNode json(final String text) {
        return ApiJson.read(text.replace('\'', '"'));
    }

    private static TopReading reading(
            final int flows, final double packetsIn, final Map<Talker, Carried> talkers) {
        return new TopReading(
                json(
                        ("{'nodeName':'node1','policyRevision':7,'conntrackCount':%d,"
                                        + "'conntrackCapacity':65536}")
                                .formatted(flows)),
                json(
                        ("[{'namespace':'shop','name':'a','state':'READY','framesReceived':%1$d,"
                                        + "'framesSent':10},{'namespace':'shop','name':'b',"
                                        + "'state':'READY','framesReceived':0,'framesSent':%1$d}]")
                                .formatted((long) packetsIn)),
                json(
                        ("[{'reason':'POLICY_DENIED','direction':'ingress','packets':%d,"
                                        + "'bytes':600},{'reason':'TTL_EXCEEDED',"
                                        + "'direction':'egress','packets':5,'bytes':5}]")
                                .formatted((long) packetsIn / 10)),
                Map.of("sluice_packets_in_total", packetsIn, "sluice_bytes_in_total", packetsIn),
                talkers);
    }

    private static ObjectNode page() {
        final TopReading before =
                reading(
                        3,
                        1000,
                        Map.of(WEB, new Carried(10, 1_000, 1), PING, new Carried(9, 9, 1)));
        final TopReading now =
                reading(
                        3,
                        5000,
                        Map.of(
                                WEB,
                                new Carried(1_010, 2_501_000, 2),
                                NAMES,
                                new Carried(4, 400, 1),
                                PING,
                                new Carried(9, 9, 1)));
        return now.since(before, 2, 10);
    }

    @Test
    void whatGrewIsDividedByTheTime() {
        final ObjectNode page = page();

        assertThat(page.path("packetsInPerSecond").asDouble()).isEqualTo(2000);
        assertThat(page.path("endpoints").get(0).path("endpoint").asText()).isEqualTo("shop/a");
        assertThat(page.path("endpoints").get(0).path("sentPerSecond").asDouble()).isEqualTo(2000);
        assertThat(page.path("endpoints").get(1).path("receivedPerSecond").asDouble())
                .isEqualTo(2000);
        assertThat(page.path("drops").get(0).path("packetsPerSecond").asDouble()).isEqualTo(200);
    }

    @Test
    void thoseWhoCarryMostComeFirstAndANewFlowCountsFromItsBeginning() {
        final JsonNode talkers = page().path("talkers");

        assertThat(talkers.findValuesAsText("to"))
                .containsExactly("shop/b", "10.96.0.10", "shop/a");
        assertThat(talkers.get(0).path("bytesPerSecond").asDouble()).isEqualTo(1_250_000);
        assertThat(talkers.get(1).path("packetsPerSecond").asDouble()).isEqualTo(2);
        assertThat(talkers.get(2).path("bytesPerSecond").asDouble()).isZero();
    }

    @Test
    void aDaemonThatStartedAnewCountsFromZero() {
        final ObjectNode page = reading(0, 300, Map.of()).since(reading(0, 9000, Map.of()), 1, 10);

        assertThat(page.path("packetsInPerSecond").asDouble()).isEqualTo(300);
    }

    @Test
    void listsHaveAsManyLinesAsWereAskedFor() {
        final ObjectNode page = reading(3, 2, Map.of()).since(reading(3, 1, Map.of()), 1, 1);

        assertThat(page.path("endpoints")).hasSize(1);
        assertThat(page.path("drops")).hasSize(1);
    }

    @Test
    void aPageIsAligned() {
        final StringWriter text = new StringWriter();
        final PrintWriter out = new PrintWriter(text);

        TopPage.print(out, page());

        out.flush();
        Golden.assertMatches("top.txt", text.toString());
    }

    @Test
    void tooManyFlowsAreNotRead() {
        final StringWriter text = new StringWriter();
        final PrintWriter out = new PrintWriter(text);

        TopPage.print(out, reading(60_000, 1, Map.of()).since(reading(60_000, 1, Map.of()), 1, 9));

        out.flush();
        assertThat(text.toString()).contains("Talkers are not listed: too many flows");
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "7, 7",
        "7.126, 7.13",
        "12.345, 12.3",
        "123.45, 123",
        "999.4, 999",
        "999.6, 1.00k",
        "1250000, 1.25M",
        "940000, 940k",
        "2e15, 2000T",
    })
    void numbersHaveThreeDigitsAndAPrefix(final double perSecond, final String text) {
        assertThat(TopPage.rate(perSecond)).isEqualTo(text);
    }
}
