package io.sluice.dataplane;

import static io.sluice.dataplane.DropReason.CT_MAP_INSERTION_FAILED;
import static io.sluice.dataplane.Frames.ACK;
import static io.sluice.dataplane.Frames.FIN_ACK;
import static io.sluice.dataplane.Frames.SYN;
import static io.sluice.dataplane.Frames.SYN_ACK;
import static io.sluice.dataplane.TestSwitch.A;
import static io.sluice.dataplane.TestSwitch.A_PORT;
import static io.sluice.dataplane.TestSwitch.B;
import static io.sluice.dataplane.TestSwitch.B_PORT;
import static io.sluice.dataplane.TestSwitch.OUTSIDER;
import static io.sluice.dataplane.TestSwitch.UPLINK_PORT;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.sluice.conntrack.Conntrack;
import io.sluice.dataplane.FramePattern.Varies;
import io.sluice.dataplane.port.PacketBatch;
import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * More flows than the table holds, through the whole switch: established flows lose no packet, the
 * counters account for every flow that came, and memory stays what it was.
 */
class FloodTest {
    private static final int CAPACITY = 1 << 16;
    private static final int ESTABLISHED = 1024;
    private static final int SPOOFED = 2_000_000;
    private static final int SHORT_FLOWS = 1_000_000;
    private static final int BATCH = PacketBatch.FRAMES_MAX;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final FramePattern a =
            new FramePattern("a", Frames.tcp(A, 0, B, 0, ACK, 100), Varies.PORTS);
    private final FramePattern b =
            new FramePattern("b", Frames.tcp(B, 0, A, 0, ACK, 100), Varies.PORTS_OF_REPLY);
    private final FramePattern world =
            new FramePattern(
                    "world", Frames.tcp(OUTSIDER, 4000, B, 80, SYN, 0), Varies.SOURCE_ADDRESS);

    private TestSwitch open(final int capacityFlows) {
        final TestSwitch sluice = new TestSwitch(capacityFlows);
        sluice.recordsEvents = false;
        sluice.plug(A_PORT, a);
        sluice.plug(B_PORT, b);
        sluice.plug(UPLINK_PORT, world);
        return sluice;
    }

    /** One after the other: half-open ones would push each other out of a nearly full table. */
    private void establish(final TestSwitch sluice, final int flows) {
        for (int i = 0; i < flows; i++) {
            step(sluice, a, i, 1, SYN);
            step(sluice, b, i, 1, SYN_ACK);
            step(sluice, a, i, 1, ACK);
        }
        assertThat(sluice.flows()).isEqualTo(flows);
    }

    @Test
    void aFloodOfSpoofedSynsPushesOutItsOwnFlowsAndNoEstablishedOnes() {
        try (TestSwitch sluice = open(CAPACITY)) {
            establish(sluice, ESTABLISHED);
            final Conntrack table = sluice.conntrack();
            final long atB = b.sentCount();

            flood(sluice, SPOOFED / 2);
            final long allocated = threads.getCurrentThreadAllocatedBytes();
            flood(sluice, SPOOFED / 2);
            assertThat(threads.getCurrentThreadAllocatedBytes() - allocated)
                    .as("bytes of heap for %d packets", SPOOFED)
                    .isLessThan(SPOOFED / 100);

            final long refused = table.refusedCount();
            assertThat(b.sentCount() - atB)
                    .as("every packet of the established flows, and every SYN with a flow")
                    .isEqualTo(SPOOFED + SPOOFED - refused);
            assertThat(sluice.drops(CT_MAP_INSERTION_FAILED)).isEqualTo(refused);
            assertThat(sluice.counters.droppedPackets()).as("no other drops").isEqualTo(refused);
            assertThat(table.createdCount() + refused).isEqualTo(ESTABLISHED + SPOOFED);
            assertThat(table.createdCount())
                    .isEqualTo(table.evictedCount() + table.expiredCount() + table.size());
            assertThat(table.expiredCount()).isZero();
            assertThat(table.size()).isBetween(CAPACITY * 95 / 100, CAPACITY);
            assertThat(refused).as("flows refused beside those pushed out").isLessThan(100);
        }
    }

    /** As many packets of established flows as SYNs, each of which is another host's. */
    private void flood(final TestSwitch sluice, final int spoofed) {
        for (int i = 0; i < spoofed; i += BATCH) {
            final int count = Math.min(BATCH, spoofed - i);
            a.offer(i % ESTABLISHED, count, ACK);
            world.offer((int) (sluice.nowNs - 1_000_000_000L), count);
            sluice.turn();
            // A nanosecond a SYN: it numbers them, and no flow expires.
            sluice.nowNs += count;
        }
    }

    @Test
    void aTableFullOfEstablishedFlowsRefusesEveryNewOneAndLosesNoPacketOfTheOld() {
        try (TestSwitch sluice = open(CAPACITY)) {
            establish(sluice, CAPACITY);
            final Conntrack table = sluice.conntrack();
            final long atB = b.sentCount();

            flood(sluice, SPOOFED / 10);

            assertThat(b.sentCount() - atB).as("the established flows").isEqualTo(SPOOFED / 10);
            assertThat(table.refusedCount()).isEqualTo(SPOOFED / 10);
            assertThat(sluice.drops(CT_MAP_INSERTION_FAILED)).isEqualTo(SPOOFED / 10);
            assertThat(table.evictedCount()).isZero();
            assertThat(table.size()).isEqualTo(CAPACITY);
        }
    }

    @Test
    void aMillionShortConnectionsComeAndGoInATableOfAQuarterOfThem() {
        try (TestSwitch sluice = open(SHORT_FLOWS / 4)) {
            final Conntrack table = sluice.conntrack();
            int largest = 0;
            for (int i = 0; i < SHORT_FLOWS; i += BATCH) {
                step(sluice, a, i, BATCH, SYN);
                step(sluice, b, i, BATCH, SYN_ACK);
                step(sluice, a, i, BATCH, ACK);
                step(sluice, a, i, BATCH, FIN_ACK);
                step(sluice, b, i, BATCH, FIN_ACK);
                step(sluice, a, i, BATCH, ACK);
                // 32,000 connections a second; a closed one is forgotten after 10.
                sluice.nowNs += TimeUnit.MILLISECONDS.toNanos(6);
                largest = Math.max(largest, table.size());
            }

            assertThat(sluice.counters.droppedPackets()).isZero();
            assertThat(sluice.counters.forwardedPackets()).isEqualTo(6L * SHORT_FLOWS);
            assertThat(table.createdCount()).isEqualTo(SHORT_FLOWS);
            assertThat(table.refusedCount()).isZero();
            assertThat(table.evictedCount()).as("expiry is enough").isZero();
            assertThat(table.expiredCount()).isEqualTo(SHORT_FLOWS - table.size());
            assertThat(largest).isLessThan(SHORT_FLOWS / 4);

            sluice.nowNs += TimeUnit.SECONDS.toNanos(10);
            for (int i = 0; i < 10_000; i++) {
                sluice.turn();
            }
            assertThat(table.size()).as("64 a turn are forgotten").isZero();
        }
    }

    private static void step(
            final TestSwitch sluice,
            final FramePattern from,
            final int first,
            final int count,
            final int flags) {
        from.offer(first, count, flags);
        sluice.turn();
    }
}
