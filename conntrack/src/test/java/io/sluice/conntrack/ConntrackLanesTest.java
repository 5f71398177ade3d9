package io.sluice.conntrack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Views of one table for several lanes. */
class ConntrackLanesTest {
    private static final int FLOWS = 3_000;
    private static final int UDP = 17;
    private static final int LEG = 255;
    private static final long OPENED_NS = 1_000;

    private final ConntrackConfig config = ConntrackConfig.defaults();
    private final Conntrack table = Conntrack.open(config, 42);

    @AfterEach
    void close() {
        table.close();
    }

    private static Tuple tuple(final int number, final int protocol) {
        final Tuple tuple = new Tuple();
        tuple.protocol = protocol;
        final boolean isIpv4 = number % 3 != 0;
        tuple.sourceHigh = isIpv4 ? Tuple.IPV4_MAPPED_HIGH : 0xfd00_0000_0000_0000L;
        tuple.sourceLow = isIpv4 ? Tuple.mapped(0x0a00_0000 + number) : number;
        tuple.sourcePort = 4000;
        tuple.destinationHigh = tuple.sourceHigh;
        tuple.destinationLow = isIpv4 ? Tuple.mapped(0x0b00_0001) : 7;
        tuple.destinationPort = 53;
        return tuple;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 16})
    void lanesExpireAShareEachAndTogetherAll(final int lanes) {
        final List<Conntrack> views = new ArrayList<>();
        for (int i = 0; i < lanes; i++) {
            views.add(table.ofLane(i, lanes));
        }
        for (int i = 0; i < FLOWS; i++) {
            assertThat(views.get(i % lanes).create(tuple(i, UDP), 0, OPENED_NS)).isNotNull();
        }
        final long lateNs = OPENED_NS + config.udpUnrepliedTimeoutNs();

        int forgotten = 0;
        for (final Conntrack view : views) {
            final int ofView = expireAll(view, lateNs);
            assertThat(ofView).isBetween(FLOWS / lanes / 2, 2 * FLOWS / lanes);
            assertThat(expireAll(view, lateNs)).as("once more").isZero();
            forgotten += ofView;
        }

        assertThat(forgotten).isEqualTo(FLOWS);
        assertThat(table.size()).isZero();
        assertThat(table.expiredCount()).isEqualTo(FLOWS);
    }

    /** Goes round the view's share of a table of 2 M slots, and of the IPv6 ones. */
    private static int expireAll(final Conntrack view, final long nowNs) {
        int forgotten = 0;
        for (int step = 0; step < 2_000; step++) {
            forgotten += view.expire(nowNs, 1 << 16);
        }
        return forgotten;
    }

    @Test
    void aLaneIsOneOfThoseThereAre() {
        assertThatThrownBy(() -> table.ofLane(2, 2)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> table.ofLane(-1, 2)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void whatOneLaneOpensAnotherFindsAndMoves() {
        final Conntrack first = table.ofLane(0, 2);
        final Conntrack second = table.ofLane(1, 2);
        first.create(tuple(1, UDP), 0, OPENED_NS);
        first.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 3);

        final Tuple reply = new Tuple();
        final Tuple request = tuple(1, UDP);
        reply.protocol = UDP;
        reply.sourceHigh = request.destinationHigh;
        reply.sourceLow = request.destinationLow;
        reply.sourcePort = request.destinationPort;
        reply.destinationHigh = request.sourceHigh;
        reply.destinationLow = request.sourceLow;
        reply.destinationPort = request.sourcePort;
        assertThat(second.lookup(reply, 0, OPENED_NS)).isEqualTo(ConntrackState.REPLY);
        assertThat(second.entry().policyRevision()).isEqualTo(3);
        second.advance(ConntrackState.REPLY, 0, 100, 1, OPENED_NS);

        assertThat(first.lookup(request, 0, OPENED_NS)).isEqualTo(ConntrackState.ESTABLISHED);
        assertThat(first.entry().state()).isEqualTo(FlowState.REPLIED);
    }

    /** A lane that has an older copy must not put its number beside the verdict of another. */
    @Test
    void sidesThatAreRecordedLateKeepTheNumberOfTheVerdictThatStands() {
        final Conntrack late = table.ofLane(0, 2);
        final Conntrack other = table.ofLane(1, 2);
        late.create(tuple(1, UDP), 0, OPENED_NS);
        late.entry().recordVerdict(FlowVerdict.DENY, 0, 133, 3);

        other.lookup(tuple(1, UDP), 0, OPENED_NS);
        other.entry().recordVerdict(FlowVerdict.REDIRECT, 15_001, 0, 4);
        late.entry().recordSides(1, 256, 2, 257);

        assertThat(other.lookup(tuple(1, UDP), 0, OPENED_NS)).isEqualTo(ConntrackState.ESTABLISHED);
        assertThat(other.entry().verdict()).isEqualTo(FlowVerdict.REDIRECT);
        assertThat(other.entry().proxyPort()).isEqualTo(15_001);
        assertThat(other.entry().initiatorPort()).isEqualTo(1);
    }

    @Test
    void ofTwoLanesThatMakeTheSamePartTheFirstOnesStays() {
        final FlowKey key = new FlowKey();
        final Conntrack first = table.ofLane(0, 2);
        final Conntrack second = table.ofLane(1, 2);
        first.prepare(tuple(1, LEG), key);

        assertThat(first.createIfAbsent(key, 80, OPENED_NS)).isNotNull();
        assertThat(first.entry().proxyPort()).isEqualTo(80);
        assertThat(second.createIfAbsent(key, 443, OPENED_NS)).isNotNull();
        assertThat(second.entry().proxyPort()).as("the first one's").isEqualTo(80);
        assertThat(table.createdCount()).isEqualTo(1);
        assertThat(table.size()).isEqualTo(1);

        final long lateNs = OPENED_NS + config.otherTimeoutNs();
        assertThat(second.createIfAbsent(key, 443, lateNs)).isNotNull();
        assertThat(second.entry().proxyPort()).as("the first one's time is over").isEqualTo(443);
        assertThat(table.size()).isEqualTo(1);
    }
}
