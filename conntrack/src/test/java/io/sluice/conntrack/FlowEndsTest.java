package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.ACK;
import static io.sluice.conntrack.Conversation.FIN;
import static io.sluice.conntrack.Conversation.FRAME_BYTES;
import static io.sluice.conntrack.Conversation.START_NS;
import static io.sluice.conntrack.Conversation.SYN;
import static io.sluice.conntrack.Conversation.TCP;
import static io.sluice.conntrack.Conversation.UDP;
import static io.sluice.conntrack.Conversation.ipv4;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whoever asks is told of every flow that leaves the table, with all that passed of it. */
final class FlowEndsTest {
    private static final long SECOND_NS = TimeUnit.SECONDS.toNanos(1);

    /** What was told, in a form that outlives the call. */
    private record End(
            FlowEnds.Exit exit,
            FlowState state,
            FlowVerdict verdict,
            int dropReason,
            int initiatorTransportPort,
            long initiatorPackets,
            long initiatorBytes,
            long responderPackets,
            long responderBytes,
            long createdNs,
            long lastPacketNs) {
        static End of(final FlowCopy flow, final FlowEnds.Exit exit) {
            return new End(
                    exit,
                    flow.state,
                    flow.verdict,
                    flow.dropReason,
                    flow.tuple.sourcePort,
                    flow.initiatorPackets,
                    flow.initiatorBytes,
                    flow.responderPackets,
                    flow.responderBytes,
                    flow.createdNs,
                    flow.lastPacketNs);
        }
    }

    private static List<End> endsOf(final Conntrack table) {
        final List<End> ends = new ArrayList<>();
        table.tellEnds((flow, exit, nowNs) -> ends.add(End.of(flow, exit)));
        return ends;
    }

    private static void expireAll(final Conntrack table, final long nowNs) {
        while (table.expire(nowNs, Integer.MAX_VALUE) > 0) {
            // Until nothing is left that has expired.
        }
    }

    @Test
    void aConnectionThatWasClosedIsToldOfWithBothDirectionsAndItsLastPacket() {
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 1)) {
            final List<End> ends = endsOf(table);
            final Conversation tcp =
                    new Conversation(table, ipv4(TCP, 0x0a000001, 40_000, 0x0a000002, 80));
            tcp.handshake();
            tcp.passes(3);
            tcp.initiatorSends(FIN | ACK);
            tcp.responderSends(FIN | ACK);
            final long lastNs = tcp.nowNs;
            tcp.passes(9);
            expireAll(table, tcp.nowNs);
            assertThat(ends).as("repetitions may still come").isEmpty();
            tcp.passes(1);
            expireAll(table, tcp.nowNs);
            assertThat(ends)
                    .containsExactly(
                            new End(
                                    FlowEnds.Exit.EXPIRED,
                                    FlowState.CLOSING,
                                    FlowVerdict.ALLOW,
                                    0,
                                    40_000,
                                    3,
                                    3 * FRAME_BYTES,
                                    2,
                                    2 * FRAME_BYTES,
                                    START_NS,
                                    lastNs));
        }
    }

    @Test
    void manyPacketsAreAllThereWhereverTheyWereCounted() {
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 1)) {
            final List<End> ends = endsOf(table);
            final Conversation udp =
                    new Conversation(
                            table, Conversation.tuple(UDP, 0xfdL << 56, 1, 7, 0xfdL << 56, 2, 8));
            for (int i = 0; i < 1_000; i++) {
                udp.initiatorSends(0);
            }
            for (int i = 0; i < 256; i++) {
                udp.responderSends(0);
            }
            udp.passes(120);
            expireAll(table, udp.nowNs);
            assertThat(ends).hasSize(1);
            final End end = ends.getFirst();
            assertThat(end.initiatorPackets()).isEqualTo(1_000);
            assertThat(end.initiatorBytes()).isEqualTo(1_000 * FRAME_BYTES);
            assertThat(end.responderPackets()).isEqualTo(256);
            assertThat(end.responderBytes()).isEqualTo(256 * FRAME_BYTES);
            assertThat(end.lastPacketNs()).isEqualTo(START_NS);
        }
    }

    @Test
    void aFlowThatMakesWayForAnotherOfItsTupleIsToldOf() {
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 1)) {
            final List<End> ends = endsOf(table);
            final Tuple tuple = ipv4(TCP, 0x0a000001, 40_000, 0x0a000002, 80);
            final Conversation tcp = new Conversation(table, tuple);
            tcp.handshake();
            table.lookup(tuple, ACK, tcp.nowNs);
            table.entry().recordVerdict(FlowVerdict.DENY, 0, 133, 2);
            assertThat(tcp.initiatorSends(SYN)).isEqualTo(ConntrackState.NEW);
            assertThat(ends)
                    .extracting(End::exit, End::verdict, End::dropReason, End::initiatorPackets)
                    .containsExactly(
                            org.assertj.core.groups.Tuple.tuple(
                                    FlowEnds.Exit.REPLACED, FlowVerdict.DENY, 133, 2L));
            tcp.passes(61);
            assertThat(tcp.initiatorSends(SYN)).isEqualTo(ConntrackState.NEW);
            assertThat(ends.getLast().exit())
                    .as("its time was over when the next came")
                    .isEqualTo(FlowEnds.Exit.EXPIRED);
        }
    }

    @Test
    void aFlowThatIsPushedOutIsToldOfAlsoByAnotherCursorOfTheLane() {
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 3)) {
            final List<End> ends = endsOf(table);
            final Conntrack cursor = table.anotherCursor();
            for (int i = 0; i < 1_000; i++) {
                if (cursor.create(ipv4(UDP, 0x0b000000 + i, i, 0x0a000002, 53), 0, START_NS)
                        != null) {
                    cursor.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1);
                }
            }
            assertThat(table.evictedCount()).isPositive();
            assertThat(ends).hasSize((int) table.evictedCount());
            assertThat(ends).extracting(End::exit).containsOnly(FlowEnds.Exit.EVICTED);
            assertThat(table.createdCount()).isEqualTo(ends.size() + table.size());
        }
    }

    @Test
    void aFlowThatIsClosedByItsCallerAndThoseOfAnotherLaneAreNotToldOf() {
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), 3)) {
            final List<End> ends = endsOf(table);
            final Tuple tuple = ipv4(UDP, 0x0b000000, 1, 0x0a000002, 53);
            table.create(tuple, 0, START_NS);
            table.close(table.entry());
            final Conntrack lane = table.anotherLane();
            lane.create(tuple, 0, START_NS);
            expireAll(lane, START_NS + 31 * SECOND_NS);
            assertThat(table.size()).isZero();
            assertThat(ends).isEmpty();
        }
    }

    @Test
    void countsGoOnInTheFileOfAProcessThatWasKilled(@TempDir final Path folder) throws Exception {
        final Tuple tuple = ipv4(UDP, 0x0b000000, 1, 0x0a000002, 53);
        final long nowNs = 5 * SECOND_NS;
        try (Conntrack killed =
                Conntrack.open(
                        ConntrackLimitsTest.capacity(64), 3, folder.resolve("t"), "boot", nowNs)) {
            final Conversation udp = new Conversation(killed, tuple);
            udp.nowNs = nowNs;
            for (int i = 0; i < 300; i++) {
                udp.initiatorSends(0);
            }
            try (Conntrack next =
                    Conntrack.open(
                            ConntrackLimitsTest.capacity(64),
                            4,
                            folder.resolve("t"),
                            "boot",
                            nowNs + SECOND_NS)) {
                assertThat(next.origin().flows()).isEqualTo(1);
                final List<End> ends = endsOf(next);
                final Conversation goesOn = new Conversation(next, tuple);
                goesOn.nowNs = nowNs + 2 * SECOND_NS;
                goesOn.initiatorSends(0);
                expireAll(next, nowNs + 33 * SECOND_NS);
                assertThat(ends)
                        .extracting(End::initiatorPackets, End::createdNs, End::lastPacketNs)
                        .containsExactly(
                                org.assertj.core.groups.Tuple.tuple(
                                        301L, nowNs, nowNs + 2 * SECOND_NS));
            }
        }
    }

    @Test
    void aMillionEndsComeInStepsOfBoundedLength() {
        final int flows = 1 << 20;
        try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(flows), 9)) {
            final long[] told = new long[2];
            table.tellEnds(
                    (flow, exit, nowNs) -> {
                        told[0]++;
                        told[1] += flow.initiatorBytes;
                    });
            for (int i = 0; i < flows; i++) {
                table.create(ipv4(UDP, 0x0b000000 + i, i & 0xffff, 0x0a000002, 53), 0, START_NS);
                table.advance(ConntrackState.NEW, 0, 60 + (i & 7), 1, START_NS);
            }
            assertThat(table.evictedCount() + table.size()).isEqualTo(table.createdCount());
            while (table.size() > 0) {
                final long before = told[0];
                table.expire(START_NS + 31 * SECOND_NS, 4_096);
                assertThat(told[0] - before).isLessThanOrEqualTo(2 * Conntrack.EXPIRED_MAX);
            }
            assertThat(told[0]).isEqualTo(table.createdCount()).isEqualTo(flows);
            assertThat(told[1]).isEqualTo(flows * 60L + flows / 8L * 28);
        }
    }

    /**
     * Random packets of few hosts in a small table: nothing that passed is told of twice or not.
     */
    @Test
    void endsAndOpenFlowsAddUpToEverythingThatPassed() {
        for (long seed = 0; seed < 50; seed++) {
            final Random random = new Random(seed);
            try (Conntrack table = Conntrack.open(ConntrackLimitsTest.capacity(64), seed)) {
                final long[] ended = new long[5];
                table.tellEnds(
                        (flow, exit, nowNs) -> {
                            ended[0]++;
                            ended[1] += flow.initiatorPackets;
                            ended[2] += flow.initiatorBytes;
                            ended[3] += flow.responderPackets;
                            ended[4] += flow.responderBytes;
                        });
                final long[] passed = new long[5];
                long nowNs = START_NS;
                for (int step = 0; step < 20_000; step++) {
                    if (random.nextInt(10) == 0) {
                        nowNs += random.nextLong(4 * SECOND_NS);
                    }
                    if (random.nextInt(20) == 0) {
                        table.expire(nowNs, random.nextInt(200));
                    }
                    packet(random, table, passed, nowNs);
                }
                final long[] sum = ended.clone();
                table.forEach(
                        nowNs,
                        flow -> {
                            sum[1] += flow.initiatorPackets();
                            sum[2] += flow.initiatorBytes();
                            sum[3] += flow.responderPackets();
                            sum[4] += flow.responderBytes();
                        });
                // Those whose time is over are neither listed nor told of yet.
                final long[] before = ended.clone();
                final int alive = table.size();
                expireAll(table, nowNs);
                for (int i = 1; i < sum.length; i++) {
                    sum[i] += ended[i] - before[i];
                }
                assertThat(sum[1]).as("seed %d", seed).isEqualTo(passed[1]);
                assertThat(sum[2]).as("seed %d", seed).isEqualTo(passed[2]);
                assertThat(sum[3]).as("seed %d", seed).isEqualTo(passed[3]);
                assertThat(sum[4]).as("seed %d", seed).isEqualTo(passed[4]);
                assertThat(before[0] + alive).isEqualTo(table.createdCount());
                assertThat(ended[0] + table.size()).isEqualTo(table.createdCount());
            }
        }
    }

    private static void packet(
            final Random random, final Conntrack table, final long[] passed, final long nowNs) {
        final int[] flags = {SYN, SYN | ACK, ACK, FIN | ACK, Conversation.RST};
        final boolean isTcp = random.nextBoolean();
        final Tuple there =
                ipv4(
                        isTcp ? TCP : UDP,
                        0x0a000000 + random.nextInt(6),
                        random.nextInt(4),
                        0x0a000000 + random.nextInt(6),
                        random.nextInt(4));
        final int tcpFlags = isTcp ? flags[random.nextInt(flags.length)] : 0;
        final ConntrackState state = table.lookup(there, tcpFlags, nowNs);
        if (state == ConntrackState.INVALID
                || (state == ConntrackState.NEW && table.create(there, tcpFlags, nowNs) == null)) {
            return;
        }
        final boolean isCut = random.nextInt(8) == 0;
        if (state == ConntrackState.NEW) {
            table.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1);
        } else if (isCut) {
            table.entry().recordVerdict(FlowVerdict.DENY, 0, 133, 1);
        }
        if (table.entry().verdict() == FlowVerdict.DENY) {
            table.touchDenied(nowNs);
            return;
        }
        final int bytes = 40 + random.nextInt(60_000);
        table.advance(state, tcpFlags, bytes, 1, nowNs);
        final int side = state == ConntrackState.REPLY ? 3 : 1;
        passed[side]++;
        passed[side + 1] += bytes;
    }
}
