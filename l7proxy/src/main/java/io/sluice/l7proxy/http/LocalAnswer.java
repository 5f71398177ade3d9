package io.sluice.l7proxy.http;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.netty.buffer.ByteBuf;

/**
 * An answer that the proxy gives in the server's place. Its bytes are made once: a denial is the
 * proxy's commonest answer. Immutable.
 */
final class LocalAnswer {
    /** What Cilium's Envoy says, to the byte. */
    static final LocalAnswer DENIED = new LocalAnswer(403, "Forbidden", "Access denied\r\n");

    static final LocalAnswer UNREACHABLE =
            new LocalAnswer(503, "Service Unavailable", "The server cannot be reached\r\n");
    static final LocalAnswer BAD_ANSWER =
            new LocalAnswer(502, "Bad Gateway", "The server's answer cannot be understood\r\n");
    static final LocalAnswer LATE =
            new LocalAnswer(408, "Request Timeout", "The request did not arrive in time\r\n");

    private final int status;
    private final byte[] goesOn;
    private final byte[] goesOnToHead;
    private final byte[] closes;
    private final byte[] closesToHead;

    private LocalAnswer(final int status, final String reason, final String text) {
        this.status = status;
        final String head =
                "HTTP/1.1 "
                        + status
                        + " "
                        + reason
                        + "\r\ncontent-type: text/plain\r\ncontent-length: "
                        + text.length()
                        + "\r\n";
        final String closing = head + "connection: close\r\n";
        goesOnToHead = (head + "\r\n").getBytes(US_ASCII);
        goesOn = (head + "\r\n" + text).getBytes(US_ASCII);
        closesToHead = (closing + "\r\n").getBytes(US_ASCII);
        closes = (closing + "\r\n" + text).getBytes(US_ASCII);
    }

    int status() {
        return status;
    }

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
     * @param isLast whether the connection ends with it
     * @param isToHead whether the request was HEAD
     */
    void writeTo(final ByteBuf out, final boolean isLast, final boolean isToHead) {
        out.writeBytes(
                isLast ? isToHead ? closesToHead : closes : isToHead ? goesOnToHead : goesOn);
    }
}
