package io.sluice.control.agent.api;

import io.sluice.control.policy.PolicyEvaluator;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.Reader;
import java.io.Writer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Any number of probe lines in, as many answers out, in their order.
 *
 * <p>The text is cut at line ends into pieces, the pieces are answered on all processors, and their
 * answers written in turn. So memory holds a few pieces, however long the text is. A text of one
 * piece is answered without another thread.
 *
 * <p>Thread: the caller's reads and writes; for one text.
 */
public final class ProbeStream {
    /** Some 2,500 lines: tens of milliseconds of work against microseconds to hand it over. */
    private static final int PIECE_CHARS = 1 << 18;

    /** Pieces underway for each processor: one that is answered, and one that waits for it. */
    private static final int PIECES_PER_PROCESSOR = 2;

    /** Whole lines: the beginning of a text, of which no more counts. */
    private static final class Piece {
        private final char[] text;
        private final int length;

        Piece(final char[] text, final int length) {
            this.text = text;
            this.length = length;
        }
    }

    private final Reader probes;
    private final Writer answers;
    private final int processors = Runtime.getRuntime().availableProcessors();

    /** One for each thread, taken while it answers a piece. */
    private final BlockingQueue<ProbeLines> idle = new LinkedBlockingQueue<>();

    private final Deque<Future<ProbeJson.Answers>> underway = new ArrayDeque<>();

    /** What is read and not handed out: the beginning of a line. */
    private char[] text = new char[PIECE_CHARS];

    private int length;
    private boolean ended;
    private int errors;

    private ProbeStream(
            final Reader probes,
            final Writer answers,
            final PolicyEvaluator evaluator,
            final ProbeJson.Detail detail) {
        this.probes = probes;
        this.answers = answers;
        for (int i = 0; i < processors; i++) {
            idle.add(new ProbeLines(evaluator, detail));
        }
    }

    /**
     * Answers every line; a blank line is skipped, and one that makes no sense is said so.
     *
     * @return how many answers are {@code {"error": ...}}
     * @throws IOException when the probes cannot be read or the answers cannot be written; the
     *     answers to what was read before are written
     */
    public static int answer(
            final Reader probes,
            final Writer answers,
            final PolicyEvaluator evaluator,
            final ProbeJson.Detail detail)
            throws IOException {
        return new ProbeStream(probes, answers, evaluator, detail).run();
    }

    private int run() throws IOException {
        final Piece first = nextPiece();
        if (ended) {
            write(answer(first));
            return errors;
        }
        try (ExecutorService workers = Executors.newFixedThreadPool(processors)) {
            underway.add(workers.submit(() -> answer(first)));
            try {
                while (!ended) {
                    final Piece piece = nextPiece();
                    underway.add(workers.submit(() -> answer(piece)));
                    if (underway.size() > processors * PIECES_PER_PROCESSOR) {
                        writeNext();
                    }
                }
            } finally {
                while (!underway.isEmpty()) {
                    writeNext();
                }
            }
        }
        return errors;
    }

    private ProbeJson.Answers answer(final Piece piece) {
        final ProbeLines lines = idle.remove();
        try {
            return lines.answer(piece.text, piece.length);
        } finally {
            idle.add(lines);
        }
    }

    private void writeNext() throws IOException {
        final Future<ProbeJson.Answers> next = underway.remove();
        try {
            write(next.get());
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (final ExecutionException e) {
            throw new IllegalStateException("a probe could not be answered", e.getCause());
        }
    }

    private void write(final ProbeJson.Answers next) throws IOException {
        answers.write(next.lines());
        errors += next.errors();
    }

    /**
     * Whole lines, as many as are there and fit; a line that does not fit makes room for itself.
     */
    private Piece nextPiece() throws IOException {
        int end = 0;
        while (end == 0 && !ended) {
            final int from = length;
            fill();
            end = endOfLines(from);
        }
        final Piece piece = new Piece(text, ended ? length : end);
        final char[] rest = new char[Math.max(PIECE_CHARS, length - piece.length)];
        System.arraycopy(text, piece.length, rest, 0, length - piece.length);
        length -= piece.length;
        text = rest;
        return piece;
    }

    private void fill() throws IOException {
        if (length == text.length) {
            text = Arrays.copyOf(text, 2 * text.length);
        }
        while (length < text.length) {
            final int count = probes.read(text, length, text.length - length);
            if (count < 0) {
                ended = true;
                return;
            }
            length += count;
        }
    }

    /** One past the last line end at or after a position, 0 if there is none. */
    private int endOfLines(final int from) {
        for (int i = length; i > from; i--) {
            if (text[i - 1] == '\n' || text[i - 1] == '\r') {
                return i;
            }
        }
        return 0;
    }
}
