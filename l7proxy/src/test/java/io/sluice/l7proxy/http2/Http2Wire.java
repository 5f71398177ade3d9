package io.sluice.l7proxy.http2;

import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.DefaultHttp2HeadersDecoder;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2Headers;
import io.sluice.l7proxy.ProxyHarness;
import io.sluice.l7proxy.Wire;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** A client that sends frames as they are, and reads frames. */
final class Http2Wire implements AutoCloseable {
    static final int DATA = 0;
    static final int HEADERS = 1;
    static final int PRIORITY = 2;
    static final int RST_STREAM = 3;
    static final int SETTINGS = 4;
    static final int PUSH_PROMISE = 5;
    static final int PING = 6;
    static final int GOAWAY = 7;
    static final int WINDOW_UPDATE = 8;
    static final int CONTINUATION = 9;

    static final int NONE = 0;
    static final int END_STREAM = 1;
    static final int ACK = 1;
    static final int END_HEADERS = 4;
    static final int PADDED = 8;

    /** A head that ends its stream. */
    static final int WHOLE = END_HEADERS | END_STREAM;

    static final String PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /** A frame as it came. */
    record Frame(int type, int flags, int id, String payload) {
        boolean isEnd() {
            return (type == DATA || type == HEADERS) && (flags & END_STREAM) != 0;
        }

        /** Of RST_STREAM; of GOAWAY with {@code at} 4. */
        int number(final int at) {
            return ByteBuffer.wrap(payload.getBytes(Wire.LATIN)).getInt(at);
        }
    }

    private final Wire wire;
    private final DefaultHttp2HeadersDecoder decoder = new DefaultHttp2HeadersDecoder(false);

    private Http2Wire(final Wire wire) {
        this.wire = wire;
    }

    /** Connects, and sends the preface and SETTINGS. */
    static Http2Wire to(final ProxyHarness proxy) throws IOException {
        final Http2Wire wire = new Http2Wire(proxy.connect());
        wire.wire.send(PREFACE);
        return wire.send(SETTINGS, NONE, 0, "");
    }

    Http2Wire send(final String bytes) throws IOException {
        wire.send(bytes);
        return this;
    }

    Http2Wire send(final int type, final int flags, final int id, final String payload)
            throws IOException {
        return send(frame(type, flags, id, payload));
    }

    /** The bytes of a frame. */
    static String frame(final int type, final int flags, final int id, final String payload) {
        return number(payload.length()).substring(1)
                + (char) type
                + (char) flags
                + number(id)
                + payload;
    }

    /** Four bytes. */
    static String number(final int number) {
        return new String(ByteBuffer.allocate(4).putInt(number).array(), Wire.LATIN);
    }

    /** A setting. */
    static String setting(final int key, final int value) {
        return number(key).substring(2) + number(value);
    }

    /** Header fields as literals without a table, each {@code name value}. */
    static String fields(final String... fields) {
        final ByteArrayOutputStream block = new ByteArrayOutputStream();
        for (final String field : fields) {
            final int space = field.indexOf(' ');
            block.write(0);
            write(block, field.substring(0, space));
            write(block, field.substring(space + 1));
        }
        return block.toString(Wire.LATIN);
    }

    private static void write(final ByteArrayOutputStream to, final String text) {
        int length = text.length();
        if (length < 127) {
            to.write(length);
        } else {
            to.write(127);
            length -= 127;
            while (length >= 128) {
                to.write(length % 128 + 128);
                length /= 128;
            }
            to.write(length);
        }
        to.writeBytes(text.getBytes(Wire.LATIN));
    }

    /** The usual pseudo-headers, and others. */
    static String request(final String method, final String path, final String... more) {
        final List<String> fields =
                new ArrayList<>(
                        List.of(
                                ":method " + method,
                                ":scheme http",
                                ":path " + path,
                                ":authority shop"));
        fields.addAll(List.of(more));
        return fields(fields.toArray(new String[0]));
    }

    /** A GET. */
    Http2Wire get(final int id, final String path) throws IOException {
        return send(HEADERS, WHOLE, id, request("GET", path));
    }

    /** The next frame. */
    Frame read() throws IOException {
        final DataInputStream in = new DataInputStream(wire.socket().getInputStream());
        final int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
        final int type = in.readUnsignedByte();
        final int flags = in.readUnsignedByte();
        final int id = in.readInt();
        final byte[] payload = in.readNBytes(length);
        if (payload.length < length) {
            throw new EOFException("a frame is cut");
        }
        return new Frame(type, flags, id, new String(payload, Wire.LATIN));
    }

    /** The next frame of a type; those before it are passed over. */
    Frame readNext(final int type) throws IOException {
        Frame frame = read();
        while (frame.type() != type) {
            decodeIfHead(frame);
            frame = read();
        }
        return frame;
    }

    /** The next head or trailers, decoded; other frames before it are passed over. */
    Http2Headers readHead() throws IOException {
        return decode(readNext(HEADERS));
    }

    private void decodeIfHead(final Frame frame) {
        if (frame.type() == HEADERS) {
            decode(frame);
        }
    }

    Http2Headers decode(final Frame frame) {
        try {
            return decoder.decodeHeaders(
                    frame.id(), Unpooled.wrappedBuffer(frame.payload().getBytes(Wire.LATIN)));
        } catch (final Http2Exception e) {
            throw new AssertionError(e);
        }
    }

    /** All frames until the connection ends. */
    List<Frame> readToEnd() throws IOException {
        final List<Frame> frames = new ArrayList<>();
        while (true) {
            try {
                frames.add(read());
            } catch (final EOFException end) {
                return frames;
            }
        }
    }

    /**
     * What becomes of a stream: {@code 200}, {@code RST PROTOCOL_ERROR}, {@code GOAWAY
     * PROTOCOL_ERROR}.
     */
    String outcome(final int id) throws IOException {
        while (true) {
            final Frame frame = read();
            if (frame.type() == GOAWAY) {
                return "GOAWAY " + Http2Error.valueOf(frame.number(4));
            }
            if (frame.type() == HEADERS) {
                final CharSequence status = decode(frame).status();
                if (frame.id() == id && status != null && !status.toString().startsWith("1")) {
                    return status.toString();
                }
            }
            if (frame.type() == RST_STREAM && frame.id() == id) {
                return "RST " + Http2Error.valueOf(frame.number(0));
            }
        }
    }

    /** Waits until the proxy has dealt with everything sent so far. */
    Http2Wire sync() throws IOException {
        final String data = "deadbeef";
        send(PING, NONE, 0, data);
        Frame frame = readNext(PING);
        while (!frame.payload().equals(data)) {
            frame = readNext(PING);
        }
        return this;
    }

    Wire wire() {
        return wire;
    }

    @Override
    public void close() throws IOException {
        wire.close();
    }
}
