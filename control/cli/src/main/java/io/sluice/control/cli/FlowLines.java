package io.sluice.control.cli;

import io.sluice.control.agent.api.FlowJsonReader;
import io.sluice.control.policy.replay.FlowTally;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * JSON lines of flows, any number of them, added up on all processors.
 *
 * <p>The bytes are cut at line ends into pieces; each worker counts its pieces in a tally of its
 * own, and at the end there is one. So memory holds a few pieces and what differs, however long the
 * record is.
 *
 * <p>Thread: the caller's reads; for one record.
 */
final class FlowLines {
    /** Some 800 lines: a millisecond of work against microseconds to hand it over. */
    private static final int PIECE_BYTES = 1 << 20;

    /** Pieces underway for each processor: one that is read, and one that waits for it. */
    private static final int PIECES_PER_PROCESSOR = 2;

    /**
     * What came of a record.
     *
     * @param tally its flows
     * @param firstUnreadable number of the first line that is no flow, from 1
     */
    record Read(FlowTally tally, OptionalLong firstUnreadable) {}

    /**
     * What came of a piece.
     *
     * @param count of its lines
     * @param unreadable the first of them that is no flow, or -1
     * @param piece to be used again
     */
    @SuppressWarnings("ArrayRecordComponent") // Handed on, never compared.
    private record Lines(long count, long unreadable, byte[] piece) {}

    private static final VarHandle LONGS =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    // Each byte of a word: one, its highest bit, the end of a line.
    private static final long ONES = 0x0101_0101_0101_0101L;
    private static final long HIGHS = 0x8080_8080_8080_8080L;
    private static final long ENDS = ONES * '\n';

    private final InputStream in;
    private final int processors = Runtime.getRuntime().availableProcessors();
    private final List<FlowTally> tallies = new ArrayList<>();

    /** One for each thread, taken while it reads a piece. */
    private final BlockingQueue<FlowJsonReader> idle = new LinkedBlockingQueue<>();

    private final Deque<Future<Lines>> underway = new ArrayDeque<>();

    /** Pieces that were read. */
    private final Deque<byte[]> spare = new ArrayDeque<>();

    private byte[] bytes = new byte[PIECE_BYTES];
    private int length;
    private boolean ended;
    private long lines;
    private OptionalLong firstUnreadable = OptionalLong.empty();

    private FlowLines(final InputStream in) {
        this.in = in;
        for (int i = 0; i < processors; i++) {
            final FlowTally tally = new FlowTally();
            tallies.add(tally);
            idle.add(new FlowJsonReader(tally));
        }
    }

    /** Reads to the end. */
    static Read read(final InputStream in) throws IOException {
        return new FlowLines(in).run();
    }

    private Read run() throws IOException {
        try (ExecutorService workers = Executors.newFixedThreadPool(processors)) {
            while (!ended) {
                fill();
                final int end = ended ? length : endOfLines();
                if (end == 0 && !ended) {
                    bytes = Arrays.copyOf(bytes, 2 * bytes.length);
                    continue;
                }
                final byte[] piece = bytes;
                bytes = next(length - end);
                System.arraycopy(piece, end, bytes, 0, length - end);
                length -= end;
                underway.add(workers.submit(() -> count(piece, end)));
                if (underway.size() > processors * PIECES_PER_PROCESSOR) {
                    takeNext();
                }
            }
            while (!underway.isEmpty()) {
                takeNext();
            }
        }
        final FlowTally all = tallies.getFirst();
        tallies.stream().skip(1).forEach(all::merge);
        return new Read(all, firstUnreadable);
    }

    /** A piece with room for what is left of the one before. */
    private byte[] next(final int least) {
        return spare.isEmpty() || least > PIECE_BYTES
                ? new byte[Math.max(PIECE_BYTES, least)]
                : spare.pop();
    }

    private void fill() throws IOException {
        while (length < bytes.length && !ended) {
            final int count = in.read(bytes, length, bytes.length - length);
            ended = count < 0;
            length += Math.max(0, count);
        }
    }

    private int endOfLines() {
        for (int i = length; i > 0; i--) {
            if (bytes[i - 1] == '\n') {
                return i;
            }
        }
        return 0;
    }

    private Lines count(final byte[] piece, final int end) {
        final FlowJsonReader reader = idle.remove();
        try {
            return count(reader, piece, end);
        } finally {
            idle.add(reader);
        }
    }

    private static Lines count(final FlowJsonReader reader, final byte[] piece, final int end) {
        long count = 0;
        long unreadable = -1;
        int from = 0;
        while (from < end) {
            final int to = endOfLine(piece, from, end);
            if (!reader.read(piece, from, to) && unreadable < 0) {
                unreadable = count;
            }
            count++;
            from = to + 1;
        }
        return new Lines(count, unreadable, piece);
    }

    /** Place of the next line end, {@code end} where there is none; eight bytes at a time. */
    private static int endOfLine(final byte[] piece, final int from, final int end) {
        int i = from;
        while (i + Long.BYTES <= end) {
            final long word = (long) LONGS.get(piece, i) ^ ENDS;
            // The lowest bit that is set is in the first byte that is zero.
            final long found = (word - ONES) & ~word & HIGHS;
            if (found != 0) {
                return i + (Long.numberOfTrailingZeros(found) >>> 3);
            }
            i += Long.BYTES;
        }
        while (i < end && piece[i] != '\n') {
            i++;
        }
        return i;
    }

    private void takeNext() throws IOException {
        try {
            final Lines next = underway.remove().get();
            if (next.unreadable >= 0 && firstUnreadable.isEmpty()) {
                firstUnreadable = OptionalLong.of(lines + next.unreadable + 1);
            }
            lines += next.count;
            spare.push(next.piece);
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (final ExecutionException e) {
            throw new IllegalStateException("flows could not be read", e.getCause());
        }
    }
}
