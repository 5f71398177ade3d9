package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowRedaction;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.L7Message;
import io.sluice.control.agent.PolicyAuthor;
import io.sluice.dataplane.FlowEnd;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Field names and values of Hubble's flow.proto in its JSON form. */
final class FlowJsonTest {
    private static final PolicyAuthor EGRESS_RULE =
            new PolicyAuthor("default", "NetworkPolicy", "shop", "out", 1, "a.yaml", 12, "");
    private static final PolicyAuthor TIER_END =
            new PolicyAuthor("default", "", "", "", -1, "", 0, "end of tier default");

    private static Flow denied() {
        return new Flow(
                9,
                Instant.parse("2026-03-01T11:58:20.123456789Z"),
                "11111111-2222-3333-4444-555555555555",
                "node1",
                Flow.Kind.POLICY_VERDICT,
                Flow.Verdict.DROPPED,
                133,
                "POLICY_DENIED",
                4,
                6,
                0x12,
                -1,
                -1,
                new FlowPeer(
                        3,
                        256,
                        "shop",
                        "web",
                        List.of("k8s:app=web"),
                        "10.0.0.1",
                        40000,
                        "02:00:00:00:00:01"),
                new FlowPeer(
                        0,
                        2,
                        "",
                        "",
                        List.of("reserved:world"),
                        "192.0.2.1",
                        443,
                        "02:00:00:00:00:02"),
                Flow.Direction.INGRESS,
                false,
                7,
                List.of(EGRESS_RULE),
                List.of(TIER_END),
                60,
                java.util.Optional.empty());
    }

    @Test
    void aFlowHasHubblesFieldsInHubblesForm() {
        assertThat(FlowJson.response(denied()).toString())
                .isEqualTo(
                        """
                        {"flow":{"time":"2026-03-01T11:58:20.123456789Z",\
                        "uuid":"11111111-2222-3333-4444-555555555555","verdict":"DROPPED",\
                        "drop_reason":133,"drop_reason_desc":"POLICY_DENIED",\
                        "ethernet":{"source":"02:00:00:00:00:01","destination":"02:00:00:00:00:02"},\
                        "IP":{"source":"10.0.0.1","destination":"192.0.2.1","ipVersion":"IPv4"},\
                        "l4":{"TCP":{"source_port":40000,"destination_port":443,\
                        "flags":{"SYN":true,"ACK":true}}},\
                        "source":{"ID":3,"identity":256,"namespace":"shop",\
                        "labels":["k8s:app=web"],"pod_name":"web"},\
                        "destination":{"identity":2,"labels":["reserved:world"]},\
                        "Type":"L3_L4","node_name":"node1","event_type":{"type":5},\
                        "traffic_direction":"INGRESS","policy_match_type":0,"is_reply":false,\
                        "Summary":"TCP Flags: SYN, ACK",\
                        "egress_allowed_by":[{"name":"out","namespace":"shop","revision":"7",\
                        "kind":"NetworkPolicy","tier":"default","rule":1,"file":"a.yaml","line":12}],\
                        "ingress_denied_by":[{"name":"end of tier default","revision":"7",\
                        "kind":"","tier":"default"}]},\
                        "node_name":"node1","time":"2026-03-01T11:58:20.123456789Z"}\
                        """);
    }

    @Test
    void theEndOfAFlowHasAFieldOfItsOwn() {
        final Instant start = Instant.parse("2026-03-01T11:58:20.5Z");
        final Flow flow = denied();
        final Flow ended =
                new Flow(
                        9,
                        start.plusSeconds(12),
                        "u",
                        "node1",
                        Flow.Kind.END,
                        Flow.Verdict.FORWARDED,
                        0,
                        "",
                        4,
                        6,
                        0,
                        -1,
                        -1,
                        flow.source(),
                        flow.destination(),
                        Flow.Direction.EGRESS,
                        false,
                        7,
                        List.of(),
                        List.of(),
                        0,
                        Optional.empty(),
                        Optional.of(
                                new FlowTotals(
                                        FlowEnd.CUT,
                                        start,
                                        start.plusMillis(1_532),
                                        6,
                                        534,
                                        5,
                                        1L << 40,
                                        133,
                                        "POLICY_DENIED")));

        assertThat(FlowJson.response(ended).toString())
                .isEqualTo(
                        """
                        {"flow":{"time":"2026-03-01T11:58:32.500Z","uuid":"u",\
                        "verdict":"FORWARDED",\
                        "IP":{"source":"10.0.0.1","destination":"192.0.2.1","ipVersion":"IPv4"},\
                        "l4":{"TCP":{"source_port":40000,"destination_port":443,"flags":{}}},\
                        "source":{"ID":3,"identity":256,"namespace":"shop",\
                        "labels":["k8s:app=web"],"pod_name":"web"},\
                        "destination":{"identity":2,"labels":["reserved:world"]},\
                        "Type":"L3_L4","node_name":"node1",\
                        "flow_end":{"reason":"CUT","first_seen":"2026-03-01T11:58:20.500Z",\
                        "last_seen":"2026-03-01T11:58:22.032Z","initiator_packets":"6",\
                        "initiator_bytes":"534","responder_packets":"5",\
                        "responder_bytes":"1099511627776","cut_reason_desc":"POLICY_DENIED"},\
                        "event_type":{"type":200,"sub_type":4},"traffic_direction":"EGRESS",\
                        "is_reply":false,\
                        "Summary":"TCP: 6 packets, 534 bytes; back: 5 packets, 1099511627776 bytes; \
                        1.532 s"},"node_name":"node1","time":"2026-03-01T11:58:32.500Z"}\
                        """);
    }

    @Test
    void aRequestHasHubblesFieldsWithWhatIsRedacted() {
        final L7Message message =
                new FlowRedaction(true, true, true, false, Set.of("x-team"), Set.of())
                        .redact(
                                new L7Message(
                                        true,
                                        0,
                                        new L7Message.Http(
                                                "HTTP/1.1",
                                                "GET",
                                                "http://web/a?token=1",
                                                0,
                                                List.of(
                                                        new L7Message.Header("X-Team", "a"),
                                                        new L7Message.Header("X-Token", "b")))));
        final Flow flow = denied();
        final Flow request =
                new Flow(
                        flow.sequence(),
                        flow.time(),
                        flow.uuid(),
                        flow.nodeName(),
                        Flow.Kind.L7,
                        Flow.Verdict.FORWARDED,
                        0,
                        "",
                        4,
                        6,
                        0,
                        -1,
                        -1,
                        flow.source(),
                        flow.destination(),
                        Flow.Direction.INGRESS,
                        false,
                        7,
                        List.of(),
                        List.of(EGRESS_RULE),
                        0,
                        Optional.of(message));
        final JsonNode json = FlowJson.response(request).path("flow");
        assertThat(json.path("l7").toString())
                .isEqualTo(
                        """
                        {"type":"REQUEST","http":{"method":"GET","url":"http://web/a",\
                        "protocol":"HTTP/1.1","headers":[{"key":"X-Team","value":"a"},\
                        {"key":"X-Token","value":"HUBBLE_REDACTED"}]}}""");
        assertThat(json.path("Summary").textValue()).isEqualTo("HTTP/1.1 GET http://web/a");
        assertThat(json.toString()).doesNotContain("token");
    }

    @Test
    void aFilterOfEachSideLooksAtThatSideOnly() {
        assertThat(matches("from-pod", "shop/we")).isTrue();
        assertThat(matches("to-pod", "shop/we")).isFalse();
        assertThat(matches("pod", "shop/we")).isTrue();
        assertThat(matches("pod", "we")).isFalse();
        assertThat(matches("label", "app=web")).isTrue();
        assertThat(matches("to-label", "reserved:world")).isTrue();
        assertThat(matches("label", "app=we")).isFalse();
        assertThat(matches("from-port", "443")).isFalse();
        assertThat(matches("to-port", "443")).isTrue();
    }

    @Test
    void everyFilterNameIsUnderstood() {
        for (final String name : FlowFilter.names()) {
            final String value =
                    switch (name) {
                        case "verdict" -> "DROPPED";
                        case "type" -> "drop";
                        case "protocol" -> "tcp";
                        case "traffic-direction" -> "ingress";
                        case "all-drops" -> "false";
                        case "ip", "from-ip", "to-ip" -> "10.0.0.1";
                        case "ip-version" -> "4";
                        case "tcp-flags" -> "SYN";
                        case "http-status" -> "200";
                        case "http-header" -> "a:b";
                        default -> "1";
                    };
            assertThat(FlowFilter.query(Map.of(name, List.of(value)), 1)).isNotNull();
        }
    }

    private static boolean matches(final String filter, final String value) {
        return FlowFilter.query(Map.of(filter, List.of(value)), 1).matches(denied());
    }

    @Test
    void lostEventsAreCountedAsHubbleCountsThem() {
        final JsonNode lost = FlowJson.lost(5, "node1", Instant.EPOCH);

        assertThat(lost.toString())
                .isEqualTo(
                        "{\"lost_events\":{\"source\":\"HUBBLE_RING_BUFFER\","
                                + "\"num_events_lost\":\"5\"},\"node_name\":\"node1\","
                                + "\"time\":\"1970-01-01T00:00:00Z\"}");
    }
}
