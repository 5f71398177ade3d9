package io.sluice.l7proxy.kafka;

import io.sluice.l7proxy.Origin;
import io.sluice.l7proxy.Wire;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.function.Function;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.RequestUtils;
import org.apache.kafka.common.requests.ResponseHeader;

/** Kafka's messages as bytes, made and read by its own classes. */
final class KafkaWire {
    private KafkaWire() {}

    /** A message with its length; the bytes after it are those of the API key or correlation id. */
    static final class Frame {
        private final byte[] bytes;

        private Frame(final byte[] bytes) {
            this.bytes = bytes;
        }

        byte[] bytes() {
            return bytes;
        }

        ByteBuffer body() {
            return ByteBuffer.wrap(bytes, 4, bytes.length - 4);
        }

        /** Of a request. */
        ApiKeys api() {
            return ApiKeys.forId(body().getShort(4));
        }

        /** Of a request. */
        short version() {
            return body().getShort(6);
        }

        /** Of a request. */
        int correlationId() {
            return body().getInt(8);
        }

        /** Of an answer. */
        int answerTo() {
            return body().getInt(4);
        }

        String text() {
            return new String(bytes, Wire.LATIN);
        }
    }

    static Frame request(final int version, final int correlationId, final ApiMessage data) {
        final ApiKeys api = ApiKeys.forId(data.apiKey());
        return frame(
                RequestUtils.serialize(
                        new RequestHeaderData()
                                .setRequestApiKey(api.id)
                                .setRequestApiVersion((short) version)
                                .setCorrelationId(correlationId)
                                .setClientId("wire"),
                        api.requestHeaderVersion((short) version),
                        data,
                        (short) version));
    }

    static Frame answer(final int version, final int correlationId, final ApiMessage data) {
        return frame(
                RequestUtils.serialize(
                        new ResponseHeaderData().setCorrelationId(correlationId),
                        ApiKeys.forId(data.apiKey()).responseHeaderVersion((short) version),
                        data,
                        (short) version));
    }

    private static Frame frame(final ByteBuffer body) {
        final ByteBuffer all = ByteBuffer.allocate(4 + body.remaining());
        all.putInt(body.remaining()).put(body);
        return new Frame(all.array());
    }

    /** A request of any API and version, with a head as of version 1 and no client id. */
    static Frame raw(
            final int apiKey, final int version, final int correlationId, final byte[] body) {
        final ByteBuffer all = ByteBuffer.allocate(10 + body.length);
        all.putShort((short) apiKey)
                .putShort((short) version)
                .putInt(correlationId)
                .putShort((short) -1)
                .put(body)
                .flip();
        return frame(all);
    }

    /** An answer that has nothing but its head. */
    static Frame emptyAnswer(final int correlationId) {
        return frame(ByteBuffer.allocate(5).putInt(0, correlationId));
    }

    static Frame read(final InputStream in) throws IOException {
        final DataInputStream data = new DataInputStream(in);
        final int length = data.readInt();
        final ByteBuffer all = ByteBuffer.allocate(4 + length);
        all.putInt(length).put(in.readNBytes(length));
        if (all.hasRemaining()) {
            throw new EOFException("within a message");
        }
        return new Frame(all.array());
    }

    static Frame read(final Wire client) throws IOException {
        return read(client.socket().getInputStream());
    }

    /** Body of an answer. */
    static AbstractResponse parse(final Frame answer, final ApiKeys api, final int version) {
        final ByteBuffer bytes = answer.body();
        ResponseHeader.parse(bytes, api.responseHeaderVersion((short) version));
        return AbstractResponse.parseResponse(api, new ByteBufferAccessor(bytes), (short) version);
    }

    static void send(final Wire client, final Frame... frames) throws IOException {
        for (final Frame frame : frames) {
            client.socket().getOutputStream().write(frame.bytes());
        }
    }

    /** A server that answers what it is told to, request by request. */
    static Origin server(final Function<Frame, Optional<Frame>> answers) throws IOException {
        return new Origin(
                (socket, in, out) -> {
                    while (true) {
                        final Optional<Frame> answer = answers.apply(read(in));
                        if (answer.isPresent()) {
                            out.write(answer.get().bytes());
                            out.flush();
                        }
                    }
                });
    }

    /** For servers, which may only fail with what streams fail with. */
    static void await(final CountDownLatch latch) throws IOException {
        try {
            latch.await();
        } catch (final InterruptedException stopped) {
            throw new InterruptedIOException();
        }
    }

    static byte[] utf8(final String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
