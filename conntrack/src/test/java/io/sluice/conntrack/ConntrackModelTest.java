package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.ICMP;
import static io.sluice.conntrack.Conversation.START_NS;
import static io.sluice.conntrack.Conversation.UDP;
import static io.sluice.conntrack.Conversation.reversed;
import static io.sluice.conntrack.Conversation.tuple;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * The table beside a map that holds each flow under the text of its initiator's tuple. Small tables
 * and few hosts, so that places, tuples and the capacity are fought for. A failure names its seed.
 */
final class ConntrackModelTest {
    /** Packets and other steps in all: -Dsluice.test.modelSteps=N for a longer run. */
    private static final int STEPS = Integer.getInteger("sluice.test.modelSteps", 2_000_000);

    private static final int SEEDS = 20;

    private static final long[][] HOSTS = {
        {0, Tuple.mapped(0x0a000001)},
        {0, Tuple.mapped(0xc0a80001)},
        {0xfd00L << 48, 1},
        {0xfd00L << 48, -1},
        {0x2001_0db8L << 32, 7},
    };

    @Test
    void theTableAnswersAsAMapOfFlowsWould() {
        for (long seed = 0; seed < SEEDS; seed++) {
            try (Run run = new Run(seed)) {
                for (int step = 0; step < STEPS / SEEDS; step++) {
                    run.step("seed " + seed + " step " + step);
                }
                assertThat(run.refused + run.table.evictedCount())
                        .as("seed %d met the capacity", seed)
                        .isPositive();
            }
        }
    }

    private static final class ModelFlow {
        long deadlineNs;
        long createdNs;
        boolean replied;
        boolean stream;
        long initiatorPackets;
        long responderPackets;
    }

    private static final class Run implements AutoCloseable {
        private static final int CAPACITY = 64;

        private final Random random;
        private final Conntrack table;
        private final Map<String, ModelFlow> model = new HashMap<>();
        private long nowNs = START_NS;
        private long forgottenNs;
        private int refused;

        Run(final long seed) {
            random = new Random(seed);
            table = Conntrack.open(ConntrackLimitsTest.capacity(CAPACITY), seed);
        }

        void step(final String where) {
            final int choice = random.nextInt(100);
            if (choice < 85) {
                packet(where);
            } else if (choice < 92) {
                nowNs += random.nextLong(TimeUnit.SECONDS.toNanos(4));
            } else if (choice < 97) {
                table.expire(nowNs, random.nextInt(200));
            } else {
                compareAll(where);
            }
        }

        private void packet(final String where) {
            final Tuple tuple = randomTuple();
            final String own = name(tuple);
            final String opposite = name(reversed(tuple));
            forgetExpired();
            final ConntrackState expected;
            // Of a host that talks to itself on one port all packets are the initiator's.
            final boolean isOwn = !tuple.echoReply || own.equals(opposite);
            if (isOwn && model.containsKey(own)) {
                expected = ConntrackState.ESTABLISHED;
            } else if (model.containsKey(opposite) && answers(tuple)) {
                expected = ConntrackState.REPLY;
            } else {
                expected = tuple.echoReply ? ConntrackState.INVALID : ConntrackState.NEW;
            }
            assertThat(table.lookup(tuple, 0, nowNs)).as(where).isEqualTo(expected);
            switch (expected) {
                case NEW -> open(where, tuple, own);
                case ESTABLISHED, REPLY -> {
                    final String opener = expected == ConntrackState.REPLY ? opposite : own;
                    final Tuple kept = new Tuple();
                    table.entry().initiatorTuple(kept);
                    assertThat(name(kept)).as(where).isEqualTo(opener);
                    if (random.nextInt(10) == 0) {
                        table.close(table.entry());
                        model.remove(opener);
                    } else {
                        pass(tuple, expected, requireNonNull(model.get(opener)));
                    }
                }
                case INVALID, RELATED -> {}
            }
        }

        private void open(final String where, final Tuple tuple, final String own) {
            final long evicted = table.evictedCount();
            final boolean created = table.create(tuple, 0, nowNs) != null;
            if (table.evictedCount() != evicted) {
                forgetVictim(where, own);
            }
            if (!created) {
                refused++;
                return;
            }
            final ModelFlow flow = new ModelFlow();
            flow.createdNs = nowNs;
            model.put(own, flow);
            pass(tuple, ConntrackState.NEW, flow);
        }

        private void pass(final Tuple tuple, final ConntrackState direction, final ModelFlow flow) {
            table.advance(direction, 0, 10, 1, nowNs);
            if (direction == ConntrackState.REPLY) {
                flow.replied = true;
                flow.responderPackets++;
            } else {
                flow.initiatorPackets++;
            }
            if (flow.replied && nowNs - flow.createdNs > TimeUnit.SECONDS.toNanos(2)) {
                flow.stream = true;
            }
            final long replied = flow.stream ? 180 : 120;
            final long seconds = tuple.protocol == UDP && flow.replied ? replied : 30;
            flow.deadlineNs = nowNs + TimeUnit.SECONDS.toNanos(seconds);
        }

        /** Of a nearly full table one flow is gone, and it was one that nobody had answered. */
        private void forgetVictim(final String where, final String newcomer) {
            assertThat(table.size()).as(where).isGreaterThanOrEqualTo(CAPACITY * 95 / 100);
            final Set<String> gone = new HashSet<>(model.keySet());
            table.forEach(nowNs, flow -> gone.remove(nameOf(flow)));
            gone.remove(newcomer);
            assertThat(gone).as(where).hasSize(1);
            final String victim = gone.iterator().next();
            assertThat(requireNonNull(model.remove(victim)).replied).as(where).isFalse();
        }

        private static String nameOf(final FlowSnapshot flow) {
            return name(
                    tuple(
                            flow.protocol(),
                            flow.initiatorHigh(),
                            flow.initiatorLow(),
                            flow.initiatorTransportPort(),
                            flow.responderHigh(),
                            flow.responderLow(),
                            flow.responderTransportPort()));
        }

        private void compareAll(final String where) {
            forgetExpired();
            final Set<String> shown = new HashSet<>();
            table.forEach(
                    nowNs,
                    flow -> {
                        final String name = nameOf(flow);
                        assertThat(shown.add(name)).as("%s: %s shown once", where, name).isTrue();
                        final ModelFlow expected =
                                requireNonNull(model.get(name), where + ": not known: " + name);
                        assertThat(flow.initiatorPackets()).isEqualTo(expected.initiatorPackets);
                        assertThat(flow.responderPackets()).isEqualTo(expected.responderPackets);
                        assertThat(flow.expiresInNs()).isEqualTo(expected.deadlineNs - nowNs);
                    });
            assertThat(shown).as(where).isEqualTo(model.keySet());
            assertThat(table.size()).as(where).isBetween(model.size(), 2 * CAPACITY);
            while (table.expire(nowNs, Integer.MAX_VALUE) > 0) {}
            assertThat(table.size()).as(where).isEqualTo(model.size());
        }

        private void forgetExpired() {
            if (nowNs == forgottenNs) {
                return;
            }
            forgottenNs = nowNs;
            model.values().removeIf(flow -> flow.deadlineNs - nowNs <= 0);
        }

        private Tuple randomTuple() {
            final long[] source = HOSTS[random.nextInt(HOSTS.length)];
            final long[] destination = HOSTS[random.nextInt(HOSTS.length)];
            final boolean isEcho = random.nextInt(4) == 0;
            final int sourcePort = random.nextInt(3);
            final Tuple tuple =
                    tuple(
                            isEcho ? ICMP : UDP,
                            source[0],
                            source[1],
                            sourcePort,
                            destination[0],
                            destination[1],
                            isEcho ? sourcePort : random.nextInt(3));
            tuple.echoReply = isEcho && random.nextBoolean();
            return tuple;
        }

        /** Only an echo reply answers an echo request. */
        private static boolean answers(final Tuple tuple) {
            return tuple.protocol != ICMP || tuple.echoReply;
        }

        private static String name(final Tuple tuple) {
            return tuple.protocol
                    + " "
                    + Long.toHexString(tuple.sourceHigh)
                    + ":"
                    + Long.toHexString(tuple.sourceLow)
                    + "."
                    + tuple.sourcePort
                    + ">"
                    + Long.toHexString(tuple.destinationHigh)
                    + ":"
                    + Long.toHexString(tuple.destinationLow)
                    + "."
                    + tuple.destinationPort;
        }

        @Override
        public void close() {
            table.close();
        }
    }
}
