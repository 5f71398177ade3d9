package io.sluice.control.agent.api;

import java.util.Iterator;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A long listing, written piece by piece: the text of a full conntrack table would be many times
 * larger than the table itself, and is never in memory as a whole.
 *
 * <p>Thread: the request's.
 */
final class ListStream<T> implements ApiReply.LineSource {
    /** A piece ends with the item that brings it to this many characters. */
    static final int PIECE_CHARS = 1 << 16;

    private final String contentType;
    private final Iterator<T> items;
    private final Function<T, String> text;
    private final String between;
    private final String end;
    private String before;
    private boolean ended;

    private ListStream(
            final String contentType,
            final Iterator<T> items,
            final Function<T, String> text,
            final String begin,
            final String between,
            final String end) {
        this.contentType = contentType;
        this.items = items;
        this.text = text;
        this.before = begin;
        this.between = between;
        this.end = end;
    }

    /** One JSON list. */
    static <T> ListStream<T> array(final Iterator<T> items) {
        return new ListStream<>(ApiRoutes.JSON, items, ApiJson::write, "[", ",", "]");
    }

    @Override
    public String contentType() {
        return contentType;
    }

    @Override
    public @Nullable String next() {
        if (ended) {
            return null;
        }
        final StringBuilder piece = new StringBuilder();
        while (items.hasNext() && piece.length() < PIECE_CHARS) {
            piece.append(before).append(text.apply(items.next()));
            before = between;
        }
        if (!items.hasNext()) {
            ended = true;
            // An empty list has not begun yet.
            piece.append(before.equals(between) ? "" : before).append(end);
        }
        return piece.toString();
    }

    @Override
    public void close() {
        ended = true;
    }
}
