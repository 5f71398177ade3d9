package io.sluice.l7proxy.http2;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * One direction of a stream: what came from one leg and goes to the other as that one's windows let
 * it.
 *
 * <p><b>Theory of operation.</b> Data that fits the windows passes at once, in the frames it came
 * in. The rest waits, in order, then come trailers or the bare end. The sender's window is only
 * refilled by what has been sent on, so a receiver that does not read stops its sender, and at most
 * {@link Http2Limits#streamWindow} waits. Small pieces that wait are copied together: each alone
 * would keep a whole read buffer.
 *
 * <p>Thread: the link's event loop.
 */
final class Half {
    /** Why {@link #step} has sent no more. */
    enum Progress {
        /** A frame went out, and there may be another. */
        SENT,
        /** Nothing waits. */
        IDLE,
        /** Everything has been sent, the end as well. */
        ENDED,
        /** The stream's window is used up: its WINDOW_UPDATE goes on. */
        STREAM_FULL,
        /** The connection takes no more. */
        LEG_FULL
    }

    /** Pieces smaller than this are copied together. */
    private static final int SMALL_MAX = 4_096;

    private final int id;
    private final Http2Leg from;
    private final Http2Leg to;
    private final int window;
    private int receiveWindow;
    private int ungranted;
    private int sendWindow;

    private final Deque<ByteBuf> waiting = new ArrayDeque<>(2);
    private int waitingBytes;
    private @Nullable Http2Head trailers;
    private long lengthLeft = -1;
    private boolean hasEnded;
    private boolean hasSentEnd;
    private boolean isDropped;

    /** What waits is the proxy's own: there is no sender to be given anything back. */
    private boolean isOwn;

    Half(final int id, final Http2Leg from, final Http2Leg to, final int window) {
        this.id = id;
        this.from = from;
        this.to = to;
        this.window = window;
        this.receiveWindow = window;
        this.sendWindow = to.streamSendWindow();
    }

    /** Length of the body as announced; negative if it was not. */
    void expect(final long length) {
        lengthLeft = length;
    }

    /**
     * Takes a frame of data, already taken from the connection's window.
     *
     * @param data its own reference is not taken over
     * @param padding bytes of the frame beside it
     * @return what is wrong, and then it has been dropped
     */
    Http2Fault take(final ByteBuf data, final int padding, final boolean isEnd) {
        final int length = data.readableBytes();
        final Http2Fault fault = check(length, padding, isEnd);
        if (fault != Http2Fault.NONE || isDropped) {
            hasEnded |= isEnd;
            from.grant(length + padding);
            return fault;
        }
        hasEnded = isEnd;
        grant(padding);
        if (length > 0) {
            enqueue(data);
        }
        return Http2Fault.NONE;
    }

    private Http2Fault check(final int length, final int padding, final boolean isEnd) {
        if (hasEnded) {
            return Http2Fault.AFTER_END;
        }
        receiveWindow -= length + padding;
        if (receiveWindow < 0) {
            return Http2Fault.BEYOND_STREAM_WINDOW;
        }
        if (lengthLeft >= 0) {
            lengthLeft -= length;
            if (lengthLeft < 0 || (isEnd && lengthLeft > 0)) {
                return Http2Fault.LENGTH_DIFFERS;
            }
        }
        return Http2Fault.NONE;
    }

    private void enqueue(final ByteBuf data) {
        final int length = data.readableBytes();
        waitingBytes += length;
        final ByteBuf last = waiting.peekLast();
        if (last == null || length >= SMALL_MAX) {
            waiting.add(data.retainedSlice());
        } else if (last.isWritable(length)) {
            last.writeBytes(data);
        } else {
            waiting.add(data.alloc().buffer(SMALL_MAX, SMALL_MAX).writeBytes(data));
        }
    }

    /** The end came, with trailers or without. */
    Http2Fault end(final @Nullable Http2Head last) {
        if (hasEnded) {
            return Http2Fault.AFTER_END;
        }
        hasEnded = true;
        if (lengthLeft > 0) {
            return Http2Fault.LENGTH_DIFFERS;
        }
        trailers = last;
        return Http2Fault.NONE;
    }

    /** The head has been sent with the end on it. */
    void endWithHead() {
        hasEnded = true;
        hasSentEnd = true;
    }

    /** A body of our own, and the end. */
    void answer(final ByteBuf body) {
        isOwn = true;
        waiting.add(body);
        hasEnded = true;
    }

    /** Sends one frame, if the windows let it. */
    Progress step(final boolean isLegFull) {
        if (hasSentEnd) {
            return Progress.ENDED;
        }
        final ByteBuf first = waiting.peek();
        if (first == null) {
            if (!hasEnded) {
                return Progress.IDLE;
            }
            hasSentEnd = true;
            if (trailers == null) {
                to.writeData(id, Unpooled.EMPTY_BUFFER, true);
            } else {
                to.writeHeaders(id, trailers, true);
            }
            return Progress.ENDED;
        }
        if (sendWindow <= 0) {
            return Progress.STREAM_FULL;
        }
        if (isLegFull || to.sendWindow() <= 0) {
            return Progress.LEG_FULL;
        }
        final int room = Math.min(Http2Leg.PAYLOAD_MAX, Math.min(sendWindow, to.sendWindow()));
        final int length = Math.min(room, first.readableBytes());
        final boolean isWhole = length == first.readableBytes();
        final ByteBuf piece = isWhole ? waiting.remove() : first.readRetainedSlice(length);
        hasSentEnd = waiting.isEmpty() && hasEnded && trailers == null;
        sendWindow -= length;
        to.writeData(id, piece, hasSentEnd);
        if (!isOwn) {
            waitingBytes -= length;
            grant(length);
        }
        return hasSentEnd ? Progress.ENDED : Progress.SENT;
    }

    private void grant(final int bytes) {
        from.grant(bytes);
        ungranted += bytes;
        if (!hasEnded && ungranted >= window / 2) {
            from.writeWindowUpdate(id, ungranted);
            receiveWindow += ungranted;
            ungranted = 0;
        }
    }

    /** The receiver takes more, or less; false if it is too much. */
    boolean raise(final int bytes) {
        if (bytes > 0 && sendWindow > Http2Leg.WINDOW_MAX - bytes) {
            return false;
        }
        sendWindow += bytes;
        return true;
    }

    /** Drops what waits and what still comes. */
    void drop() {
        isDropped = true;
        trailers = null;
        waiting.forEach(ByteBuf::release);
        waiting.clear();
        if (waitingBytes > 0) {
            from.grant(waitingBytes);
            waitingBytes = 0;
        }
    }

    /** Whether the sender has ended it. */
    boolean hasEnded() {
        return hasEnded;
    }

    /** Whether the receiver has got its end. */
    boolean hasSentEnd() {
        return hasSentEnd;
    }

    boolean isDropped() {
        return isDropped;
    }
}
