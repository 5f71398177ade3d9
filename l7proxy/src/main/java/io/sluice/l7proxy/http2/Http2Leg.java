package io.sluice.l7proxy.http2;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http2.DefaultHttp2FrameReader;
import io.netty.handler.codec.http2.DefaultHttp2HeadersDecoder;
import io.netty.handler.codec.http2.DefaultHttp2HeadersEncoder;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2Flags;
import io.netty.handler.codec.http2.Http2FrameTypes;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.util.collection.CharObjectMap.PrimitiveEntry;
import io.sluice.l7proxy.Link;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One end's HTTP/2 connection: frames in and out, its header tables, its windows, its floods.
 *
 * <p><b>Theory of operation.</b> Netty's reader takes frames apart and checks them, one whole frame
 * at a time; of a frame that is cut, its bytes so far are copied and completed. Frames out are
 * written into buffers of the link. What they mean for streams is the conversation's.
 *
 * <p><i>Windows.</i> {@link #receive} takes from the window that we gave this end, {@link #grant}
 * gives back what the other end has taken; a WINDOW_UPDATE goes out for every half of the window.
 * The window of each stream is the {@link Http2Stream}'s.
 *
 * <p><i>Floods</i> are counted in times of {@link Http2Limits#FLOOD_TIME_NS} that begin with the
 * first frame counted after the last has passed.
 *
 * <p><i>Bounds</i>: one partial frame, which is at most {@link #PAYLOAD_MAX}; one partial head,
 * {@link #COMPRESSED_HEAD_FACTOR} times {@link Http2Limits#headBytesMax}; two header tables of 4
 * KiB.
 *
 * <p>Thread: the link's event loop.
 */
final class Http2Leg {
    /** What we send and take: no setting of ours raises it, and no peer may lower it. */
    static final int PAYLOAD_MAX = 16_384;

    static final int WINDOW_MAX = Integer.MAX_VALUE;

    /** Before SETTINGS and WINDOW_UPDATE: RFC 9113, 6.9.2. */
    static final int WINDOW_DEFAULT = 65_535;

    private static final int FRAME_HEAD = 9;
    private static final int HEADER_TABLE_MAX = 4_096;

    /** Data up to this many bytes is copied behind its frame's head: cheaper than two writes. */
    private static final int COPIED_MAX = 1_024;

    /**
     * A head that is too large is read to its end up to this many times the limit, since the header
     * table has to follow it; then it is answered with 431.
     */
    private static final int COMPRESSED_HEAD_FACTOR = 4;

    /** Shorter cookies can be guessed one by one: as nghttp2 has it (nghttp2_hd.c). */
    private static final int GUESSABLE_COOKIE_MAX = 20;

    private static final byte[] PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(US_ASCII);

    static final int PREFACE_LENGTH = PREFACE.length;

    /** Frames that are counted against floods. */
    enum Flood {
        RESETS,
        SETTINGS,
        PINGS,
        EMPTY_FRAMES,
        IDLE_FRAMES
    }

    private final Link link;
    private final Consumer<ByteBuf> out;
    private final Http2Frames listener;
    private final Http2Limits limits;
    private final DefaultHttp2FrameReader reader;
    private final DefaultHttp2HeadersEncoder encoder =
            new DefaultHttp2HeadersEncoder(Http2Leg::isSecret, true);

    private int prefaceTaken;
    private boolean hasSettings;
    private @Nullable ByteBuf partial;
    private int partialLength;
    private boolean isWithinHead;
    private int headBytes;
    private int continuations;

    private int receiveWindow = WINDOW_DEFAULT;
    private int ungranted;
    private int sendWindow = WINDOW_DEFAULT;
    private int streamSendWindow = WINDOW_DEFAULT;

    private final Map<Flood, Integer> floods = new EnumMap<>(Flood.class);
    private long floodStartNs;

    /**
     * One end's connection.
     *
     * @param out where bytes to this end go
     * @param sendsPreface whether this end begins with the preface: clients do
     */
    Http2Leg(
            final Link link,
            final Consumer<ByteBuf> out,
            final Http2Frames listener,
            final Http2Limits limits,
            final boolean sendsPreface) {
        this.link = link;
        this.out = out;
        this.listener = listener;
        this.limits = limits;
        this.prefaceTaken = sendsPreface ? 0 : PREFACE_LENGTH;
        final Decoder decoder = new Decoder(limits);
        // CONTINUATION frames are counted here, under a name. (0 would let none pass.)
        this.reader = new DefaultHttp2FrameReader(decoder, Integer.MAX_VALUE);
        this.floodStartNs = link.nowNs() - Http2Limits.FLOOD_TIME_NS;
    }

    private static final class Decoder extends DefaultHttp2HeadersDecoder {
        private final int headersMax;

        Decoder(final Http2Limits limits) {
            super(false, limits.headBytesMax());
            headersMax = limits.headersMax();
            try {
                configuration()
                        .maxHeaderListSize(
                                limits.headBytesMax(),
                                (long) limits.headBytesMax() * COMPRESSED_HEAD_FACTOR);
            } catch (final Http2Exception e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        protected Http2Headers newHeaders() {
            return new Http2Head(headersMax, numberOfHeadersGuess());
        }
    }

    /** Values that must not be kept in a table: RFC 7541, 7.1.3. */
    private static boolean isSecret(final CharSequence name, final CharSequence value) {
        return switch (name.length()) {
            case 6 -> contentEquals(name, "cookie") && value.length() < GUESSABLE_COOKIE_MAX;
            case 13 -> contentEquals(name, "authorization");
            case 19 -> contentEquals(name, "proxy-authorization");
            default -> false;
        };
    }

    private static boolean contentEquals(final CharSequence name, final String text) {
        return text.contentEquals(name);
    }

    /**
     * How many more bytes of the preface are at the start of some bytes.
     *
     * @param before how many came before
     */
    static int matchPreface(final ByteBuf in, final int before) {
        final int most = Math.min(in.readableBytes(), PREFACE_LENGTH - before);
        int matched = 0;
        while (matched < most
                && in.getByte(in.readerIndex() + matched) == PREFACE[before + matched]) {
            matched++;
        }
        return matched;
    }

    static void writePreface(final ByteBuf out, final int length) {
        out.writeBytes(PREFACE, 0, length);
    }

    // In.

    /**
     * Reads frames.
     *
     * @param in its reference is taken over
     * @param goesOn asked between frames
     * @return what was not read, if told to stop
     */
    @Nullable ByteBuf read(final ByteBuf in, final BooleanSupplier goesOn) {
        try {
            while (in.isReadable()) {
                if (!goesOn.getAsBoolean()) {
                    return in.readRetainedSlice(in.readableBytes());
                }
                if (prefaceTaken < PREFACE_LENGTH) {
                    readPreface(in);
                } else if (partial != null) {
                    completePartial(partial, in);
                } else {
                    readWhole(in);
                }
            }
            return null;
        } finally {
            in.release();
        }
    }

    private void readPreface(final ByteBuf in) {
        final int matched = matchPreface(in, prefaceTaken);
        in.skipBytes(matched);
        prefaceTaken += matched;
        if (prefaceTaken < PREFACE_LENGTH && in.isReadable()) {
            in.skipBytes(in.readableBytes());
            fail(Http2Fault.BAD_PREFACE);
        }
    }

    private void readWhole(final ByteBuf in) {
        final int readable = in.readableBytes();
        final int length = readable < FRAME_HEAD ? FRAME_HEAD : frameLength(in, in.readerIndex());
        if (readable < length) {
            partialLength = length;
            partial = link.buffer(length).writeBytes(in);
        } else {
            onFrame(in.readSlice(length));
        }
    }

    private void completePartial(final ByteBuf start, final ByteBuf in) {
        start.writeBytes(in, Math.min(in.readableBytes(), partialLength - start.readableBytes()));
        if (partialLength == FRAME_HEAD && start.readableBytes() == FRAME_HEAD) {
            partialLength = frameLength(start, 0);
        }
        if (start.readableBytes() == partialLength) {
            partial = null;
            try {
                onFrame(start);
            } finally {
                start.release();
            }
        }
    }

    /** A frame that is too long is only read up to there, for the reader to say so. */
    private static int frameLength(final ByteBuf frame, final int at) {
        final int payload = frame.getUnsignedMedium(at);
        return payload > PAYLOAD_MAX ? FRAME_HEAD : FRAME_HEAD + payload;
    }

    private void onFrame(final ByteBuf frame) {
        final int at = frame.readerIndex();
        final byte type = frame.getByte(at + 3);
        final boolean isLast = (frame.getByte(at + 4) & Http2Flags.END_HEADERS) != 0;
        if (!hasSettings) {
            if (type != Http2FrameTypes.SETTINGS || (frame.getByte(at + 4) & Http2Flags.ACK) != 0) {
                fail(Http2Fault.NO_SETTINGS);
                return;
            }
            hasSettings = true;
        }
        if (type == Http2FrameTypes.HEADERS) {
            isWithinHead = !isLast;
            headBytes = frame.readableBytes();
            continuations = 0;
        } else if (type == Http2FrameTypes.CONTINUATION && isWithinHead) {
            isWithinHead = !isLast;
            headBytes += frame.readableBytes();
            if (++continuations > limits.continuationsMax()
                    || headBytes > COMPRESSED_HEAD_FACTOR * limits.headBytesMax()) {
                fail(Http2Fault.FLOOD_OF_CONTINUATIONS);
                return;
            }
        }
        try {
            reader.readFrame(link.context(), frame, listener);
        } catch (final Http2Exception e) {
            onException(e);
        }
    }

    private void onException(final Http2Exception e) {
        final String detail = e.getMessage() == null ? "" : e.getMessage();
        if (e instanceof final Http2Exception.HeaderListSizeException tooLarge) {
            listener.onStreamFault(
                    tooLarge.streamId(), Http2Fault.HEAD_TOO_LARGE, e.error(), detail);
        } else if (Http2Exception.isStreamError(e)) {
            listener.onStreamFault(
                    Http2Exception.streamId(e), Http2Fault.BAD_FRAME, e.error(), detail);
        } else if (e.error() == Http2Error.COMPRESSION_ERROR) {
            // Its message is about the decoder's buffers, which are nobody's business.
            listener.onConnectionFault(
                    Http2Fault.BAD_COMPRESSION, e.error(), Http2Fault.BAD_COMPRESSION.meaning());
        } else {
            listener.onConnectionFault(Http2Fault.BAD_FRAME, e.error(), detail);
        }
    }

    private void fail(final Http2Fault fault) {
        listener.onConnectionFault(fault, fault.error(), fault.meaning());
    }

    /** Whether it owes us the rest of the preface, or of a head. */
    boolean isWithinHead() {
        final ByteBuf start = partial;
        return !hasSettings
                || isWithinHead
                || (start != null
                        && (start.readableBytes() < FRAME_HEAD
                                || start.getByte(3) == Http2FrameTypes.HEADERS));
    }

    /**
     * Counts a frame.
     *
     * @return whether there are too many of them
     */
    boolean isFlood(final Flood flood) {
        final long nowNs = link.nowNs();
        if (nowNs - floodStartNs >= Http2Limits.FLOOD_TIME_NS) {
            floodStartNs = nowNs;
            floods.clear();
        }
        return floods.merge(flood, 1, Integer::sum) > most(flood);
    }

    private int most(final Flood flood) {
        return switch (flood) {
            case RESETS -> limits.resetsMax();
            case SETTINGS -> limits.settingsMax();
            case PINGS -> limits.pingsMax();
            case EMPTY_FRAMES -> limits.emptyFramesMax();
            case IDLE_FRAMES -> limits.idleFramesMax();
        };
    }

    // Windows.

    /** Takes data from the connection's window; false if it is more than that takes. */
    boolean receive(final int bytes) {
        receiveWindow -= bytes;
        return receiveWindow >= 0;
    }

    /** The other end has taken so much, or it was dropped. */
    void grant(final int bytes) {
        ungranted += bytes;
        if (ungranted >= limits.connectionWindow() / 2) {
            writeWindowUpdate(0, ungranted);
            receiveWindow += ungranted;
            ungranted = 0;
        }
    }

    /** What this end takes on all streams together. */
    int sendWindow() {
        return sendWindow;
    }

    /** What this end takes on a new stream. */
    int streamSendWindow() {
        return streamSendWindow;
    }

    /** It takes more; false if that is too much. */
    boolean raise(final int bytes) {
        if (bytes > WINDOW_MAX - sendWindow) {
            return false;
        }
        sendWindow += bytes;
        return true;
    }

    /**
     * Takes over what this end asks for.
     *
     * @return by how much the windows of its streams change
     */
    int apply(final Http2Settings settings) {
        final Long tableSize = settings.headerTableSize();
        if (tableSize != null) {
            try {
                encoder.configuration().maxHeaderTableSize(Math.min(tableSize, HEADER_TABLE_MAX));
            } catch (final Http2Exception e) {
                throw new IllegalStateException(e);
            }
        }
        final Integer window = settings.initialWindowSize();
        if (window == null) {
            return 0;
        }
        final int change = window - streamSendWindow;
        streamSendWindow = window;
        return change;
    }

    // Out.

    /** Our half of the beginning. */
    void begin(final Http2Settings ours, final boolean withPreface) {
        if (withPreface) {
            final ByteBuf preface = link.buffer(PREFACE_LENGTH);
            writePreface(preface, PREFACE_LENGTH);
            out.accept(preface);
        }
        writeSettings(ours);
        final int more = limits.connectionWindow() - WINDOW_DEFAULT;
        if (more > 0) {
            writeWindowUpdate(0, more);
            receiveWindow += more;
        }
    }

    void writeSettings(final Http2Settings settings) {
        final ByteBuf frame = frame(6 * settings.size(), Http2FrameTypes.SETTINGS, 0, 0);
        writePayload(settings, frame);
        out.accept(frame);
    }

    static void writePayload(final Http2Settings settings, final ByteBuf to) {
        for (final PrimitiveEntry<Long> setting : settings.entries()) {
            to.writeShort(setting.key()).writeInt(setting.value().intValue());
        }
    }

    void writeSettingsAck() {
        out.accept(frame(0, Http2FrameTypes.SETTINGS, Http2Flags.ACK, 0));
    }

    void writePingAck(final long data) {
        out.accept(frame(8, Http2FrameTypes.PING, Http2Flags.ACK, 0).writeLong(data));
    }

    void writeReset(final int id, final long code) {
        out.accept(frame(4, Http2FrameTypes.RST_STREAM, 0, id).writeInt((int) code));
    }

    void writeWindowUpdate(final int id, final int more) {
        out.accept(frame(4, Http2FrameTypes.WINDOW_UPDATE, 0, id).writeInt(more));
    }

    /** A GOAWAY with something for people who look at frames. */
    void writeGoAway(final int lastId, final long code, final String debug) {
        final ByteBuf frame = frame(8 + debug.length(), Http2FrameTypes.GO_AWAY, 0, 0);
        frame.writeInt(lastId).writeInt((int) code).writeCharSequence(debug, US_ASCII);
        out.accept(frame);
    }

    /**
     * Data within the windows.
     *
     * @param data at most {@link #PAYLOAD_MAX}; its reference is taken over
     */
    void writeData(final int id, final ByteBuf data, final boolean isEnd) {
        final int length = data.readableBytes();
        sendWindow -= length;
        final int flags = isEnd ? Http2Flags.END_STREAM : 0;
        if (length <= COPIED_MAX) {
            final ByteBuf frame = link.buffer(FRAME_HEAD + length);
            writeFrameHead(frame, length, Http2FrameTypes.DATA, flags, id);
            frame.writeBytes(data);
            data.release();
            out.accept(frame);
        } else {
            final ByteBuf head = link.buffer(FRAME_HEAD);
            writeFrameHead(head, length, Http2FrameTypes.DATA, flags, id);
            out.accept(head);
            out.accept(data);
        }
    }

    void writeHeaders(final int id, final Http2Headers headers, final boolean isEnd) {
        final ByteBuf block = link.buffer(256);
        try {
            block.writeZero(FRAME_HEAD);
            encoder.encodeHeaders(id, headers, block);
        } catch (final Http2Exception e) {
            block.release();
            throw new IllegalStateException(e);
        }
        final int length = block.readableBytes() - FRAME_HEAD;
        final int flags = isEnd ? Http2Flags.END_STREAM : 0;
        if (length <= PAYLOAD_MAX) {
            final int end = block.writerIndex();
            block.writerIndex(0);
            writeFrameHead(
                    block, length, Http2FrameTypes.HEADERS, flags | Http2Flags.END_HEADERS, id);
            block.writerIndex(end);
            out.accept(block);
            return;
        }
        block.skipBytes(FRAME_HEAD);
        final ByteBuf frames = link.buffer(length + FRAME_HEAD * (length / PAYLOAD_MAX + 1));
        writeFrameHead(frames, PAYLOAD_MAX, Http2FrameTypes.HEADERS, flags, id);
        frames.writeBytes(block, PAYLOAD_MAX);
        while (block.isReadable()) {
            final int next = Math.min(block.readableBytes(), PAYLOAD_MAX);
            final boolean isLast = next == block.readableBytes();
            writeFrameHead(
                    frames,
                    next,
                    Http2FrameTypes.CONTINUATION,
                    isLast ? Http2Flags.END_HEADERS : 0,
                    id);
            frames.writeBytes(block, next);
        }
        block.release();
        out.accept(frames);
    }

    private ByteBuf frame(final int length, final byte type, final int flags, final int id) {
        final ByteBuf frame = link.buffer(FRAME_HEAD + length);
        writeFrameHead(frame, length, type, flags, id);
        return frame;
    }

    private static void writeFrameHead(
            final ByteBuf to, final int length, final byte type, final int flags, final int id) {
        to.writeMedium(length).writeByte(type).writeByte(flags).writeInt(id);
    }

    /** Releases what it holds. */
    void close() {
        if (partial != null) {
            partial.release();
            partial = null;
        }
        reader.close();
        encoder.close();
    }
}
