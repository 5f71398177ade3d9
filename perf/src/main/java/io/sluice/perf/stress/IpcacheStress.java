package io.sluice.perf.stress;

import io.sluice.dataplane.table.Ipcache;
import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * What a lane may see of a change of the ipcache; {@code scripts/stress} runs it.
 *
 * <p>All tests share one ipcache, with blocks from the first prefix on. A run takes the next /24
 * and gives it a number higher than all before; only the acting writer changes it.
 */
public final class IpcacheStress {
    private static final Ipcache IPCACHE = new Ipcache(0);
    private static final int SLOTS = 1 << 20;
    private static final int DEFAULT_ROUTE = (1 << 30) + 1;
    private static final AtomicInteger RUNS = new AtomicInteger();

    static {
        IPCACHE.put(0, 0xffff_0000_0000L, Ipcache.IPV4_PREFIX_BASE, DEFAULT_ROUTE, 1);
    }

    private IpcacheStress() {}

    private static long network(final int run) {
        return 0xffff_0000_0000L | (long) (run & SLOTS - 1) << 8;
    }

    /** 1 for the answer of this run, 0 for what may have been before, -1 for what never was. */
    private static int seen(final int run, final long answer) {
        final int identity = Ipcache.identity(answer);
        if (Ipcache.port(answer) != 1) {
            return -1;
        }
        if (identity == run) {
            return 1;
        }
        final boolean isEarlier =
                identity > 0 && identity < run && (identity & SLOTS - 1) == (run & SLOTS - 1);
        return isEarlier || identity == DEFAULT_ROUTE ? 0 : -1;
    }

    /** A /24 gets an answer while a lane looks an address of it up, one by one and in a batch. */
    @JCStressTest
    @Outcome(
            id = {"0, 0", "0, 1", "1, 1"},
            expect = Expect.ACCEPTABLE,
            desc = "the old answer, then the new one")
    @Outcome(expect = Expect.FORBIDDEN, desc = "back to the old, or what never was")
    @State
    public static class LookupBesidePut {
        private final int run = RUNS.incrementAndGet();
        private final int[] addresses = {(int) network(run) | 7};
        private final long[] answers = new long[1];

        /** Control. */
        @Actor
        public void control() {
            IPCACHE.put(0, network(run), Ipcache.IPV4_PREFIX_BASE + 24, run, 1);
        }

        /** A lane. */
        @Actor
        public void lane(final II_Result result) {
            result.r1 = seen(run, IPCACHE.lookup(0, network(run) | 7));
            IPCACHE.lookupIpv4(addresses, answers, 1);
            result.r2 = seen(run, answers[0]);
        }
    }

    /** The same the other way round, and the first address of the /24. */
    @JCStressTest
    @Outcome(
            id = {"0, 0", "0, 1", "1, 1"},
            expect = Expect.ACCEPTABLE,
            desc = "the old answer, then the new one")
    @Outcome(expect = Expect.FORBIDDEN, desc = "back to the old, or what never was")
    @State
    public static class BatchBesidePut {
        private final int run = RUNS.incrementAndGet();
        private final int[] addresses = {(int) network(run)};
        private final long[] answers = new long[1];

        /** Control. */
        @Actor
        public void control() {
            IPCACHE.put(0, network(run), Ipcache.IPV4_PREFIX_BASE + 24, run, 1);
        }

        /** A lane. */
        @Actor
        public void lane(final II_Result result) {
            IPCACHE.lookupIpv4(addresses, answers, 1);
            result.r1 = seen(run, answers[0]);
            result.r2 = seen(run, IPCACHE.lookup(0, network(run)));
        }
    }
}
