package io.sluice.dataplane.port;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class FrameCopyTest {
    private static final long SEED = 18;
    private static final int LONGEST = 300;
    private static final int MARGIN = 64;

    @Test
    void everyByteOfTheFrameIsCopiedAndNoneBesideIt() {
        final Random random = new Random(SEED);
        try (Arena arena = Arena.ofConfined()) {
            for (int length = 0; length <= LONGEST; length++) {
                final byte[] frame = new byte[length];
                random.nextBytes(frame);
                // Of exactly this length: what lies beside it is nobody's.
                final MemorySegment from = arena.allocateFrom(JAVA_BYTE, frame);
                final MemorySegment around = arena.allocate(MARGIN + LONGEST + MARGIN);
                final int offset = 1 + random.nextInt(MARGIN - 1);
                FrameCopy.copy(from.address(), around.address() + offset, length);

                assertThat(around.asSlice(offset, length).toArray(JAVA_BYTE))
                        .as("seed %d, %d bytes", SEED, length)
                        .isEqualTo(frame);
                assertThat(around.asSlice(0, offset).toArray(JAVA_BYTE)).containsOnly(0);
                assertThat(around.asSlice(offset + length).toArray(JAVA_BYTE)).containsOnly(0);
            }
        }
    }
}
