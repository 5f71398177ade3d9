package io.sluice.l7proxy.http;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.buffer.ByteBuf;

/** An answer that the proxy gives in the server's place. Immutable. */
record LocalAnswer(int status, String reason, String text) {
    /** What Cilium's Envoy says, to the byte. */
    static final LocalAnswer DENIED = new LocalAnswer(403, "Forbidden", "Access denied\r\n");

    static final LocalAnswer UNREACHABLE =
            new LocalAnswer(503, "Service Unavailable", "The server cannot be reached\r\n");
    static final LocalAnswer BAD_ANSWER =
            new LocalAnswer(502, "Bad Gateway", "The server's answer cannot be understood\r\n");
    static final LocalAnswer LATE =
            new LocalAnswer(408, "Request Timeout", "The request did not arrive in time\r\n");

    /** To a request that is refused. */
    static LocalAnswer of(final HttpFault fault) {
        final String reason =
                switch (fault.status()) {
                    case 431 -> "Request Header Fields Too Large";
                    case 501 -> "Not Implemented";
                    case 505 -> "HTTP Version Not Supported";
                    default -> "Bad Request";
                };
        return new LocalAnswer(fault.status(), reason, "Refused: " + fault.meaning() + "\r\n");
    }

    /**
     * Writes it.
     *
     * @param closes whether the connection ends with it
     * @param isHead whether it is to HEAD
     */
    void writeTo(final ByteBuf out, final boolean closes, final boolean isHead) {
        out.writeCharSequence(
                "HTTP/1.1 "
                        + status
                        + " "
                        + reason
                        + "\r\ncontent-type: text/plain\r\ncontent-length: "
                        + text.length()
                        + "\r\n"
                        + (closes ? "connection: close\r\n" : "")
                        + "\r\n"
                        + (isHead ? "" : text),
                US_ASCII);
    }
}
