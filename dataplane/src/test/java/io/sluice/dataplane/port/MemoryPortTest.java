package io.sluice.dataplane.port;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class MemoryPortTest {
    private final Arena arena = Arena.ofConfined();
    private final PacketBatch batch = new PacketBatch(arena);
    private final MemoryPort port = new MemoryPort("a", 1500);

    @AfterEach
    void freeBatch() {
        arena.close();
    }

    @Test
    void injectedFramesArriveInOrderBehindAnEmptyHeader() {
        batch.memory().fill((byte) 0x55);
        port.inject(new byte[] {1, 2, 3});
        port.inject(new byte[] {4});
        assertThat(port.receive(batch)).isEqualTo(2);
        assertThat(frame(0)).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3);
        assertThat(frame(1)).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4);
        batch.clear();
        assertThat(port.receive(batch)).isZero();
    }

    @Test
    void everyIpHeaderIsAlignedInTheBatch() {
        port.inject(new byte[61]);
        port.inject(new byte[61]);
        port.receive(batch);
        for (int i = 0; i < batch.count(); i++) {
            final long ipHeader =
                    batch.memory().address() + batch.offset(i) + PacketBatch.VNET_HEADER_BYTES + 14;
            assertThat(ipHeader % 8).isZero();
        }
    }

    @Test
    void framesThatDoNotFitWaitForTheNextBatch() {
        for (int i = 0; i < 6; i++) {
            port.inject(new byte[60_000]);
        }
        assertThat(port.receive(batch)).isEqualTo(4);
        assertThat(batch.hasRoom()).isFalse();
        batch.clear();
        assertThat(port.receive(batch)).isEqualTo(2);
    }

    @Test
    void sentFramesAreTakenWithOrWithoutTheirHeader() {
        port.injectWithHeader(new byte[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
        port.receive(batch);
        assertThat(port.send(batch.memory(), batch.offset(0), batch.length(0))).isTrue();
        assertThat(port.send(batch.memory(), batch.offset(0), batch.length(0))).isTrue();
        assertThat(port.sentCount()).isEqualTo(2);
        assertThat(port.takeSent()).containsExactly(11, 12);
        assertThat(port.takeSentWithHeader())
                .containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
        assertThat(port.takeSent()).isNull();
    }

    @Test
    void fullPortRefusesFrames() {
        for (int i = 0; i < MemoryPort.FRAMES_MAX; i++) {
            port.inject(new byte[] {1});
            assertThat(port.send(batch.memory(), 0, 20)).isTrue();
        }
        assertThat(port.send(batch.memory(), 0, 20)).isFalse();
        assertThatThrownBy(() -> port.inject(new byte[] {1}))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("port a: 1024 frames wait already; let the lane run");
    }

    @Test
    void frameLongerThanABatchHoldsIsRefused() {
        port.inject(new byte[65_590]);
        assertThatThrownBy(() -> port.inject(new byte[65_591]))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("0 to 65590");
    }

    @Test
    void removedDeviceIsGoneAndRefuses() {
        port.inject(new byte[] {1});
        port.removeDevice();
        assertThat(port.receive(batch)).isEqualTo(Port.GONE);
        assertThat(port.send(batch.memory(), 0, 20)).isFalse();
    }

    private byte[] frame(final int index) {
        return batch.memory()
                .asSlice(batch.offset(index), batch.length(index))
                .toArray(ValueLayout.JAVA_BYTE);
    }
}
