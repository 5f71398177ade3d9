package io.sluice.dataplane;

import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A6;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.B6;
import static io.sluice.dataplane.TestSwitch.OUTSIDER;
import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.dataplane.Frames.Host;
import io.sluice.dataplane.port.MemoryPort;
import io.sluice.dataplane.table.PolicyEntry;
import io.sluice.dataplane.table.PolicyMap;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Several lanes over one flow table, with each packet of a flow on whichever lane. */
class LanesTest {
    private static final int STEPS = 6_000;
    private static final int[] CLIENT_PORTS = {4000, 4001, 4002};
    private static final int[] SERVER_PORTS = {53, 80, 443};
    private static final int[] TCP_FLAGS = {
        Frames.SYN, Frames.SYN_ACK, Frames.ACK, Frames.ACK, Frames.FIN_ACK, Frames.RST
    };
    private static final byte[] NOTHING = {};

    /** The same is done to a switch of one lane and to one of several. */
    private static final class Both implements AutoCloseable {
        final TestSwitch one = new TestSwitch(4096, 1);
        final TestSwitch many;

        Both(final int lanes) {
            many = new TestSwitch(4096, lanes);
        }

        void inject(final Sender sender, final byte[] frame) {
            sender.send(one, frame);
            sender.send(many, frame);
        }

        void compare(final String what) {
            samePunts(what);
            same(what, one.a, many.a);
            same(what, one.b, many.b);
            same(what, one.uplink, many.uplink);
            same(what, one.proxy, many.proxy);
            assertThat(many.events).as(what).isEqualTo(one.events);
            one.events.clear();
            many.events.clear();
        }

        private void samePunts(final String what) {
            final List<Punt> expected = one.punted();
            final List<Punt> found = many.punted();
            assertThat(found.stream().map(Punt::frame).toList())
                    .as(what)
                    .containsExactlyElementsOf(expected.stream().map(Punt::frame).toList());
            release(one, expected);
            release(many, found);
        }

        private void release(final TestSwitch sluice, final List<Punt> punts) {
            for (final Punt punt : punts) {
                assertThat(
                                sluice.puntsOfAll()
                                        .giveBack(
                                                punt,
                                                PuntRing.Step.RELEASE,
                                                DropReason.NONE,
                                                NOTHING))
                        .isTrue();
                sluice.run();
            }
        }

        private void same(final String what, final MemoryPort expected, final MemoryPort found) {
            assertThat(many.sentTo(found))
                    .as("%s: sent to %s", what, expected.name())
                    .containsExactlyElementsOf(one.sentTo(expected));
        }

        void compareCounters() {
            assertThat(many.sum(LaneCounters::packetsIn)).isEqualTo(one.counters.packetsIn());
            assertThat(many.sum(LaneCounters::forwardedPackets))
                    .isEqualTo(one.counters.forwardedPackets())
                    .isPositive();
            assertThat(many.sum(LaneCounters::answeredPackets))
                    .isEqualTo(one.counters.answeredPackets());
            assertThat(many.sum(LaneCounters::puntedPackets))
                    .isEqualTo(one.counters.puntedPackets())
                    .isPositive();
            assertThat(many.sum(LaneCounters::policyVerdictPackets))
                    .isEqualTo(one.counters.policyVerdictPackets());
            for (final DropReason reason : DropReason.values()) {
                assertThat(many.drops(reason)).as(reason.name()).isEqualTo(one.drops(reason));
            }
            assertThat(many.drops(DropReason.POLICY_DENIED)).isPositive();
        }

        @Override
        public void close() {
            one.close();
            many.close();
        }
    }

    @FunctionalInterface
    private interface Sender {
        void send(TestSwitch sluice, byte[] frame);
    }

    @ParameterizedTest
    @CsvSource({"2,1", "2,2", "2,3", "3,4", "16,5"})
    void whateverLanesThePacketsMeetTheyFareAsOnOneLane(final int lanes, final long seed) {
        final Random dice = new Random(seed);
        try (Both both = new Both(lanes)) {
            for (int step = 0; step < STEPS; step++) {
                final String what = "seed " + seed + " step " + step;
                switch (dice.nextInt(100)) {
                    case 0 -> changePolicy(both, dice.nextInt(5));
                    case 1, 2 -> passTime(both, dice.nextInt(20_000));
                    case 3, 4, 5, 6, 7, 8 -> fragments(both, dice);
                    case 9, 10, 11, 12, 13, 14, 15 -> fromProxy(both, dice);
                    default -> packet(both, dice);
                }
                both.compare(what);
            }
            both.compareCounters();
        }
    }

    private static void changePolicy(final Both both, final int choice) {
        for (final TestSwitch sluice : List.of(both.one, both.many)) {
            switch (choice) {
                case 0 -> sluice.allowAll();
                case 1 -> sluice.nobodyReachesB();
                case 2 -> sluice.ingressOfBAllowsFromA(6, 80);
                case 3 -> sluice.ingressOfBRedirects();
                default -> {
                    final PolicyMap all = PolicyMap.always(PolicyEntry.allow(0));
                    sluice.publish(PolicyMap.always(PolicyEntry.punt(5)), all, all, all);
                }
            }
        }
    }

    private static void passTime(final Both both, final int ms) {
        final long passedNs = TimeUnit.MILLISECONDS.toNanos(ms);
        both.one.nowNs += passedNs;
        both.many.nowNs += passedNs;
    }

    private static void packet(final Both both, final Random dice) {
        final boolean isIpv4 = dice.nextInt(4) != 0;
        final Host a = isIpv4 ? A : A6;
        final Host b = isIpv4 ? B : B6;
        switch (dice.nextInt(isIpv4 ? 8 : 4)) {
            case 0, 1 -> both.inject(TestSwitch::fromA, frame(a, b, true, dice));
            case 2, 3 -> both.inject(TestSwitch::fromB, frame(b, a, false, dice));
            case 4 -> both.inject(TestSwitch::fromA, frame(A, OUTSIDER, true, dice));
            case 5 -> both.inject(TestSwitch::fromUplink, frame(OUTSIDER, A, false, dice));
            case 6 -> both.inject(TestSwitch::fromUplink, frame(OUTSIDER, B, true, dice));
            default -> both.inject(TestSwitch::fromB, frame(B, OUTSIDER, false, dice));
        }
    }

    private static byte[] frame(
            final Host from, final Host to, final boolean isClient, final Random dice) {
        final int client = CLIENT_PORTS[dice.nextInt(CLIENT_PORTS.length)];
        final int server = SERVER_PORTS[dice.nextInt(SERVER_PORTS.length)];
        final int source = isClient ? client : server;
        final int destination = isClient ? server : client;
        return switch (dice.nextInt(10)) {
            case 0 -> Frames.echoRequest(from, to, client, 64);
            case 1 -> Frames.echoReply(from, to, client);
            case 2, 3, 4 -> Frames.udp(from, source, to, destination, 20);
            default ->
                    Frames.tcp(
                            from,
                            source,
                            to,
                            destination,
                            TCP_FLAGS[dice.nextInt(TCP_FLAGS.length)],
                            20);
        };
    }

    private static void fragments(final Both both, final Random dice) {
        final int id = dice.nextInt(1 << 16);
        final int port = SERVER_PORTS[dice.nextInt(SERVER_PORTS.length)];
        if (dice.nextInt(4) != 0) {
            both.inject(TestSwitch::fromA, Frames.udpFragment(A, B, port, id, 0, true, 64));
        }
        both.inject(TestSwitch::fromA, Frames.udpFragment(A, B, port, id, 64, false, 40));
    }

    private static void fromProxy(final Both both, final Random dice) {
        final int client = CLIENT_PORTS[dice.nextInt(CLIENT_PORTS.length)];
        final int server = SERVER_PORTS[dice.nextInt(SERVER_PORTS.length)];
        final int flags = TCP_FLAGS[dice.nextInt(TCP_FLAGS.length)];
        both.inject(
                TestSwitch::fromProxy,
                dice.nextBoolean()
                        ? Frames.tcp(
                                B,
                                ProxyLegs.FIRST_LISTENER + dice.nextInt(ProxyLegs.LISTENERS),
                                A,
                                client,
                                flags,
                                20)
                        : Frames.tcp(A, client, B, server, flags, 20));
    }

    /**
     * Lanes on threads of their own fight for the packets of a few flows, while policy changes:
     * once a change is published, every packet is judged by it, whichever lane has it.
     */
    @Test
    @Timeout(120)
    void aPublishedChangeHoldsOnEveryLaneForThePacketsThatFollow() {
        final int rounds = 400;
        final int packetsPerRound = 200;
        final Random dice = new Random(7);
        try (TestSwitch sluice = new TestSwitch(4096, 3)) {
            for (final int client : CLIENT_PORTS) {
                sluice.fromA(Frames.udp(A, client, B, 80, 20));
            }
            sluice.sentTo(sluice.b);
            long injected = CLIENT_PORTS.length;
            sluice.startLanes();
            for (int round = 0; round < rounds; round++) {
                final boolean isOpen = round % 2 == 0;
                if (isOpen) {
                    sluice.allowAll();
                } else {
                    sluice.nobodyReachesB();
                }
                for (int i = 0; i < packetsPerRound; i++) {
                    final int client = CLIENT_PORTS[dice.nextInt(CLIENT_PORTS.length)];
                    switch (dice.nextInt(3)) {
                        case 0 -> sluice.a.inject(Frames.udp(A, client, B, 80, 20));
                        case 1 -> sluice.b.inject(Frames.udp(B, 80, A, client, 20));
                        default -> sluice.a.inject(Frames.udp(A, 5000 + round, B, 80, 20));
                    }
                }
                injected += packetsPerRound;
                sluice.awaitPackets(injected);
                assertThat(sluice.sentTo(sluice.b).size() + sluice.sentTo(sluice.a).size())
                        .as("round " + round)
                        .isEqualTo(isOpen ? packetsPerRound : 0);
            }
            // Lanes that opened a flow at the same time have made one.
            assertThat(sluice.flows()).isEqualTo(CLIENT_PORTS.length + rounds / 2);
        }
    }
}
