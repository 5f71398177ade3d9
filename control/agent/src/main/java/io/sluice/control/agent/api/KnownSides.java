package io.sluice.control.agent.api;

import io.sluice.control.policy.replay.FlowEvent;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Sides of flows by how they are written: a side whose bytes were there before is the same side,
 * and its labels need not be read again.
 *
 * <p><b>Theory of operation.</b> A hash of the bytes names a set of {@value #WAYS} places; a side
 * that is in none of them takes the place of one, in turn. So the table has its size from the start
 * on and never more sides than places, and a record of more pods than that costs time, not memory.
 * The bytes are compared, so a collision is no mistake.
 *
 * <p><b>Limits.</b> {@value #PLACES} sides of some 600 bytes: 10 MB when full.
 *
 * <p>Thread: one.
 */
final class KnownSides {
    private static final VarHandle LONGS =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    /** A cluster has thousands of pods. */
    private static final int PLACES = 1 << 14;

    private static final int WAYS = 4;
    private static final int PLACE_BITS = 14;

    /** 2^64 divided by the golden ratio, odd: spreads all bits to the upper ones. */
    private static final long SPREAD = 0x9e37_79b9_7f4a_7c15L;

    @SuppressWarnings("ArrayRecordComponent") // Compared by hand.
    private record Known(byte[] written, FlowEvent.Side side) {}

    private final @Nullable Known[] places = new Known[PLACES];
    private int turn;

    /** The side that was written with these bytes; null where none is known. */
    FlowEvent.@Nullable Side find(final byte[] text, final int from, final int to) {
        final int set = set(text, from, to);
        for (int way = 0; way < WAYS; way++) {
            final Known known = places[set + way];
            if (known != null
                    && Arrays.equals(known.written, 0, known.written.length, text, from, to)) {
                return known.side;
            }
        }
        return null;
    }

    /** Keeps a copy of a side. */
    void put(final byte[] text, final int from, final int to, final FlowEvent.Side side) {
        final FlowEvent.Side copy = new FlowEvent.Side();
        copy.name(side);
        turn = (turn + 1) % WAYS;
        places[set(text, from, to) + turn] = new Known(Arrays.copyOfRange(text, from, to), copy);
    }

    /** First place of the set. */
    private static int set(final byte[] text, final int from, final int to) {
        long hash = (long) to - from;
        int i = from;
        for (; i + Long.BYTES <= to; i += Long.BYTES) {
            hash = (Long.rotateLeft(hash, 29) ^ (long) LONGS.get(text, i)) * SPREAD;
        }
        for (; i < to; i++) {
            hash = (Long.rotateLeft(hash, 29) ^ text[i]) * SPREAD;
        }
        return (int) (hash >>> (Long.SIZE - PLACE_BITS)) & -WAYS;
    }
}
