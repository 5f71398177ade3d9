package io.sluice.l7proxy.http2;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.Http2Headers;

/**
 * An answer that the proxy gives in the server's place. To gRPC it is trailers alone: a head that
 * ends the stream, with the status in it.
 */
enum Http2Answer {
    /** What Cilium's Envoy says, to the byte; 7 is PERMISSION_DENIED. */
    DENIED(403, "Access denied\r\n", 7, "Access denied%0D%0A"),
    /** 14 is UNAVAILABLE: clients may try again. */
    UNREACHABLE(503, "The server cannot be reached\r\n", 14, "The server cannot be reached"),
    BAD_ANSWER(
            502,
            "The server's answer cannot be understood\r\n",
            14,
            "The server's answer cannot be understood"),
    /** 8 is RESOURCE_EXHAUSTED. */
    HEAD_TOO_LARGE(431, "The head is longer than the limit\r\n", 8, "The head is too long");

    private final int status;
    private final String text;
    private final int grpcStatus;
    private final String grpcMessage;

    Http2Answer(
            final int status, final String text, final int grpcStatus, final String grpcMessage) {
        this.status = status;
        this.text = text;
        this.grpcStatus = grpcStatus;
        this.grpcMessage = grpcMessage;
    }

    /** Status: gRPC's own is in a header, HTTP's is then 200. */
    int status(final boolean isGrpc) {
        return isGrpc ? 200 : status;
    }

    int grpcStatus() {
        return grpcStatus;
    }

    byte[] body() {
        return text.getBytes(US_ASCII);
    }

    Http2Headers head(final boolean isGrpc) {
        final Http2Headers head = new DefaultHttp2Headers(false, 4);
        head.status(Integer.toString(status(isGrpc)));
        if (isGrpc) {
            head.add("content-type", "application/grpc");
            head.add("grpc-status", Integer.toString(grpcStatus));
            head.add("grpc-message", grpcMessage);
        } else {
            head.add("content-type", "text/plain");
            head.add("content-length", Integer.toString(text.length()));
        }
        return head;
    }
}
