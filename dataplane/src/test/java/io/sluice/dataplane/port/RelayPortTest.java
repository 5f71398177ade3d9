package io.sluice.dataplane.port;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RelayPortTest {
    private static final int HEADER = PacketBatch.VNET_HEADER_BYTES;

    private final Arena arena = Arena.ofConfined();
    private final PacketBatch batch = new PacketBatch(arena);
    private final MemorySegment memory = arena.allocate(PacketBatch.FRAME_BYTES_MAX, 64);
    private final MemoryPort behind = new MemoryPort("x", 1500);
    private final RelayPort port = new RelayPort(behind, 3);
    private final AtomicInteger wakes = new AtomicInteger();

    @AfterEach
    void close() {
        arena.close();
    }

    private boolean send(final int lane, final int number, final int length) {
        memory.set(ValueLayout.JAVA_INT_UNALIGNED, HEADER, number);
        return port.ofLane(lane).send(memory, 0, length);
    }

    private int nextSent() {
        final byte[] frame = behind.takeSentWithHeader();
        return frame == null
                ? -1
                : MemorySegment.ofArray(frame).get(ValueLayout.JAVA_INT_UNALIGNED, HEADER);
    }

    @Test
    void framesOfOtherLanesLeaveWhenLaneZeroLooksAndEachLanesInOrder() {
        port.wakeLaneBy(wakes::incrementAndGet);
        assertThat(send(1, 10, 60)).isTrue();
        assertThat(send(2, 20, 60)).isTrue();
        assertThat(send(1, 11, 60)).isTrue();
        assertThat(nextSent()).as("before lane 0 has looked").isEqualTo(-1);

        port.ofLane(1).flush();
        port.ofLane(2).flush();
        assertThat(wakes).as("one for both").hasValue(1);
        assertThat(port.ofLane(0).receive(batch)).isZero();

        assertThat(nextSent()).isEqualTo(10);
        assertThat(nextSent()).isEqualTo(20);
        assertThat(nextSent()).isEqualTo(11);
        assertThat(nextSent()).isEqualTo(-1);
    }

    @Test
    void laneZeroIsWokenOnceForAllThatWaitsAndAgainForWhatComesAfterItsLook() {
        port.wakeLaneBy(wakes::incrementAndGet);
        port.ofLane(1).flush();
        assertThat(wakes).as("nothing was sent").hasValue(0);

        send(1, 1, 60);
        port.ofLane(1).flush();
        send(1, 2, 60);
        port.ofLane(1).flush();
        assertThat(wakes).hasValue(1);

        port.receive(batch);
        send(1, 3, 60);
        port.ofLane(1).flush();
        assertThat(wakes).hasValue(2);
    }

    @Test
    void laneZeroSendsItselfAndAloneReceives() {
        behind.inject(new byte[60]);
        assertThat(port.ofLane(1).receive(batch)).isZero();
        assertThat(port.ofLane(0).receive(batch)).isEqualTo(1);

        assertThat(send(0, 5, 60)).isTrue();
        assertThat(nextSent()).isEqualTo(5);
        assertThat(port.ofLane(2).whole()).isSameAs(port);
    }

    @Test
    void aFullRingRefusesAndWhatThePortRefusesLaterIsCountedAsLost() {
        int taken = 0;
        while (send(1, taken, PacketBatch.FRAME_BYTES_MAX)) {
            taken++;
        }
        assertThat(taken).isGreaterThanOrEqualTo(10);
        port.wakeLaneBy(wakes::incrementAndGet);
        assertThat(wakes).as("for what came before lane 0 had the port").hasValue(1);
        port.ofLane(1).flush();
        behind.removeDevice();

        assertThat(port.receive(batch)).isEqualTo(Port.GONE);
        assertThat(port.lostByKernel()).isEqualTo(taken);
    }

    @Test
    void moreThanOneLookSendsIsSentByTheNext() {
        port.wakeLaneBy(wakes::incrementAndGet);
        for (int i = 0; i < 400; i++) {
            assertThat(send(1, i, 60)).isTrue();
        }
        port.ofLane(1).flush();
        port.receive(batch);
        assertThat(wakes).as("it wakes itself for the rest").hasValue(2);
        port.receive(batch);

        for (int i = 0; i < 400; i++) {
            assertThat(nextSent()).isEqualTo(i);
        }
    }
}
