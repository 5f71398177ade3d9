package io.sluice.l7proxy.kafka;

import io.netty.buffer.ByteBuf;
import java.nio.charset.StandardCharsets;

/**
 * The start of a request, which is alike in all APIs and versions since the first: length, API,
 * version, correlation id, client id. Tagged fields of newer heads follow it and are read with the
 * body.
 *
 * <p>Source: Kafka protocol guide, "Protocol Primitive Types" and "Request Header" v1 and v2.
 *
 * <p>Nothing is taken from the buffer. Reused for one request after the other. Thread: one.
 */
public final class RequestHead {
    /** How far it is. */
    public enum Progress {
        /** More bytes are needed. */
        MORE,
        /** All fields are valid. */
        COMPLETE,
        /** {@link #fault} says why. */
        FAULT
    }

    /** Of the length itself. */
    static final int LENGTH_BYTES = 4;

    /** API, version, correlation id, and the length of the client id. */
    private static final int FIXED_BYTES = 2 + 2 + 4 + 2;

    private final int requestBytesMax;
    private KafkaFault fault = KafkaFault.NONE;
    private int length;
    private int apiKey;
    private int apiVersion;
    private int correlationId;
    private String clientId = "";
    private int bytes;

    /**
     * A reader of heads.
     *
     * @param requestBytesMax longest request
     */
    public RequestHead(final int requestBytesMax) {
        this.requestBytesMax = requestBytesMax;
    }

    /** Reads the head at the buffer's reader index, which stays where it is. */
    public Progress read(final ByteBuf in) {
        final int start = in.readerIndex();
        final int readable = in.readableBytes();
        apiKey = 0;
        apiVersion = 0;
        correlationId = 0;
        clientId = "";
        if (readable < LENGTH_BYTES) {
            return Progress.MORE;
        }
        length = in.getInt(start);
        if (length < FIXED_BYTES || length > requestBytesMax) {
            return fail(KafkaFault.LENGTH);
        }
        if (readable < LENGTH_BYTES + FIXED_BYTES) {
            return Progress.MORE;
        }
        apiKey = in.getShort(start + LENGTH_BYTES);
        apiVersion = in.getShort(start + LENGTH_BYTES + 2);
        correlationId = in.getInt(start + LENGTH_BYTES + 4);
        final int idLength = Math.max(0, in.getShort(start + LENGTH_BYTES + 8));
        if (in.getShort(start + LENGTH_BYTES + 8) < -1 || idLength > length - FIXED_BYTES) {
            return fail(KafkaFault.CLIENT_ID);
        }
        bytes = LENGTH_BYTES + FIXED_BYTES + idLength;
        if (readable < bytes) {
            return Progress.MORE;
        }
        clientId =
                in.toString(start + LENGTH_BYTES + FIXED_BYTES, idLength, StandardCharsets.UTF_8);
        return Progress.COMPLETE;
    }

    private Progress fail(final KafkaFault why) {
        fault = why;
        return Progress.FAULT;
    }

    /** Why it was refused. */
    public KafkaFault fault() {
        return fault;
    }

    /** Bytes of the whole request, its length included. */
    public long frameBytes() {
        return (long) LENGTH_BYTES + length;
    }

    /** Bytes of what has been read here. */
    public int bytes() {
        return bytes;
    }

    /** Number of the API. */
    public int apiKey() {
        return apiKey;
    }

    /** Version of the API. */
    public int apiVersion() {
        return apiVersion;
    }

    /** The client's number for the request. */
    public int correlationId() {
        return correlationId;
    }

    /** Empty if there is none. */
    public String clientId() {
        return clientId;
    }
}
