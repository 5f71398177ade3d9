package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.START_NS;
import static io.sluice.conntrack.Conversation.UDP;
import static io.sluice.conntrack.Conversation.ipv4;
import static io.sluice.conntrack.Conversation.tuple;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;

/** What happens when the table is full, and how much one call may do. */
final class ConntrackLimitsTest {
    private static final int CAPACITY = 1 << 16;
    private static final long SECOND_NS = TimeUnit.SECONDS.toNanos(1);

    @Test
    void aTableFillsToItsCapacityWhateverTheFlowsHaveInCommon() {
        final List<IntFunction<Tuple>> patterns =
                List.of(
                        // One client's ports to one server.
                        i -> ipv4(UDP, 0x0a000001, i & 0xffff, 0x0a000002, 53),
                        // One port, neighbouring addresses.
                        i -> ipv4(UDP, 0x0a000000 + i, 1000, 0x0b000001, 53),
                        // Addresses of one network to each other, both changing together.
                        i -> ipv4(UDP, 0x0a000000 + i, 1000, 0x0a800000 + i, 1000),
                        // IPv6: only the uppermost bits differ.
                        i -> tuple(UDP, (long) i << 44, 1, 1, 0x2001L << 48, 2, 2),
                        // Address and port change against each other: their sum is constant.
                        i -> ipv4(UDP, 0x0a000000 + i, 0xffff - i, 0x0b000001, 53));
        for (long seed = 0; seed < 3; seed++) {
            for (int p = 0; p < patterns.size(); p++) {
                try (Conntrack table = Conntrack.open(capacity(CAPACITY), seed)) {
                    for (int i = 0; i < CAPACITY; i++) {
                        final boolean created =
                                table.create(patterns.get(p).apply(i), 0, START_NS) != null;
                        assertThat(created).as("seed %d pattern %d flow %d", seed, p, i).isTrue();
                    }
                    for (int i = 0; i < CAPACITY; i++) {
                        assertThat(table.lookup(patterns.get(p).apply(i), 0, START_NS))
                                .isSameAs(ConntrackState.ESTABLISHED);
                    }
                    assertThat(table.size()).isEqualTo(CAPACITY);
                }
            }
        }
    }

    @Test
    void aBatchIsAnsweredAsItsPacketsAloneAreAlsoWhereFlowsAreNotInTheirHomes() {
        final Random random = new Random(20);
        try (Conntrack table = Conntrack.open(capacity(CAPACITY), 20);
                Conntrack alone = table.anotherLane()) {
            for (int i = 0; i < 2 * CAPACITY; i++) {
                table.create(mixed(i), Conversation.ACK, START_NS);
            }
            final FlowKey[] keys = new FlowKey[64];
            final Tuple[] tuples = new Tuple[64];
            for (int batch = 0; batch < 200; batch++) {
                final int count = random.nextInt(keys.length + 1);
                for (int i = 0; i < count; i++) {
                    keys[i] = new FlowKey();
                    // Every third is of no flow.
                    tuples[i] = mixed(random.nextInt(3 * CAPACITY));
                    table.prepare(tuples[i], keys[i]);
                }
                table.touch(keys, count);
                for (int i = 0; i < count; i++) {
                    final ConntrackState state = table.lookup(keys[i], Conversation.ACK, START_NS);
                    assertThat(state).isSameAs(alone.lookup(tuples[i], Conversation.ACK, START_NS));
                    if (state == ConntrackState.ESTABLISHED) {
                        final Tuple found = new Tuple();
                        table.entry().initiatorTuple(found);
                        assertThat(found).usingRecursiveComparison().isEqualTo(tuples[i]);
                    }
                }
            }
            assertThat(table.size()).isEqualTo(2 * CAPACITY);
        }
    }

    /** Both families, TCP and UDP. */
    private static Tuple mixed(final int number) {
        final int protocol = number % 4 < 2 ? FlowTracker.PROTOCOL_TCP : UDP;
        return number % 2 == 0
                ? ipv4(protocol, 0x0a000000 + number, 1000, 0x0b000001, 53)
                : tuple(protocol, 0x2001L << 48, number, 1000, 0x2001L << 48, 1, 53);
    }

    @Test
    void aFullTableRefusesNewFlowsAndKeepsTheOld() {
        try (Conntrack table = Conntrack.open(capacity(64), 3)) {
            fillWithReplied(table);
            for (int i = 64; i < 1000; i++) {
                assertThat(table.lookup(flow(i), 0, START_NS)).isEqualTo(ConntrackState.NEW);
                assertThat(table.create(flow(i), 0, START_NS)).isNull();
            }
            assertThat(table.size()).isEqualTo(64);
            assertThat(table.refusedCount()).isEqualTo(936);
            assertThat(table.createdCount()).isEqualTo(64);
            for (int i = 0; i < 64; i++) {
                assertThat(table.lookup(flow(i), 0, START_NS))
                        .isEqualTo(ConntrackState.ESTABLISHED);
            }
        }
    }

    @Test
    void aNearlyFullTablePushesOutFlowsThatNobodyAnsweredAndNoOthers() {
        try (Conntrack table = Conntrack.open(capacity(1024), 3)) {
            for (int i = 0; i < 900; i++) {
                reply(table, flow(i));
            }
            for (int i = 10_000; i < 110_000; i++) {
                table.create(ipv4(UDP, 0x0b000000 + i, 1, 0x0a000002, 53), 0, START_NS);
                assertThat(table.size()).isLessThanOrEqualTo(1024);
            }
            assertThat(table.createdCount()).isEqualTo(table.evictedCount() + table.size());
            assertThat(table.createdCount() + table.refusedCount()).isEqualTo(100_900);
            for (int i = 0; i < 900; i++) {
                assertThat(table.lookup(flow(i), 0, START_NS))
                        .isEqualTo(ConntrackState.ESTABLISHED);
            }
        }
    }

    @Test
    void aCutFlowIsNotPushedOut() {
        try (Conntrack table = Conntrack.open(capacity(64), 3)) {
            for (int i = 0; i < 64; i++) {
                table.create(flow(i), 0, START_NS);
                table.entry().recordVerdict(FlowVerdict.DENY, 0, 133, 1);
            }
            assertThat(table.size()).isEqualTo(64);
            assertThat(table.create(flow(64), 0, START_NS)).isNull();
            assertThat(table.evictedCount()).isZero();
        }
    }

    private static void fillWithReplied(final Conntrack table) {
        for (int i = 0; i < 64; i++) {
            reply(table, flow(i));
        }
    }

    private static void reply(final Conntrack table, final Tuple tuple) {
        assertThat(table.create(tuple, 0, START_NS)).isNotNull();
        table.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1);
        table.advance(ConntrackState.REPLY, 0, 100, 1, START_NS);
    }

    @Test
    void aFlowUnderAKnownTupleNeedsNoRoom() {
        try (Conntrack table = Conntrack.open(capacity(64), 3)) {
            for (int i = 0; i < 64; i++) {
                table.create(flow(i), 0, START_NS);
            }
            assertThat(table.create(Conversation.reversed(flow(5)), 0, START_NS)).isNotNull();
            assertThat(table.lookup(flow(5), 0, START_NS)).isEqualTo(ConntrackState.REPLY);
            assertThat(table.size()).isEqualTo(64);
        }
    }

    @Test
    void aFullTableMakesRoomFromExpiredFlowsWithoutWaitingForExpiry() {
        try (Conntrack table = Conntrack.open(capacity(64), 3)) {
            for (int i = 0; i < 64; i++) {
                table.create(flow(i), 0, START_NS);
            }
            final long laterNs = START_NS + 30 * SECOND_NS;
            int created = 0;
            for (int i = 64; i < 128; i++) {
                if (table.create(flow(i), 0, laterNs) != null) {
                    created++;
                }
            }
            // With half of all slots expired, 16 slots without one are a 1:65,536 chance.
            assertThat(created).isGreaterThanOrEqualTo(48);
            assertThat(table.size()).isLessThanOrEqualTo(64);
            assertThat(table.expiredCount()).isEqualTo(table.createdCount() - table.size());
        }
    }

    @Test
    void aRunOf64FlowsOfOneHomeIsFullAndTheRestOfTheTableIsNot() {
        final int slotMask = 2 * 1024 - 1;
        final List<Tuple> meeting = meetingFlows(65, 11, slotMask);
        try (Conntrack table = Conntrack.open(capacity(1024), 11)) {
            for (int i = 0; i < 64; i++) {
                assertThat(table.create(meeting.get(i), 0, START_NS)).isNotNull();
            }
            assertThat(table.create(meeting.get(64), 0, START_NS)).isNull();
            assertThat(table.size()).isEqualTo(64);
            for (int i = 0; i < 64; i++) {
                assertThat(table.lookup(meeting.get(i), 0, START_NS))
                        .isEqualTo(ConntrackState.ESTABLISHED);
            }
            assertThat(table.create(flow(0), 0, START_NS)).isNotNull();
            // One that goes from the middle leaves its place to the next.
            table.lookup(meeting.get(31), 0, START_NS);
            table.close(table.entry());
            assertThat(table.create(meeting.get(64), 0, START_NS)).isNotNull();
            assertThat(table.lookup(meeting.get(63), 0, START_NS))
                    .isEqualTo(ConntrackState.ESTABLISHED);
        }
    }

    @Test
    void flowsThatMeetUnderOneSeedSpreadUnderAnother() {
        final int slotMask = (1 << 14) - 1;
        final List<Tuple> meeting = meetingFlows(200, 11, slotMask);
        final Set<Long> homes = new HashSet<>();
        final KeyedHash other = new KeyedHash(12);
        for (final Tuple tuple : meeting) {
            homes.add(hash(other, tuple) & slotMask);
        }
        assertThat(homes).hasSizeGreaterThan(190);
        try (Conntrack table = Conntrack.open(capacity((slotMask + 1) / 2), 12)) {
            for (final Tuple tuple : meeting) {
                assertThat(table.create(tuple, 0, START_NS)).isNotNull();
            }
        }
    }

    @Test
    void expiryLooksAtNoMoreSlotsThanItIsTold() {
        try (Conntrack table = Conntrack.open(capacity(1024), 5)) {
            for (int i = 0; i < 1024; i++) {
                table.create(flow(i), 0, START_NS);
            }
            final long laterNs = START_NS + 30 * SECOND_NS;
            assertThat(table.expire(laterNs, 0)).isZero();
            int calls = 0;
            int expired = 0;
            while (table.size() > 0) {
                final int step = table.expire(laterNs, 10);
                assertThat(step).isLessThanOrEqualTo(10);
                expired += step;
                calls++;
            }
            assertThat(expired).isEqualTo(1024);
            assertThat(table.expiredCount()).isEqualTo(1024);
            // 2048 slots in steps of 10; the last flow lies somewhere near the end.
            assertThat(calls).isBetween(190, 205);
        }
    }

    @Test
    void expiryForgetsNoMoreThan64FlowsOfAFamilyAtATimeAndMissesNone() {
        try (Conntrack table = Conntrack.open(capacity(4096), 3)) {
            for (int i = 0; i < 3000; i++) {
                table.create(flow(i), 0, START_NS);
                table.create(tuple(UDP, 1, i, 1, 1, 2, 2), 0, START_NS);
            }
            final long laterNs = START_NS + 30 * SECOND_NS;
            int steps = 0;
            while (table.size() > 0) {
                final int atOnce = table.expire(laterNs, 8192);
                assertThat(atOnce).isBetween(1, 2 * Conntrack.EXPIRED_MAX);
                steps++;
            }
            // 64 of each family in every step but the last few.
            assertThat(steps).isBetween(3000 / 64, 3000 / 64 + 4);
            assertThat(table.expiredCount()).isEqualTo(6000);
        }
    }

    @Test
    void expiryGoesRoundAndLeavesTheLiving() {
        try (Conntrack table = Conntrack.open(capacity(64), 5)) {
            for (int i = 0; i < 64; i++) {
                table.create(flow(i), 0, START_NS + (i % 2) * SECOND_NS);
            }
            assertThat(table.expire(START_NS + 30 * SECOND_NS - 1, 128)).isZero();
            assertThat(table.expire(START_NS + 30 * SECOND_NS, 100)).isPositive();
            table.expire(START_NS + 30 * SECOND_NS, 28);
            assertThat(table.size()).isEqualTo(32);
            for (int i = 0; i < 64; i++) {
                assertThat(table.lookup(flow(i), 0, START_NS + 30 * SECOND_NS))
                        .isEqualTo(i % 2 == 0 ? ConntrackState.NEW : ConntrackState.ESTABLISHED);
            }
            assertThat(table.expire(START_NS + 31 * SECOND_NS, Integer.MAX_VALUE)).isEqualTo(32);
        }
    }

    @Test
    void nothingIsAllocatedOnThePacketPath() {
        final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Conntrack table = Conntrack.open(capacity(1024), 5)) {
            final Tuple request = flow(0);
            final Tuple reply = Conversation.reversed(request);
            walk(table, request, reply, 20_000);
            final long before = threads.getCurrentThreadAllocatedBytes();
            walk(table, request, reply, 20_000);
            final long allocatedBytes = threads.getCurrentThreadAllocatedBytes() - before;
            // Less than one object in a hundred walks: the measurement itself.
            assertThat(allocatedBytes).isLessThan(200 * 16);
        }
    }

    private static void walk(
            final Conntrack table, final Tuple request, final Tuple reply, final int times) {
        for (int i = 0; i < times; i++) {
            request.sourcePort = i & 0xffff;
            reply.destinationPort = i & 0xffff;
            table.lookup(request, 0, START_NS);
            table.create(request, 0, START_NS);
            table.entry().recordVerdict(FlowVerdict.ALLOW, 0, 0, 1);
            table.entry().recordSides(0, 1, 2, 3);
            table.advance(ConntrackState.NEW, 0, 100, 1, START_NS);
            table.advance(table.lookup(reply, 0, START_NS), 0, 100, 1, START_NS);
            table.lookupRelated(request, START_NS);
            table.touchDenied(START_NS);
            table.close(table.entry());
            table.expire(START_NS, 64);
        }
    }

    /** Different flows of one home. */
    private static List<Tuple> meetingFlows(final int count, final long seed, final int slotMask) {
        final KeyedHash hash = new KeyedHash(seed);
        final List<Tuple> meeting = new ArrayList<>();
        long home = -1;
        for (int i = 0; meeting.size() < count; i++) {
            final Tuple tuple = ipv4(UDP, 0x0a000000 + i, 1000, 0x7f000001, 53);
            final long its = hash(hash, tuple) & slotMask;
            if (home < 0) {
                home = its;
            }
            if (its == home) {
                meeting.add(tuple);
            }
        }
        return meeting;
    }

    private static long hash(final KeyedHash hash, final Tuple tuple) {
        final FlowKey key = new FlowKey();
        key.set(tuple, hash);
        return key.hash;
    }

    private static Tuple flow(final int i) {
        return ipv4(UDP, 0x0a000001, i, 0x0a000002, 53);
    }

    static ConntrackConfig capacity(final int capacityFlows) {
        final ConntrackConfig d = ConntrackConfig.defaults();
        return ConntrackConfigTest.config(
                capacityFlows,
                d.tcpSynTimeoutNs(),
                d.tcpEstablishedTimeoutNs(),
                d.tcpFinWaitTimeoutNs(),
                d.tcpClosingTimeoutNs(),
                d.udpUnrepliedTimeoutNs(),
                d.udpRepliedTimeoutNs(),
                d.udpStreamTimeoutNs(),
                d.icmpTimeoutNs(),
                d.otherTimeoutNs());
    }
}
