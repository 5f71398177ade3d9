package io.sluice.control.policy.replay;

import static io.sluice.control.policy.replay.Traffic.NOON;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.replay.FlowTally.Kind;
import io.sluice.control.policy.replay.FlowTally.Skipped;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class FlowTallyTest {
    private static final SeenFlow FLOW =
            Traffic.tcp(
                    Traffic.pod("shop", "a", "10.0.0.1", "a"),
                    Traffic.pod("shop", "b", "10.0.0.2", "b"),
                    80);

    private final FlowTally tally = new FlowTally();
    private final FlowEvent event = new FlowEvent();

    @Test
    void equalFlowsAreOneWithTheirNumberAndTimes() {
        tally.add(Kind.INGRESS_VERDICT, SeenVerdict.FORWARDED, NOON.plusSeconds(2), FLOW);
        tally.add(Kind.INGRESS_VERDICT, SeenVerdict.FORWARDED, NOON, FLOW);
        tally.add(Kind.INGRESS_VERDICT, SeenVerdict.FORWARDED, NOON.plusSeconds(1), FLOW);

        assertThat(tally.traffic())
                .containsExactly(
                        new SeenTraffic(FLOW, SeenVerdict.FORWARDED, 3, NOON, NOON.plusSeconds(2)));
        assertThat(tally.skipped()).isEmpty();
    }

    @Test
    void aConnectionThatIsToldOfAtBothEndsAndAsATraceCountsOnce() {
        tally.add(Kind.EGRESS_VERDICT, SeenVerdict.FORWARDED, NOON, FLOW);
        tally.add(Kind.INGRESS_VERDICT, SeenVerdict.FORWARDED, NOON, FLOW);
        tally.add(Kind.TRACE, SeenVerdict.FORWARDED, NOON, FLOW);

        assertThat(tally.traffic())
                .containsExactly(new SeenTraffic(FLOW, SeenVerdict.FORWARDED, 1, NOON, NOON));
        assertThat(tally.skipped()).containsExactly(Map.entry(Skipped.TWICE, 2L));
    }

    @Test
    void whatEgressLetPassAndIngressDroppedDidNotPass() {
        tally.add(Kind.EGRESS_VERDICT, SeenVerdict.FORWARDED, NOON, FLOW);
        tally.add(Kind.INGRESS_VERDICT, SeenVerdict.DROPPED, NOON, FLOW);
        tally.add(Kind.DROP, SeenVerdict.DROPPED, NOON, FLOW);

        assertThat(tally.traffic())
                .containsExactly(new SeenTraffic(FLOW, SeenVerdict.DROPPED, 1, NOON, NOON));
    }

    @Test
    void anEgressVerdictAloneOrADropAloneCounts() {
        tally.add(Kind.EGRESS_VERDICT, SeenVerdict.FORWARDED, NOON, FLOW);
        tally.add(Kind.DROP, SeenVerdict.DROPPED, NOON, FLOW);

        assertThat(tally.traffic())
                .extracting(SeenTraffic::verdict)
                .containsExactlyInAnyOrder(SeenVerdict.FORWARDED, SeenVerdict.DROPPED);
        assertThat(tally.skipped()).isEmpty();
    }

    @Test
    void talliesOfSeveralThreadsAreTheSameAsOne() {
        final FlowTally other = new FlowTally();
        tally.add(Kind.EGRESS_VERDICT, SeenVerdict.FORWARDED, NOON, FLOW);
        other.add(Kind.INGRESS_VERDICT, SeenVerdict.FORWARDED, NOON.plusSeconds(1), FLOW);
        other.skip(Skipped.REPLY, 2);

        tally.merge(other);

        assertThat(tally.traffic())
                .containsExactly(
                        new SeenTraffic(
                                FLOW,
                                SeenVerdict.FORWARDED,
                                1,
                                NOON.plusSeconds(1),
                                NOON.plusSeconds(1)));
        assertThat(tally.skipped())
                .containsExactlyInAnyOrderEntriesOf(Map.of(Skipped.REPLY, 2L, Skipped.TWICE, 1L));
    }

    @Test
    void whatIsNoFlowOfPolicyIsLeftOutByItsReason() {
        count(() -> event.reply = true);
        count(() -> event.verdict = "TRANSLATED");
        count(() -> event.dropReason = 132);
        count(
                () -> {
                    event.type = FlowEvent.TRACE;
                    event.subType = 5;
                    event.verdict = "FORWARDED";
                });
        count(() -> event.protocol = IpProtocol.UNKNOWN);
        count(
                () -> {
                    event.type = FlowEvent.END;
                    event.verdict = "FORWARDED";
                });
        count(
                () -> {
                    event.type = FlowEvent.L7;
                    event.put("http.path", "/");
                });

        assertThat(tally.traffic()).isEmpty();
        assertThat(tally.skipped())
                .containsExactlyInAnyOrderEntriesOf(
                        Map.of(
                                Skipped.REPLY, 2L,
                                Skipped.END, 1L,
                                Skipped.NOT_JUDGED, 2L,
                                Skipped.OTHER_DROP, 1L,
                                Skipped.NO_TUPLE, 1L));
    }

    @Test
    void prefixesAmongTheLabelsOfAnAddressDoNotTellFlowsApart() {
        count(() -> event.destination.labels = List.of("cidr:0.0.0.0/0", "reserved:world"));
        count(() -> event.destination.labels = List.of("cidr:192.0.2.0/24", "reserved:world"));
        count(() -> event.destination.labels = List.of("reserved:world"));

        assertThat(tally.traffic()).extracting(SeenTraffic::times).containsExactly(3L);
    }

    private void count(final Runnable change) {
        event.clear();
        event.time = NOON;
        event.type = FlowEvent.DROP;
        event.verdict = "DROPPED";
        event.dropReason = 133;
        event.protocol = IpProtocol.TCP;
        event.port = 443;
        event.source.namespace = "shop";
        event.source.pod = "a";
        event.destination.address = "192.0.2.1";
        change.run();
        event.countIn(tally);
    }
}
