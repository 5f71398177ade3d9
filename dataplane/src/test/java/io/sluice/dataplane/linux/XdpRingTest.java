package io.sluice.dataplane.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Rings over plain memory, with the kernel's side played by the test. */
final class XdpRingTest {
    private static final int SIZE = 8;
    private static final long PRODUCER = 0;
    private static final long CONSUMER = 64;
    private static final long FLAGS = 68;
    private static final long ENTRIES = 128;
    private static final long SEED = 6;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment memory = arena.allocate(ENTRIES + SIZE * 16L, 64);

    @AfterEach
    void free() {
        arena.close();
    }

    @Test
    void kernelSeesWhatWasPutOnceItIsPublished() {
        final XdpRing tx = ring(XdpRing.DESCRIPTOR_BYTES);
        tx.putDescriptor(4096, 60, 2);
        assertThat(memory.get(JAVA_INT, PRODUCER)).isZero();
        tx.publish();

        assertThat(memory.get(JAVA_INT, PRODUCER)).isOne();
        assertThat(memory.get(JAVA_LONG, ENTRIES)).isEqualTo(4096);
        assertThat(memory.get(JAVA_INT, ENTRIES + 8)).isEqualTo(60);
        assertThat(memory.get(JAVA_INT, ENTRIES + 12)).isEqualTo(2);
        assertThat(tx.pending()).isOne();
        memory.set(JAVA_INT, CONSUMER, 1);
        assertThat(tx.pending()).isZero();
    }

    @Test
    void entriesOfTheKernelAreReadInOrderAndTheirPlacesGivenBack() {
        final XdpRing rx = ring(XdpRing.DESCRIPTOR_BYTES);
        assertThat(rx.available()).isZero();
        for (int i = 0; i < 3; i++) {
            memory.set(JAVA_LONG, ENTRIES + i * 16L, 100 + i);
            memory.set(JAVA_INT, ENTRIES + i * 16L + 8, 60 + i);
            memory.set(JAVA_INT, ENTRIES + i * 16L + 12, i);
        }
        memory.set(JAVA_INT, PRODUCER, 3);

        assertThat(rx.available()).isEqualTo(3);
        assertThat(rx.address(2)).isEqualTo(102);
        assertThat(rx.length(2)).isEqualTo(62);
        assertThat(rx.options(2)).isEqualTo(2);
        rx.release(2);
        assertThat(memory.get(JAVA_INT, CONSUMER)).isEqualTo(2);
        assertThat(rx.available()).isOne();
        assertThat(rx.address(0)).isEqualTo(102);
    }

    @Test
    void kernelSaysThatItSleeps() {
        final XdpRing tx = ring(XdpRing.DESCRIPTOR_BYTES);
        assertThat(tx.needsWakeup()).isFalse();
        memory.set(JAVA_INT, FLAGS, 1);
        assertThat(tx.needsWakeup()).isTrue();
    }

    @Test
    void addressesComeOutAsTheyWentInAlsoWhereTheCountersWrap() {
        // A user's ring, and a second view of the same memory from the other side.
        final int start = -20;
        memory.set(JAVA_INT, PRODUCER, start);
        memory.set(JAVA_INT, CONSUMER, start);
        final XdpRing in = ring(XdpRing.ADDRESS_BYTES);
        final XdpRing out = ring(XdpRing.ADDRESS_BYTES);
        final Deque<Long> expected = new ArrayDeque<>();
        final Random random = new Random(SEED);
        long next = 0;
        for (int round = 0; round < 1000; round++) {
            final int puts = random.nextInt(SIZE - in.pending() + 1);
            for (int i = 0; i < puts; i++) {
                expected.add(next);
                in.putAddress(next++);
            }
            in.publish();
            final int waiting = out.available();
            assertThat(waiting).as("seed %d round %d", SEED, round).isBetween(0, expected.size());
            final int takes = random.nextInt(waiting + 1);
            for (int i = 0; i < takes; i++) {
                assertThat(out.address(i)).isEqualTo(Objects.requireNonNull(expected.poll()));
            }
            out.release(takes);
        }
    }

    private XdpRing ring(final int entryBytes) {
        return new XdpRing(memory, PRODUCER, CONSUMER, FLAGS, ENTRIES, SIZE, entryBytes);
    }
}
