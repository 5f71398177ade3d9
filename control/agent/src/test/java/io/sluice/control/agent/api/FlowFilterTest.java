package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.Flow;
import io.sluice.control.agent.FlowPeer;
import io.sluice.control.agent.FlowQuery;
import io.sluice.control.agent.FlowTotals;
import io.sluice.control.agent.L7Message;
import io.sluice.dataplane.FlowEnd;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every filter by itself, with a value that takes a flow and one that does not. */
class FlowFilterTest {
    private static final String TAKEN =
            """
            verdict                 | dropped           | FORWARDED
            type                    | l7                | drop
            protocol                | http              | dns
            protocol                | tcp               | udp
            drop-reason-desc        | policy_denied     | TTL_EXCEEDED
            all-drops               | false             |
            traffic-direction       | egress            | ingress
            ip-version              | v4                | 6
            tcp-flags               | syn,ack           | SYN,FIN
            http-status             | 403               | 404
            http-status             | 4+                | 5+
            http-status             | 40+               | 41+
            http-method             | get               | POST
            http-path               | ^/orders/[0-9]+$  | q=1
            http-url                | q=1$              | ^/orders
            http-header             | X-Team: a         | x-team: b
            node-name               | node*             | node
            uuid                    | u1                | u
            pod                     | shop/w            | w
            from-pod                | shop/web          | shop/db
            to-pod                  | shop/db           | shop/web
            namespace               | shop              | sho
            from-namespace          | shop              | default
            to-namespace            | shop              | default
            ip                      | 10.0.0.1          | 10.0.0.3
            ip                      | 10.0.0.0/30       | 10.1.0.0/16
            from-ip                 | 10.0.0.1          | 10.0.0.2
            to-ip                   | 10.0.0.2/32       | 10.0.0.1
            port                    | 40000             | 4000
            from-port               | 40000             | 443
            to-port                 | 443               | 40000
            label                   | app=web           | app=we
            from-label              | k8s:app=web       | app=db
            to-label                | app=db,tier       | app=db,none
            identity                | 2                 | 3
            from-identity           | 256               | 2
            to-identity             | world             | host
            fqdn                    | api.example.com   | example.com
            fqdn                    | *.example.com     | *.example
            from-fqdn               | web.internal      | api.example.com
            to-fqdn                 | api.*             | web.internal
            """;

    private static Flow flow() {
        return new Flow(
                1,
                Instant.parse("2026-03-01T11:58:20Z"),
                "u1",
                "node1",
                Flow.Kind.L7,
                Flow.Verdict.DROPPED,
                133,
                "POLICY_DENIED",
                4,
                6,
                0x12,
                -1,
                -1,
                new FlowPeer(
                        1,
                        256,
                        "shop",
                        "web-1",
                        List.of("k8s:app=web"),
                        "10.0.0.1",
                        40_000,
                        "",
                        List.of("web.internal")),
                new FlowPeer(
                        2,
                        2,
                        "shop",
                        "db-1",
                        List.of("k8s:app=db", "k8s:tier=x"),
                        "10.0.0.2",
                        443,
                        "",
                        List.of("api.example.com")),
                Flow.Direction.EGRESS,
                false,
                1,
                List.of(),
                List.of(),
                60,
                Optional.of(
                        new L7Message(
                                false,
                                1,
                                new L7Message.Http(
                                        "HTTP/1.1",
                                        "GET",
                                        "http://db/orders/17?q=1",
                                        403,
                                        List.of(new L7Message.Header("x-team", "a"))))));
    }

    @Test
    void everyFilterTakesWhatItNamesAndNothingElse() {
        for (final String line : TAKEN.lines().toList()) {
            final String[] words = line.split("\\|", -1);
            final String name = words[0].strip();
            final String taking = words[1].strip();
            final String other = words[2].strip();

            assertThat(takes(name, taking)).as("%s=%s", name, taking).isTrue();
            assertThat(takes(FlowFilter.NOT + name, taking)).as("not %s", line).isFalse();
            if (!other.isEmpty()) {
                assertThat(takes(name, other)).as("%s=%s", name, other).isFalse();
                assertThat(takes(FlowFilter.NOT + name, other)).as("not %s", line).isTrue();
                // Values of one filter are alternatives.
                assertThat(query(Map.of(name, List.of(other, taking))).matches(flow())).isTrue();
            }
        }
    }

    @Test
    void noFilterIsLeftOut() {
        final Set<String> tried =
                TAKEN.lines()
                        .map(line -> line.substring(0, line.indexOf('|')).strip())
                        .collect(Collectors.toSet());

        assertThat(tried).containsExactlyInAnyOrderElementsOf(FlowFilter.names());
    }

    @ParameterizedTest
    @CsvSource({"trace, true", "trace:to-endpoint, true", "trace:to-stack, false"})
    void aTraceIsANewFlowThatWasLetPass(final String type, final boolean taken) {
        final Flow flow = flow();
        final Flow opened =
                new Flow(
                        1,
                        flow.time(),
                        "u2",
                        "node1",
                        Flow.Kind.POLICY_VERDICT,
                        Flow.Verdict.FORWARDED,
                        0,
                        "",
                        4,
                        6,
                        2,
                        -1,
                        -1,
                        flow.source(),
                        flow.destination(),
                        Flow.Direction.INGRESS,
                        false,
                        1,
                        List.of(),
                        List.of(),
                        60,
                        Optional.empty());

        assertThat(query(Map.of("type", List.of(type))).matches(opened)).isEqualTo(taken);
        assertThat(takes("type", type)).isFalse();
    }

    @Test
    void endsOfFlowsAreLeftOutUnlessSomebodyAsksForThem() {
        final Flow end = end(FlowEnd.CUT);
        final Flow other = flow();

        assertThat(query(Map.of()).matches(end)).isFalse();
        assertThat(query(Map.of()).matches(other)).isTrue();
        assertThat(query(Map.of("type", List.of("trace"))).matches(end)).isFalse();
        assertThat(query(Map.of("ends", List.of("false"))).matches(end)).isFalse();
        assertThat(query(Map.of("ends", List.of("true"))).matches(end)).isTrue();
        assertThat(query(Map.of("ends", List.of("true"))).matches(other)).isTrue();
        assertThat(query(Map.of("type", List.of("end"))).matches(end)).isTrue();
        assertThat(query(Map.of("type", List.of("end"))).matches(other)).isFalse();
        assertThat(query(Map.of("type", List.of("l7", "end"))).matches(end)).isTrue();
        assertThat(query(Map.of("type", List.of("l7", "end"))).matches(other)).isTrue();
        assertThat(query(Map.of("type", List.of("end"), "to-port", List.of("444"))).matches(end))
                .isFalse();
        assertThat(
                        query(Map.of("ends", List.of("true"), "not-type", List.of("end:cut")))
                                .matches(end))
                .isFalse();
        assertThatThrownBy(() -> query(Map.of("ends", List.of("1"))))
                .hasMessage("ends: \"1\": true or false");
        assertThatThrownBy(() -> query(Map.of("type", List.of("end:x"))))
                .hasMessageContaining("end or end:REASON");
    }

    @Test
    void endsAreAskedForByTheirReason() {
        for (final FlowEnd asked : FlowEnd.values()) {
            for (final FlowEnd end : FlowEnd.values()) {
                assertThat(query(Map.of("type", List.of("end:" + asked.label()))).matches(end(end)))
                        .isEqualTo(asked == end);
            }
        }
    }

    private static Flow end(final FlowEnd end) {
        final Flow flow = flow();
        return new Flow(
                1,
                flow.time(),
                "u3",
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
                Flow.Direction.INGRESS,
                false,
                1,
                List.of(),
                List.of(),
                0,
                Optional.empty(),
                Optional.of(new FlowTotals(end, flow.time(), flow.time(), 1, 60, 0, 0, 0, "")));
    }

    @Test
    void timesBoundAnAnswerOnBothSides() {
        assertThat(takes("since", "2026-03-01T11:58:20Z")).isTrue();
        assertThat(takes("since", "2026-03-01T11:58:20.1Z")).isFalse();
        assertThat(takes("until", "2026-03-01T11:58:20Z")).isTrue();
        assertThat(takes("until", "2026-03-01T11:58:19Z")).isFalse();
    }

    private static boolean takes(final String name, final String value) {
        return query(Map.of(name, List.of(value))).matches(flow());
    }

    private static FlowQuery query(final Map<String, List<String>> values) {
        return FlowFilter.query(values, 20);
    }
}
