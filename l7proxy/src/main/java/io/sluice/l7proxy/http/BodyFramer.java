package io.sluice.l7proxy.http;

import io.netty.buffer.ByteBuf;
import io.sluice.l7proxy.http.common.Ascii;

/**
 * Finds where a body ends: RFC 9112, 6 and 7. Bytes are only looked at; what is part of the body
 * may be forwarded at once.
 *
 * <p><b>Theory of operation.</b> A body of known length is counted off. A chunked one is followed
 * byte by byte but for its data, with the strictness of {@link HeadParser}: sizes are 1 to 15
 * hexadecimal digits directly followed by CR LF or {@code ;}, extensions have no control byte,
 * every line ends with CR LF, trailers are header lines that neither frame nor route. Nothing is
 * kept but the state, so lines may be split anywhere. Where it meets a fault, what has been
 * forwarded before is an incomplete body, whose server must be reset: it then never takes the rest
 * for a request.
 *
 * <pre>
 *   SIZE --;--> EXTENSION --CR--+
 *     +---CR----> SIZE_LF <-----+   SIZE_LF --size 0--> TRAILER_START --CR--> LAST_LF --> done
 *                    |                                    | ^
 *                  DATA -> DATA_CR -> DATA_LF -> SIZE     v |
 *                                              TRAILER_NAME -> TRAILER_VALUE -> TRAILER_LF
 * </pre>
 *
 * <p>Thread: one event loop.
 */
public final class BodyFramer {
    private static final int SIZE_DIGITS_MAX = 15;

    /** The longest name that must not be in trailers is shorter. */
    private static final int NAME_KEPT = 20;

    private enum Step {
        DONE,
        COUNTED,
        UNTIL_CLOSE,
        SIZE,
        EXTENSION,
        SIZE_LF,
        DATA,
        DATA_CR,
        DATA_LF,
        TRAILER_START,
        TRAILER_NAME,
        TRAILER_VALUE,
        TRAILER_LF,
        LAST_LF
    }

    private final HttpLimits limits;
    private Step step = Step.DONE;
    private HttpFault fault = HttpFault.NONE;

    /** Of the body, or of the chunk. */
    private long remaining;

    private int digits;
    private int extensionBytes;
    private int trailerBytes;
    private final byte[] name = new byte[NAME_KEPT];
    private int nameLength;

    /** Follows bodies, one after the other. */
    public BodyFramer(final HttpLimits limits) {
        this.limits = limits;
    }

    /** A body of so many bytes; 0 is none. */
    public void startCounted(final long length) {
        remaining = length;
        step = length == 0 ? Step.DONE : Step.COUNTED;
    }

    /** A chunked body. */
    public void startChunked() {
        step = Step.SIZE;
        remaining = 0;
        digits = 0;
        extensionBytes = 0;
        trailerBytes = 0;
    }

    /** A body that ends with the connection. */
    void startUntilClose() {
        step = Step.UNTIL_CLOSE;
    }

    /** Whether the body has ended. */
    public boolean isDone() {
        return step == Step.DONE;
    }

    boolean isUntilClose() {
        return step == Step.UNTIL_CLOSE;
    }

    /** {@link HttpFault#NONE}, or why the body cannot be read any further. */
    public HttpFault fault() {
        return fault;
    }

    /**
     * Follows the body.
     *
     * @param in its bytes are looked at, its positions stay
     * @return how many of them belong to the body; on a fault those before it
     */
    public int read(final ByteBuf in) {
        final int start = in.readerIndex();
        final int end = in.writerIndex();
        int at = start;
        while (at < end && step != Step.DONE) {
            if (step == Step.COUNTED || step == Step.DATA) {
                final long taken = Math.min(remaining, end - at);
                at += (int) taken;
                remaining -= taken;
                if (remaining == 0) {
                    step = step == Step.COUNTED ? Step.DONE : Step.DATA_CR;
                }
            } else if (step == Step.UNTIL_CLOSE) {
                at = end;
            } else {
                fault = take(in.getByte(at));
                if (fault != HttpFault.NONE) {
                    break;
                }
                at++;
            }
        }
        return at - start;
    }

    private HttpFault take(final byte b) {
        return switch (step) {
            case SIZE -> takeSize(b);
            case EXTENSION -> takeExtension(b);
            case SIZE_LF -> {
                if (b != '\n') {
                    yield HttpFault.BARE_CR;
                }
                step = remaining == 0 ? Step.TRAILER_START : Step.DATA;
                yield HttpFault.NONE;
            }
            case DATA_CR -> expect(b, '\r', Step.DATA_LF, HttpFault.BAD_CHUNK_END);
            case DATA_LF -> {
                digits = 0;
                yield expect(b, '\n', Step.SIZE, HttpFault.BAD_CHUNK_END);
            }
            case TRAILER_START -> {
                nameLength = 0;
                if (b == '\r') {
                    step = Step.LAST_LF;
                    yield HttpFault.NONE;
                }
                if (b == ' ' || b == '\t') {
                    yield HttpFault.OBSOLETE_FOLDING;
                }
                step = Step.TRAILER_NAME;
                yield takeTrailerName(b);
            }
            case TRAILER_NAME -> takeTrailerName(b);
            case TRAILER_VALUE -> takeTrailerValue(b);
            case TRAILER_LF -> expect(b, '\n', Step.TRAILER_START, HttpFault.BARE_CR);
            case LAST_LF -> expect(b, '\n', Step.DONE, HttpFault.BARE_CR);
            case DONE, COUNTED, UNTIL_CLOSE, DATA ->
                    throw new IllegalStateException("no single bytes in " + step);
        };
    }

    private HttpFault expect(
            final byte b, final char wanted, final Step next, final HttpFault otherwise) {
        if (b != wanted) {
            return otherwise;
        }
        step = next;
        return HttpFault.NONE;
    }

    private HttpFault takeSize(final byte b) {
        final int digit = Ascii.hexDigit(b);
        if (digit >= 0 && digits < SIZE_DIGITS_MAX) {
            remaining = digits == 0 ? digit : remaining << 4 | digit;
            digits++;
            return HttpFault.NONE;
        }
        if (digits == 0 || (b != '\r' && b != ';')) {
            return b == '\n' && digits > 0 ? HttpFault.BARE_LF : HttpFault.BAD_CHUNK_SIZE;
        }
        step = b == '\r' ? Step.SIZE_LF : Step.EXTENSION;
        return HttpFault.NONE;
    }

    private HttpFault takeExtension(final byte b) {
        if (b == '\r') {
            step = Step.SIZE_LF;
            return HttpFault.NONE;
        }
        if (!Ascii.is(b, Ascii.VALUE)) {
            return b == '\n' ? HttpFault.BARE_LF : HttpFault.BAD_CHUNK_EXTENSION;
        }
        return ++extensionBytes > limits.chunkExtensionBytesMax()
                ? HttpFault.CHUNK_EXTENSIONS_TOO_LARGE
                : HttpFault.NONE;
    }

    private HttpFault takeTrailerName(final byte b) {
        if (++trailerBytes > limits.trailerBytesMax()) {
            return HttpFault.TRAILERS_TOO_LARGE;
        }
        if (b == ':' && nameLength > 0) {
            step = Step.TRAILER_VALUE;
            return isFraming() ? HttpFault.FRAMING_IN_TRAILER : HttpFault.NONE;
        }
        if (!Ascii.is(b, Ascii.TOKEN)) {
            return switch (b) {
                case ' ', '\t' -> HttpFault.SPACE_BEFORE_COLON;
                case '\n' -> HttpFault.BARE_LF;
                case '\r' -> HttpFault.MISSING_COLON;
                default -> HttpFault.BAD_HEADER_NAME;
            };
        }
        if (nameLength < NAME_KEPT) {
            name[nameLength++] = b;
        }
        return HttpFault.NONE;
    }

    private boolean isFraming() {
        return Ascii.equalsLower(name, 0, nameLength, "content-length")
                || Ascii.equalsLower(name, 0, nameLength, "transfer-encoding")
                || Ascii.equalsLower(name, 0, nameLength, "host")
                || Ascii.equalsLower(name, 0, nameLength, "connection");
    }

    private HttpFault takeTrailerValue(final byte b) {
        if (++trailerBytes > limits.trailerBytesMax()) {
            return HttpFault.TRAILERS_TOO_LARGE;
        }
        if (b == '\r') {
            step = Step.TRAILER_LF;
            return HttpFault.NONE;
        }
        if (!Ascii.is(b, Ascii.VALUE)) {
            return b == '\n' ? HttpFault.BARE_LF : HttpFault.CONTROL_BYTE;
        }
        return HttpFault.NONE;
    }
}
