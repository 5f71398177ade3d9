package io.sluice.perf.stress;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.ConntrackConfig;
import io.sluice.conntrack.ConntrackState;
import io.sluice.conntrack.FlowEntry;
import io.sluice.conntrack.FlowKey;
import io.sluice.conntrack.FlowVerdict;
import io.sluice.conntrack.Tuple;
import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/**
 * What two lanes may see of each other's flows; {@code scripts/stress} runs it.
 *
 * <p>Every test shares one small table, and takes tuples of its own from it, so that no table has
 * to be made for each of millions of runs.
 */
public final class ConntrackStress {
    private static final long NOW_NS = 1;
    private static final Conntrack TABLE = Conntrack.open(config(), 42);

    /** One view for each thread that acts. */
    private static final ThreadLocal<Conntrack> LANE = ThreadLocal.withInitial(TABLE::anotherLane);

    /** Tuples of each test differ from all others. */
    private static final AtomicInteger CLIENTS = new AtomicInteger();

    private ConntrackStress() {}

    private static ConntrackConfig config() {
        final ConntrackConfig d = ConntrackConfig.defaults();
        return new ConntrackConfig(
                1 << 16,
                64,
                d.tcpSynTimeoutNs(),
                d.tcpEstablishedTimeoutNs(),
                d.tcpFinWaitTimeoutNs(),
                d.tcpClosingTimeoutNs(),
                d.udpUnrepliedTimeoutNs(),
                d.udpRepliedTimeoutNs(),
                d.udpStreamTimeoutNs(),
                d.icmpTimeoutNs(),
                d.otherTimeoutNs(),
                true,
                true);
    }

    private static Tuple tuple(final int client, final int number) {
        final Tuple tuple = new Tuple();
        tuple.protocol = 17;
        tuple.sourceLow = Tuple.mapped(client);
        tuple.sourcePort = number;
        tuple.destinationLow = Tuple.mapped(0x0b00_0001);
        tuple.destinationPort = 53;
        return tuple;
    }

    /** Opens a flow whose parts all say the same number. */
    private static void open(final Tuple tuple, final int number) {
        final Conntrack lane = LANE.get();
        final FlowEntry flow = lane.create(tuple, 0, NOW_NS);
        if (flow != null) {
            flow.recordSides(number, number, number, number);
            flow.recordVerdict(FlowVerdict.REDIRECT, number, 0, number);
        }
    }

    private static void closeFlow(final Tuple tuple) {
        final Conntrack lane = LANE.get();
        if (lane.lookup(tuple, 0, NOW_NS) == ConntrackState.ESTABLISHED) {
            lane.close(lane.entry());
        }
    }

    /** 0 if there is none, its number if there is and it is whole or not judged yet, else -1. */
    private static int seen(final Tuple tuple, final int number) {
        final Conntrack lane = LANE.get();
        if (lane.lookup(tuple, 0, NOW_NS) != ConntrackState.ESTABLISHED) {
            return 0;
        }
        final FlowEntry flow = lane.entry();
        final boolean sides =
                flow.initiatorPort() == FlowEntry.NO_PORT
                        ? flow.initiatorIdentity() == 0 && flow.responderIdentity() == 0
                        : flow.initiatorPort() == number
                                && flow.responderPort() == number
                                && flow.initiatorIdentity() == number
                                && flow.responderIdentity() == number;
        final boolean verdict =
                flow.verdict() == FlowVerdict.DENY
                        ? flow.policyRevision() == FlowEntry.NO_REVISION
                        : flow.policyRevision() == number && flow.proxyPort() == number;
        return sides && verdict ? number : -1;
    }

    /** Two lanes open one tuple at the same time. */
    @JCStressTest
    @Outcome(id = "1", expect = Expect.ACCEPTABLE, desc = "one flow")
    @Outcome(expect = Expect.FORBIDDEN, desc = "none or several")
    @State
    public static class ConcurrentInsert {
        private final Tuple tuple = tuple(CLIENTS.incrementAndGet(), 1);

        /** One lane. */
        @Actor
        public void first() {
            open(tuple, 1);
        }

        /** Another. */
        @Actor
        public void second() {
            open(tuple, 1);
        }

        /** Counts by removing until none is found. */
        @Arbiter
        public void count(final I_Result result) {
            final Conntrack lane = LANE.get();
            while (lane.lookup(tuple, 0, NOW_NS) == ConntrackState.ESTABLISHED) {
                lane.close(lane.entry());
                result.r1++;
            }
        }
    }

    /** A lane looks up what another is opening. */
    @JCStressTest
    @Outcome(
            id = {"0, 1", "1, 1"},
            expect = Expect.ACCEPTABLE,
            desc = "none, or a whole one")
    @Outcome(expect = Expect.FORBIDDEN, desc = "half of one, or lost")
    @State
    public static class LookupBesideInsert {
        private final Tuple tuple = tuple(CLIENTS.incrementAndGet(), 1);

        /** Opens. */
        @Actor
        public void lane() {
            open(tuple, 1);
        }

        /** Looks. */
        @Actor
        public void other(final II_Result result) {
            result.r1 = seen(tuple, 1);
        }

        /** Looks again, and cleans up. */
        @Arbiter
        public void after(final II_Result result) {
            result.r2 = seen(tuple, 1);
            closeFlow(tuple);
        }
    }

    /** A flow goes and another takes its slot while a lane looks the first up. */
    @JCStressTest
    @Outcome(
            id = {"0, 2", "1, 2"},
            expect = Expect.ACCEPTABLE,
            desc = "the own flow, or none")
    @Outcome(expect = Expect.FORBIDDEN, desc = "another flow's verdict")
    @State
    public static class LookupBesideReplacement {
        private final Tuple former = tuple(CLIENTS.incrementAndGet(), 1);
        private final Tuple latter = tuple(CLIENTS.incrementAndGet(), 2);

        public LookupBesideReplacement() {
            open(former, 1);
        }

        /** Replaces one by the other. */
        @Actor
        public void lane() {
            closeFlow(former);
            open(latter, 2);
        }

        /** Looks for the former. */
        @Actor
        public void other(final II_Result result) {
            result.r1 = seen(former, 1);
        }

        /** The latter is there; cleans up. */
        @Arbiter
        public void after(final II_Result result) {
            result.r2 = seen(latter, 2);
            closeFlow(latter);
        }
    }

    /** Two lanes make the same part of a flow, each for another port. */
    @JCStressTest
    @Outcome(
            id = {"80, 80", "443, 443"},
            expect = Expect.ACCEPTABLE,
            desc = "both have the first one's")
    @Outcome(expect = Expect.FORBIDDEN, desc = "one each, or none")
    @State
    public static class ConcurrentInsertIfAbsent {
        private final Tuple tuple = tuple(CLIENTS.incrementAndGet(), 1);

        /** One lane. */
        @Actor
        public void first(final II_Result result) {
            result.r1 = portOf(tuple, 80);
        }

        /** Another. */
        @Actor
        public void second(final II_Result result) {
            result.r2 = portOf(tuple, 443);
        }

        /** Cleans up. */
        @Arbiter
        public void after() {
            closeFlow(tuple);
        }

        private static int portOf(final Tuple tuple, final int port) {
            final Conntrack lane = LANE.get();
            final FlowKey key = new FlowKey();
            lane.prepare(tuple, key);
            final FlowEntry flow = lane.createIfAbsent(key, port, NOW_NS);
            return flow == null ? 0 : flow.proxyPort();
        }
    }
}
