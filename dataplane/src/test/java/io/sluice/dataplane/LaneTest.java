package io.sluice.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.FragmentTable;
import io.sluice.dataplane.Lane.IdleMode;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.status.CountersManager;
import org.agrona.concurrent.status.CountersReader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LaneTest {
    /** As long as a lane sleeps at most, in ms. */
    private static final int SLEEP_MS = 50;

    @ParameterizedTest
    @EnumSource
    @Timeout(60)
    void inEveryModeACommandIsCarriedOutAndTheEndIsHeard(final IdleMode mode) throws Exception {
        try (Conntrack conntrack = table();
                FragmentTable fragments = FragmentTable.open(1);
                ForwardingLoop loop = loop(conntrack, fragments)) {
            final Thread[] thread = new Thread[1];
            final Lane lane =
                    lane(loop, new AtomicInteger(), mode, () -> thread[0] = Thread.currentThread());
            lane.start();
            for (int i = 1; i <= 100; i++) {
                loop.proxy().publishTables(Tables.EMPTY.withRevision(i)).get();
            }
            lane.close();

            assertThat(lane.isAlive()).isFalse();
            assertThat(thread[0].getName()).isEqualTo("lane");
        }
    }

    /**
     * A sleep may be longer than it should be, and never shorter: no bound here depends on that.
     */
    @Test
    @Timeout(60)
    void aSleepyLaneTurnsForCommandsAndExpiryAndForNothingElse() throws Exception {
        final int commands = 200;
        try (Conntrack conntrack = table();
                FragmentTable fragments = FragmentTable.open(1);
                ForwardingLoop loop = loop(conntrack, fragments)) {
            final AtomicInteger turns = new AtomicInteger();
            final long begunNs = System.nanoTime();
            final Lane lane = lane(loop, turns, IdleMode.SLEEPY, () -> {});
            lane.start();
            for (int i = 1; i <= commands; i++) {
                loop.proxy().publishTables(Tables.EMPTY.withRevision(i)).get();
            }
            lane.close();
            final long passedMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begunNs);

            // A turn that finds a command, one that finds nothing, a wake-up that came too late.
            assertThat(turns.get())
                    .isLessThanOrEqualTo(3 * commands + 3 + (int) (passedMs / SLEEP_MS));
        }
    }

    @Test
    @Timeout(60)
    void whatFailsOnTheLaneIsTold() throws Exception {
        try (Conntrack conntrack = table();
                FragmentTable fragments = FragmentTable.open(1);
                ForwardingLoop loop = loop(conntrack, fragments)) {
            final AtomicReference<Throwable> told = new AtomicReference<>();
            final Lane lane =
                    new Lane(
                            "lane",
                            loop,
                            System::nanoTime,
                            IdleMode.ADAPTIVE,
                            () -> {
                                throw new IllegalStateException("no such processor");
                            },
                            (thread, error) -> told.set(error));
            lane.start();
            lane.close();

            assertThat(told.get()).hasMessage("no such processor");
        }
    }

    private static Lane lane(
            final ForwardingLoop loop,
            final AtomicInteger turns,
            final IdleMode mode,
            final Runnable beforeFirstTurn) {
        return new Lane(
                "lane",
                loop,
                () -> {
                    turns.incrementAndGet();
                    return System.nanoTime();
                },
                mode,
                beforeFirstTurn,
                (thread, error) -> {
                    throw new AssertionError("the lane failed", error);
                });
    }

    private static Conntrack table() {
        return Conntrack.open(TestSwitch.tableOf(1024), 1);
    }

    private static ForwardingLoop loop(final Conntrack conntrack, final FragmentTable fragments) {
        return new ForwardingLoop(
                Gateway.DEFAULT,
                conntrack,
                fragments,
                new LaneCounters(
                        new CountersManager(
                                new UnsafeBuffer(
                                        ByteBuffer.allocateDirect(
                                                1024 * CountersReader.METADATA_LENGTH)),
                                new UnsafeBuffer(
                                        ByteBuffer.allocateDirect(
                                                1024 * CountersReader.COUNTER_LENGTH)))),
                FlowEvents.NONE,
                (port, index) -> {});
    }
}
