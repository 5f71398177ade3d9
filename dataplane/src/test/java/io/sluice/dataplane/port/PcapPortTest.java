package io.sluice.dataplane.port;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class PcapPortTest {
    private static final int MICROSECONDS = 0xa1b2_c3d4;
    private static final int ETHERNET = 1;

    private final Arena arena = Arena.ofConfined();
    private final PacketBatch batch = new PacketBatch(arena);
    @TempDir private Path folder;

    @AfterEach
    void freeBatch() {
        arena.close();
    }

    @ParameterizedTest
    @CsvSource({
        "a1b2c3d4, LITTLE_ENDIAN",
        "a1b2c3d4, BIG_ENDIAN",
        "a1b23c4d, LITTLE_ENDIAN",
        "a1b23c4d, BIG_ENDIAN"
    })
    void capturesOfBothResolutionsAndByteOrdersAreReplayed(final String magic, final String order)
            throws IOException {
        final ByteOrder byteOrder =
                order.equals("BIG_ENDIAN") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
        final Path input =
                capture(
                        Integer.parseUnsignedInt(magic, 16),
                        byteOrder,
                        ETHERNET,
                        new byte[] {1, 2, 3},
                        new byte[] {4, 5});
        batch.memory().fill((byte) 0x55);
        try (PcapPort port = open(input)) {
            assertThat(port.receive(batch)).isEqualTo(2);
            assertThat(frame(0)).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3);
            assertThat(frame(1)).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 5);
            assertThat(port.isExhausted()).isTrue();
            batch.clear();
            assertThat(port.receive(batch)).isZero();
        }
    }

    @Test
    void sentFramesAreRecordedWithTimeAndLengthAndCanBeReplayed() throws IOException {
        final Path input =
                capture(MICROSECONDS, ByteOrder.LITTLE_ENDIAN, ETHERNET, new byte[] {1, 2, 3});
        final Path output = folder.resolve("out.pcap");
        try (PcapPort port = open(input)) {
            port.receive(batch);
            assertThat(port.send(batch.memory(), batch.offset(0), batch.length(0))).isTrue();
        }
        final ByteBuffer written =
                ByteBuffer.wrap(Files.readAllBytes(output)).order(ByteOrder.LITTLE_ENDIAN);
        assertThat(written.getInt(24)).as("seconds").isEqualTo(1_700_000_000);
        assertThat(written.getInt(28)).as("nanoseconds").isEqualTo(5);
        batch.clear();
        try (PcapPort port =
                PcapPort.open("p", 1500, output, folder.resolve("again.pcap"), () -> 0)) {
            assertThat(port.receive(batch)).isEqualTo(1);
            assertThat(frame(0)).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3);
        }
    }

    @Test
    void longCaptureIsReplayedInSeveralBatches() throws IOException {
        final byte[][] frames = new byte[100][60];
        try (PcapPort port =
                open(capture(MICROSECONDS, ByteOrder.LITTLE_ENDIAN, ETHERNET, frames))) {
            assertThat(port.receive(batch)).isEqualTo(PacketBatch.FRAMES_MAX);
            assertThat(port.isExhausted()).isFalse();
            batch.clear();
            assertThat(port.receive(batch)).isEqualTo(100 - PacketBatch.FRAMES_MAX);
        }
    }

    @Test
    void captureCutOffInAPacketIsRefusedWithItsPlace() throws IOException {
        final Path input =
                capture(
                        MICROSECONDS,
                        ByteOrder.LITTLE_ENDIAN,
                        ETHERNET,
                        new byte[] {1},
                        new byte[] {2});
        final byte[] whole = Files.readAllBytes(input);
        Files.write(input, Arrays.copyOf(whole, whole.length - 1));
        assertThatThrownBy(() -> open(input))
                .hasMessage(input + ": packet 2 at byte 41: the file ends in its frame");
        Files.write(input, Arrays.copyOf(whole, whole.length - 2));
        assertThatThrownBy(() -> open(input))
                .hasMessage(input + ": packet 2 at byte 41: the file ends in its header");
    }

    @Test
    void otherFilesAreRefusedWithAReason() throws IOException {
        final Path text = Files.writeString(folder.resolve("a.txt"), "apiVersion: v1 and so on");
        assertThatThrownBy(() -> open(text))
                .hasMessage(text + ": no pcap file, it begins with 0x61706956");
        final Path empty = Files.writeString(folder.resolve("empty"), "");
        assertThatThrownBy(() -> open(empty))
                .hasMessage(empty + ": 0 bytes are too short for a pcap file");
        final Path pcapng = capture(0x0a0d_0d0a, ByteOrder.LITTLE_ENDIAN, ETHERNET, new byte[] {1});
        assertThatThrownBy(() -> open(pcapng)).hasMessageContaining("editcap");
        final Path raw = capture(MICROSECONDS, ByteOrder.LITTLE_ENDIAN, 101, new byte[] {1});
        assertThatThrownBy(() -> open(raw))
                .hasMessage(raw + ": link type 101; only Ethernet (1) is replayed");
    }

    @Test
    void frameTooLongForABatchIsRefused() throws IOException {
        final Path input =
                capture(MICROSECONDS, ByteOrder.LITTLE_ENDIAN, ETHERNET, new byte[65_591]);
        assertThatThrownBy(() -> open(input))
                .hasMessage(input + ": packet 1 at byte 24: 65591 bytes; at most 65590 fit");
    }

    private PcapPort open(final Path input) throws IOException {
        return PcapPort.open(
                "p", 1500, input, folder.resolve("out.pcap"), () -> 1_700_000_000_000_000_005L);
    }

    private byte[] frame(final int index) {
        return batch.memory()
                .asSlice(batch.offset(index), batch.length(index))
                .toArray(ValueLayout.JAVA_BYTE);
    }

    private Path capture(
            final int magic, final ByteOrder order, final int linkType, final byte[]... frames)
            throws IOException {
        int bytes = 24;
        for (final byte[] frame : frames) {
            bytes += 16 + frame.length;
        }
        final ByteBuffer file = ByteBuffer.allocate(bytes).order(order);
        file.putInt(magic).putShort((short) 2).putShort((short) 4).putInt(0).putInt(0);
        file.putInt(262_144).putInt(linkType);
        for (final byte[] frame : frames) {
            file.putInt(1).putInt(2).putInt(frame.length).putInt(frame.length).put(frame);
        }
        return Files.write(folder.resolve("in.pcap"), file.array());
    }
}
