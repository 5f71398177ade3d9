package io.sluice.dataplane.port;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;

/**
 * Copies frames between a port's memory and the switch's.
 *
 * <p>Most frames that a port of packets per second carries are short: those up to {@link
 * #SHORT_BYTES} are copied by blocks of four words, the last of which overlaps the one before, so
 * that no byte beside the frame is read or written. A longer one is left to the virtual machine,
 * whose copy is a call that pays then.
 *
 * <p>Addresses are real ones and nothing is checked: the caller owns both ranges.
 *
 * <p>Thread: any.
 */
final class FrameCopy {
    private static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private static final int SHORT_BYTES = 192;
    private static final int BLOCK_BYTES = 4 * Long.BYTES;

    private FrameCopy() {}

    /**
     * Copies bytes; the ranges do not overlap.
     *
     * @param from address of the first
     * @param to where it goes
     * @param bytes 0 or more
     */
    static void copy(final long from, final long to, final int bytes) {
        if (bytes < BLOCK_BYTES || bytes > SHORT_BYTES) {
            MemorySegment.copy(MEMORY, from, MEMORY, to, bytes);
            return;
        }
        final int last = bytes - BLOCK_BYTES;
        for (int at = 0; at < last; at += BLOCK_BYTES) {
            block(from + at, to + at);
        }
        block(from + last, to + last);
    }

    private static void block(final long from, final long to) {
        final long first = MEMORY.get(JAVA_LONG_UNALIGNED, from);
        final long second = MEMORY.get(JAVA_LONG_UNALIGNED, from + 8);
        final long third = MEMORY.get(JAVA_LONG_UNALIGNED, from + 16);
        final long fourth = MEMORY.get(JAVA_LONG_UNALIGNED, from + 24);
        MEMORY.set(JAVA_LONG_UNALIGNED, to, first);
        MEMORY.set(JAVA_LONG_UNALIGNED, to + 8, second);
        MEMORY.set(JAVA_LONG_UNALIGNED, to + 16, third);
        MEMORY.set(JAVA_LONG_UNALIGNED, to + 24, fourth);
    }
}
